//! What is measured: loaded once, run in turns.

use std::time::{Duration, Instant};

use gstdensepose::estimator::boxes::{Rect, Scored};
use gstdensepose::estimator::stages::{BoxHead, DensePoseHead, Pyramid, Trunk};
use gstdensepose::estimator::{Backend, Estimator, Manifest, Model, Options, Stage, Threads, Timings};
use gstdensepose::image::Image;
use gstdensepose::kernels::peak;
use serde::Serialize;

use crate::Outcome;
use crate::request::{Request, What};

/// A turn ends after so many counted runs, ...
const RUNS: usize = 5;
/// ... or the first that ends later than this.
const ENOUGH_MS: f64 = 60.0;
const PROFILED_RUNS: usize = 15;
/// Side of the picture that is behind what heads look at.
const SEEN: usize = 128;

/// What a turn gave.
#[derive(Default, Serialize)]
pub struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gflops: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
}

/// A layer in the order of computation.
#[derive(Serialize)]
pub struct Layer {
    pub layer: String,
    pub kind: String,
    pub ms: f64,
}

pub enum Subject {
    Trunk(Box<Trunk>),
    BoxHead { head: Box<BoxHead>, seen: Seen, proposals: Vec<Scored> },
    DensePoseHead { head: Box<DensePoseHead>, seen: Seen, boxes: Vec<Rect> },
    Frame { estimator: Box<Estimator>, size: (usize, usize), pixels: Vec<u8>, boxes: Vec<Rect> },
    Profile(Box<Trunk>),
    Peak(Threads),
}

/// What the trunk made of noise, for heads to look at.
pub struct Seen {
    manifest: Manifest,
    pyramid: Pyramid,
}

