//! What is measured: loaded once, run in turns.

use std::time::Instant;

use gstdensepose::estimator::boxes::Rect;
use gstdensepose::estimator::model::File;
use gstdensepose::estimator::network::{Graph, Layout, Runner};
use gstdensepose::estimator::stages::Trunk;
use gstdensepose::estimator::{Estimator, Manifest, Model, Options, Threads};
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
    Head(Box<Runner>),
    Frame { estimator: Box<Estimator>, size: (usize, usize), pixels: Vec<u8>, boxes: Vec<Rect> },
    Profile(Box<Trunk>),
    Peak(Threads),
}

impl Subject {
    pub fn load(request: &Request) -> Outcome<Self> {
        let threads = Threads::new(request.threads)?;
        if request.what == What::Peak {
            return Ok(Self::Peak(threads));
        }
        let model = if request.model == "-" { Model::embedded()? } else { Model::open(&request.model)? };
        let manifest = model.manifest();
        Ok(match request.what {
            What::Trunk { height, width } => Self::Trunk(trunk(&model, (width, height), &threads)?),
            What::Profile { height, width } => Self::Profile(trunk(&model, (width, height), &threads)?),
            What::BoxHead { rois } => {
                let head = &manifest.box_head;
                let (input, side) = (&head.pooler.input, head.pooler.resolution);
                let channels = channels(manifest, &head.pooler.features);
                let outputs = [&*head.scores, &head.deltas];
                Self::Head(runner(model.box_head(), input, [channels, side, side], &outputs, rois, &threads)?)
            }
            What::DensePoseHead { rois } => {
                let head = &manifest.densepose_head;
                let (input, side) = (&head.pooler.input, head.pooler.resolution);
                let channels = channels(manifest, &head.pooler.features);
                let outputs = [&*head.coarse, &head.fine, &head.u, &head.v];
                Self::Head(runner(model.densepose_head(), input, [channels, side, side], &outputs, rois, &threads)?)
            }
            What::Frame { width, height, short_side, people } => {
                let options = Options { short_side, threads: request.threads, ..Options::default() };
                let mut estimator = Box::new(Estimator::new(&model, options)?);
                estimator.prepare(width, height)?;
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
            Self::Trunk(trunk) => timed(|| Ok(drop(trunk.run()?))),
            Self::Head(runner) => timed(|| Ok(drop(runner.run()?))),
            Self::Frame { estimator, size: (width, height), pixels, boxes } => {
                let image = Image::rgb(*width, *height, pixels)?;
                timed(|| {
                    let found = estimator.estimate_boxes(&image, boxes)?.len();
                    if found == boxes.len() { Ok(()) } else { Err(format!("{found} people were mapped").into()) }
                })
            }
        }
    }
}

fn trunk(model: &Model, size: (usize, usize), threads: &Threads) -> Outcome<Box<Trunk>> {
    let mut trunk = Box::new(Trunk::load(model)?);
    trunk.prepare(model.manifest(), size, threads)?;
    noise(trunk.input());
    Ok(trunk)
}

/// A head as the estimator has it: channels last, as boxes are pooled.
fn runner(
    file: &File,
    input: &str,
    item: [usize; 3],
    outputs: &[&str],
    rois: usize,
    threads: &Threads,
) -> Outcome<Box<Runner>> {
    let outputs: Vec<_> = outputs.iter().map(|&name| (name, Layout::ChannelsLast)).collect();
    let graph = Graph::load(file, (input, Layout::ChannelsLast), &outputs)?;
    let mut runner = Box::new(graph.program(item)?.runner(threads)?);
    noise(runner.input(rois));
    Ok(runner)
}

/// Of the feature maps that a head reads.
fn channels(manifest: &Manifest, features: &[String]) -> usize {
    let index = features.first().and_then(|name| manifest.feature(name));
    index.map_or(0, |index| manifest.features[index].channels)
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

/// One run that is not counted, and the median of those that are.
fn timed(mut run: impl FnMut() -> Outcome<()>) -> Outcome<Answer> {
    run()?;
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < RUNS && (times.is_empty() || milliseconds(start) < ENOUGH_MS) {
        let start = Instant::now();
        run()?;
        times.push(milliseconds(start));
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
