//! From a picture of any layout to the network's input.
//!
//! Each component is resized on its own, where it lies, to the network's size, and only there turned into colours:
//! a large frame is read once and never converted as a whole. The filter is the antialiased triangle of Pillow's
//! `BILINEAR`, with the same fixed-point arithmetic and rounding, so that RGB pictures give exactly the pixels that the
//! networks are trained and evaluated on.

use crate::estimator::manifest::{ChannelOrder, Input};
use crate::image::{Color, Component, Image, Plane};
use crate::simd::vectorised;

/// Size of a frame inside the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputSize {
    /// Size that the picture is resized to.
    pub width: usize,
    pub height: usize,
    /// Size with the padding at right and bottom.
    pub padded_width: usize,
    pub padded_height: usize,
}

/// Bounds of the short side that users may ask for.
pub const SHORT_SIDES: std::ops::RangeInclusive<usize> = 32..=2048;

impl InputSize {
    /// Size for a picture of `width` by `height` pixels: its short side as asked for (0: as in `input`; clamped to
    /// [`SHORT_SIDES`]), unless the long side would exceed `input.max_long_side`; at least one pixel.
    pub fn new(width: usize, height: usize, short_side: usize, input: &Input) -> Self {
        let short_side = match short_side {
            0 => input.short_side,
            n => n.clamp(*SHORT_SIDES.start(), *SHORT_SIDES.end()),
        };
        let (short, long) = (width.min(height) as f64, width.max(height) as f64);
        let scale = (short_side as f64 / short).min(input.max_long_side as f64 / long);
        let side = |n: usize| ((n as f64 * scale + 0.5) as usize).max(1);
        let pad = |n: usize| n.next_multiple_of(input.size_divisor);
        let (width, height) = (side(width), side(height));
        Self { width, height, padded_width: pad(width), padded_height: pad(height) }
    }
}

/// Turns pictures into network input. Keeps filters and buffers from frame to frame.
pub struct Sampler {
    order: ChannelOrder,
    /// Factor and offset that normalise red, green and blue of 0..=255.
    scale: [f32; 3],
    offset: [f32; 3],
    /// For each component the filters across and down.
    filters: Vec<[Filter; 2]>,
    scratch: Scratch,
    /// Components at the network's width and their own height.
    narrow: [Vec<u8>; 3],
    /// A row of components at the network's size.
    mixed: [Vec<u8>; 3],
}

impl Sampler {
    pub fn new(input: &Input) -> Self {
        // Mean and deviation are in the order of the network's channels, the arithmetic here in that of R, G, B.
        let rgb = |values: [f32; 3]| match input.channel_order {
            ChannelOrder::Rgb => values,
            ChannelOrder::Bgr => [values[2], values[1], values[0]],
        };
        let (mean, std) = (rgb(input.mean), rgb(input.std));
        Self {
            order: input.channel_order,
            scale: std.map(|s| 1.0 / s),
            offset: std::array::from_fn(|i| -mean[i] / std[i]),
            filters: Vec::new(),
            scratch: Scratch::default(),
            narrow: Default::default(),
            mixed: Default::default(),
        }
    }

    /// Fills `tensor`, (3, padded_height, padded_width), with `image` at `size`: normalised, padding 0.
    ///
    /// # Panics
    /// Where `tensor` has another length.
    pub fn sample(&mut self, image: &Image, size: InputSize, tensor: &mut [f32]) {
        let InputSize { width, height, padded_width, padded_height } = size;
        let area = padded_width * padded_height;
        assert_eq!(tensor.len(), 3 * area, "a tensor of 3 x {padded_height} x {padded_width}");
        self.fit(image, size);
        narrow(image, &self.filters, &mut self.scratch, &mut self.narrow);

        let colours = self.colours(image.layout().color);
        let (first, rest) = tensor.split_at_mut(area);
        let (second, third) = rest.split_at_mut(area);
        let mut planes = [first, second, third];
        if self.order == ChannelOrder::Bgr {
            planes.swap(0, 2);
        }
        for y in 0..height {
            for (index, [_, down]) in self.filters.iter().enumerate() {
                down.column(y, &self.narrow[index], width, &mut self.mixed[index]);
            }
            let [a, b, c] = &self.mixed;
            for (plane, colour) in planes.iter_mut().zip(&colours) {
                let (row, padding) = plane[y * padded_width..][..padded_width].split_at_mut(width);
                normalise([a, b, c], colour, row);
                padding.fill(0.0);
            }
        }
        for plane in planes {
            plane[height * padded_width..].fill(0.0);
        }
    }

