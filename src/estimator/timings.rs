//! Where the time of a frame goes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A step of the estimation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Picture to network input.
    Resize,
    Trunk,
    Proposals,
    BoxPooling,
    BoxHead,
    /// Decoding and suppression of boxes.
    Detections,
    DensePosePooling,
    DensePoseHead,
    /// Network outputs to IUV maps.
    Charts,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Self; 9] = [
        Self::Resize,
        Self::Trunk,
        Self::Proposals,
        Self::BoxPooling,
        Self::BoxHead,
        Self::Detections,
        Self::DensePosePooling,
        Self::DensePoseHead,
        Self::Charts,
    ];

    /// Whether it is a network that takes the time, and not what is around it.
    pub const fn is_network(self) -> bool {
        matches!(self, Self::Trunk | Self::BoxHead | Self::DensePoseHead)
    }
}

/// Time that each stage took on the last frame, on however many threads.
#[derive(Default)]
pub struct Timings([AtomicU64; Stage::ALL.len()]);

impl Timings {
    /// Time spent in `stage`.
    pub fn of(&self, stage: Stage) -> Duration {
        Duration::from_nanos(self.0[stage as usize].load(Ordering::Relaxed))
    }

    /// Does `work` and counts its time.
    pub(super) fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.0[stage as usize].fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        result
    }

    /// Forgets the last frame.
    pub(super) fn restart(&mut self) {
        self.0.iter_mut().for_each(|nanoseconds| *nanoseconds.get_mut() = 0);
    }
}

impl fmt::Debug for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(Stage::ALL.map(|stage| (stage, self.of(stage)))).finish()
    }
}
