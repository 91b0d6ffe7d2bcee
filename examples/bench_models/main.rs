//! Measures models for deployment: size on disk, time to load, milliseconds per stage, frames per second by picture size
//! and by number of people, peak memory.
//!
//!     cargo run --release --example bench_models -- DIR... [--sizes N,N] [--people N,N] [--people-size N] [--threads N]
//!         [--rounds N] [--frames N] [--seconds S] [--records FILE] [--json FILE] [--markdown FILE] [--quick]
//!
//! Frames are 1280x720 of noise; a size is their shorter side in the network. So that models with random weights can be
//! measured, the DensePose head maps given boxes (people of 160x480 pixels, side by side), however many the network
//! finds itself; its own detection is part of the frame all the same. Every model and size runs in a process of its
//! own, so that peak memory is its own, too. Rounds go through all models and sizes before the next one begins, and
//! medians are taken over frames and then over rounds, so that a disturbance hits few figures.
//!
//! `--records` keeps each measurement in a file of JSON lines; what it has of these very models is not measured again.
//! The report goes to standard output and, where asked for, to files. `--quick` tries everything once on small frames.

mod measure;
mod options;
mod report;
mod rounds;
mod stages;

use std::error::Error;
use std::process::ExitCode;

use options::{Options, Task};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_models: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    match Options::parse(std::env::args().skip(1))? {
        Task::One(point) => println!("{}", serde_json::to_string(&measure::measure(&point)?)?),
        Task::All(options) => {
            let report = rounds::measure_all(&options)?;
            let markdown = report.markdown();
            print!("{markdown}");
            write(&options.markdown, &markdown)?;
            write(&options.json, &(serde_json::to_string_pretty(&report)? + "\n"))?;
        }
    }
    Ok(())
}

fn write(path: &Option<String>, text: &str) -> Outcome<()> {
    match path {
        Some(path) => std::fs::write(path, text).map_err(|e| format!("{path}: {e}").into()),
        None => Ok(()),
    }
}
