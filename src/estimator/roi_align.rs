//! RoIAlign (He et al., Mask R-CNN, 2017): cuts a box out of a feature map at a fixed resolution.
//!
//! Bilinear samples at regular places of each bin, averaged, with the border rules of detectron2 and torchvision.
//! Places, weights and border rules are those of rows times those of columns, so all samples of a bin come down to one
//! run of weights along each axis: the map is summed along one axis, then along the other. Where the box has more rows
//! than bins, rows are summed up first, to leave less for the other axis.

use std::ops::Range;

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
        let rows = self.bins(rect.y0 * scale, rect.y1 * scale, map.height);
        let columns = self.bins(rect.x0 * scale, rect.x1 * scale, map.width);
        let (used_rows, used_columns) = (cells_of(&rows), whole_groups(cells_of(&columns), map.width));
        let columns = Columns::new(&columns);
        let rows_first = used_rows.len() > self.resolution && used_columns.end <= map.width;

        // Lines of cells, and lines of bins filled up to whole groups, before and after summing up rows.
        let mut cells = vec![0.0; if rows_first { self.resolution * map.width } else { 0 }];
        let count = if rows_first { self.resolution } else { used_rows.len() };
        let mut bins = vec![0.0; count.next_multiple_of(AT_ONCE) * columns.width()];
        let mut sums = vec![0.0; if rows_first { 0 } else { self.resolution * columns.width() }];

        let planes = map.data.chunks_exact(map.height * map.width);
        for (plane, out) in planes.zip(out.chunks_exact_mut(self.resolution * self.resolution)) {
            let lines = if rows_first {
                sum_rows(plane, map.width, 0, &rows, used_columns.clone(), &mut cells);
                sum_columns(&cells, map.width, &columns, &mut bins);
                &bins
            } else {
                let used = &plane[used_rows.start * map.width..used_rows.end * map.width];
                sum_columns(used, map.width, &columns, &mut bins);
                sum_rows(&bins, columns.width(), used_rows.start, &rows, 0..columns.width(), &mut sums);
                &sums
            };
            for (out, line) in out.chunks_exact_mut(self.resolution).zip(lines.chunks_exact(columns.width())) {
                out.copy_from_slice(&line[..self.resolution]);
            }
        }
    }

    /// Weights along one axis of a box from `low` to `high`, in cells, on a map of `length` cells.
    fn bins(&self, low: f32, high: f32, length: usize) -> Vec<Bin> {
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
        let on_map = |index| (0..samples).filter_map(move |i| cells(place(index, i), length));
        (0..self.resolution).map(|index| Bin::new(on_map(index), samples)).collect()
    }
}

/// Weights of one bin along one axis: of the cells from `first` on.
struct Bin {
    first: usize,
    weights: Vec<f32>,
}

impl Bin {
    /// The mean of `samples` samples, of which those given lie on the map, in rising order.
    fn new(on_map: impl Iterator<Item = (usize, usize, f32)>, samples: usize) -> Self {
        let mut bin = Self { first: 0, weights: Vec::new() };
        for (low, high, part) in on_map {
            if bin.weights.is_empty() {
                bin.first = low;
            }
            if bin.weights.len() <= high - bin.first {
                bin.weights.resize(high - bin.first + 1, 0.0);
            }
            bin.weights[low - bin.first] += (1.0 - part) / samples as f32;
            bin.weights[high - bin.first] += part / samples as f32;
        }
        bin
    }
}

/// All cells that any of `bins` reads, and those between.
fn cells_of(bins: &[Bin]) -> Range<usize> {
    let used = bins.iter().filter(|bin| !bin.weights.is_empty());
    let first = used.clone().map(|bin| bin.first).min().unwrap_or(0);
    first..used.map(|bin| bin.first + bin.weights.len()).max().unwrap_or(0)
}

/// `columns` and some of their neighbours, so that they are whole groups; where `width` has no room, they end past it.
fn whole_groups(columns: Range<usize>, width: usize) -> Range<usize> {
    let length = columns.len().next_multiple_of(LANES);
    let start = columns.start.min(width.saturating_sub(length));
    start..start + length
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

/// Bins summed at once.
const LANES: usize = 8;
/// Rows summed at once.
const AT_ONCE: usize = 4;

/// Bins along the columns, [`LANES`] at a time: the first cell that any of them reads, and the weight for each of them
/// of that cell and those after it.
struct Columns(Vec<(usize, Vec<[f32; LANES]>)>);

impl Columns {
    fn new(bins: &[Bin]) -> Self {
        let group = |bins: &[Bin]| {
            let Range { start: first, end } = cells_of(bins);
            let mut weights = vec![[0.0; LANES]; end - first];
            for (lane, bin) in bins.iter().enumerate() {
                for (cell, weight) in (bin.first..).zip(&bin.weights) {
                    weights[cell - first][lane] = *weight;
                }
            }
            (first, weights)
        };
        Self(bins.chunks(LANES).map(group).collect())
    }

    /// Length of a line of bins, filled up to whole groups.
    fn width(&self) -> usize {
        self.0.len() * LANES
    }
}

vectorised! {
    /// Sums each row of `cells`, `width` long, to a line of bins; some lines past the last mean nothing.
    fn sum_columns(cells: &[f32], width: usize, columns: &Columns, lines: &mut [f32]) {
        let last = (cells.len() / width).saturating_sub(1);
        for (group, lines) in lines.chunks_exact_mut(AT_ONCE * columns.width()).enumerate() {
            let row = |i: usize| &cells[(group * AT_ONCE + i).min(last) * width..][..width];
            let rows: [&[f32]; AT_ONCE] = std::array::from_fn(row);
            for (group, (first, weights)) in columns.0.iter().enumerate() {
                let mut sums = [[0.0; LANES]; AT_ONCE];
                let cells = rows.map(|row| &row[*first..][..weights.len()]);
                for (cell, weights) in weights.iter().enumerate() {
                    for (sums, cells) in sums.iter_mut().zip(&cells) {
                        for (sum, weight) in sums.iter_mut().zip(weights) {
                            *sum += weight * cells[cell];
                        }
                    }
                }
                for (line, sums) in lines.chunks_exact_mut(columns.width()).zip(&sums) {
                    line[group * LANES..][..LANES].copy_from_slice(sums);
                }
            }
        }
    }
}

vectorised! {
    /// Sums the `columns`, whole groups of them, of the lines of `cells`, `width` long, of which the first is that of
    /// row `start`: `out` gets a line of the same width for each of `rows`.
    fn sum_rows(cells: &[f32], width: usize, start: usize, rows: &[Bin], columns: Range<usize>, out: &mut [f32]) {
        for (bin, out) in rows.iter().zip(out.chunks_exact_mut(width)) {
            for at in columns.clone().step_by(LANES) {
                let mut sums = [0.0; LANES];
                for (row, weight) in (bin.first..).zip(&bin.weights) {
                    let cells = &cells[(row - start) * width + at..][..LANES];
                    for (sum, cell) in sums.iter_mut().zip(cells) {
                        *sum += weight * cell;
                    }
                }
                out[at..][..LANES].copy_from_slice(&sums);
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
        let (channels, height, width) = (3, 13, 24);
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
