//! How a kernel moves over a picture.

use std::ops::Range;

use crate::kernels::depthwise::MOST;

/// Kernel, stride and padding along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    /// Zeros before the first pixel.
    pub before: usize,
}

impl Window {
    /// One pixel at a time.
    pub const POINT: Self = Self { kernel: 1, stride: 1, dilation: 1, before: 0 };

    /// Whether the kernel has pixels, moves on, and is nowhere beyond [`MOST`] pixels: then no place overflows.
    pub fn is_sound(self) -> bool {
        let Self { kernel, stride, dilation, before } = self;
        [kernel, stride, dilation].iter().all(|n| (1..=MOST).contains(n)) && before <= MOST
    }

    /// Pixels from the first to the last that the kernel sees.
    pub fn span(self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// The pixel under position `k` of the kernel for result `out`, of a line of `length`; `None` if it is padding.
    pub fn at(self, out: usize, k: usize, length: usize) -> Option<usize> {
        (out * self.stride + k * self.dilation).checked_sub(self.before).filter(|&at| at < length)
    }

    /// Runs of results, of `out` in all, that see the same positions of the kernel on a line of `length`: where each run
    /// is, and which positions. Runs that see none are there, too.
    pub fn runs(self, out: usize, length: usize) -> Vec<(Range<usize>, Range<usize>)> {
        let seen = |x: usize| {
            let inside: Vec<usize> = (0..self.kernel).filter(|&k| self.at(x, k, length).is_some()).collect();
            inside.first().map_or(0..0, |&first| first..first + inside.len())
        };
        let mut runs: Vec<(Range<usize>, Range<usize>)> = Vec::new();
        for x in 0..out {
            let positions = seen(x);
            match runs.last_mut() {
                Some((run, last)) if *last == positions => run.end = x + 1,
                _ => runs.push((x..x + 1, positions)),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_beyond_all_pictures_are_not_sound() {
        assert!(Window::POINT.is_sound());
        for far in [0, MOST + 1, usize::MAX] {
            assert!(!Window { kernel: far, ..Window::POINT }.is_sound());
            assert!(!Window { stride: far, ..Window::POINT }.is_sound());
            assert!(!Window { dilation: far, ..Window::POINT }.is_sound());
            assert!(far == 0 || !Window { before: far, ..Window::POINT }.is_sound());
        }
    }

    #[test]
    fn runs_have_their_borders_where_padding_begins() {
        let window = Window { kernel: 3, stride: 1, dilation: 1, before: 1 };
        assert_eq!(window.runs(5, 5), [(0..1, 1..3), (1..4, 0..3), (4..5, 0..2)]);
        let dilated = Window { kernel: 3, stride: 1, dilation: 18, before: 18 };
        assert_eq!(dilated.span(), 37);
        assert_eq!(dilated.runs(32, 32), [(0..14, 1..3), (14..18, 1..2), (18..32, 0..2)]);
        let strided = Window { kernel: 3, stride: 2, dilation: 1, before: 1 };
        assert_eq!(strided.runs(4, 8), [(0..1, 1..3), (1..4, 0..3)]);
        let beyond = Window { kernel: 1, stride: 1, dilation: 1, before: 1 };
        assert_eq!(beyond.runs(3, 1), [(0..1, 0..0), (1..2, 0..1), (2..3, 0..0)]);
    }
}
