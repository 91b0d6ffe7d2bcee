//! Where the time of a frame goes: milliseconds per stage at short side 256 and 512, for a frame of 1280x720, on one
//! thread and on all cores.
//!
//!     cargo run --release --example bench_stages -- [PICTURE] [--model DIR] [--threads N] [--frames N] [--persons N]
//!         [--onnxruntime PROVIDERS] [--max-persons N]
//!
//! Without PICTURE it is noise, without --model the embedded network. Prints medians. With --persons the body is mapped
//! in N boxes of standing people side by side, whatever the network detects. The frame's way as a buffer's meta and its
//! smoothing over time are measured, too. --max-persons looks at more proposals, as the element's property does.
//! `--onnxruntime cpu` (with `--features onnxruntime`) runs the network by ONNX Runtime instead of tract.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use gstdensepose::estimator::boxes::Rect;
use gstdensepose::estimator::{Backend, Estimator, Model, Options, Provider, Stage, Tracker};
use gstdensepose::image::Image;
use gstdensepose::meta;
use gstdensepose::person::{Person, Persons};

const SHORT_SIDES: [usize; 2] = [256, 512];
const WIDTH: usize = 1280;
const HEIGHT: usize = 720;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_stages: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (mut picture, mut model, mut threads, mut persons, mut frames) = (None, None, None, None, 20_usize);
    let mut max_persons = None;
    let mut backend = Backend::Tract;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--model" => model = Some(value()?),
            "--threads" => threads = Some(value()?.parse()?),
            "--frames" => frames = value()?.parse::<usize>()?.max(1),
            "--onnxruntime" => backend = Backend::OnnxRuntime { providers: Provider::list(&value()?)? },
            "--max-persons" => max_persons = Some(value()?.parse()?),
            "--persons" => persons = Some(value()?.parse()?),
            _ if picture.is_none() && !argument.starts_with('-') => picture = Some(argument),
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    let model = match model {
        Some(directory) => Model::open(directory)?,
        None => Model::embedded()?,
    };
    let pixels = match picture {
        Some(path) => {
            let picture = image::open(path)?.to_rgb8();
            let (width, height) = (WIDTH as u32, HEIGHT as u32);
            image::imageops::resize(&picture, width, height, image::imageops::FilterType::Triangle).into_raw()
        }
        None => (0..WIDTH * HEIGHT * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
    };
    let frame = Image::rgb(WIDTH, HEIGHT, &pixels)?;

    gst::init()?;
    let boxes = persons.map(standing);
    let counts = match threads {
        Some(count) => vec![count],
        None => vec![1, 0],
    };
    for short_side in SHORT_SIDES {
        for &threads in &counts {
            let options = Options { short_side, threads, max_persons, ..Options::default() };
            let mut estimator = Estimator::with_backend(&model, options, &backend)?;
            measure(&mut estimator, &frame, boxes.as_deref(), frames)?;
        }
    }
    Ok(())
}

/// Boxes of people who stand side by side.
fn standing(count: usize) -> Vec<Rect> {
    let share = WIDTH as f32 / count.max(1) as f32;
    let width = (0.9 * share).min(0.3 * HEIGHT as f32);
    let place = |i: usize| (i as f32 + 0.5) * share - width / 2.0;
    let (top, bottom) = (0.1 * HEIGHT as f32, 0.95 * HEIGHT as f32);
    (0..count).map(|i| Rect::new(place(i), top, place(i) + width, bottom)).collect()
}

fn measure(
    estimator: &mut Estimator,
    frame: &Image,
    boxes: Option<&[Rect]>,
    frames: usize,
) -> Result<(), Box<dyn Error>> {
    let size = estimator.input_size((frame.width(), frame.height()), 1.0);
    let start = Instant::now();
    estimator.prepare((frame.width(), frame.height()), 1.0)?;
    let prepared = start.elapsed();
    let mut tracker = Tracker::default();
    tracker.smoothing = 0.5;
    let mut estimate = |estimator: &mut Estimator| match boxes {
        Some(boxes) => estimator.estimate_boxes(frame, boxes),
        None => estimator.follow(frame, &mut tracker),
    };
    let persons = estimate(estimator)?.len();

    let (mut whole, mut outside, mut metas) = (Vec::new(), Vec::new(), Vec::new());
    let mut stages = vec![Vec::new(); Stage::ALL.len()];
    for _ in 0..frames {
        let start = Instant::now();
        let persons = estimate(estimator)?;
        let estimated = start.elapsed();
        attach(persons);
        let elapsed = start.elapsed();
        let network = Stage::ALL.into_iter().filter(|stage| stage.is_network());
        let network: Duration = network.map(|stage| estimator.timings().of(stage)).sum();
        whole.push(elapsed);
        metas.push(elapsed - estimated);
        // What no stage counts is outside, too.
        outside.push(elapsed.saturating_sub(network));
        for (times, stage) in stages.iter_mut().zip(Stage::ALL) {
            times.push(estimator.timings().of(stage));
        }
    }
    let stages: Vec<(Stage, f64)> = Stage::ALL.into_iter().zip(stages.into_iter().map(median)).collect();
    let (whole, outside, meta) = (median(whole), median(outside), median(metas));

    println!(
        "{} at {}x{} (padded {}x{}), {persons} persons, {frames} frames, prepared in {:.0} ms",
        estimator.manifest().name,
        size.width,
        size.height,
        size.padded_width,
        size.padded_height,
        prepared.as_secs_f64() * 1e3,
    );
    for (stage, time) in &stages {
        let name = format!("{stage:?}");
        println!("  {name:<18} {time:8.2} ms {}", if stage.is_network() { "network" } else { "" },);
    }
    println!("  Meta               {meta:8.2} ms");
    println!("  whole frame        {whole:8.2} ms on {} threads", estimator.threads());
    println!("  outside the network{outside:8.2} ms: {:.1} %\n", 100.0 * outside / whole);
    Ok(())
}

/// Attaches people to a buffer as the element does.
fn attach(persons: Vec<Person>) {
    let persons = Persons { width: WIDTH as u32, height: HEIGHT as u32, age: 0, moved: false, persons };
    let mut buffer = gst::Buffer::new();
    if let Some(buffer) = buffer.get_mut() {
        meta::attach_structure(buffer, &persons.into_structure());
    }
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
