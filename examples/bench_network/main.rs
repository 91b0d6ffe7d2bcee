//! Milliseconds of a model's networks, one at a time, for whoever wants to compare them with something else
//! (`python -m zoo.bench_ratios` does).
//!
//!     cargo run --release --example bench_network -- REQUEST
//!     cargo run --release --example bench_network < REQUESTS
//!
//! | request | answer |
//! |---|---|
//! | `trunk THREADS HEIGHT WIDTH MODEL` | milliseconds for a padded picture of that size |
//! | `box_head THREADS ROIS MODEL` | ... for so many boxes at once |
//! | `densepose_head THREADS ROIS MODEL` | ... for so many people at once |
//! | `frame THREADS WIDTH HEIGHT SHORT_SIDE PEOPLE MODEL` | ... for a picture, people mapped in given boxes |
//! | `profile THREADS HEIGHT WIDTH MODEL` | ... and those of the trunk's layers |
//! | `peak THREADS` | billions of multiplications and additions per second that registers allow |
//!
//! MODEL is a directory with a `model.json`, or `-` for the network inside the library. A request on the command line is
//! answered in words; requests on standard input, one per line, by one line of JSON each, `{"error": ...}` where it did
//! not work. What a request loads is kept until the next one that asks for something else, so that repeating it costs
//! no loading, and turns with other programs can be taken. A turn is one run that is not counted and the median of some
//! that are.

mod request;
mod subject;

use std::error::Error;
use std::io::{BufRead, Write};
use std::process::ExitCode;

use request::Request;
use subject::Subject;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = if words.is_empty() { serve() } else { answer(&words.join(" ")) };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_network: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers a single request in words.
fn answer(line: &str) -> Outcome<()> {
    let answer = Subject::load(&line.parse()?)?.turn()?;
    for layer in &answer.layers {
        println!("{:8.3} ms  {:24} {}", layer.ms, layer.kind, layer.layer);
    }
    if let Some(gflops) = answer.gflops {
        println!("{gflops:.1} GFLOP/s");
    }
    if let Some(ms) = answer.ms {
        println!("{ms:.2} ms");
    }
    Ok(())
}

/// Answers the requests on standard input until it ends.
fn serve() -> Outcome<()> {
    let mut last: Option<(Request, Subject)> = None;
    for line in std::io::stdin().lock().lines() {
        let answer = match turn(&line?, &mut last) {
            Ok(answer) => serde_json::to_string(&answer)?,
            Err(error) => serde_json::json!({ "error": error.to_string() }).to_string(),
        };
        let mut out = std::io::stdout();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn turn(line: &str, last: &mut Option<(Request, Subject)>) -> Outcome<subject::Answer> {
    let request: Request = line.parse()?;
    let mut subject = match last.take() {
        Some((known, subject)) if known == request => subject,
        _ => Subject::load(&request)?,
    };
    let answer = subject.turn()?;
    *last = Some((request, subject));
    Ok(answer)
}
