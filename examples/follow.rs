//! Measures how well results that are moved with the picture agree with those of an inference on the same frame.
//!
//!     cargo run --release --example follow -- CLIP... [--cache DIR] [--intervals 2,3,5] [--pictures DIR]
//!         [--size WIDTHxHEIGHT]
//!
//! For each clip and interval a line: what an inference on every Nth frame gives on the frames in between, held as it is
//! and moved, against an inference on that frame itself (without smoothing). *Foreground* is the intersection over union
//! of all pixels that show somebody, *parts* the share of the pixels that both say show somebody on which they agree on
//! the body part; both are means over frames: of people whom both know (boxes that overlap), and in brackets of
//! everybody, so that people whom the network finds now and then count, too. The line `shifted` compares an inference
//! with one on the same picture moved by two pixels to the right and down: nothing that carries results on can be
//! expected to agree better. `ms` is what moving takes a frame on one thread (the least of three tries), then what taking
//! a result over takes, and in brackets what an inference takes on all threads (0: all were kept).
//!
//! `--cache` keeps the inferences of a clip in a file, so that the next run is quick. `--pictures` writes, for the
//! longest interval, each last frame before an inference with the held, the moved and the fresh result side by side.
//! `--size` scales the clips first.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_video::prelude::*;
use gstdensepose::estimator::{Estimator, Model, Options};
use gstdensepose::image::{Image, ImageMut, Plane};
use gstdensepose::motion::Follower;
use gstdensepose::packet;
use gstdensepose::person::{Person, Persons};
use gstdensepose::render::{self, Style};
use gstdensepose::video;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Arguments {
    clips: Vec<PathBuf>,
    cache: Option<PathBuf>,
    pictures: Option<PathBuf>,
    intervals: Vec<usize>,
    /// Caps fields of the size that clips are scaled to.
    size: String,
}

impl Arguments {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments =
            Self { clips: Vec::new(), cache: None, pictures: None, intervals: vec![2, 3, 5], size: String::new() };
        while let Some(name) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{name} needs a value"));
            match name.as_str() {
                "--cache" => arguments.cache = Some(value()?.into()),
                "--size" => {
                    let size = value()?;
                    let (width, height) = size.split_once('x').ok_or("--size needs WIDTHxHEIGHT")?;
                    arguments.size = format!(",width={width},height={height}");
                }
                "--pictures" => arguments.pictures = Some(value()?.into()),
                "--intervals" => {
                    arguments.intervals = value()?.split(',').map(str::parse).collect::<std::result::Result<_, _>>()?;
                }
                _ => arguments.clips.push(name.into()),
            }
        }
        if arguments.clips.is_empty() || arguments.intervals.iter().any(|&n| n < 2) {
            return Err("name clips, and intervals of two frames or more".into());
        }
        Ok(arguments)
    }
}

/// A decoded frame, planar with chroma of half the size.
struct Frame {
    info: gst_video::VideoInfo,
    /// Bytes and stride of each plane.
    planes: Vec<(Vec<u8>, usize)>,
}

impl Frame {
    fn size(&self) -> (usize, usize) {
        (self.info.width() as usize, self.info.height() as usize)
    }

    fn image(&self) -> Result<Image<'_>> {
        let planes = self.planes.iter().map(|(data, stride)| Plane { data, stride: *stride }).collect();
        Ok(Image::new(video::layout(&self.info), planes)?)
    }

    /// The picture moved by [`SHIFT`] pixels to the right and down; what was at the edge stays there, too.
    fn shifted(&self) -> Self {
        let moved = |(index, (data, stride)): (usize, &(Vec<u8>, usize))| {
            let by = if index == 0 { SHIFT } else { SHIFT / 2 };
            let rows: Vec<_> = data.chunks(*stride).collect();
            let moved = (0..rows.len()).flat_map(|y| {
                let row = rows[y.saturating_sub(by)];
                (0..row.len()).map(move |x| row[x.saturating_sub(by)])
            });
            (moved.collect(), *stride)
        };
        Self { info: self.info.clone(), planes: self.planes.iter().enumerate().map(moved).collect() }
    }

    fn rgb(&self) -> Result<Vec<u8>> {
        let (width, height) = self.size();
        let image = self.image()?;
        let pixels = image.pixels();
        let all = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Ok(all.flat_map(|(x, y)| pixels.rgb(x, y).unwrap_or_default()).collect())
    }
}

