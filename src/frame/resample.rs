//! Resizing by the antialiased triangle filter of Pillow's `BILINEAR`, with the same fixed-point arithmetic and rounding:
//! first along rows, then along columns, each rounded to bytes.

use std::ops::Range;

use super::InputSize;
use crate::image::{Component, Image, Layout, Plane};
use crate::simd::vectorised;

/// How one component of a picture is resized.
pub struct Axes {
    across: Filter,
    down: Filter,
}

impl Axes {
    /// One for each component of a picture.
    pub fn of(layout: &Layout, size: InputSize) -> Vec<Self> {
        let axes =
            wanted(layout, size).map(|[across, down]| Self { across: Filter::new(across), down: Filter::new(down) });
        axes.collect()
    }

    /// Whether `axes` are those of such pictures.
    pub fn fit(axes: &[Self], layout: &Layout, size: InputSize) -> bool {
        axes.iter().map(|axes| [axes.across.resize, axes.down.resize]).eq(wanted(layout, size))
    }

    /// A strip of which the rows `rows` of the result can be made.
    pub fn strip(&self, rows: Range<usize>) -> Strip {
        let rows = self.down.sources(rows);
        Strip { data: vec![0; rows.len() * self.across.resize.wanted], rows }
    }

    /// Row `y` of the result, out of a strip that has what it takes.
    pub fn row(&self, y: usize, strip: &Strip, out: &mut [u8]) {
        let (first, weights) = self.down.used(y);
        mix_rows(&strip.data[(first - strip.rows.start) * out.len()..], weights, out);
    }
}

fn wanted(layout: &Layout, size: InputSize) -> impl Iterator<Item = [Resize; 2]> + '_ {
    layout.components.iter().map(move |c| {
        [Resize::new(layout.width, c.shift_x, size.width), Resize::new(layout.height, c.shift_y, size.height)]
    })
}

/// Some rows of a component, resized along the rows only.
#[derive(Default)]
pub struct Strip {
    /// Which rows.
    rows: Range<usize>,
    data: Vec<u8>,
}

/// Buffers of a row.
#[derive(Default)]
pub struct Scratch {
    padded: Vec<u8>,
    gathered: Vec<u8>,
}

/// Fills the strips of a picture's components.
pub fn fill(strips: &mut [Strip], image: &Image, axes: &[Axes], scratch: &mut Scratch) {
    match pixel(&image.layout().components) {
        Some((start, lanes)) => fill_together(strips, image, (start, lanes), &axes[0].across, scratch),
        None => {
            for (index, (strip, axes)) in strips.iter_mut().zip(axes).enumerate() {
                fill_one(strip, image, index, &axes.across, scratch);
            }
        }
    }
}

/// Components that lie side by side in pixels.
fn fill_together(
    strips: &mut [Strip],
    image: &Image,
    (start, lanes): (usize, [usize; 3]),
    filter: &Filter,
    scratch: &mut Scratch,
) {
    let (step, wanted) = (image.layout().components[0].step, filter.resize.wanted);
    let needed = filter.resize.samples.max(filter.taps) * step + PIXEL;
    scratch.gathered.resize(wanted * PIXEL, 0);
    for (i, y) in strips[0].rows.clone().enumerate() {
        let row = padded(image.plane_of(0), y, start, needed, &mut scratch.padded);
        mix_pixels(row, step, filter, &mut scratch.gathered);
        for (strip, lane) in strips.iter_mut().zip(lanes) {
            gather(&scratch.gathered[lane..], PIXEL, &mut strip.data[i * wanted..][..wanted]);
        }
    }
}

/// A component that stands for itself.
fn fill_one(strip: &mut Strip, image: &Image, index: usize, filter: &Filter, scratch: &mut Scratch) {
    let Component { offset, step, .. } = image.layout().components[index];
    let Resize { samples, wanted, .. } = filter.resize;
    let needed = samples.max(filter.taps);
    for (y, out) in strip.rows.clone().zip(strip.data.chunks_exact_mut(wanted)) {
        let mut row = padded(image.plane_of(index), y, offset, needed * step, &mut scratch.padded);
        if step > 1 {
            scratch.gathered.resize(needed, 0);
            gather(row, step, &mut scratch.gathered);
            row = &scratch.gathered;
        }
        if filter.is_identity() {
            out.copy_from_slice(&row[..samples]);
        } else {
            mix_samples(row, filter, out);
        }
    }
}

