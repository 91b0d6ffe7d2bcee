//! From a picture of any layout to the network's input.
//!
//! Each component is resized on its own, where it lies, to the network's size, and only there turned into colours:
//! a large frame is read once and never converted as a whole. The filter is the antialiased triangle of Pillow's
//! `BILINEAR`, with the same fixed-point arithmetic and rounding, so that RGB pictures give exactly the pixels that the
//! networks are trained and evaluated on.

mod filter;
mod mix;
mod resample;

use std::ops::Range;

use resample::{Axes, Resampler};

use crate::estimator::Threads;
use crate::estimator::manifest::{ChannelOrder, Input};
use crate::image::{Color, Image, Layout};
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
    /// How each component is resized.
    axes: Vec<Axes>,
    /// What each thread works on.
    bands: Vec<Band>,
}

/// Some rows of the result, and buffers to make them.
struct Band {
    rows: Range<usize>,
    resamplers: Vec<Resampler>,
    /// A row of components at the network's size. A gray picture has one component; the others stay 0.
    mixed: [Vec<u8>; 3],
}

/// A thread is not worth its start for fewer rows.
const LEAST_ROWS: usize = 32;

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
            axes: Vec::new(),
            bands: Vec::new(),
        }
    }

    /// Fills `tensor`, (3, padded_height, padded_width), with `image` at `size`: normalised, padding 0.
    ///
    /// # Panics
    /// Where `tensor` has another length.
    pub fn sample(&mut self, image: &Image, size: InputSize, threads: &Threads, tensor: &mut [f32]) {
        let InputSize { height, padded_width, padded_height, .. } = size;
        let area = padded_width * padded_height;
        assert_eq!(tensor.len(), 3 * area, "a tensor of 3 x {padded_height} x {padded_width}");
        self.fit(image.layout(), size, threads.count());
        let colours = self.colours(image.layout().color);
        let axes = &self.axes;

        // Each band gets its rows of red, green and blue.
        let mut outputs: Vec<_> = self.bands.iter_mut().map(|band| (band, Vec::with_capacity(3))).collect();
        for plane in tensor.chunks_exact_mut(area) {
            let (mut rest, padding) = plane.split_at_mut(height * padded_width);
            padding.fill(0.0);
            for (band, planes) in &mut outputs {
                let (rows, after) = rest.split_at_mut(band.rows.len() * padded_width);
                planes.push(rows);
                rest = after;
            }
        }
        threads.each(&mut outputs, |(band, planes)| {
            if self.order == ChannelOrder::Bgr {
                planes.reverse();
            }
            band.sample(image, axes, &colours, planes, padded_width);
        });
    }

    /// Makes filters and buffers for such pictures, unless the last one was like it.
    fn fit(&mut self, layout: &Layout, size: InputSize, threads: usize) {
        let count = threads.min(size.height / LEAST_ROWS).max(1);
        if self.bands.len() == count && Axes::fit(&self.axes, layout, size) {
            return;
        }
        self.axes = Axes::of(layout, size);
        let edge = |i: usize| size.height * i / count;
        let band = |i: usize| {
            let rows = edge(i)..edge(i + 1);
            Band {
                resamplers: Resampler::all(layout, &self.axes, rows.clone()),
                mixed: std::array::from_fn(|_| vec![0; size.width]),
                rows,
            }
        };
        self.bands = (0..count).map(band).collect();
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

impl Band {
    /// Fills the band's rows of red, green and blue, `stride` values apart.
    fn sample(
        &mut self,
        image: &Image,
        axes: &[Axes],
        colours: &[Colour; 3],
        planes: &mut [&mut [f32]],
        stride: usize,
    ) {
        self.resamplers.iter_mut().for_each(Resampler::restart);
        for (i, y) in self.rows.clone().enumerate() {
            for resampler in &mut self.resamplers {
                resampler.row(image, axes, y, &mut self.mixed);
            }
            let [a, b, c] = &self.mixed;
            for (plane, colour) in planes.iter_mut().zip(colours) {
                let (row, padding) = plane[i * stride..][..stride].split_at_mut(a.len());
                colour.normalise([a, b, c], row);
                padding.fill(0.0);
            }
        }
    }
}

/// `clamp(weights * components + offset, 0, 255) * scale + shift`.
struct Colour {
    weights: [f32; 3],
    offset: f32,
    scale: f32,
    shift: f32,
}

impl Colour {
    /// Turns a row of components into a row of this colour.
    fn normalise(&self, components: [&[u8]; 3], out: &mut [f32]) {
        // Pictures of the network's own colours need no mixing.
        match self.weights.iter().position(|&w| w == 1.0) {
            Some(i) if self.offset == 0.0 && self.weights.iter().sum::<f32>() == 1.0 => {
                normalise(components[i], self.scale, self.shift, out);
            }
            _ => mix(components[0], components[1], components[2], self, out),
        }
    }
}

vectorised! {
    fn normalise(component: &[u8], scale: f32, shift: f32, out: &mut [f32]) {
        for (out, &value) in out.iter_mut().zip(component) {
            *out = f32::from(value) * scale + shift;
        }
    }
}

vectorised! {
    fn mix(a: &[u8], b: &[u8], c: &[u8], colour: &Colour, out: &mut [f32]) {
        let Colour { weights: [wa, wb, wc], offset, scale, shift } = *colour;
        for (((out, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
            let value = wa * f32::from(a) + wb * f32::from(b) + wc * f32::from(c) + offset;
            *out = value.clamp(0.0, 255.0) * scale + shift;
        }
    }
}

#[cfg(test)]
mod tests;