    /// Makes filters and buffers for pictures like `image`, unless the last one was like it.
    fn fit(&mut self, image: &Image, size: InputSize) {
        let layout = image.layout();
        let wanted: Vec<[Resize; 2]> = layout
            .components
            .iter()
            .map(|c| {
                [Resize::new(layout.width, c.shift_x, size.width), Resize::new(layout.height, c.shift_y, size.height)]
            })
            .collect();
        let fits = self.filters.iter().map(|pair| [pair[0].resize, pair[1].resize]).eq(wanted.iter().copied());
        if !fits {
            self.filters = wanted.iter().map(|pair| pair.map(Filter::new)).collect();
            // A gray picture has one component; the other two rows stay black and weigh nothing.
            self.mixed = std::array::from_fn(|_| vec![0; size.width]);
        }
    }

    /// For red, green and blue: how to make them of the components, and how to normalise them.
    fn colours(&self, color: Color) -> [Colour; 3] {
        let (weights, offsets) = color.to_rgb_matrix();
        std::array::from_fn(|i| Colour {
            weights: weights[i],
            offset: offsets[i],
            scale: self.scale[i],
            shift: self.offset[i],
        })
    }
}

/// `clamp(weights * components + offset, 0, 255) * scale + shift`.
struct Colour {
    weights: [f32; 3],
    offset: f32,
    scale: f32,
    shift: f32,
}

vectorised! {
    /// Turns a row of components into a row of one normalised colour.
    fn normalise(components: [&[u8]; 3], colour: &Colour, out: &mut [f32]) {
        let Colour { weights: [wa, wb, wc], offset, scale, shift } = *colour;
        let [a, b, c] = components;
        for (((out, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
            let value = wa * f32::from(a) + wb * f32::from(b) + wc * f32::from(c) + offset;
            *out = value.clamp(0.0, 255.0) * scale + shift;
        }
    }
}

/// Resizes all components of a picture along its rows; `out` gets rows of the filters' length.
fn narrow(image: &Image, filters: &[[Filter; 2]], scratch: &mut Scratch, out: &mut [Vec<u8>; 3]) {
    let layout = image.layout();
    for ((out, [across, _]), component) in out.iter_mut().zip(filters).zip(&layout.components) {
        let (_, rows) = component.size(layout.width, layout.height);
        out.resize(rows * across.resize.wanted, 0);
    }
    if let Some((start, lanes)) = pixel(&layout.components) {
        let filter = &filters[0][0];
        let (step, wanted) = (layout.components[0].step, filter.resize.wanted);
        let needed = layout.width.max(filter.taps) * step + PIXEL;
        scratch.gathered.resize(wanted * PIXEL, 0);
        for y in 0..layout.height {
            let row = padded(image.plane_of(0), y, start, needed, &mut scratch.padded);
            mix_pixels(row, step, filter, &mut scratch.gathered);
            for (out, lane) in out.iter_mut().zip(lanes) {
                gather(&scratch.gathered[lane..], PIXEL, &mut out[y * wanted..][..wanted]);
            }
        }
        return;
    }
    for (index, (out, [filter, _])) in out.iter_mut().zip(filters).enumerate() {
        let Component { offset, step, .. } = layout.components[index];
        let samples = filter.resize.samples;
        let needed = samples.max(filter.taps);
        for (y, out) in out.chunks_exact_mut(filter.resize.wanted).enumerate() {
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
}

/// Buffers of a row.
#[derive(Default)]
struct Scratch {
    padded: Vec<u8>,
    gathered: Vec<u8>,
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
    (alike(b) && alike(c) && a.step <= PIXEL && lanes.iter().all(|&l| l < PIXEL)).then_some((start, lanes))
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

    /// Row `y` of the result of resizing `source` (rows of `width` bytes) along its columns.
    fn column(&self, y: usize, source: &[u8], width: usize, row: &mut [u8]) {
        let start = self.starts[y];
        let weights = &self.weights[y * self.taps..][..self.taps.min(self.resize.samples)];
        // Weights are zero at both ends where the filter is narrower than the group.
        let skip = weights.iter().take_while(|w| **w == 0).count().min(weights.len() - 1);
        let used = weights.iter().rposition(|w| *w != 0).map_or(weights.len(), |last| last + 1);
        mix_rows(&source[(start + skip) * width..], &weights[skip..used], row);
    }
}
