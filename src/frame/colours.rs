//! From bytes of a picture's components to the values of the network's channels.

use crate::estimator::manifest::{ChannelOrder, Input};
use crate::image::Color;
use crate::simd::vectorised;

/// A row of pixels.
pub enum Bytes {
    /// Three side by side for each pixel, in [order](Colours::order).
    Pixels(Vec<u8>),
    /// The components, each on its own. A gray picture has one; the others are 0.
    Components([Vec<u8>; 3]),
}

/// How components become channels.
pub struct Colours {
    channels: [Channel; 3],
    /// For each channel the component that it is, if all that is to be done is to normalise them.
    plain: Option<[usize; 3]>,
}

/// `clamp(weights * components + offset, 0, 255) * scale + shift`.
struct Channel {
    weights: [f32; 3],
    offset: f32,
    scale: f32,
    shift: f32,
}

impl Channel {
    /// The component that it is, if it is one.
    fn plain(&self) -> Option<usize> {
        let is_plain = self.offset == 0.0 && self.weights.iter().sum::<f32>() == 1.0;
        self.weights.iter().position(|&weight| weight == 1.0).filter(|_| is_plain)
    }

    #[inline(always)]
    fn of(&self, [a, b, c]: [u8; 3]) -> f32 {
        let [wa, wb, wc] = self.weights;
        let value = wa * f32::from(a) + wb * f32::from(b) + wc * f32::from(c) + self.offset;
        value.clamp(0.0, 255.0) * self.scale + self.shift
    }
}

impl Colours {
    pub fn new(color: Color, input: &Input) -> Self {
        let (weights, offsets) = color.to_rgb_matrix();
        let channels = std::array::from_fn(|i| {
            let rgb = match input.channel_order {
                ChannelOrder::Rgb => i,
                ChannelOrder::Bgr => 2 - i,
            };
            let (mean, std) = (input.mean[i], input.std[i]);
            Channel { weights: weights[rgb], offset: offsets[rgb], scale: 1.0 / std, shift: -mean / std }
        });
        let plain = match channels.each_ref().map(Channel::plain) {
            [Some(a), Some(b), Some(c)] => Some([a, b, c]),
            _ => None,
        };
        Self { channels, plain }
    }

    /// The components in the order in which [`Bytes::Pixels`] has them.
    pub fn order(&self) -> [usize; 3] {
        self.plain.unwrap_or([0, 1, 2])
    }

    /// Turns a row of pixels into values of the channels, those of a pixel side by side.
    pub fn apply(&self, bytes: &Bytes, out: &mut [f32]) {
        match (bytes, self.plain) {
            (Bytes::Pixels(row), Some(_)) => normalise(row, &self.channels, out),
            (Bytes::Pixels(row), None) => mix_pixels(row, &self.channels, out),
            (Bytes::Components([a, b, c]), _) => mix_components(a, b, c, &self.channels, out),
        }
    }
}

vectorised! {
    fn normalise(pixels: &[u8], channels: &[Channel; 3], out: &mut [f32]) {
        /// Whole pixels and whole vectors.
        const AT_ONCE: usize = 48;
        let scales: [f32; AT_ONCE] = std::array::from_fn(|i| channels[i % 3].scale);
        let shifts: [f32; AT_ONCE] = std::array::from_fn(|i| channels[i % 3].shift);
        let (blocks, rest) = pixels.as_chunks::<AT_ONCE>();
        let (outs, out_rest) = out.as_chunks_mut::<AT_ONCE>();
        for (out, block) in outs.iter_mut().zip(blocks) {
            for i in 0..AT_ONCE {
                out[i] = f32::from(block[i]) * scales[i] + shifts[i];
            }
        }
        for (i, (out, &value)) in out_rest.iter_mut().zip(rest).enumerate() {
            *out = f32::from(value) * scales[i] + shifts[i];
        }
    }
}

vectorised! {
    fn mix_pixels(pixels: &[u8], channels: &[Channel; 3], out: &mut [f32]) {
        for (out, pixel) in out.as_chunks_mut().0.iter_mut().zip(pixels.as_chunks().0) {
            *out = [channels[0].of(*pixel), channels[1].of(*pixel), channels[2].of(*pixel)];
        }
    }
}

vectorised! {
    fn mix_components(a: &[u8], b: &[u8], c: &[u8], channels: &[Channel; 3], out: &mut [f32]) {
        for (((out, &a), &b), &c) in out.as_chunks_mut().0.iter_mut().zip(a).zip(b).zip(c) {
            *out = [channels[0].of([a, b, c]), channels[1].of([a, b, c]), channels[2].of([a, b, c])];
        }
    }
}
