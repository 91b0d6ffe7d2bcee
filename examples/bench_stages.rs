//! Where the time of a frame goes: milliseconds per stage at short side 256 and 512, for a frame of 1280x720.
//!
//!     cargo run --release --example bench_stages -- [PICTURE] [--model DIR] [--threads N] [--frames N] [--persons N]
//!
//! Without PICTURE it is noise, without --model the embedded network. Prints medians. With --persons the score threshold
//! is dropped, so that exactly N boxes (if the network proposes as many) go through the DensePose head.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use gstdensepose::estimator::{Estimator, Model, Options, Stage};
use gstdensepose::image::Image;

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
    let (mut picture, mut model, mut options, mut frames) = (None, None, Options::default(), 20_usize);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--model" => model = Some(value()?),
            "--threads" => options.threads = value()?.parse()?,
            "--frames" => frames = value()?.parse::<usize>()?.max(1),
            "--persons" => {
                options.max_persons = Some(value()?.parse()?);
                options.score_threshold = Some(0.0);
            }
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

    for short_side in SHORT_SIDES {
        let mut estimator = Estimator::new(&model, Options { short_side, ..options })?;
        measure(&mut estimator, &frame, frames)?;
    }
    Ok(())
}

fn measure(estimator: &mut Estimator, frame: &Image, frames: usize) -> Result<(), Box<dyn Error>> {
    let size = estimator.input_size(frame.width(), frame.height());
    let start = Instant::now();
    estimator.prepare(frame.width(), frame.height())?;
    let prepared = start.elapsed();
    let persons = estimator.estimate(frame)?.len();

    let mut whole = Vec::new();
    let mut stages = vec![Vec::new(); Stage::ALL.len()];
    for _ in 0..frames {
        let start = Instant::now();
        estimator.estimate(frame)?;
        whole.push(start.elapsed());
        for (times, stage) in stages.iter_mut().zip(Stage::ALL) {
            times.push(estimator.timings().of(stage));
        }
    }
    let stages: Vec<(Stage, f64)> = Stage::ALL.into_iter().zip(stages.into_iter().map(median)).collect();
    let outside: f64 = stages.iter().filter(|(stage, _)| !stage.is_network()).map(|(_, time)| time).sum();
    let whole = median(whole);

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
    println!("  whole frame        {whole:8.2} ms on {} threads", estimator.threads());
    println!("  outside the network{outside:8.2} ms: {:.1} %\n", 100.0 * outside / whole);
    Ok(())
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
