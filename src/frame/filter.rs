//! The antialiased triangle filter of Pillow's `BILINEAR`, in the same fixed-point numbers.

use std::ops::Range;

/// Resizing along one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resize {
    /// Samples in the source.
    pub samples: usize,
    /// Length that they cover, in samples: half a sample less than their number where an odd picture is subsampled.
    extent: f64,
    /// Samples wanted.
    pub wanted: usize,
}

impl Resize {
    /// From as many samples as `pixels` have, each of which covers `1 << shift` of them, to `wanted`.
    pub fn new(pixels: usize, shift: u32, wanted: usize) -> Self {
        let cell = 1usize << shift;
        Self { samples: pixels.div_ceil(cell), extent: pixels as f64 / cell as f64, wanted }
    }
}

/// Bits after the binary point of filter weights, as in Pillow.
pub const PRECISION: u32 = 32 - 8 - 2;
/// One half, to round by.
pub const HALF: i32 = 1 << (PRECISION - 1);
/// Weights are kept in pairs.
pub const PAIR: usize = 2;
/// Bits of the lower part of a weight that is cut in two.
pub const LOW_BITS: u32 = 11;

/// Weights of a triangle filter: sample `i` of the result is the sum of `taps` source samples from `starts[i]` on,
/// times `weights[i * taps..]`.
pub struct Filter {
    pub resize: Resize,
    /// Whole pairs.
    pub taps: usize,
    /// None is above [`reach`](Self::reach) less `taps`.
    starts: Vec<usize>,
    weights: Vec<i32>,
    cut: Vec<CutPair>,
}

/// Two weights cut in two, so that each part is a 16-bit number: their upper parts, that of the first weight in the
/// lower 16 bits, and their lower [`LOW_BITS`] bits likewise.
pub type CutPair = [i32; 2];

impl Filter {
    /// Follows Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc`.
    pub fn new(resize: Resize) -> Self {
        let Resize { samples, extent, wanted } = resize;
        let scale = extent / wanted as f64;
        let support = scale.max(1.0);
        let bounds: Vec<(usize, usize, f64)> = (0..wanted)
            .map(|i| {
                let centre = (i as f64 + 0.5) * scale;
                let first = ((centre - support + 0.5).max(0.0) as usize).min(samples - 1);
                let end = ((centre + support + 0.5) as usize).clamp(first + 1, samples);
                (first, end, centre)
            })
            .collect();
        let taps = bounds.iter().map(|b| b.1 - b.0).max().unwrap_or(1).next_multiple_of(PAIR);
        let mut starts = Vec::with_capacity(wanted);
        let mut weights = vec![0; wanted * taps];
        for ((first, end, centre), weights) in bounds.into_iter().zip(weights.chunks_exact_mut(taps)) {
            let triangle: Vec<f64> =
                (first..end).map(|s| (1.0 - ((s as f64 - centre + 0.5) * (1.0 / support)).abs()).max(0.0)).collect();
            let total: f64 = triangle.iter().sum();
            // All taps must lie in the row (or in its padding, where the row is shorter than the filter).
            let start = first.min(samples.saturating_sub(taps));
            for (weight, value) in weights[first - start..].iter_mut().zip(&triangle) {
                *weight = (value / total * f64::from(1 << PRECISION)).round() as i32;
            }
            starts.push(start);
        }
        let cut = weights.as_chunks().0.iter().map(cut).collect();
        Self { resize, taps, starts, weights, cut }
    }

    /// Samples of a row that may be read, whether they count or not.
    pub fn reach(&self) -> usize {
        self.resize.samples.max(self.taps)
    }

    /// For each result the first sample and all weights.
    pub fn results(&self) -> impl ExactSizeIterator<Item = (usize, &[i32])> {
        self.starts.iter().copied().zip(self.weights.chunks_exact(self.taps))
    }

    /// The first sample of result `i` and its weights, cut in two.
    #[inline(always)]
    pub fn cut(&self, i: usize) -> (usize, &[CutPair]) {
        let pairs = self.taps / PAIR;
        (self.starts[i], &self.cut[i * pairs..][..pairs])
    }

    /// The samples that result `i` is made of, from the first on, and their weights.
    pub fn used(&self, i: usize) -> (usize, &[i32]) {
        let weights = &self.weights[i * self.taps..][..self.taps.min(self.resize.samples)];
        // Weights are zero at both ends where the filter is narrower than elsewhere.
        let skip = weights.iter().take_while(|w| **w == 0).count().min(weights.len() - 1);
        let end = weights.iter().rposition(|w| *w != 0).map_or(weights.len(), |last| last + 1);
        (self.starts[i] + skip, &weights[skip..end])
    }

    /// All samples that the results `wanted` are made of.
    pub fn sources(&self, wanted: Range<usize>) -> Range<usize> {
        let (Some(first), Some(last)) = (wanted.clone().next(), wanted.last()) else { return 0..0 };
        let (end, weights) = self.used(last);
        self.used(first).0..end + weights.len()
    }
}

/// Cuts weights in two; they are from 0 to 1, so each part fits into 15 bits.
pub fn cut(weights: &[i32; PAIR]) -> CutPair {
    let pair = |[first, second]: [i32; PAIR]| second << 16 | first;
    [pair(weights.map(|w| w >> LOW_BITS)), pair(weights.map(|w| w & ((1 << LOW_BITS) - 1)))]
}

/// A fixed-point sum as a byte.
#[inline(always)]
pub fn round(sum: i32) -> u8 {
    ((sum + HALF) >> PRECISION).clamp(0, 255) as u8
}