/// Bytes that hold one pixel of any packed RGB layout.
const PIXEL: usize = 4;

/// Where pixels start and which of their bytes the components are, if the three lie side by side.
fn pixel(components: &[Component]) -> Option<(usize, [usize; 3])> {
    let [a, b, c] = components else { return None };
    let alike = |other: &Component| {
        (other.plane, other.step, other.shift_x, other.shift_y) == (a.plane, a.step, a.shift_x, a.shift_y)
    };
    let offsets = [a.offset, b.offset, c.offset];
    let start = *offsets.iter().min()?;
    let lanes = offsets.map(|o| o - start);
    (alike(b) && alike(c) && matches!(a.step, 3 | PIXEL) && lanes.iter().all(|&l| l < PIXEL)).then_some((start, lanes))
}

/// `needed` bytes of row `y` from `offset` on. What follows the row weighs nothing, so it is only made up where the
/// plane ends.
fn padded<'a>(plane: Plane<'a>, y: usize, offset: usize, needed: usize, copy: &'a mut Vec<u8>) -> &'a [u8] {
    let source = &plane.data[y * plane.stride + offset..];
    if source.len() >= needed {
        return &source[..needed];
    }
    copy.clear();
    copy.extend_from_slice(source);
    copy.resize(needed, 0);
    copy
}

vectorised! {
    /// Every `step`-th byte.
    fn gather(source: &[u8], step: usize, out: &mut [u8]) {
        match step {
            2 => source.chunks(2).zip(out).for_each(|(from, to)| *to = from[0]),
            4 => source.chunks(4).zip(out).for_each(|(from, to)| *to = from[0]),
            _ => source.iter().step_by(step).zip(out).for_each(|(from, to)| *to = *from),
        }
    }
}

vectorised! {
    /// Filters one row along itself.
    fn mix_samples(row: &[u8], filter: &Filter, out: &mut [u8]) {
        let weights = filter.weights.chunks_exact(filter.taps);
        for ((out, &start), weights) in out.iter_mut().zip(&filter.starts).zip(weights) {
            let (weights, _) = weights.as_chunks::<GROUP>();
            let (samples, _) = row[start..].as_chunks::<GROUP>();
            let mut sums = [0; GROUP];
            for (weights, samples) in weights.iter().zip(samples) {
                for i in 0..GROUP {
                    sums[i] += weights[i] * i32::from(samples[i]);
                }
            }
            *out = round(sums.iter().sum());
        }
    }
}

vectorised! {
    /// Filters one row of pixels of `step` bytes along itself; `out` gets pixels of [`PIXEL`] bytes.
    fn mix_pixels(row: &[u8], step: usize, filter: &Filter, out: &mut [u8]) {
        match step {
            3 => mix_pixels_of::<3>(row, filter, out),
            _ => mix_pixels_of::<PIXEL>(row, filter, out),
        }
    }
}

#[inline(always)]
fn mix_pixels_of<const STEP: usize>(row: &[u8], filter: &Filter, out: &mut [u8]) {
    let weights = filter.weights.chunks_exact(filter.taps);
    for ((out, &start), weights) in out.as_chunks_mut::<PIXEL>().0.iter_mut().zip(&filter.starts).zip(weights) {
        let mut sums = [0; PIXEL];
        let mut at = start * STEP;
        for weights in weights.as_chunks::<GROUP>().0 {
            let Some(pixels) = row[at..].first_chunk::<{ GROUP * PIXEL }>() else { break };
            for (t, weight) in weights.iter().enumerate() {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum += weight * i32::from(pixels[t * STEP + i]);
                }
            }
            at += GROUP * STEP;
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = round(sum);
        }
    }
}

