//! Boxes and charts that do not shiver.
//!
//! A network that sees each picture on its own puts the edge of a box or the border between two parts a little
//! elsewhere every time. Here boxes that hardly move are held, and the charts of a person are mixed with those of the
//! picture before, cell by cell of the box, as long as the box keeps its shape: a leg that swings out of it moves
//! every cell to another place of the body. What moves fast or is surely another part wins at once.

use std::sync::Mutex;

use crate::estimator::boxes::Rect;
use crate::estimator::charts::Charts;
use crate::lock;

/// Share of the box's side from which on a move of an edge is followed wholly, and a change of the side mixes nothing.
const JITTER: f32 = 0.06;

/// What was shown of somebody in the last picture.
#[derive(Debug, Default)]
pub struct Steady {
    pub rect: Rect,
    /// What the DensePose head said, mixed over time.
    charts: Mutex<Vec<f32>>,
}

impl Steady {
    pub fn new(rect: Rect) -> Self {
        Self { rect, charts: Mutex::default() }
    }

    /// `now`, held back towards the last box by up to `smoothing`, which becomes the last box; and how much of the last charts
    /// is to be kept.
    pub fn follow(&mut self, now: &Rect, smoothing: f32) -> f32 {
        let rect = steadied(&self.rect, now, smoothing);
        let kept = smoothing * likeness(&self.rect, &rect);
        self.rect = rect;
        kept
    }

    /// What `finish` makes of `charts`, of which the share `kept` is that of the last ones.
    pub fn smoothed<T>(&self, charts: &Charts, kept: f32, finish: impl FnOnce(&Charts) -> T) -> T {
        let mut memory = lock(&self.charts);
        finish(&charts.mixed(&mut memory, kept))
    }
}

/// `new`, its edges held back towards `old` by up to `smoothing`: the less they moved, the more.
fn steadied(old: &Rect, new: &Rect, smoothing: f32) -> Rect {
    let (width, height) = (new.width(), new.height());
    let edge = |old: f32, new: f32, side: f32| new + (old - new) * smoothing * stillness(old, new, side);
    Rect::new(
        edge(old.x0, new.x0, width),
        edge(old.y0, new.y0, height),
        edge(old.x1, new.x1, width),
        edge(old.y1, new.y1, height),
    )
}

/// How far the cells of two boxes show the same places of a body: 1 for boxes of the same sides, wherever they are, 0 where
/// a side has changed by [`JITTER`] or more.
fn likeness(old: &Rect, new: &Rect) -> f32 {
    let width = stillness(old.width(), new.width(), new.width());
    width.min(stillness(old.height(), new.height(), new.height()))
}

/// 1 where a length has not changed, falling to 0 where it has by [`JITTER`] of the box's `side` or more.
fn stillness(old: f32, new: f32, side: f32) -> f32 {
    (1.0 - (new - old).abs() / (side * JITTER).max(f32::MIN_POSITIVE)).max(0.0)
}
