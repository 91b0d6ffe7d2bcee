//! RoIAlign (He et al., Mask R-CNN, 2017): cuts a box out of a feature map at a fixed resolution.
//!
//! Bilinear samples at regular places of each bin, averaged, with the border rules of detectron2 and torchvision.
//! Places, weights and border rules are those of rows times those of columns, so all samples of a bin come down to one
//! run of weights along each axis: the map is first summed along columns, then along rows.

use super::boxes::Rect;
use crate::simd::vectorised;

/// A feature map, (channels, height, width).
#[derive(Clone, Copy)]
pub struct FeatureMap<'a> {
    pub data: &'a [f32],
    pub channels: usize,
    pub height: usize,
    pub width: usize,
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
    /// Fills `out`, (channels, resolution, resolution), with the part of `map` inside `rect` (network pixels).
    ///
    /// # Panics
    /// Where `out` has another length.
    pub fn pool(&self, map: &FeatureMap, rect: &Rect, out: &mut [f32]) {
        assert_eq!(out.len(), map.channels * self.resolution * self.resolution);
        let scale = 1.0 / map.stride as f32;
        let rows = Axis::new(self, rect.y0 * scale, rect.y1 * scale, map.height);
        let columns = Axis::new(self, rect.x0 * scale, rect.x1 * scale, map.width);
        let mut line = vec![0.0; columns.end - columns.start];
        let planes = map.data.chunks_exact(map.height * map.width);
        for (plane, out) in planes.zip(out.chunks_exact_mut(self.resolution * self.resolution)) {
            pool_plane(plane, map.width, &rows, &columns, &mut line, out);
        }
    }
}

/// Weights of cells along one axis, for each bin.
struct Axis {
    /// First cell of each bin, and where its weights are.
    bins: Vec<(usize, std::ops::Range<usize>)>,
    weights: Vec<f32>,
    /// All cells that any bin reads.
    start: usize,
    end: usize,
}

impl Axis {
    /// For a box from `low` to `high`, in cells, on a map of `length` cells.
    fn new(align: &RoiAlign, low: f32, high: f32, length: usize) -> Self {
        let shift = if align.aligned { 0.5 } else { 0.0 };
        let low = low - shift;
        let mut size = high - shift - low;
        if !align.aligned {
            size = size.max(1.0);
        }
        let bin = size / align.resolution as f32;
        let samples = match align.sampling_ratio {
            // A box within the map has no more cells than the map; anything else is no box.
            0 => (bin.ceil().max(0.0) as usize).min(length + 1),
            n => n,
        };
        let mut axis = Self { bins: Vec::with_capacity(align.resolution), weights: Vec::new(), start: length, end: 0 };
        for index in 0..align.resolution {
            let place = |i: usize| low + index as f32 * bin + (i as f32 + 0.5) * bin / samples as f32;
            axis.push((0..samples).filter_map(|i| cells(place(i), length)), samples);
        }
        axis.start = axis.start.min(axis.end);
        axis
    }

    /// Adds a bin: the mean of `samples` samples, of which those given lie on the map, in rising order.
    fn push(&mut self, on_map: impl Iterator<Item = (usize, usize, f32)>, samples: usize) {
        let begin = self.weights.len();
        let mut first = None;
        for (low, high, part) in on_map {
            let first = *first.get_or_insert(low);
            let needed = begin + high - first + 1;
            if self.weights.len() < needed {
                self.weights.resize(needed, 0.0);
            }
            self.weights[begin + low - first] += (1.0 - part) / samples as f32;
            self.weights[begin + high - first] += part / samples as f32;
        }
        let first = first.unwrap_or(0);
        let range = begin..self.weights.len();
        if !range.is_empty() {
            self.start = self.start.min(first);
            self.end = self.end.max(first + range.len());
        }
        self.bins.push((first, range));
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

vectorised! {
    /// Pools one channel. `line` is a buffer for the columns from `columns.start` to `columns.end`.
    fn pool_plane(plane: &[f32], width: usize, rows: &Axis, columns: &Axis, line: &mut [f32], out: &mut [f32]) {
        for ((first, range), out) in rows.bins.iter().zip(out.chunks_exact_mut(columns.bins.len())) {
            line.fill(0.0);
            for (y, weight) in (*first..).zip(&rows.weights[range.clone()]) {
                let cells = &plane[y * width + columns.start..][..line.len()];
                for (sum, cell) in line.iter_mut().zip(cells) {
                    *sum += weight * cell;
                }
            }
            for ((first, range), out) in columns.bins.iter().zip(out) {
                let weights = &columns.weights[range.clone()];
                *out = match weights.is_empty() {
                    true => 0.0,
                    false => line[first - columns.start..].iter().zip(weights).map(|(cell, weight)| cell * weight).sum(),
                };
            }
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
                let at = |y: usize, x: usize| map.data[(channel * map.height + y) * map.width + x];
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
        let (channels, height, width) = (3, 13, 21);
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
                let mut out = vec![f32::NAN; channels * resolution * resolution];
                align.pool(&map, rect, &mut out);
                for (i, &got) in out.iter().enumerate() {
                    let place = (i / resolution % resolution, i % resolution);
                    let want = bin(&map, i / (resolution * resolution), &align, rect, place);
                    assert!((got - want).abs() < 1e-4, "{align:?} {rect:?} {place:?}: {got} for {want}");
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
