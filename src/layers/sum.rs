//! Weighted sums of pictures, small ones enlarged.

use super::{LEAST, Layer, Size};
use crate::kernels::Clamp;
use crate::simd::vectorised;
use crate::threads::Threads;

/// A picture in a sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    pub weight: f32,
    /// How many times each pixel is repeated along both axes (nearest neighbour).
    pub enlarged: usize,
}

/// The sum of its inputs, each times its weight and enlarged as its term says, within bounds.
pub struct Sum {
    pub output: Size,
    pub terms: Vec<Term>,
    pub clamp: Clamp,
}

impl Sum {
    /// Adds a line of a term to `out`, or writes it where it is the first.
    fn add(&self, term: usize, line: &[f32], out: &mut [f32]) {
        let Term { weight, enlarged } = self.terms[term];
        let channels = self.output.channels;
        match (enlarged, term) {
            (1, 0) => scale(line, weight, out),
            (1, _) => add_scaled(line, weight, out),
            _ => {
                for (pixel, out) in line.chunks_exact(channels).zip(out.chunks_mut(enlarged * channels)) {
                    for out in out.chunks_exact_mut(channels) {
                        match term {
                            0 => scale(pixel, weight, out),
                            _ => add_scaled(pixel, weight, out),
                        }
                    }
                }
            }
        }
    }
}

impl Layer for Sum {
    fn name(&self) -> &'static str {
        "WeightedSum"
    }

    fn outputs(&self) -> Vec<Size> {
        vec![self.output]
    }

    fn run(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]], _: usize, threads: &Threads) {
        let line = self.output.line();
        threads.bands(outputs[0], line, LEAST.div_ceil(line), |first, out| {
            for (i, out) in out.chunks_exact_mut(line).enumerate() {
                let (item, y) = ((first + i) / self.output.rows, (first + i) % self.output.rows);
                for (index, input) in inputs.iter().enumerate() {
                    let enlarged = self.terms[index].enlarged;
                    let (rows, length) = (self.output.rows / enlarged, line / enlarged);
                    self.add(index, &input[(item * rows + y / enlarged) * length..][..length], out);
                }
                if self.clamp != Clamp::NONE {
                    bound(self.clamp, out);
                }
            }
        });
    }
}

vectorised! {
    fn scale(line: &[f32], weight: f32, out: &mut [f32]) {
        for (out, &value) in out.iter_mut().zip(line) {
            *out = weight * value;
        }
    }
}

vectorised! {
    fn add_scaled(line: &[f32], weight: f32, out: &mut [f32]) {
        for (out, &value) in out.iter_mut().zip(line) {
            *out += weight * value;
        }
    }
}

vectorised! {
    fn bound(clamp: Clamp, out: &mut [f32]) {
        for out in out {
            *out = out.max(clamp.low).min(clamp.high);
        }
    }
}
