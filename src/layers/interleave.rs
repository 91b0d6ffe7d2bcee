//! Channels first to channels last.

use super::{LEAST, Layer, Size};
use crate::threads::Threads;

/// Pictures with the channels first, (channels, rows, columns), laid out channels last.
pub struct Interleave {
    /// Of the result.
    pub size: Size,
}

impl Layer for Interleave {
    fn name(&self) -> &'static str {
        "Interleave"
    }

    fn outputs(&self) -> Vec<Size> {
        vec![self.size]
    }

    fn run(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]], _: usize, threads: &Threads) {
        let Size { rows, columns, channels } = self.size;
        let line = self.size.line();
        threads.bands(outputs[0], line, LEAST.div_ceil(line), |first, out| {
            for (i, out) in out.chunks_exact_mut(line).enumerate() {
                let (item, y) = ((first + i) / rows, (first + i) % rows);
                for channel in 0..channels {
                    let start = ((item * channels + channel) * rows + y) * columns;
                    let plane = &inputs[0][start..start + columns];
                    for (pixel, &value) in out.chunks_exact_mut(channels).zip(plane) {
                        pixel[channel] = value;
                    }
                }
            }
        });
    }
}
