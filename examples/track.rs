//! The tracker alone: numbers for people that were found before, and what it costs.
//!
//!     cargo run --release --example track -- PEOPLE.jsonl PICTURES OUT.jsonl [--score-threshold S] [--fps N] [--every N]
//!     cargo run --release --example track -- --boxes gt.txt PICTURES OUT.jsonl [--fps N] [--every N]
//!
//! PEOPLE.jsonl is what `densepose smoothing=0 score-threshold=0.1 ! densepose-export` wrote, with its maps (iuv), PICTURES
//! the folder of the pictures (000001.jpg, 000002.jpg, ...). OUT.jsonl has the people that are shown, with id, score and box.
//! With --boxes the people are those of a MOTChallenge file, mapped by the embedded network: what the tracker does where
//! detection is no limit. `--every 3` skips two of three pictures.
//!
//! Prints the time for a picture, and beside it that of matching boxes by greedy overlap, as simple trackers do.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use gstdensepose::estimator::boxes::{Rect, Scored};
use gstdensepose::estimator::{Estimator, Model, Options, Tracker};
use gstdensepose::image::Image;
use gstdensepose::person::{Person, Persons};
use gstdensepose::records::jsonl::{self, IuvEncoding};
use gstdensepose::records::{Encoder, Field, Fields, Record};

const SMOOTHING: f32 = 0.5;

#[derive(Default)]
struct Arguments {
    names: Vec<String>,
    boxes: Option<String>,
    threshold: Option<f32>,
    fps: Option<f64>,
    every: Option<usize>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("track: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = Arguments::default();
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--boxes" => arguments.boxes = Some(value()?),
            "--score-threshold" => arguments.threshold = Some(value()?.parse()?),
            "--fps" => arguments.fps = Some(value()?.parse()?),
            "--every" => arguments.every = Some(value()?.parse()?),
            _ if argument.starts_with('-') => return Err(format!("unknown argument {argument}").into()),
            _ => arguments.names.push(argument),
        }
    }
    let mut pictures = Pictures { folder: String::new(), fps: arguments.fps.unwrap_or(25.0) };
    let (people, out): (Vec<Vec<Person>>, &str) = match (&arguments.boxes, &arguments.names[..]) {
        (None, [people, folder, out]) => {
            pictures.folder.clone_from(folder);
            (read(people)?, out)
        }
        (Some(boxes), [folder, out]) => {
            pictures.folder.clone_from(folder);
            (mapped(boxes, &pictures)?, out)
        }
        _ => return Err("name the people, the folder of pictures and the file to write".into()),
    };
    track(people, &pictures, &arguments, out)
}

struct Pictures {
    folder: String,
    fps: f64,
}

impl Pictures {
    /// Width, height and pixels of the picture of this number, from 0.
    fn load(&self, number: usize) -> Result<(usize, usize, Vec<u8>), Box<dyn Error>> {
        let path = format!("{}/{:06}.jpg", self.folder, number + 1);
        let picture = image::open(&path).map_err(|e| format!("{path}: {e}"))?.to_rgb8();
        Ok((picture.width() as usize, picture.height() as usize, picture.into_raw()))
    }
}

fn read(path: &str) -> Result<Vec<Vec<Person>>, Box<dyn Error>> {
    let file = BufReader::new(File::open(path).map_err(|e| format!("{path}: {e}"))?);
    file.lines().map(|line| Ok(jsonl::parse(line?.as_bytes())?.persons.persons)).collect()
}

