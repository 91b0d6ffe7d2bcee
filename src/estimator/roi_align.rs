//! RoIAlign (He et al., Mask R-CNN, 2017): cuts a box out of a feature map at a fixed resolution.
//!
//! Bilinear samples at regular places of each bin, averaged, with the border rules of detectron2 and torchvision.
//! Places, weights and border rules are those of rows times those of columns, so all samples of a bin come down to one
//! run of weights along each axis: rows of the map are summed to rows of bins, and cells of these to bins, all channels
//! at once.

use std::ops::Range;

use super::boxes::Rect;
use crate::kernels::simd::{Isa, Kernel, Vector};

/// A feature map, (height, width, channels).
#[derive(Clone, Copy)]
pub struct FeatureMap<'a> {
    pub data: &'a [f32],
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Network pixels per cell.
    pub stride: usize,
}

/// Index of the map to cut `rect` out of (Feature Pyramid Networks, Lin et al. 2017, equation 1): a box of
/// `canonical_size` comes from stride `2^canonical_level`, one twice as large from twice that stride.
pub fn level_of(rect: &Rect, maps: &[&FeatureMap], canonical_size: f32, canonical_level: i32) -> usize {
    let level = (canonical_level as f32 + (rect.area().sqrt() / canonical_size + 1e-8).log2()).floor();
    let finest = maps.first().map_or(0, |map| map.stride.ilog2());
    (level - finest as f32).clamp(0.0, (maps.len() - 1) as f32) as usize
}

/// How boxes are sampled.
#[derive(Clone, Copy, Debug)]
pub struct RoiAlign {
    /// Bins along each axis.
    pub resolution: usize,
    /// Samples per bin along each axis; 0 takes as many as the bin has cells, rounded up.
    pub sampling_ratio: usize,
    /// Whether coordinates are shifted by half a cell, so that they hit the centres of cells.
    pub aligned: bool,
}

impl RoiAlign {
    /// Fills `out`, (resolution, resolution, channels), with the part of `map` inside `rect` (network pixels).
    ///
    /// # Panics
    /// Where `out` or the map's data have another length.
    pub fn pool(&self, map: &FeatureMap, rect: &Rect, out: &mut [f32]) {
        self.pool_by(Isa::best(), map, rect, out);
    }

    fn pool_by(&self, isa: Isa, map: &FeatureMap, rect: &Rect, out: &mut [f32]) {
        assert_eq!(out.len(), map.channels * self.resolution * self.resolution);
        assert_eq!(map.data.len(), map.channels * map.height * map.width);
        let scale = 1.0 / map.stride as f32;
        let rows = self.bins(rect.y0 * scale, rect.y1 * scale, map.height);
        let columns = self.bins(rect.x0 * scale, rect.x1 * scale, map.width);
        isa.run(Pool { map, rows: &rows, columns: &columns, out });
    }

    /// Weights along one axis of a box from `low` to `high`, in cells, on a map of `length` cells.
    fn bins(&self, low: f32, high: f32, length: usize) -> Bins {
        let shift = if self.aligned { 0.5 } else { 0.0 };
        let low = low - shift;
        let mut size = high - shift - low;
        if !self.aligned {
            size = size.max(1.0);
        }
        let bin = size / self.resolution as f32;
        let samples = match self.sampling_ratio {
            // A box within the map has no more cells than the map; anything else is no box.
            0 => (bin.ceil().max(0.0) as usize).min(length + 1),
            n => n,
        };
        let place = |index: usize, i: usize| low + index as f32 * bin + (i as f32 + 0.5) * bin / samples as f32;
        // Each sample takes two cells at most; neighbours share them.
        let mut bins = Bins {
            bins: Vec::with_capacity(self.resolution),
            weights: Vec::with_capacity(self.resolution * (samples + 1)),
        };
        for index in 0..self.resolution {
            bins.add((0..samples).filter_map(|i| cells(place(index, i), length)), samples);
        }
        bins
    }
}

/// Weights along one axis.
struct Bins {
    /// Of each bin the first cell, and where its weights are.
    bins: Vec<(usize, Range<usize>)>,
    weights: Vec<f32>,
}

