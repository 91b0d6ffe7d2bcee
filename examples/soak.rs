//! A live source under load: whether frames arrive in time, results stay fresh and memory stays flat.
//!
//!     cargo run --release --example soak -- [--seconds 20] [--cycles 100] [--slow 3] [--model DIRECTORY]
//!
//! For 30 and 60 frames per second, with a sink that reports late frames (QoS) and one that does not, in each mode: a live
//! source of 1280x720 whose network is made `slow` times too slow by its input size. Then elements come and go `cycles`
//! times on a stream that plays on. Prints a table; the exit status says whether the aims were reached.

use std::error::Error;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_base::prelude::*;

/// A frame is in time if it is at the sink this much after its time at most.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_mseconds(20);
/// Frames at the start of a stream that are not counted.
const START: Duration = Duration::from_secs(2);

struct Options {
    seconds: u64,
    cycles: usize,
    slow: f64,
    model: Option<String>,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self { seconds: 20, cycles: 100, slow: 3.0, model: None };
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--seconds" => options.seconds = value.parse()?,
                "--cycles" => options.cycles = value.parse()?,
                "--slow" => options.slow = value.parse()?,
                "--model" => options.model = Some(value),
                _ => return Err(format!("{word} is not known; there are --seconds, --cycles, --slow, --model").into()),
            }
        }
        Ok(options)
    }

    /// `densepose` with properties.
    fn element(&self, properties: &str) -> String {
        let model = self.model.as_ref().map(|model| format!("model={model}")).unwrap_or_default();
        format!("densepose {model} {properties}")
    }
}

/// What arrived at a sink.
#[derive(Default)]
struct Arrivals {
    frames: u64,
    in_time: u64,
    latest: i64,
    /// Of the last second.
    last: i64,
    first: Option<Instant>,
}

fn pipeline(description: &str) -> Result<gst::Pipeline, Box<dyn Error>> {
    gst::parse::launch(description)?.downcast().map_err(|_| "no pipeline".into())
}

fn stats(element: &gst::Element) -> gst::Structure {
    element.property("stats")
}

/// Milliseconds of an inference of a live frame of 1280x720 at a shorter side, without hurry.
fn inference(options: &Options, short_side: u32) -> Result<f64, Box<dyn Error>> {
    let element = options.element(&format!("name=d mode=sync short-side={short_side}"));
    let run = pipeline(&format!(
        "videotestsrc num-buffers=12 ! video/x-raw,format=I420,width=1280,height=720 ! {element} ! fakesink"
    ))?;
    play(&run)?;
    let element = run.by_name("d").ok_or("no element")?;
    let mean = stats(&element).get("inference-mean")?;
    run.set_state(gst::State::Null)?;
    Ok(mean)
}

/// Plays until the end.
fn play(run: &gst::Pipeline) -> Result<(), Box<dyn Error>> {
    run.set_state(gst::State::Playing)?;
    let bus = run.bus().ok_or("no bus")?;
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            // As gst-launch-1.0 and every player do.
            gst::MessageView::Latency(_) => run.recalculate_latency()?,
            gst::MessageView::Error(e) => return Err(format!("{}: {:?}", e.error(), e.debug()).into()),
            gst::MessageView::Eos(_) => break,
            _ => {}
        }
    }
    Ok(())
}

/// The input size that makes an inference take `wanted` milliseconds or more.
fn slow_side(options: &Options, wanted: f64) -> Result<(u32, f64), Box<dyn Error>> {
    for side in [64, 96, 128, 192, 256, 320, 400, 512, 640, 800, 1024] {
        let took = inference(options, side)?;
        if took >= wanted {
            return Ok((side, took));
        }
    }
    Err("this machine is too fast to be too slow".into())
}

