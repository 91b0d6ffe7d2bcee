//! Transposed convolution ("deconvolution"), which enlarges.

use super::{LEAST, Layer, Size};
use crate::kernels::Clamp;
use crate::kernels::gemm::{Tap, Weights, product};
use crate::threads::Threads;

/// How a transposed convolution enlarges along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enlargement {
    pub kernel: usize,
    pub stride: usize,
    /// Results cut off at the beginning.
    pub before: usize,
}

impl Enlargement {
    /// The positions of the kernel, and the inputs under them, that add up to result `out` of a line of `length`.
    fn at(self, out: usize, length: usize) -> Vec<(usize, usize)> {
        let place = out + self.before;
        let positions = (place % self.stride..self.kernel).step_by(self.stride);
        let inputs = positions.filter_map(|k| Some((k, place.checked_sub(k)? / self.stride)));
        inputs.filter(|&(_, input)| input < length).collect()
    }

    /// Results `stride` apart that see the same positions: the first, how many, and the positions with the inputs under
    /// them for the first.
    fn runs(self, out: usize, length: usize) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for phase in 0..self.stride {
            let first = runs.len();
            for x in (phase..out).step_by(self.stride) {
                let seen = self.at(x, length);
                match runs[first..].last_mut() {
                    Some(run) if run.seen.iter().map(|s| s.0).eq(seen.iter().map(|s| s.0)) => run.count += 1,
                    _ => runs.push(Run { first: x, count: 1, seen }),
                }
            }
        }
        runs
    }
}

struct Run {
    first: usize,
    count: usize,
    /// (position of the kernel, input)
    seen: Vec<(usize, usize)>,
}

/// Transposed convolution with a bias and bounds. Results that lie a stride apart see the same positions of the kernel:
/// they are the rows of a product.
pub struct Transposed {
    input: Size,
    output: Size,
    rows: Enlargement,
    columns: Enlargement,
    weights: Weights,
    runs: Vec<Run>,
    clamp: Clamp,
}

impl Transposed {
    /// `weight(ky, kx, input channel, output channel)`, `bias(output channel)`.
    pub fn new(
        input: Size,
        output: Size,
        (rows, columns): (Enlargement, Enlargement),
        weight: impl Fn(usize, usize, usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let channels = input.channels;
        let at = |k: usize, c| weight(k / channels / columns.kernel, k / channels % columns.kernel, k % channels, c);
        let weights = Weights::pack(rows.kernel * columns.kernel * channels, output.channels, at, bias);
        let runs = columns.runs(output.columns, input.columns);
        Self { input, output, rows, columns, weights, runs, clamp: Clamp::NONE }
    }

    /// With these bounds of the result.
    pub fn bounded(self, clamp: Clamp) -> Self {
        Self { clamp, ..self }
    }

    fn line(&self, y: usize, input: &[f32], out: &mut [f32]) {
        let (channels, results) = (self.input.channels, self.output.channels);
        let rows = self.rows.at(y, self.input.rows);
        let mut taps = Vec::new();
        for run in &self.runs {
            taps.clear();
            taps.extend(rows.iter().flat_map(|&(ky, row)| {
                run.seen.iter().map(move |&(kx, column)| Tap {
                    input: row * self.input.line() + column * channels,
                    weight: (ky * self.columns.kernel + kx) * channels,
                    length: channels,
                })
            }));
            let stride = self.columns.stride * results;
            let out = &mut out[run.first * results..];
            product(&self.weights, input, channels, &taps, run.count, out, stride, None, self.clamp);
        }
    }
}

impl Layer for Transposed {
    fn name(&self) -> &'static str {
        "TransposedConvolution"
    }

    fn outputs(&self) -> Vec<Size> {
        vec![self.output]
    }

    fn run(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]], _: usize, threads: &Threads) {
        let line = self.output.line();
        threads.bands(outputs[0], line, LEAST.div_ceil(line), |first, out| {
            for (i, out) in out.chunks_exact_mut(line).enumerate() {
                let (item, y) = ((first + i) / self.output.rows, (first + i) % self.output.rows);
                self.line(y, &inputs[0][item * self.input.len()..][..self.input.len()], out);
            }
        });
    }
}