/// How far the picture is moved to see how well inferences agree, in pixels: a whole sample of chroma.
const SHIFT: usize = 2;

/// The frames of a clip, decoded.
fn frames(clip: &Path, size: &str) -> Result<impl Iterator<Item = Result<Frame>>> {
    let pipeline = gst::parse::launch(&format!(
        "filesrc name=file ! decodebin ! videoconvert ! videoscale ! video/x-raw,format=I420{size} \
         ! appsink name=frames sync=false",
    ))?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| "no pipeline")?;
    pipeline.by_name("file").ok_or("no source")?.set_property("location", clip);
    let sink = pipeline.by_name("frames").and_then(|s| s.downcast::<gst_app::AppSink>().ok()).ok_or("no sink")?;
    sink.set_property("max-buffers", 4u32);
    pipeline.set_state(gst::State::Playing)?;
    let read = move |sample: gst::Sample| {
        let info = gst_video::VideoInfo::from_caps(sample.caps().ok_or("no caps")?)?;
        let buffer = sample.buffer_owned().ok_or("no buffer")?;
        let frame = gst_video::VideoFrame::from_buffer_readable(buffer, &info).map_err(|_| "no frame")?;
        let plane = |p: u32| Ok((frame.plane_data(p)?.to_vec(), frame.plane_stride()[p as usize] as usize));
        let planes = (0..3).map(plane).collect::<Result<_>>()?;
        Ok(Frame { info, planes })
    };
    let bus = pipeline.bus().ok_or("no bus")?;
    let mut done = false;
    Ok(std::iter::from_fn(move || {
        if done {
            return None;
        }
        match sink.pull_sample() {
            Ok(sample) => Some(read(sample)),
            Err(_) => {
                done = true;
                let error = bus.pop_filtered(&[gst::MessageType::Error]);
                let _ = pipeline.set_state(gst::State::Null);
                error.map(|e| Err(format!("cannot be decoded: {e:?}").into()))
            }
        }
    }))
}

/// Runs the network on frames, or reads what it said before.
struct Fresh {
    estimator: Option<Estimator>,
    known: HashMap<String, Vec<u8>>,
    took: Duration,
    runs: u32,
}

impl Fresh {
    fn open(path: Option<&Path>) -> Result<Self> {
        let mut known = HashMap::new();
        let bytes = path.and_then(|path| fs::read(path).ok()).unwrap_or_default();
        let mut rest = bytes.as_slice();
        while let Some((header, after)) = rest.split_first_chunk::<16>() {
            let length = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap_or_default()) as usize;
            let (name, after) = after.split_at_checked(length(0)).ok_or("damaged cache")?;
            let (packet, after) = after.split_at_checked(length(8)).ok_or("damaged cache")?;
            known.insert(String::from_utf8(name.to_vec())?, packet.to_vec());
            rest = after;
        }
        Ok(Self { estimator: None, known, took: Duration::ZERO, runs: 0 })
    }

    fn save(&self, path: &Path) -> Result<()> {
        let mut bytes = Vec::new();
        for (name, packet) in &self.known {
            bytes.extend([name.len() as u64, packet.len() as u64].iter().flat_map(|n| n.to_le_bytes()));
            bytes.extend(name.as_bytes());
            bytes.extend(packet);
        }
        Ok(fs::write(path, bytes)?)
    }

    fn get(&mut self, name: String, frame: &Frame) -> Result<Persons> {
        if let Some(packet) = self.known.get(&name) {
            return Ok(packet::decode(packet)?);
        }
        let estimator = match &mut self.estimator {
            Some(estimator) => estimator,
            none => {
                let mut estimator = Estimator::new(&Model::embedded()?, Options::default())?;
                estimator.prepare(frame.size(), 1.0)?;
                none.insert(estimator)
            }
        };
        let start = Instant::now();
        let persons = estimator.estimate(&frame.image()?)?;
        self.took += start.elapsed();
        self.runs += 1;
        let (width, height) = (frame.info.width(), frame.info.height());
        let persons = Persons { width, height, persons, ..Persons::default() };
        self.known.insert(name, packet::encode(&persons));
        Ok(persons)
    }
}

