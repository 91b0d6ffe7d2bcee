//! From a picture of any layout to the network's input.
//!
//! Each component is resized on its own, where it lies, to the network's size, and only there turned into colours:
//! a large frame is read once and never converted as a whole. The filter is the antialiased triangle of Pillow's
//! `BILINEAR`, with the same fixed-point arithmetic and rounding, so that RGB pictures give exactly the pixels that the
//! networks are trained and evaluated on.

mod across;
mod colours;
mod down;
mod filter;
mod order;
mod resample;

use std::ops::Range;

use colours::Colours;
use resample::{Axes, Resampler};

use crate::estimator::Threads;
use crate::estimator::manifest::Input;
use crate::image::{Image, Layout};

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
    /// Size for a picture of `width` by `height` pixels, each `pixel_aspect` times as wide as high: its short side as
    /// asked for (0: as in `input`; clamped to [`SHORT_SIDES`]), unless the long side would exceed
    /// `input.max_long_side`; at least one pixel. The network's pixels are square.
    pub fn new((width, height): (usize, usize), pixel_aspect: f64, short_side: usize, input: &Input) -> Self {
        let short_side = match short_side {
            0 => input.short_side,
            n => n.clamp(*SHORT_SIDES.start(), *SHORT_SIDES.end()),
        };
        // As shown, in units of a pixel's height.
        let (width, height) = (width as f64 * pixel_aspect, height as f64);
        let (short, long) = (width.min(height), width.max(height));
        let scale = (short_side as f64 / short).min(input.max_long_side as f64 / long);
        let side = |length: f64| ((length * scale + 0.5) as usize).max(1);
        let pad = |n: usize| n.next_multiple_of(input.size_divisor);
        let (width, height) = (side(width), side(height));
        Self { width, height, padded_width: pad(width), padded_height: pad(height) }
    }
}

/// Turns pictures into network input. Keeps filters and buffers from frame to frame.
pub struct Sampler {
    input: Input,
    /// For pictures like the last one.
    plan: Option<Plan>,
}

/// How pictures of one layout become input of one size.
struct Plan {
    layout: Layout,
    size: InputSize,
    colours: Colours,
    axes: Vec<Axes>,
    /// What each thread works on: some rows of the result.
    bands: Vec<(Range<usize>, Resampler)>,
}

/// A thread is not worth its start for fewer rows.
const LEAST_ROWS: usize = 32;

impl Sampler {
    pub fn new(input: &Input) -> Self {
        Self { input: input.clone(), plan: None }
    }

    /// Fills `tensor`, (padded_height, padded_width, 3), with `image` at `size`: normalised, padding 0.
    ///
    /// # Panics
    /// Where `tensor` has another length.
    pub fn sample(&mut self, image: &Image, size: InputSize, threads: &Threads, tensor: &mut [f32]) {
        let InputSize { height, padded_width, padded_height, .. } = size;
        let line = 3 * padded_width;
        assert_eq!(tensor.len(), padded_height * line, "a tensor of {padded_height} x {padded_width} x 3");
        // The same for any part of a pool, so that the plan is kept.
        let count = threads.most_shares().min(size.height / LEAST_ROWS).max(1);
        let plan = self.plan.take().filter(|plan| plan.fits(image.layout(), size, count));
        let plan = plan.unwrap_or_else(|| Plan::new(&self.input, image.layout(), size, count));
        let Plan { colours, axes, bands, .. } = self.plan.insert(plan);

        let (mut rest, padding) = tensor.split_at_mut(height * line);
        padding.fill(0.0);
        let mut shares = Vec::with_capacity(bands.len());
        for (rows, resampler) in bands {
            let (out, after) = rest.split_at_mut(rows.len() * line);
            shares.push((rows.clone(), resampler, out));
            rest = after;
        }
        threads.each(&mut shares, |(rows, resampler, out)| {
            resampler.restart();
            for (y, out) in rows.clone().zip(out.chunks_exact_mut(line)) {
                let (out, padding) = out.split_at_mut(3 * size.width);
                colours.apply(resampler.row(image, axes, y), out);
                padding.fill(0.0);
            }
        });
    }
}

impl Plan {
    fn new(input: &Input, layout: &Layout, size: InputSize, count: usize) -> Self {
        let colours = Colours::new(layout.color, input);
        let axes = Axes::of(layout, size, &colours);
        let edge = |i: usize| size.height * i / count;
        let band = |i: usize| (edge(i)..edge(i + 1), Resampler::new(&axes, edge(i)..edge(i + 1)));
        let bands = (0..count).map(band).collect();
        Self { layout: layout.clone(), size, colours, axes, bands }
    }

    fn fits(&self, layout: &Layout, size: InputSize, count: usize) -> bool {
        (&self.layout, self.size, self.bands.len()) == (layout, size, count)
    }
}

#[cfg(test)]
mod tests;
