//! Measuring one model at one size, in this process.

use std::time::{Duration, Instant};

use gstdensepose::estimator::boxes::Rect;
use gstdensepose::estimator::{Estimator, Model, Options};
use gstdensepose::image::Image;
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::options::Point;
use crate::stages::split;

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;

/// What was measured of a model at a size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// The frame's shorter side in the network, as asked for.
    pub short_side: usize,
    /// Width and height of the frame in the network, without padding.
    pub network: (usize, usize),
    /// Threads that the networks ran on.
    pub threads: usize,
    /// From files to being ready for the first frame.
    pub load_ms: f64,
    /// Most memory of the process, in bytes; 0 where the system does not tell.
    pub peak_bytes: u64,
    pub people: Vec<Frame>,
}

/// Milliseconds of a frame with a number of people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Frame {
    pub people: usize,
    pub whole: f64,
    pub trunk: f64,
    pub proposals: f64,
    /// Pooling included, as in the next.
    pub box_head: f64,
    pub densepose_head: f64,
    /// Resizing, decoding of boxes, charts to maps.
    pub rest: f64,
}

/// Figures of a frame, in the order of `Frame`'s fields.
impl From<(usize, [f64; 6])> for Frame {
    fn from((people, [whole, trunk, proposals, box_head, densepose_head, rest]): (usize, [f64; 6])) -> Self {
        Self { people, whole, trunk, proposals, box_head, densepose_head, rest }
    }
}

impl Frame {
    pub fn figures(&self) -> [f64; 6] {
        [self.whole, self.trunk, self.proposals, self.box_head, self.densepose_head, self.rest]
    }
}

pub fn measure(point: &Point) -> Outcome<Measured> {
    let start = Instant::now();
    let model = Model::open(&point.model)?;
    let options = Options { short_side: point.short_side, threads: point.threads, ..Options::default() };
    let mut estimator = Estimator::new(&model, options)?;
    estimator.prepare((WIDTH, HEIGHT), 1.0)?;
    let load_ms = milliseconds(start.elapsed());
    drop(model);

    let pixels: Vec<u8> = (0..WIDTH * HEIGHT * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let image = Image::rgb(WIDTH, HEIGHT, &pixels)?;
    let mut samples = vec![Vec::new(); point.people.len()];
    let start = Instant::now();
    // The first pass warms caches up and is not counted.
    for pass in 0..=point.frames {
        for (samples, &people) in samples.iter_mut().zip(&point.people) {
            let figures = frame(&mut estimator, &image, people)?;
            if pass > 0 {
                samples.push(figures);
            }
        }
        if pass > 0 && start.elapsed().as_secs_f64() > point.seconds {
            break;
        }
    }
    let size = estimator.input_size((WIDTH, HEIGHT), 1.0);
    Ok(Measured {
        short_side: point.short_side,
        network: (size.width, size.height),
        threads: estimator.threads(),
        load_ms,
        peak_bytes: peak_bytes(),
        people: point.people.iter().zip(samples).map(|(&n, s)| Frame::from((n, medians(&s)))).collect(),
    })
}

/// Runs a frame with so many people; its figures as in [`Frame`].
fn frame(estimator: &mut Estimator, image: &Image, people: usize) -> Outcome<[f64; 6]> {
    let boxes: Vec<Rect> =
        (0..people).map(|i| Rect::new(160.0 * i as f32, 120.0, 160.0 * (i + 1) as f32, 600.0)).collect();
    let start = Instant::now();
    let found = estimator.estimate_boxes(image, &boxes)?.len();
    let whole = milliseconds(start.elapsed());
    if found != people {
        return Err(format!("{found} of {people} people were mapped").into());
    }
    let of = |stage| milliseconds(estimator.timings().of(stage));
    let [trunk, proposals, box_head, densepose_head, rest] = split(whole, of);
    Ok([whole, trunk, proposals, box_head, densepose_head, rest])
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The median of each figure, the mean of the two in the middle where their number is even.
pub fn medians<const N: usize>(samples: &[[f64; N]]) -> [f64; N] {
    std::array::from_fn(|i| {
        let mut values: Vec<f64> = samples.iter().map(|s| s[i]).collect();
        values.sort_by(f64::total_cmp);
        (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
    })
}

/// Most memory that this process had at any time.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