/// Plays a live source for so long. The row of the table, and whether the aims were reached.
fn live(options: &Options, rate: u64, qos: bool, mode: &str, side: u32) -> Result<(String, bool), Box<dyn Error>> {
    let element = options.element(&format!("name=d mode={mode} short-side={side}"));
    // The sink waits for each frame's time: without the queue the network would wait with it.
    let run = pipeline(&format!(
        "videotestsrc is-live=true pattern=ball num-buffers={} \
         ! video/x-raw,format=I420,width=1280,height=720,framerate={rate}/1 ! {element} ! queue \
         ! fakesink name=sink sync=true qos={qos} max-lateness={} signal-handoffs=true",
        options.seconds * rate,
        if qos { PATIENCE.nseconds() as i64 } else { -1 }
    ))?;
    let arrivals = Arc::new(Mutex::new(Arrivals::default()));
    let (sink, noted) = (run.by_name("sink").ok_or("no sink")?, arrivals.clone());
    let pad = sink.static_pad("sink").ok_or("no pad")?;
    let (sink, base) = (sink.downcast::<gst_base::BaseSink>().map_err(|_| "no sink")?, run.clone());
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let (Some(buffer), Some(clock), Some(start)) = (info.buffer(), sink.clock(), base.base_time()) else {
            return gst::PadProbeReturn::Ok;
        };
        let due = buffer.pts().unwrap_or_default().nseconds() + sink.latency().nseconds();
        let Some(now) = clock.time().checked_sub(start) else { return gst::PadProbeReturn::Ok };
        let late = i64::try_from(i128::from(now.nseconds()) - i128::from(due)).unwrap_or(i64::MAX);
        let mut a = noted.lock().unwrap_or_else(|e| e.into_inner());
        if a.first.get_or_insert_with(Instant::now).elapsed() >= START {
            a.frames += 1;
            a.in_time += u64::from(late <= PATIENCE.nseconds() as i64);
            a.latest = a.latest.max(late);
            a.last = late;
        }
        gst::PadProbeReturn::Ok
    });
    play(&run)?;
    let element = run.by_name("d").ok_or("no element")?;
    let stats = stats(&element);
    let (frames, inferences): (u64, u64) = (stats.get("frames")?, stats.get("inferences")?);
    let mean: f64 = stats.get("inference-mean")?;
    let latency: u64 = stats.get("latency")?;
    run.set_state(gst::State::Null)?;
    let a = arrivals.lock().unwrap_or_else(|e| e.into_inner());
    let share = a.in_time as f64 / a.frames.max(1) as f64;
    let possible = options.seconds as f64 * 1e3 / mean.max(1e-3);
    let used = inferences as f64 / possible.min(frames as f64).max(1.0);
    let ms = |ns: i64| ns as f64 / 1e6;
    let row = format!(
        "| {rate} | {} | {mode} | {mean:.0} ms | {:.1} % | {:.0} % | {:.0} ms | {:.0} ms | {:.0} ms |",
        if qos { "yes" } else { "no" },
        share * 100.0,
        used * 100.0,
        ms(a.latest),
        ms(a.last),
        latency as f64 / 1e6
    );
    let reached = mode != "async" || share >= 0.99 && used >= 0.8 && a.last <= (1_000_000_000 / rate) as i64;
    Ok((row, reached))
}

/// A line of /proc/self/status, in its unit.
fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Elements come and go while a stream plays. Whether neither memory nor threads grew.
fn churn(options: &Options) -> Result<bool, Box<dyn Error>> {
    let run = pipeline(
        "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=640,height=360,framerate=30/1 \
         ! tee name=t allow-not-linked=true t. ! queue ! fakesink sync=true",
    )?;
    run.set_state(gst::State::Playing)?;
    let tee = run.by_name("t").ok_or("no tee")?;
    let mut seen = Vec::new();
    for cycle in 0..=options.cycles {
        let element = options.element("name=d");
        let branch =
            gst::parse::bin_from_description(&format!("queue ! {element} ! fakesink sync=true async=false"), true)?;
        run.add(&branch)?;
        branch.sync_state_with_parent()?;
        let (from, to) =
            (tee.request_pad_simple("src_%u").ok_or("no pad")?, branch.static_pad("sink").ok_or("no pad")?);
        from.link(&to)?;
        std::thread::sleep(Duration::from_millis(if cycle % 2 == 0 { 200 } else { 20 }));
        // With the stream held where it branches, as GStreamer has it.
        let (held, tell) = std::sync::mpsc::channel();
        from.add_probe(gst::PadProbeType::IDLE, move |pad, _| {
            if let Some(peer) = pad.peer() {
                let _ = pad.unlink(&peer);
            }
            let _ = held.send(());
            gst::PadProbeReturn::Remove
        });
        tell.recv()?;
        branch.set_state(gst::State::Null)?;
        run.remove(&branch)?;
        tee.release_request_pad(&from);
        if cycle == options.cycles / 5 || cycle == options.cycles {
            seen.push((cycle, status("VmRSS"), status("Threads")));
        }
    }
    run.set_state(gst::State::Null)?;
    for (cycle, memory, threads) in &seen {
        println!("after {cycle} elements came and went: {} MB, {threads} threads", memory / 1024);
    }
    let [(_, before, threads), .., (_, after, threads_after)] = seen[..] else { return Ok(true) };
    Ok(after <= before + 8 * 1024 && threads_after <= threads)
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    gst::init()?;
    gstdensepose::plugin_register_static()?;
    println!("live 1280x720, network {} times too slow, {} s each", options.slow, options.seconds);
    println!(
        "| frames/s | QoS | mode | inference | in time | of what the network can do | latest | at the end | latency |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut reached = true;
    for rate in [30, 60] {
        let (side, _) = slow_side(&options, options.slow * 1e3 / rate as f64)?;
        for qos in [true, false] {
            for mode in ["async", "sync"] {
                let (row, good) = live(&options, rate, qos, mode, side)?;
                println!("{row}");
                reached &= good;
            }
        }
    }
    reached &= churn(&options)?;
    if reached { Ok(()) } else { Err("not all aims were reached".into()) }
}