/// The part that each pixel of the frame shows; people with better scores lie before others.
fn labels(persons: &Persons, offset: i32) -> Vec<u8> {
    let (width, height) = (persons.width as i32, persons.height as i32);
    let mut labels = vec![0; (width * height) as usize];
    for person in persons.persons.iter().rev() {
        for (row, y) in (0..person.height()).zip(person.y + offset..) {
            for (pixel, x) in person.iuv.row(row).chunks_exact(3).zip(person.x + offset..) {
                if pixel[0] > 0 && (0..width).contains(&x) && (0..height).contains(&y) {
                    labels[(y * width + x) as usize] = pixel[0];
                }
            }
        }
    }
    labels
}

/// The people that both results know, by their boxes: best pairs first, as indices into the two.
fn pairs(a: &[Person], b: &[Person]) -> Vec<(usize, usize)> {
    let overlap = |a: &Person, b: &Person| {
        let along = |a: i32, a_length: usize, b: i32, b_length: usize| {
            ((a + a_length as i32).min(b + b_length as i32) - a.max(b)).max(0) as f32
        };
        let both = along(a.x, a.width(), b.x, b.width()) * along(a.y, a.height(), b.y, b.height());
        both / ((a.width() * a.height() + b.width() * b.height()) as f32 - both)
    };
    let mut all: Vec<_> = (0..a.len()).flat_map(|i| (0..b.len()).map(move |j| (i, j))).collect();
    all.retain(|&(i, j)| overlap(&a[i], &b[j]) >= SAME);
    all.sort_by(|&(i, j), &(k, l)| overlap(&a[k], &b[l]).total_cmp(&overlap(&a[i], &b[j])));
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (i, j) in all {
        if pairs.iter().all(|&(k, l)| k != i && l != j) {
            pairs.push((i, j));
        }
    }
    pairs
}

/// Two boxes that overlap so much (intersection over union) show the same person.
const SAME: f32 = 0.4;

/// Some of the people.
fn some(persons: &Persons, which: impl Iterator<Item = usize>) -> Persons {
    let mut which: Vec<_> = which.collect();
    which.sort_unstable();
    let chosen = which.into_iter().map(|i| persons.persons[i].clone()).collect();
    Persons { persons: chosen, ..persons.clone() }
}

/// Agreement over all people, and over those that both results know.
#[derive(Clone, Default)]
struct Agreements {
    all: Agreement,
    known: Agreement,
}

impl Agreements {
    fn add(&mut self, (a, offset): (&Persons, i32), b: &Persons, pairs: &[(usize, usize)]) {
        self.all.add(&labels(a, offset), &labels(b, 0));
        let (a, b) = (some(a, pairs.iter().map(|p| p.0)), some(b, pairs.iter().map(|p| p.1)));
        self.known.add(&labels(&a, offset), &labels(&b, 0));
    }
}

impl std::fmt::Display for Agreements {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.known, self.all)
    }
}

/// Means of foreground and part agreement.
#[derive(Clone, Default)]
struct Agreement {
    foreground: Vec<f64>,
    parts: Vec<f64>,
}

impl Agreement {
    fn add(&mut self, a: &[u8], b: &[u8]) {
        let (mut union, mut both, mut same) = (0, 0, 0);
        for (a, b) in a.iter().zip(b) {
            union += u32::from(a | b != 0);
            both += u32::from(*a != 0 && *b != 0);
            same += u32::from(*a != 0 && a == b);
        }
        self.foreground.push(if union > 0 { f64::from(both) / f64::from(union) } else { 1.0 });
        if both > 0 || union == 0 {
            self.parts.push(if both > 0 { f64::from(same) / f64::from(both) } else { 1.0 });
        }
    }
}

impl std::fmt::Display for Agreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        write!(f, "{:.3} / {:.3}", mean(&self.foreground), mean(&self.parts))
    }
}

/// What one interval gives.
struct Run {
    interval: usize,
    last: Persons,
    follower: Follower,
    held: Agreements,
    moved: Agreements,
    took: Duration,
    frames: u32,
    learnt: Duration,
    inferences: u32,
}

/// How often each move is made to see what it takes.
const TRIES: usize = 3;

