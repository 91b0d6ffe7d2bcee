//! All models at all sizes, round after round, each in a process of its own.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use gstdensepose::estimator::Model;
use gstdensepose::estimator::model::MANIFEST;
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::measure::{Frame, Measured, medians};
use crate::options::{Options, Point};
use crate::report::{Machine, ModelReport, Report};

/// To be raised where figures change their meaning, so that records of before do not count.
const MEANING: u32 = 2;

/// What tells a measurement from others: what its figures mean, the model's manifest (with the hashes of its networks), what was asked, and
/// the round.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Key {
    meaning: u32,
    manifest: String,
    short_side: usize,
    people: Vec<usize>,
    threads: usize,
    round: usize,
}

#[derive(Serialize, Deserialize)]
struct Record {
    key: Key,
    measured: Measured,
}

/// A model to measure.
struct Candidate<'a> {
    directory: &'a str,
    report: ModelReport,
    manifest: String,
    /// One list of rounds for each size.
    rounds: Vec<Vec<Measured>>,
}

pub fn measure_all(options: &Options) -> Outcome<Report> {
    let mut candidates = options.models.iter().map(|m| candidate(m, options)).collect::<Outcome<Vec<_>>>()?;
    let mut known = read(options.records.as_deref())?;
    let machine = Machine::this();
    let total = options.rounds * candidates.len() * options.sizes.len();
    let mut done = 0;
    for round in 0..options.rounds {
        for candidate in &mut candidates {
            for (index, &short_side) in options.sizes.iter().enumerate() {
                let point = options.point(candidate.directory, short_side);
                let key = Key {
                    meaning: MEANING,
                    manifest: candidate.manifest.clone(),
                    short_side,
                    people: point.people.clone(),
                    threads: point.threads,
                    round,
                };
                done += 1;
                eprintln!("{done}/{total}: {}, short side {short_side}, round {}", candidate.report.name, round + 1);
                let measured = match known.remove(&key) {
                    Some(measured) => measured,
                    None => {
                        let measured = in_own_process(&point)?;
                        append(options.records.as_deref(), &Record { key, measured: measured.clone() })?;
                        measured
                    }
                };
                candidate.rounds[index].push(measured);
            }
        }
    }
    let models = candidates.into_iter().map(|c| {
        let sizes = c.rounds.iter().map(|rounds| middle(rounds)).collect();
        ModelReport { sizes, ..c.report }
    });
    let (rounds, people_size) = (options.rounds, options.people_size);
    Ok(Report { machine, rounds, people_size, models: models.collect() })
}

/// Reads the manifest, and the rest to find damage before time is spent.
fn candidate<'a>(directory: &'a str, options: &Options) -> Outcome<Candidate<'a>> {
    let model = Model::open(directory)?;
    let manifest = model.manifest();
    let text = std::fs::read_to_string(Path::new(directory).join(MANIFEST))?;
    let mut disk_bytes = text.len() as u64;
    let stages = &manifest.stages;
    for stage in [&stages.trunk, &stages.box_head, &stages.densepose_head] {
        disk_bytes += std::fs::metadata(Path::new(directory).join(&stage.file))?.len();
    }
    let parameters = serde_json::from_str::<serde_json::Value>(&text)?["provenance"]["parameters"].as_u64();
    let report = ModelReport {
        name: manifest.name.clone(),
        parameters,
        disk_bytes,
        proposals: manifest.rpn.post_nms_topk,
        sizes: Vec::new(),
    };
    Ok(Candidate { directory, report, manifest: text, rounds: vec![Vec::new(); options.sizes.len()] })
}

fn in_own_process(point: &Point) -> Outcome<Measured> {
    let output = Command::new(std::env::current_exe()?).args(point.arguments()).output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} at {}: {} ({})", point.model, point.short_side, why.trim(), output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The medians over rounds.
fn middle(rounds: &[Measured]) -> Measured {
    let first = &rounds[0];
    let of = |figure: &dyn Fn(&Measured) -> f64| medians(&rounds.iter().map(|m| [figure(m)]).collect::<Vec<_>>())[0];
    let people = first.people.iter().enumerate().map(|(i, frame)| {
        let samples: Vec<[f64; 6]> = rounds.iter().map(|m| m.people[i].figures()).collect();
        Frame::from((frame.people, medians(&samples)))
    });
    Measured {
        load_ms: of(&|m| m.load_ms),
        peak_bytes: of(&|m| m.peak_bytes as f64) as u64,
        people: people.collect(),
        ..first.clone()
    }
}

/// Earlier measurements; a last line that was cut off is passed over.
fn read(path: Option<&str>) -> Outcome<HashMap<Key, Measured>> {
    let Some(path) = path.filter(|path| Path::new(path).exists()) else { return Ok(HashMap::new()) };
    let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    let records = text.lines().filter_map(|line| serde_json::from_str::<Record>(line).ok());
    Ok(records.map(|record| (record.key, record.measured)).collect())
}

fn append(path: Option<&str>, record: &Record) -> Outcome<()> {
    let Some(path) = path else { return Ok(()) };
    // A line that was cut off ends here.
    let cut = std::fs::read(path).is_ok_and(|text| text.last().is_some_and(|&end| end != b'\n'));
    let line = if cut { "\n" } else { "" }.to_string() + &serde_json::to_string(record)? + "\n";
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes())).map_err(|e| format!("{path}: {e}").into())
}
