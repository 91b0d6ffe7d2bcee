//! Many streams in one process: what each further `densepose` element costs, how many inferences all of them do
//! together, and whether each gets its share.
//!
//!     cargo run --release --example bench_many -- [--elements 1,2,4,8,64] [--seconds S] [--rounds N] [--threads N]
//!         [--model DIR] [--picture FILE]
//!
//! Each row is a process of its own with that many pipelines, each on a thread of its own, all of which show the
//! same frame of 1280x720 to their element as fast as it takes it. The rows take turns, and
//! medians are printed. Rows of more than 8 elements take as much longer. Memory, threads and processor time are those that Linux counts.

use std::error::Error;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gst::prelude::*;

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
const MEGABYTE: f64 = 1e6;
/// Given to the processes that measure a row.
const ROW: &str = "--row";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = Request::parse(&arguments).and_then(|request| match request.row {
        Some(elements) => row(&request, elements),
        None => table(&request, &arguments),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_many: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Request {
    /// Elements of the row that this process measures.
    row: Option<usize>,
    elements: Vec<usize>,
    seconds: f64,
    rounds: usize,
    threads: u32,
    model: Option<String>,
    picture: String,
}

impl Request {
    fn parse(arguments: &[String]) -> Outcome<Self> {
        let picture = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/media/astronaut.jpg").into();
        let mut request = Self {
            row: None,
            elements: vec![1, 2, 4, 8, 64],
            seconds: 4.0,
            rounds: 3,
            threads: 0,
            model: None,
            picture,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                ROW => request.row = Some(value()?.parse::<usize>()?.max(1)),
                "--elements" => {
                    request.elements = value()?.split(',').map(str::parse).collect::<Result<_, _>>()?;
                }
                "--seconds" => request.seconds = value()?.parse::<f64>()?.clamp(0.1, 3600.0),
                "--rounds" => request.rounds = value()?.parse::<usize>()?.max(1),
                "--threads" => request.threads = value()?.parse()?,
                "--model" => request.model = Some(value()?.clone()),
                "--picture" => request.picture = value()?.clone(),
                _ => return Err(format!("unknown argument {argument}").into()),
            }
        }
        Ok(request)
    }
}

/// What is measured of a row, in the order of the table's columns.
const COLUMNS: [(&str, usize); 10] = [
    ("first start, ms", 0),
    ("further, ms", 1),
    ("MB with one", 1),
    ("MB each further", 1),
    ("MB after stop", 1),
    ("threads", 0),
    ("inferences/s", 1),
    ("CPU ms each", 1),
    ("least/most served", 3),
    ("longest wait, ms", 0),
];

fn table(request: &Request, arguments: &[String]) -> Outcome<()> {
    let mut rows: Vec<Vec<Vec<f64>>> = vec![Vec::new(); request.elements.len()];
    for _ in 0..request.rounds {
        for (row, elements) in rows.iter_mut().zip(&request.elements) {
            let mut command = Command::new(std::env::current_exe()?);
            let output = command.args(arguments).args([ROW, &elements.to_string()]).output()?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into());
            }
            let text = String::from_utf8(output.stdout)?;
            row.push(text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?);
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    println!("{cores} cores, medians of {} rounds of {} s", request.rounds, request.seconds);
    println!("\n| elements | {} |", COLUMNS.map(|(name, _)| name).join(" | "));
    println!("|{}", "---:|".repeat(1 + COLUMNS.len()));
    for (elements, row) in request.elements.iter().zip(rows) {
        let cells = COLUMNS.iter().enumerate().map(|(column, &(_, digits))| {
            let value = median(row.iter().filter_map(|values| values.get(column).copied()).collect());
            if value.is_nan() { "-".into() } else { format!("{value:.digits$}") }
        });
        println!("| {elements} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Frames that a pipeline shows as it starts: its memory is laid out then.
const FIRST: u64 = 5;
/// What pipelines do after that.
const WAIT: u8 = 0;
const GO: u8 = 1;
const STOP: u8 = 2;

/// One pipeline.
struct Stream {
    pipeline: gst::Pipeline,
    /// Frames that came out.
    done: Arc<AtomicU64>,
    /// Longest time between two of them, in nanoseconds, since it was last reset.
    longest: Arc<AtomicU64>,
}

impl Stream {
    /// Starts a pipeline and waits for its first frames. Also how long it took until the element was ready for it.
    fn start(request: &Request, frame: &gst::Buffer, state: &Arc<AtomicU8>) -> Outcome<(Self, Duration)> {
        let pipeline =
            gst::parse::launch("appsrc name=in block=true max-buffers=1 ! densepose name=network ! fakesink name=out")?;
        let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| "no pipeline")?;
        let by_name = |name| pipeline.by_name(name).ok_or("an element is missing");
        let network = by_name("network")?;
        network.set_property("threads", request.threads);
        network.set_property("model", request.model.as_ref());
        let source = by_name("in")?.downcast::<gst_app::AppSrc>().map_err(|_| "no appsrc")?;
        let caps = gst::Caps::builder("video/x-raw").field("format", "RGB").field("width", WIDTH as i32);
        let caps = caps.field("height", HEIGHT as i32).field("framerate", gst::Fraction::new(30, 1));
        source.set_caps(Some(&caps.build()));

        let (ready_in, ready) = std::sync::mpsc::channel();
        let pad = network.static_pad("sink").ok_or("no pad")?;
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            let _ = ready_in.send(Instant::now());
            gst::PadProbeReturn::Remove
        });
        let (done, longest) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (count, longest_in) = (done.clone(), longest.clone());
        let (began, last) = (Instant::now(), AtomicU64::new(0));
        let pad = network.static_pad("src").ok_or("no pad")?;
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            let now = began.elapsed().as_nanos() as u64;
            longest_in.fetch_max(now - last.swap(now, Ordering::Relaxed), Ordering::Relaxed);
            count.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
        let (state, frame) = (state.clone(), frame.clone());
        let mut first = 0..FIRST;
        let callbacks = gst_app::AppSrcCallbacks::builder().need_data(move |source, _| {
            while first.next().is_none() && state.load(Ordering::Acquire) == WAIT {
                std::thread::sleep(Duration::from_millis(1));
            }
            if state.load(Ordering::Acquire) == STOP {
                let _ = source.end_of_stream();
                return;
            }
            let _ = source.push_buffer(frame.clone());
        });
        source.set_callbacks(callbacks.build());

        let started = Instant::now();
        pipeline.set_state(gst::State::Playing)?;
        let (outcome, ..) = pipeline.state(gst::ClockTime::from_seconds(60));
        if outcome.is_err() {
            return Err("the pipeline does not start".into());
        }
        let took = ready.recv()? - started;
        while done.load(Ordering::Relaxed) < FIRST {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok((Self { pipeline, done, longest }, took))
    }
}

fn row(request: &Request, count: usize) -> Outcome<()> {
    gst::init()?;
    gstdensepose::plugin_register_static()?;
    let picture = image::open(&request.picture)?.to_rgb8();
    let picture = image::imageops::resize(&picture, WIDTH, HEIGHT, image::imageops::FilterType::Triangle);
    let frame = gst::Buffer::from_slice(picture.into_raw());
    let state = Arc::new(AtomicU8::new(WAIT));

    let before = megabytes()?;
    let (mut streams, mut starts) = (Vec::new(), Vec::new());
    let mut with_one = f64::NAN;
    for _ in 0..count {
        let (stream, took) = Stream::start(request, &frame, &state)?;
        starts.push(took.as_secs_f64() * 1e3);
        streams.push(stream);
        if streams.len() == 1 {
            with_one = megabytes()?;
        }
    }

    state.store(GO, Ordering::Release);
    // With many elements a round of turns takes long.
    let many = (count as f64 / 8.0).max(1.0);
    std::thread::sleep(Duration::from_secs_f64(many));
    let counts = || -> Vec<u64> { streams.iter().map(|stream| stream.done.load(Ordering::Relaxed)).collect() };
    streams.iter().for_each(|stream| stream.longest.store(0, Ordering::Relaxed));
    let (first, started, cpu) = (counts(), Instant::now(), processor_time()?);
    std::thread::sleep(Duration::from_secs_f64(request.seconds * many));
    let served: Vec<u64> = counts().iter().zip(&first).map(|(now, first)| now - first).collect();
    let per_second = served.iter().sum::<u64>() as f64 / started.elapsed().as_secs_f64();
    let cpu = (processor_time()? - cpu).as_secs_f64() * 1e3 / served.iter().sum::<u64>() as f64;
    let longest = streams.iter().map(|stream| stream.longest.load(Ordering::Relaxed)).max().unwrap_or(0);
    let (all, threads) = (megabytes()?, threads()?);

    state.store(STOP, Ordering::Release);
    for stream in &streams {
        stream.pipeline.set_state(gst::State::Null)?;
    }
    drop(streams);
    trim();
    let after = megabytes()?;
    let (least, most) = (served.iter().min().copied(), served.iter().max().copied());
    let fair = least.unwrap_or(0) as f64 / most.unwrap_or(0).max(1) as f64;
    let further = starts.split_off(1);
    let each = (all - with_one) / (count as f64 - 1.0);
    let each = if count > 1 { each } else { f64::NAN };
    let values = [
        starts[0],
        median(further),
        with_one - before,
        each,
        after - before,
        threads,
        per_second,
        cpu,
        fair,
        longest as f64 / 1e6,
    ];
    println!("{}", values.map(|value| value.to_string()).join(" "));
    Ok(())
}

/// Gives back to the system what is free, so that it does not count as used.
fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(keep: usize) -> i32;
        }
        // SAFETY: glibc's, which takes any number, at any time, in any thread.
        unsafe { malloc_trim(0) };
    }
}

/// Memory of this process, of what is not shared with others.
fn megabytes() -> Outcome<f64> {
    Ok(status("RssAnon:")? * 1024.0 / MEGABYTE)
}

/// Of this process.
fn threads() -> Outcome<f64> {
    status("Threads:")
}

/// Of all threads of this process.
fn processor_time() -> Outcome<Duration> {
    let ran = std::fs::read_dir("/proc/self/task")?.map(|task| {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        Ok::<u64, Box<dyn Error>>(text.split_whitespace().next().ok_or("the system does not say")?.parse()?)
    });
    Ok(Duration::from_nanos(ran.sum::<Outcome<u64>>()?))
}

/// A number of what Linux says of this process.
fn status(field: &str) -> Outcome<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("the system does not say")?;
    Ok(line.split_whitespace().next().ok_or("the system does not say")?.parse()?)
}
