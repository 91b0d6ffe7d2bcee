//! The plugin inside a program: people as Rust values, no plugin to install.
//!
//!     cargo run --release --example embed -- INPUT [--densepose PROPERTIES]
//!
//! Prints a line for each person of each frame: time, id, score, box and where the head is. INPUT is a video or picture
//! file, a camera such as /dev/video0, or an address such as rtsp://HOST/PATH; PROPERTIES are the element's, such as
//! "interval=2 score-threshold=0.3".

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use gst::prelude::*;
use gstdensepose::meta;
use gstdensepose::person::{Person, Persons};

const USAGE: &str = "embed INPUT [--densepose PROPERTIES]
  INPUT        a video or picture file, a camera such as /dev/video0, or an address such as rtsp://HOST/PATH
  PROPERTIES   of the element densepose, such as \"interval=2 score-threshold=0.3\"";

/// The two halves of the head.
const HEAD: [u8; 2] = [23, 24];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["-h" | "--help"] => {
            println!("{USAGE}");
            Ok(())
        }
        [input] => run(input, ""),
        [input, "--densepose", properties] | ["--densepose", properties, input] => run(input, properties),
        _ => Err(format!("usage: {USAGE}").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("embed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Phones store pictures on their side and say so in a tag; the network knows people who stand.
const UPRIGHT: &str = "videoflip video-direction=auto";

fn run(input: &str, properties: &str) -> Result<(), Box<dyn Error>> {
    gst::init()?;
    gstdensepose::plugin_register_static()?;
    let description =
        format!("{} ! videoconvert ! {UPRIGHT} ! densepose {properties} ! appsink name=out sync=false", source(input)?);
    let pipeline = gst::parse::launch(&description).map_err(|e| format!("cannot make '{description}': {e}"))?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| "more than one element is needed")?;
    let sink = pipeline.by_name("out").and_downcast::<gst_app::AppSink>().ok_or("the pipeline has no appsink")?;
    // One frame may wait: files go as fast as the network, cameras drop what it has no time for.
    sink.set_max_buffers(1);
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(|sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                if let Some(buffer) = sample.buffer()
                    && let Some(persons) = meta::read(buffer)
                {
                    print(buffer.pts(), &persons);
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    let result = play(&pipeline);
    pipeline.set_state(gst::State::Null)?;
    result
}

/// The beginning of the pipeline, to decoded video.
fn source(input: &str) -> Result<String, Box<dyn Error>> {
    let quoted = input.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(match input {
        _ if input.contains("://") => format!("uridecodebin uri=\"{quoted}\""),
        _ if !Path::new(input).exists() => return Err(format!("there is no '{input}'").into()),
        _ if input.starts_with("/dev/") => format!("v4l2src device=\"{quoted}\""),
        _ => {
            // Before GStreamer 1.24 decodebin passes by the parser that reads the orientation of photos.
            if let Some(jpeg) = gst::ElementFactory::find("jpegparse") {
                jpeg.set_rank(gst::Rank::PRIMARY + 10);
            }
            format!("filesrc location=\"{quoted}\" ! decodebin")
        }
    })
}

/// To the end, or to the first error.
fn play(pipeline: &gst::Pipeline) -> Result<(), Box<dyn Error>> {
    let bus = pipeline.bus().ok_or("the pipeline has no bus")?;
    // Where this fails, the bus says why.
    let _ = pipeline.set_state(gst::State::Playing);
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            gst::MessageView::Eos(_) => break,
            gst::MessageView::Error(e) => {
                let source = e.src().map(|s| s.name()).unwrap_or_default();
                return Err(format!("{source}: {}\n{}", e.error(), e.debug().unwrap_or_default()).into());
            }
            gst::MessageView::Latency(_) => pipeline.recalculate_latency()?,
            _ => {}
        }
    }
    Ok(())
}

fn print(time: Option<gst::ClockTime>, persons: &Persons) {
    let time = time.map_or("-".into(), |t| format!("{:.3}", t.nseconds() as f64 / 1e9));
    for person in &persons.persons {
        let Person { id, score, x, y, iuv } = person;
        let head = head(person).map_or("not seen".into(), |(x, y)| format!("at {x},{y}"));
        println!("{time} person {id}: score {score:.3}, {}x{} at {x},{y}, head {head}", iuv.width(), iuv.height());
    }
}

/// The centre of the pixels of the head, in pixels of the frame.
fn head(person: &Person) -> Option<(i64, i64)> {
    let width = person.width();
    let pixels = person.iuv.data().chunks_exact(3).enumerate().filter(|(_, iuv)| HEAD.contains(&iuv[0]));
    let (count, x, y) = pixels.fold((0, 0, 0), |(n, x, y), (i, _)| (n + 1, x + i % width, y + i / width));
    (count > 0).then(|| (i64::from(person.x) + (x / count) as i64, i64::from(person.y) + (y / count) as i64))
}