/// The people in the boxes of a MOTChallenge file (frame from 1, id, left, top, width, height, whether it counts, ...).
fn mapped(path: &str, pictures: &Pictures) -> Result<Vec<Vec<Person>>, Box<dyn Error>> {
    let mut boxes: BTreeMap<usize, Vec<Rect>> = BTreeMap::new();
    for line in fs::read_to_string(path)?.lines() {
        let values: Vec<f32> = line.split(',').map(|v| v.trim().parse()).collect::<Result<_, _>>()?;
        let [frame, _, x, y, width, height, counts, ..] = values[..] else {
            return Err(format!("{path}: {line}").into());
        };
        if counts != 0.0 && frame >= 1.0 {
            boxes.entry(frame as usize - 1).or_default().push(Rect::new(x, y, x + width, y + height));
        }
    }
    let mut estimator = Estimator::new(&Model::embedded()?, Options::default())?;
    let count = boxes.keys().max().map_or(0, |last| last + 1);
    let people = (0..count).map(|number| {
        let (width, height, pixels) = pictures.load(number)?;
        let boxes = boxes.get(&number).map(Vec::as_slice).unwrap_or_default();
        Ok(estimator.estimate_boxes(&Image::rgb(width, height, &pixels)?, boxes)?)
    });
    people.collect()
}

fn track(
    people: Vec<Vec<Person>>,
    pictures: &Pictures,
    arguments: &Arguments,
    out: &str,
) -> Result<(), Box<dyn Error>> {
    let threshold = arguments.threshold.unwrap_or(0.5);
    let (count, every) = (people.len(), arguments.every.unwrap_or(1).max(1));
    let mut tracker = Tracker::default();
    let mut simple = Greedy::default();
    let (mut writer, mut bytes) = (
        jsonl::Writer { fields: Fields::of(&[Field::Id, Field::Score, Field::Box]), iuv: IuvEncoding::None },
        Vec::new(),
    );
    writer.start(&mut bytes);
    let (mut costs, mut simple_costs, mut most) = (Vec::new(), Vec::new(), 0);
    for (number, people) in people.into_iter().enumerate().filter(|(number, _)| number % every == 0) {
        let (width, height, pixels) = pictures.load(number)?;
        let picture = Image::rgb(width, height, &pixels)?;
        let found: Vec<Scored> = people.iter().map(|p| Scored { rect: place(p), score: p.score }).collect();
        most = most.max(people.len());

        let start = Instant::now();
        simple.follow(&found);
        simple_costs.push(start.elapsed());

        let start = Instant::now();
        (tracker.smoothing, tracker.time) = (SMOOTHING, Some(number as f64 / pictures.fps));
        let followed = tracker.follow(&found, threshold, (width, height));
        let mut cost = start.elapsed();
        // As found, whatever became of their boxes.
        let mapped = followed
            .iter()
            .map(|f| people.iter().find(|p| place(p).iou(&f.rect) > 0.7 && p.score == f.score).cloned())
            .collect();
        let start = Instant::now();
        let shown = tracker.shown(&followed.iter().collect::<Vec<_>>(), mapped, 20, &picture);
        tracker.forget();
        cost += start.elapsed();
        costs.push(cost);

        let persons = Persons { width: width as u32, height: height as u32, age: 0, moved: false, persons: shown };
        writer.record(&Record { frame: number as u64, persons, ..Record::default() }, &mut bytes);
    }
    writer.finish(&mut bytes);
    fs::write(out, bytes)?;
    println!(
        "{count} pictures, at most {most} people: {:?} for a picture (median; longest {:?}), greedy overlap {:?}",
        median(&mut costs),
        costs.last().copied().unwrap_or_default(),
        median(&mut simple_costs),
    );
    Ok(())
}

fn place(person: &Person) -> Rect {
    let (x, y) = (person.x as f32, person.y as f32);
    Rect::new(x, y, x + person.width() as f32, y + person.height() as f32)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The peer: the best overlap with the last boxes first.
#[derive(Default)]
struct Greedy {
    last: Vec<Rect>,
}

impl Greedy {
    fn follow(&mut self, found: &[Scored]) {
        let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
        for (i, f) in found.iter().enumerate() {
            pairs.extend(self.last.iter().enumerate().map(|(t, r)| (f.rect.iou(r), i, t)).filter(|(o, ..)| *o > 0.3));
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut matches, mut taken) = (vec![None; found.len()], vec![false; self.last.len()]);
        for (_, i, t) in pairs {
            if matches[i].is_none() && !taken[t] {
                (matches[i], taken[t]) = (Some(t), true);
            }
        }
        black_box(matches);
        self.last = found.iter().map(|f| f.rect).collect();
    }
}