vectorised! {
    /// Sums rows of `out.len()` bytes, each times its weight.
    fn mix_rows(rows: &[u8], weights: &[i32], out: &mut [u8]) {
        const WIDTH: usize = 32;
        let stride = out.len();
        let (blocks, rest) = out.as_chunks_mut::<WIDTH>();
        let done = blocks.len() * WIDTH;
        for (i, block) in blocks.iter_mut().enumerate() {
            let mut sums = [0; WIDTH];
            for (row, weight) in rows.chunks(stride).zip(weights) {
                if let Some(samples) = row[i * WIDTH..].first_chunk::<WIDTH>() {
                    for j in 0..WIDTH {
                        sums[j] += weight * i32::from(samples[j]);
                    }
                }
            }
            for (out, sum) in block.iter_mut().zip(sums) {
                *out = round(sum);
            }
        }
        for (i, out) in rest.iter_mut().enumerate() {
            let sum = rows.chunks(stride).zip(weights).map(|(row, w)| w * i32::from(row[done + i])).sum();
            *out = round(sum);
        }
    }
}

/// A fixed-point sum as a byte.
#[inline(always)]
fn round(sum: i32) -> u8 {
    ((sum + HALF) >> PRECISION).clamp(0, 255) as u8
}

/// Resizing along one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Resize {
    /// Samples in the source.
    samples: usize,
    /// Length that they cover, in samples: half a sample less than their number where an odd picture is subsampled.
    extent: f64,
    /// Samples wanted.
    wanted: usize,
}

impl Resize {
    fn new(pixels: usize, shift: u32, wanted: usize) -> Self {
        let cell = 1usize << shift;
        Self { samples: pixels.div_ceil(cell), extent: pixels as f64 / cell as f64, wanted }
    }
}

/// Bits after the binary point of filter weights, as in Pillow.
const PRECISION: u32 = 32 - 8 - 2;
const HALF: i32 = 1 << (PRECISION - 1);
/// Weights are kept in groups of this many, so that loops over them have a fixed length.
const GROUP: usize = 4;

/// Weights of a triangle filter: sample `i` of the result is the sum of `taps` source samples from `starts[i]` on,
/// times `weights[i * taps..]`.
struct Filter {
    resize: Resize,
    taps: usize,
    starts: Vec<usize>,
    weights: Vec<i32>,
}

impl Filter {
    /// Follows Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc`.
    fn new(resize: Resize) -> Self {
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
        let taps = bounds.iter().map(|b| b.1 - b.0).max().unwrap_or(1).next_multiple_of(GROUP);
        let mut filter = Self { resize, taps, starts: Vec::with_capacity(wanted), weights: vec![0; wanted * taps] };
        for ((first, end, centre), weights) in bounds.into_iter().zip(filter.weights.chunks_exact_mut(taps)) {
            let triangle: Vec<f64> =
                (first..end).map(|s| (1.0 - ((s as f64 - centre + 0.5) * (1.0 / support)).abs()).max(0.0)).collect();
            let total: f64 = triangle.iter().sum();
            // All taps must lie in the row (or in its padding, where the row is shorter than the filter).
            let start = first.min(samples.saturating_sub(taps));
            for (weight, value) in weights[first - start..].iter_mut().zip(&triangle) {
                *weight = (value / total * f64::from(1 << PRECISION)).round() as i32;
            }
            filter.starts.push(start);
        }
        filter
    }

    /// Whether the result is the source.
    fn is_identity(&self) -> bool {
        self.resize.samples == self.resize.wanted && self.resize.extent == self.resize.wanted as f64
    }

    /// The samples that result `i` is made of, from the first on, and their weights.
    fn used(&self, i: usize) -> (usize, &[i32]) {
        let weights = &self.weights[i * self.taps..][..self.taps.min(self.resize.samples)];
        // Weights are zero at both ends where the filter is narrower than the group.
        let skip = weights.iter().take_while(|w| **w == 0).count().min(weights.len() - 1);
        let end = weights.iter().rposition(|w| *w != 0).map_or(weights.len(), |last| last + 1);
        (self.starts[i] + skip, &weights[skip..end])
    }

    /// All samples that the results `wanted` are made of.
    fn sources(&self, wanted: Range<usize>) -> Range<usize> {
        let (Some(first), Some(last)) = (wanted.clone().next(), wanted.last()) else { return 0..0 };
        let (end, weights) = self.used(last);
        self.used(first).0..end + weights.len()
    }
}