impl Bins {
    /// Adds a bin, the mean of `samples` samples, of which those given lie on the map, in rising order.
    fn add(&mut self, on_map: impl Iterator<Item = (usize, usize, f32)>, samples: usize) {
        let start = self.weights.len();
        let mut first = None;
        for (low, high, part) in on_map {
            let first = *first.get_or_insert(low);
            let (low, high) = (start + low - first, start + high - first);
            if self.weights.len() <= high {
                self.weights.resize(high + 1, 0.0);
            }
            self.weights[low] += (1.0 - part) / samples as f32;
            self.weights[high] += part / samples as f32;
        }
        self.bins.push((first.unwrap_or(0), start..self.weights.len()));
    }

    /// Of each bin the first cell, and the weights from there on.
    fn iter(&self) -> impl ExactSizeIterator<Item = (usize, &[f32])> + Clone {
        self.bins.iter().map(|(first, weights)| (*first, &self.weights[weights.clone()]))
    }

    /// All cells that any bin reads, and those between.
    fn cells(&self) -> Range<usize> {
        let used = self.iter().filter(|(_, weights)| !weights.is_empty());
        let first = used.clone().map(|(first, _)| first).min().unwrap_or(0);
        first..used.map(|(first, weights)| first + weights.len()).max().unwrap_or(0)
    }
}

/// The cells on both sides of a place, and the weight of the second; nothing where the place is off the map.
fn cells(place: f32, length: usize) -> Option<(usize, usize, f32)> {
    if !(-1.0..=length as f32).contains(&place) {
        return None;
    }
    let place = place.max(0.0);
    let low = place as usize;
    if low + 1 >= length { Some((length - 1, length - 1, 0.0)) } else { Some((low, low + 1, place - low as f32)) }
}

/// Sums the cells of a map to bins.
struct Pool<'a> {
    map: &'a FeatureMap<'a>,
    rows: &'a Bins,
    columns: &'a Bins,
    out: &'a mut [f32],
}

impl Kernel for Pool<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { map, rows, columns, out } = self;
        let channels = map.channels;
        let used = columns.cells();
        let mut line = vec![0.0; used.len() * channels];
        for ((first, weights), out) in rows.iter().zip(out.chunks_exact_mut(columns.iter().len() * channels)) {
            let cells = &map.data[(first * map.width + used.start) * channels..];
            // SAFETY, here and below: the caller says that the processor has the vectors.
            unsafe { weighted_sum::<V>(cells, map.width * channels, weights, &mut line) };
            for ((first, weights), out) in columns.iter().zip(out.chunks_exact_mut(channels)) {
                let cells = &line[first.saturating_sub(used.start) * channels..];
                // SAFETY: as above.
                unsafe { weighted_sum::<V>(cells, channels, weights, out) };
            }
        }
    }
}

/// Vectors summed at once.
const AT_ONCE: usize = 4;

/// Fills `out` with the sum of runs of its length, `stride` values apart in `values`, each times its weight.
///
/// # Safety
/// The processor has the vectors.
#[inline(always)]
unsafe fn weighted_sum<V: Vector>(values: &[f32], stride: usize, weights: &[f32], out: &mut [f32]) {
    assert!(
        weights.is_empty() || values.len() >= (weights.len() - 1) * stride + out.len(),
        "runs end before the values"
    );
    let mut at = 0;
    // SAFETY: the caller's promise; blocks end with `out` at most, and runs do not end after the values.
    unsafe {
        while at + AT_ONCE * V::LANES <= out.len() {
            sum_block::<V, AT_ONCE>(values, stride, weights, out, at);
            at += AT_ONCE * V::LANES;
        }
        while at + V::LANES <= out.len() {
            sum_block::<V, 1>(values, stride, weights, out, at);
            at += V::LANES;
        }
        while at < out.len() {
            sum_block::<f32, 1>(values, stride, weights, out, at);
            at += 1;
        }
    }
}