impl Subject {
    pub fn load(request: &Request) -> Outcome<Self> {
        let threads = Threads::new(request.threads)?;
        if request.what == What::Peak {
            return Ok(Self::Peak(threads));
        }
        let model = if request.model == "-" { Model::embedded()? } else { Model::open(&request.model)? };
        Ok(match request.what {
            What::Trunk { height, width } => Self::Trunk(trunk(&model, (width, height), &threads)?),
            What::Profile { height, width } => Self::Profile(trunk(&model, (width, height), &threads)?),
            What::BoxHead { rois } => Self::BoxHead {
                head: Box::new(BoxHead::load(&model, &threads, &Backend::Tract)?),
                seen: Seen::by(&model, &threads)?,
                proposals: boxes(rois).map(|rect| Scored { rect, score: 1.0 }).collect(),
            },
            What::DensePoseHead { rois } => Self::DensePoseHead {
                head: Box::new(DensePoseHead::load(&model, &threads, &Backend::Tract)?),
                seen: Seen::by(&model, &threads)?,
                boxes: boxes(rois).collect(),
            },
            What::Frame { width, height, short_side, people } => {
                let options = Options { short_side, threads: request.threads, ..Options::default() };
                let mut estimator = Box::new(Estimator::new(&model, options)?);
                estimator.prepare((width, height), 1.0)?;
                let pixels = (0..width * height * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
                Self::Frame { estimator, size: (width, height), pixels, boxes: side_by_side(width, height, people) }
            }
            What::Peak => Self::Peak(threads),
        })
    }

    pub fn turn(&mut self) -> Outcome<Answer> {
        match self {
            Self::Peak(threads) => Ok(Answer { gflops: Some(peak::gflops(threads)), ..Answer::default() }),
            Self::Profile(trunk) => profile(trunk),
            Self::Trunk(trunk) => timed(|| {
                let start = Instant::now();
                trunk.run()?;
                Ok(start.elapsed())
            }),
            Self::BoxHead { head, seen: Seen { manifest, pyramid }, proposals } => timed(|| {
                let timings = Timings::default();
                head.judge(&pyramid.features(manifest), proposals, &timings)?;
                Ok(timings.of(Stage::BoxHead))
            }),
            Self::DensePoseHead { head, seen: Seen { manifest, pyramid }, boxes } => timed(|| {
                let timings = Timings::default();
                head.map(&pyramid.features(manifest), boxes, &timings, |_, _| ())?;
                Ok(timings.of(Stage::DensePoseHead))
            }),
            Self::Frame { estimator, size: (width, height), pixels, boxes } => {
                let image = Image::rgb(*width, *height, pixels)?;
                timed(|| {
                    let start = Instant::now();
                    let found = estimator.estimate_boxes(&image, boxes)?.len();
                    let time = start.elapsed();
                    if found == boxes.len() { Ok(time) } else { Err(format!("{found} people were mapped").into()) }
                })
            }
        }
    }
}

fn trunk(model: &Model, size: (usize, usize), threads: &Threads) -> Outcome<Box<Trunk>> {
    let mut trunk = Box::new(Trunk::load(model, &Backend::Tract)?);
    trunk.prepare(model.manifest(), size, threads)?;
    noise(trunk.input());
    Ok(trunk)
}

impl Seen {
    fn by(model: &Model, threads: &Threads) -> Outcome<Self> {
        let pyramid = trunk(model, (SEEN, SEEN), threads)?.run()?;
        Ok(Self { manifest: model.manifest().clone(), pyramid })
    }
}

/// Boxes within what was seen; pooling them is no part of what is measured.
fn boxes(count: usize) -> impl Iterator<Item = Rect> {
    let side = SEEN as f32;
    (0..count).map(move |i| {
        let x = i as f32 % 16.0;
        Rect::new(x, x, side / 2.0 + x, side - 16.0 + x)
    })
}

/// Boxes of upright people over the frame's width, two thirds of its height.
fn side_by_side(width: usize, height: usize, people: usize) -> Vec<Rect> {
    let (step, height) = (width as f32 / people.max(8) as f32, height as f32);
    let boxes = (0..people).map(|i| i as f32 * step);
    boxes.map(|x| Rect::new(x, height / 6.0, x + step, height * 5.0 / 6.0)).collect()
}

/// Numbers from -1 to 1 without a pattern.
fn noise(numbers: &mut [f32]) {
    for (i, number) in numbers.iter_mut().enumerate() {
        *number = (i.wrapping_mul(2_654_435_761) >> 16 & 0xff) as f32 / 128.0 - 1.0;
    }
}

/// `run` says how long it took: one time that is not counted, and the median of those that are.
fn timed(mut run: impl FnMut() -> Outcome<Duration>) -> Outcome<Answer> {
    run()?;
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < RUNS && (times.is_empty() || milliseconds(start) < ENOUGH_MS) {
        times.push(run()?.as_secs_f64() * 1e3);
    }
    Ok(Answer { ms: Some(median(times)), ..Answer::default() })
}

fn profile(trunk: &mut Trunk) -> Outcome<Answer> {
    let mut whole = Vec::new();
    let mut layers: Vec<(String, String, Vec<f64>)> = Vec::new();
    // Asking is what begins the profile.
    trunk.profiled();
    for pass in 0..=PROFILED_RUNS {
        let start = Instant::now();
        trunk.run()?;
        let time = milliseconds(start);
        let profiled = trunk.profiled();
        if pass == 0 {
            layers = profiled.into_iter().map(|layer| (layer.layer, layer.kind, Vec::new())).collect();
            continue;
        }
        whole.push(time);
        for ((_, _, times), layer) in layers.iter_mut().zip(profiled) {
            times.push(layer.time.as_secs_f64() * 1e3);
        }
    }
    let layers = layers.into_iter().map(|(layer, kind, times)| Layer { layer, kind, ms: median(times) });
    Ok(Answer { ms: Some(median(whole)), layers: layers.collect(), ..Answer::default() })
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    (times[(times.len() - 1) / 2] + times[times.len() / 2]) / 2.0
}
