//! Sums over whole pictures.

use super::{Layer, Size};
use crate::threads::Threads;

/// The sum of a picture's pixels, as a picture of one pixel.
pub struct Pooled {
    pub input: Size,
}

impl Layer for Pooled {
    fn name(&self) -> &'static str {
        "GlobalSum"
    }

    fn outputs(&self) -> Vec<Size> {
        vec![Size { rows: 1, columns: 1, channels: self.input.channels }]
    }

    fn run(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]], _: usize, threads: &Threads) {
        let channels = self.input.channels;
        threads.bands(outputs[0], channels, 1, |first, out| {
            for (i, out) in out.chunks_exact_mut(channels).enumerate() {
                out.fill(0.0);
                let picture = &inputs[0][(first + i) * self.input.len()..][..self.input.len()];
                for pixel in picture.chunks_exact(channels) {
                    out.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
                }
            }
        });
    }
}