/// # Safety
/// The processor has the vectors; `N` of them can be written to `out` and read of each run from `at` on.
#[inline(always)]
unsafe fn sum_block<V: Vector, const N: usize>(
    values: &[f32],
    stride: usize,
    weights: &[f32],
    out: &mut [f32],
    at: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [V::splat(0.0); N];
        let mut from = values.as_ptr().wrapping_add(at);
        for weight in weights {
            let weight = V::splat(*weight);
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(from.add(i * V::LANES)).mul_add(weight, *sum);
            }
            from = from.wrapping_add(stride);
        }
        for (i, sum) in sums.into_iter().enumerate() {
            sum.store(out.as_mut_ptr().add(at + i * V::LANES));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One bin, sample by sample, as the definition has it.
    fn bin(map: &FeatureMap, channel: usize, align: &RoiAlign, rect: &Rect, (py, px): (usize, usize)) -> f32 {
        let scale = 1.0 / map.stride as f32;
        let shift = if align.aligned { 0.5 } else { 0.0 };
        let (x0, y0) = (rect.x0 * scale - shift, rect.y0 * scale - shift);
        let mut size = (rect.x1 * scale - shift - x0, rect.y1 * scale - shift - y0);
        if !align.aligned {
            size = (size.0.max(1.0), size.1.max(1.0));
        }
        let (bw, bh) = (size.0 / align.resolution as f32, size.1 / align.resolution as f32);
        let count = |b: f32| if align.sampling_ratio > 0 { align.sampling_ratio } else { b.ceil() as usize };
        let (nx, ny) = (count(bw), count(bh));
        let mut sum = 0.0;
        for iy in 0..ny {
            for ix in 0..nx {
                let y = y0 + py as f32 * bh + (iy as f32 + 0.5) * bh / ny as f32;
                let x = x0 + px as f32 * bw + (ix as f32 + 0.5) * bw / nx as f32;
                let (h, w) = (map.height as f32, map.width as f32);
                if y < -1.0 || y > h || x < -1.0 || x > w {
                    continue;
                }
                let at = |y: usize, x: usize| map.data[(y * map.width + x) * map.channels + channel];
                let corner = |v: f32, n: usize| {
                    let v = v.max(0.0);
                    let low = (v as usize).min(n - 1);
                    let high = (low + 1).min(n - 1);
                    (low, high, if low == high { 0.0 } else { v - low as f32 })
                };
                let ((ya, yb, fy), (xa, xb, fx)) = (corner(y, map.height), corner(x, map.width));
                sum += (1.0 - fy) * ((1.0 - fx) * at(ya, xa) + fx * at(ya, xb));
                sum += fy * ((1.0 - fx) * at(yb, xa) + fx * at(yb, xb));
            }
        }
        sum / (nx * ny).max(1) as f32
    }

    #[test]
    fn pooling_equals_the_definition() {
        // Blocks of vectors, vectors and single values.
        let (channels, height, width) = (91, 13, 24);
        let data: Vec<f32> =
            (0..channels * height * width).map(|i| ((i * 7919 % 1000) as f32 - 500.0) / 100.0).collect();
        let map = FeatureMap { data: &data, channels, height, width, stride: 4 };
        let rects = [
            Rect::new(3.0, 5.0, 60.0, 40.0),
            Rect::new(0.0, 0.0, 84.0, 52.0),
            Rect::new(10.2, 7.7, 12.1, 9.3),
            Rect::new(-30.0, -20.0, 100.0, 90.0),
            Rect::new(80.0, 48.0, 84.0, 52.0),
            Rect::new(7.0, 7.0, 7.0, 7.0),
            Rect::new(500.0, 500.0, 600.0, 600.0),
        ];
        for (resolution, sampling_ratio, aligned) in [(7, 0, true), (32, 0, true), (5, 2, true), (7, 0, false)] {
            let align = RoiAlign { resolution, sampling_ratio, aligned };
            for rect in &rects {
                let place = |i: usize| (i / channels / resolution, i / channels % resolution);
                let count = channels * resolution * resolution;
                let wanted: Vec<f32> = (0..count).map(|i| bin(&map, i % channels, &align, rect, place(i))).collect();
                for isa in Isa::available() {
                    let mut out = vec![f32::NAN; count];
                    align.pool_by(isa, &map, rect, &mut out);
                    for (i, (got, want)) in out.iter().zip(&wanted).enumerate() {
                        assert!((got - want).abs() < 1e-4, "{isa:?} {align:?} {rect:?} {i}: {got} for {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_constant_map_stays_constant() {
        let data = vec![2.5; 8 * 8];
        let map = FeatureMap { data: &data, channels: 1, height: 8, width: 8, stride: 1 };
        let align = RoiAlign { resolution: 4, sampling_ratio: 0, aligned: true };
        let mut out = vec![0.0; 16];
        align.pool(&map, &Rect::new(0.0, 0.0, 8.0, 8.0), &mut out);
        assert!(out.iter().all(|v| (v - 2.5).abs() < 1e-6), "{out:?}");
    }
}
