//! What an element has done so far, in numbers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Time over which the rate of frames is taken.
const RATE_WINDOW: Duration = Duration::from_secs(2);
/// Frames that are remembered for it at most.
const RATE_FRAMES: usize = 1024;

/// Counts since the element started.
#[derive(Debug, Default)]
pub struct Stats {
    /// Frames that passed.
    pub frames: u64,
    /// Inferences that ended well.
    pub inferences: u64,
    /// Frames that carry the result of an earlier frame.
    pub reused: u64,
    /// Those of them whose result was moved to where people are now.
    pub moved: u64,
    /// Frames that were due for an inference, but would have come too late.
    pub skipped_late: u64,
    /// People in the last result.
    pub persons: usize,
    /// When the last frames passed.
    passed: VecDeque<Instant>,
}

impl Stats {
    /// Notes that a frame passes.
    pub fn frame(&mut self, now: Instant) {
        self.frames += 1;
        self.passed.push_back(now);
        while self.passed.len() > RATE_FRAMES || self.passed.front().is_some_and(|t| now - *t > RATE_WINDOW) {
            self.passed.pop_front();
        }
    }

    /// Frames per second over the last two seconds; 0 where fewer than two frames passed.
    pub fn frames_per_second(&self) -> f64 {
        let (Some(first), Some(last)) = (self.passed.front(), self.passed.back()) else { return 0.0 };
        let time = (*last - *first).as_secs_f64();
        if time > 0.0 { (self.passed.len() - 1) as f64 / time } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_of_the_last_two_seconds() {
        let mut stats = Stats::default();
        assert_eq!(stats.frames_per_second(), 0.0);
        let start = Instant::now();
        stats.frame(start);
        assert_eq!(stats.frames_per_second(), 0.0);
        for n in 1..100 {
            stats.frame(start + Duration::from_millis(n * 100));
        }
        assert!((stats.frames_per_second() - 10.0).abs() < 1e-6);
        for n in 0..30 {
            stats.frame(start + Duration::from_millis(10_000 + n * 200));
        }
        assert!((stats.frames_per_second() - 5.0).abs() < 1e-6);
        assert_eq!(stats.frames, 130);
    }
}