impl Run {
    fn frame(&mut self, k: usize, image: &Image, fresh: &Persons) -> Option<Persons> {
        if k.is_multiple_of(self.interval) {
            self.last = fresh.clone();
            let attempt = |_| {
                let mut follower = self.follower.clone();
                let start = Instant::now();
                follower.analysed(image, fresh.clone());
                (start.elapsed(), follower)
            };
            let (took, follower) = (0..TRIES).map(attempt).min_by_key(|(took, ..)| *took)?;
            (self.learnt, self.follower) = (self.learnt + took, follower);
            self.inferences += 1;
            return None;
        }
        // The least of some tries: other programs may use the cores, too.
        let attempt = |_| {
            let mut follower = self.follower.clone();
            let start = Instant::now();
            let moved = follower.moved(image).unwrap_or_default();
            (start.elapsed(), moved, follower)
        };
        let (took, moved, follower) = (0..TRIES).map(attempt).min_by_key(|(took, ..)| *took)?;
        (self.took, self.follower) = (self.took + took, follower);
        self.frames += 1;
        let pairs = pairs(&moved.persons, &fresh.persons);
        self.moved.add((&moved, 0), fresh, &pairs);
        // The same people in what they were moved from.
        let before = |i: usize| self.last.persons.iter().position(|p| p.id == moved.persons[i].id);
        let pairs: Vec<_> = pairs.iter().filter_map(|&(i, j)| Some((before(i)?, j))).collect();
        self.held.add((&self.last, 0), fresh, &pairs);
        Some(moved)
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    gst::init()?;
    println!("{:9} {:>8}  {:29}  {:29}  {:>6}", "clip", "interval", "held", "moved", "ms");
    for clip in &arguments.clips {
        measure(clip, &arguments)?;
    }
    Ok(())
}

/// The frame with the held, the moved and the fresh result, side by side.
fn compare(frame: &Frame, results: [&Persons; 3]) -> Result<image::RgbImage> {
    let (width, height) = (frame.info.width(), frame.info.height());
    let mut all = image::RgbImage::new(width * 3, height);
    for (i, persons) in (0..).zip(results) {
        let mut pixels = frame.rgb()?;
        let style = Style { boxes: true, opacity: 0.6, ..Style::default() };
        render::draw(&mut ImageMut::rgb(frame.size().0, frame.size().1, &mut pixels)?, &persons.persons, &style);
        let picture = image::RgbImage::from_raw(width, height, pixels).ok_or("no picture")?;
        image::imageops::replace(&mut all, &picture, i64::from(i * width), 0);
    }
    Ok(all)
}

fn measure(clip: &Path, arguments: &Arguments) -> Result<()> {
    let name = clip.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let cache = arguments.cache.as_ref().map(|dir| dir.join(format!("{name}{}.packets", arguments.size)));
    let mut fresh = Fresh::open(cache.as_deref())?;
    let run = |interval: &usize| Run {
        interval: *interval,
        last: Persons::default(),
        follower: Follower::default(),
        held: Agreements::default(),
        moved: Agreements::default(),
        took: Duration::ZERO,
        frames: 0,
        learnt: Duration::ZERO,
        inferences: 0,
    };
    let mut runs: Vec<Run> = arguments.intervals.iter().map(run).collect();
    let mut shifted = Agreements::default();
    let longest = arguments.intervals.iter().max().copied().unwrap_or(2);
    for (k, frame) in frames(clip, &arguments.size)?.enumerate() {
        let frame = frame?;
        let image = frame.image()?;
        let persons = fresh.get(format!("{k}"), &frame)?;
        let again = fresh.get(format!("{k} shifted"), &frame.shifted())?;
        shifted.add((&again, -(SHIFT as i32)), &persons, &pairs(&again.persons, &persons.persons));
        for run in &mut runs {
            let moved = run.frame(k, &image, &persons);
            if let (Some(moved), Some(pictures)) = (moved, &arguments.pictures)
                && run.interval == longest
                && k % longest == longest - 1
            {
                let path = pictures.join(format!("{name}-{k:04}.png"));
                compare(&frame, [&run.last, &moved, &persons])?.save(path)?;
            }
        }
    }
    if let Some(cache) = &cache {
        fresh.save(cache)?;
    }
    let inference = fresh.took.as_secs_f64() * 1e3 / f64::from(fresh.runs.max(1));
    println!("{name:9} {:>8}  {:29}  {shifted}", "shifted", "");
    for run in runs {
        let ms = |took: Duration, count: u32| took.as_secs_f64() * 1e3 / f64::from(count.max(1));
        let (ms, learnt) = (ms(run.took, run.frames), ms(run.learnt, run.inferences));
        println!("{name:9} {:>8}  {}  {}  {ms:>5.2} {learnt:>5.2} ({inference:.0})", run.interval, run.held, run.moved);
    }
    Ok(())
}
