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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{ColorModel, Layout};

    /// A network that takes pixels as they are.
    fn plain(short_side: usize, size_divisor: usize) -> Input {
        Input {
            name: "image".into(),
            channel_order: ChannelOrder::Rgb,
            mean: [0.0; 3],
            std: [1.0; 3],
            short_side,
            max_long_side: 1333,
            size_divisor,
        }
    }

    fn sampled(image: &Image, width: usize, height: usize) -> Vec<f32> {
        let mut tensor = vec![f32::NAN; 3 * width * height];
        let size = InputSize { width, height, padded_width: width, padded_height: height };
        Sampler::new(&plain(32, 32)).sample(image, size, &mut tensor);
        tensor
    }

    /// Interleaved bytes of planes of whole numbers.
    fn bytes(planes: &[f32]) -> Vec<u8> {
        let area = planes.len() / 3;
        (0..area).flat_map(|i| [0, 1, 2].map(|c| planes[c * area + i] as u8)).collect()
    }

    /// A restless picture, packed R, G, B.
    fn picture(width: usize, height: usize) -> Vec<u8> {
        let value = |x: usize, y: usize, c: usize| ((x * 37 + y * 59 + c * 83 + x * y % 11 * 17) % 256) as u8;
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        places.flat_map(|(x, y)| [0, 1, 2].map(|c| value(x, y, c))).collect()
    }

    #[test]
    fn pixels_are_those_of_pillow() {
        // picture() through Image.fromarray(...).resize(size, Image.BILINEAR) of Pillow 12.
        let table: [((usize, usize), (usize, usize), &[u8]); 5] = [
            (
                (13, 9),
                (5, 4),
                &[
                    88, 143, 135, 121, 144, 128, 139, 114, 113, 109, 123, 169, 115, 125, 136, 115, 100, 119, 128, 111,
                    131, 127, 118, 120, 147, 138, 140, 119, 161, 145, 130, 129, 137, 117, 114, 155, 128, 142, 137, 157,
                    114, 133, 159, 112, 136, 129, 144, 112, 101, 137, 110, 145, 120, 130, 154, 147, 113, 112, 141, 135,
                ],
            ),
            (
                (4, 3),
                (7, 5),
                &[
                    0, 83, 166, 13, 96, 179, 34, 117, 200, 56, 139, 222, 77, 160, 224, 98, 181, 99, 111, 194, 21, 24,
                    107, 190, 39, 122, 169, 64, 147, 135, 90, 173, 153, 115, 190, 167, 140, 157, 104, 155, 136, 65, 59,
                    142, 225, 78, 161, 153, 109, 192, 37, 140, 223, 50, 171, 236, 81, 202, 120, 112, 221, 48, 131, 94,
                    177, 107, 117, 145, 93, 154, 94, 71, 114, 120, 101, 74, 150, 137, 111, 128, 174, 133, 114, 197,
                    118, 201, 28, 143, 135, 53, 184, 29, 94, 97, 52, 135, 9, 92, 175, 50, 133, 216, 75, 158, 241,
                ],
            ),
            (
                (9, 2),
                (4, 5),
                &[
                    31, 114, 197, 106, 182, 103, 172, 80, 100, 61, 92, 175, 38, 121, 188, 110, 177, 105, 164, 86, 106,
                    74, 90, 168, 68, 151, 153, 129, 155, 113, 130, 113, 130, 126, 80, 138, 97, 180, 118, 147, 133, 121,
                    95, 139, 153, 177, 70, 107, 104, 187, 109, 151, 128, 123, 87, 145, 159, 190, 68, 100,
                ],
            ),
            ((1, 1), (2, 3), &[0, 83, 166, 0, 83, 166, 0, 83, 166, 0, 83, 166, 0, 83, 166, 0, 83, 166]),
            (
                (40, 3),
                (2, 3),
                &[110, 126, 136, 120, 136, 141, 123, 127, 139, 115, 128, 132, 128, 143, 129, 121, 128, 129],
            ),
        ];
        for ((width, height), (to_width, to_height), expected) in table {
            let data = picture(width, height);
            let image = Image::rgb(width, height, &data).unwrap();
            assert_eq!(bytes(&sampled(&image, to_width, to_height)), expected, "{width}x{height}");
        }
    }

    /// Sums of all samples times their weights, rounded after each direction, without any haste.
    fn by_definition(data: &[u8], (w, h): (usize, usize), (to_w, to_h): (usize, usize)) -> Vec<u8> {
        let weights = |from: usize, to: usize, i: usize| -> Vec<f64> {
            let scale = from as f64 / to as f64;
            let reach = scale.max(1.0);
            let centre = (i as f64 + 0.5) * scale;
            let heights = (0..from).map(|s| (1.0 - ((s as f64 + 0.5 - centre) / reach).abs()).max(0.0));
            let total: f64 = heights.clone().sum();
            heights.map(|h| h / total).collect()
        };
        let mut narrow = vec![0.0; to_w * h * 3];
        for (i, out) in narrow.iter_mut().enumerate() {
            let (c, x, y) = (i % 3, i / 3 % to_w, i / 3 / to_w);
            let samples = weights(w, to_w, x).into_iter().enumerate();
            *out = samples.map(|(s, weight)| weight * f64::from(data[(y * w + s) * 3 + c])).sum::<f64>().round();
        }
        let small = |i: usize| {
            let (c, x, y) = (i % 3, i / 3 % to_w, i / 3 / to_w);
            let samples = weights(h, to_h, y).into_iter().enumerate();
            samples.map(|(s, weight)| weight * narrow[(s * to_w + x) * 3 + c]).sum::<f64>().round() as u8
        };
        (0..to_w * to_h * 3).map(small).collect()
    }

    #[test]
    fn any_size_turns_into_any_other() {
        let sizes = [(1, 1), (1, 50), (50, 1), (2, 3), (17, 5), (64, 36), (101, 57), (300, 7)];
        for (from, to) in sizes.iter().flat_map(|from| sizes.iter().map(move |to| (*from, *to))) {
            let data = picture(from.0, from.1);
            let image = Image::rgb(from.0, from.1, &data).unwrap();
            let (got, expected) = (bytes(&sampled(&image, to.0, to.1)), by_definition(&data, from, to));
            // Halves may go either way in fixed point.
            let off = got.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(off <= Some(1), "{from:?} to {to:?}: off by {off:?}");
            let unequal = got.iter().zip(&expected).filter(|(a, b)| a != b).count();
            assert!(unequal <= got.len() / 10 || to.0 * to.1 < 64, "{from:?} to {to:?}: {unequal} of {}", got.len());
        }
    }

    #[test]
    fn every_packed_order_gives_the_same() {
        let (width, height) = (31, 17);
        let data = picture(width, height);
        let expected = sampled(&Image::rgb(width, height, &data).unwrap(), 12, 9);
        let orders: [(usize, [usize; 3]); 9] = [
            (3, [0, 1, 2]),
            (3, [2, 1, 0]),
            (4, [0, 1, 2]),
            (4, [2, 1, 0]),
            (4, [1, 2, 3]),
            (4, [3, 2, 1]),
            (5, [4, 0, 2]),
            (7, [0, 3, 6]),
            (8, [5, 1, 3]),
        ];
        for (step, offsets) in orders {
            for padding in [0, 5] {
                let stride = width * step + padding;
                let mut packed = vec![0xEE; stride * height];
                for (i, pixel) in data.chunks(3).enumerate() {
                    for (offset, value) in offsets.iter().zip(pixel) {
                        packed[i / width * stride + i % width * step + offset] = *value;
                    }
                }
                // Buffers may end with the last sample.
                packed.truncate((height - 1) * stride + (width - 1) * step + offsets.iter().max().unwrap() + 1);
                let layout = Layout::packed_rgb(width, height, step, offsets);
                let image = Image::new(layout, vec![Plane { data: &packed, stride }]).unwrap();
                assert_eq!(sampled(&image, 12, 9), expected, "{step} {offsets:?} {padding}");
            }
        }
    }

    fn component(plane: usize, offset: usize, step: usize, shift_x: u32, shift_y: u32) -> Component {
        Component { plane, offset, step, shift_x, shift_y }
    }

    /// Luma and chroma as planes, chroma of half size.
    fn planar(width: usize, height: usize, color: Color) -> Layout {
        let components = vec![component(0, 0, 1, 0, 0), component(1, 0, 1, 1, 1), component(2, 0, 1, 1, 1)];
        Layout { width, height, color, components }
    }

    #[test]
    fn every_yuv_layout_gives_the_same() {
        let (width, height) = (23, 15);
        let (half_width, half_height) = (12, 8);
        let noise = |count: usize, seed: usize| -> Vec<u8> {
            (0..count).map(|i| ((i * 7919 + seed * 104_729) % 219 + 16) as u8).collect()
        };
        let luma = noise(width * height, 1);
        let (u, v) = (noise(half_width * half_height, 2), noise(half_width * half_height, 3));
        let plane = |data, stride| Plane { data, stride };
        let three = vec![plane(&luma[..], width), plane(&u[..], half_width), plane(&v[..], half_width)];
        let expected = sampled(&Image::new(planar(width, height, Color::BT709), three).unwrap(), 9, 7);

        // Chroma side by side, with a gap after each row.
        let stride = 2 * half_width + 3;
        let mut chroma = vec![0xEE; stride * half_height];
        for i in 0..u.len() {
            let at = i / half_width * stride + i % half_width * 2;
            (chroma[at], chroma[at + 1]) = (u[i], v[i]);
        }
        chroma.truncate(stride * (half_height - 1) + 2 * half_width);
        let mut layout = planar(width, height, Color::BT709);
        layout.components[1..].copy_from_slice(&[component(1, 0, 2, 1, 1), component(1, 1, 2, 1, 1)]);
        let two = vec![plane(&luma[..], width), plane(&chroma[..], stride)];
        assert_eq!(sampled(&Image::new(layout, two).unwrap(), 9, 7), expected);
    }

    #[test]
    fn packed_yuv_is_read() {
        // Y0 U Y1 V: a row of three pixels, so the fourth luma means nothing.
        let data = [10, 100, 20, 200, 30, 110, 255, 210];
        let components = vec![component(0, 0, 2, 0, 0), component(0, 1, 4, 1, 0), component(0, 3, 4, 1, 0)];
        let color = Color { full_range: true, ..Color::BT601 };
        let layout = Layout { width: 3, height: 1, color, components };
        let image = Image::new(layout, vec![Plane { data: &data, stride: 8 }]).unwrap();
        let tensor = sampled(&image, 3, 1);
        // Chroma samples cover 2 and 1 pixels; the middle one of three lies 0.25 samples after the first's centre.
        let chroma = [(100.0, 200.0), (103.0, 203.0), (108.0, 208.0)];
        for (x, (y, (u, v))) in [10.0, 20.0, 30.0].into_iter().zip(chroma).enumerate() {
            let expected: f32 = (y + 1.402_f32 * (v - 128.0)).clamp(0.0, 255.0);
            assert!((tensor[x] - expected).abs() < 2.0, "{x}: {} for {expected}", tensor[x]);
            let expected: f32 = (y + 1.772_f32 * (u - 128.0)).clamp(0.0, 255.0);
            assert!((tensor[6 + x] - expected).abs() < 2.0, "{x}: {} for {expected}", tensor[6 + x]);
        }
    }

    #[test]
    fn ranges_and_matrices_are_honoured() {
        for color in [Color::BT601, Color::BT709, Color { full_range: true, ..Color::BT601 }] {
            for rgb in [[0, 0, 0], [255, 255, 255], [200, 30, 60], [10, 250, 20], [40, 70, 240]] {
                let [y, u, v] = color.from_rgb(rgb);
                let planes = [vec![y; 35], vec![u; 12], vec![v; 12]];
                let strides = [7, 4, 4];
                let planes = planes.iter().zip(strides).map(|(data, stride)| Plane { data, stride }).collect();
                let tensor = sampled(&Image::new(planar(7, 5, color), planes).unwrap(), 3, 2);
                for (channel, plane) in tensor.chunks(6).enumerate() {
                    for value in plane {
                        assert!((value - f32::from(rgb[channel])).abs() < 2.5, "{color:?} {rgb:?}: {value}");
                    }
                }
            }
        }
    }

    #[test]
    fn gray_is_all_three_colours() {
        let data = [16, 235, 126, 16];
        let limited = Color { model: ColorModel::Gray, full_range: false };
        for (color, expected) in [(Color::GRAY, [16.0, 235.0, 126.0, 16.0]), (limited, [0.0, 255.0, 128.08, 0.0])] {
            let layout = Layout { color, ..Layout::gray(2, 2) };
            let image = Image::new(layout, vec![Plane { data: &data, stride: 2 }]).unwrap();
            for plane in sampled(&image, 2, 2).chunks(4) {
                for (got, want) in plane.iter().zip(expected) {
                    assert!((got - want).abs() < 0.01, "{got} for {want}");
                }
            }
        }
    }

    #[test]
    fn input_is_normalised_padded_and_in_order() {
        let mut input = plain(32, 4);
        (input.mean, input.std) = ([10.0, 20.0, 30.0], [2.0, 4.0, 5.0]);
        let data = [110, 120, 130].repeat(6);
        let image = Image::rgb(3, 2, &data).unwrap();
        let size = InputSize { width: 3, height: 2, padded_width: 4, padded_height: 4 };
        for (order, expected) in [(ChannelOrder::Rgb, [50.0, 25.0, 20.0]), (ChannelOrder::Bgr, [60.0, 25.0, 16.0])] {
            input.channel_order = order;
            let mut sampler = Sampler::new(&input);
            // A second frame finds what the first one left.
            for garbage in [f32::NAN, 7.0] {
                let mut tensor = vec![garbage; 3 * 16];
                sampler.sample(&image, size, &mut tensor);
                for (plane, expected) in tensor.chunks(16).zip(expected) {
                    for (i, value) in plane.iter().enumerate() {
                        let inside = i % 4 < 3 && i / 4 < 2;
                        let want = if inside { expected } else { 0.0 };
                        assert!((value - want).abs() < 1e-4, "{order:?} {i}: {value} for {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_sampler_takes_frames_as_they_come() {
        let mut sampler = Sampler::new(&plain(32, 32));
        let mut sample = |image: &Image, width: usize, height: usize| {
            let mut tensor = vec![0.0; 3 * width * height];
            let size = InputSize { width, height, padded_width: width, padded_height: height };
            sampler.sample(image, size, &mut tensor);
            tensor
        };
        let (a, b) = (picture(20, 10), picture(9, 33));
        let (colour, tall) = (Image::rgb(20, 10, &a).unwrap(), Image::rgb(9, 33, &b).unwrap());
        let gray = Image::new(Layout::gray(20, 10), vec![Plane { data: &a, stride: 20 }]).unwrap();
        for (image, width, height) in [(&colour, 8, 4), (&gray, 8, 4), (&tall, 8, 4), (&gray, 5, 5), (&colour, 8, 4)] {
            assert_eq!(sample(image, width, height), sampled(image, width, height));
        }
    }

    #[test]
    fn frames_keep_their_shape_in_the_network() {
        let size = |w, h, short| {
            let size = InputSize::new(w, h, short, &plain(256, 32));
            [size.width, size.height, size.padded_width, size.padded_height]
        };
        assert_eq!(size(1280, 720, 0), [455, 256, 480, 256]);
        assert_eq!(size(1280, 720, 512), [910, 512, 928, 512]);
        assert_eq!(size(720, 1280, 400), [400, 711, 416, 736]);
        // 800 would make the long side 1422.
        assert_eq!(size(1920, 1080, 800), [1333, 750, 1344, 768]);
        assert_eq!(size(640, 480, 1), [43, 32, 64, 32]);
        assert_eq!(size(640, 480, 100_000), [1333, 1000, 1344, 1024]);
        assert_eq!(size(1, 1, 0), [256, 256, 256, 256]);
        assert_eq!(size(1, 5000, 0), [1, 1333, 32, 1344]);
        assert_eq!(size(5000, 1, 64), [1333, 1, 1344, 32]);
    }
}
