//! Transposed convolution ("deconvolution"), which enlarges.

use super::scratch::numbers;
use super::{LEAST, Layer, Size, Window};
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
    /// Whether the kernel has pixels, moves on, and is nowhere beyond [`MOST`](crate::kernels::depthwise::MOST) pixels: then no place overflows.
    pub fn is_sound(self) -> bool {
        let Self { kernel, stride, before } = self;
        Window { kernel, stride, dilation: 1, before }.is_sound()
    }

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
        for phase in 0..self.stride.min(out) {
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

/// Transposed convolutions of one picture, with a bias and bounds. Results that lie a stride apart see the same positions
/// of the kernel: they are the rows of a product, whose columns are the channels of all results.
pub struct Transposed {
    input: Size,
    outputs: Vec<Size>,
    rows: Enlargement,
    columns: Enlargement,
    weights: Weights,
    runs: Vec<Run>,
    clamp: Clamp,
}

impl Transposed {
    /// `channels` of each result of `size` rows and columns; `weight(ky, kx, input channel, output channel)`,
    /// `bias(output channel)` with the channels of all results numbered one after the other.
    pub fn new(
        input: Size,
        (size, channels): ((usize, usize), &[usize]),
        (rows, columns): (Enlargement, Enlargement),
        weight: impl Fn(usize, usize, usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let outputs = channels.iter().map(|&channels| Size { rows: size.0, columns: size.1, channels }).collect();
        let depth = input.channels;
        let at = |k: usize, c| weight(k / depth / columns.kernel, k / depth % columns.kernel, k % depth, c);
        let weights = Weights::pack(rows.kernel * columns.kernel * depth, channels.iter().sum(), at, bias);
        let runs = columns.runs(size.1, input.columns);
        Self { input, outputs, rows, columns, weights, runs, clamp: Clamp::NONE }
    }

    /// With these bounds of the results.
    pub fn bounded(self, clamp: Clamp) -> Self {
        Self { clamp, ..self }
    }

    /// Line `y` of the results, one after the other.
    fn line(&self, y: usize, input: &[f32], out: &mut [&mut [f32]]) {
        let (channels, columns) = (self.input.channels, self.weights.columns());
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
            numbers(run.count * columns, |all| {
                product(&self.weights, input, channels, &taps, run.count, all, columns, None, self.clamp);
                for (i, mut pixel) in all.chunks_exact(columns).enumerate() {
                    for (out, size) in out.iter_mut().zip(&self.outputs) {
                        let (own, others) = pixel.split_at(size.channels);
                        let at = (run.first + i * self.columns.stride) * size.channels;
                        out[at..at + size.channels].copy_from_slice(own);
                        pixel = others;
                    }
                }
            });
        }
    }
}

impl Layer for Transposed {
    fn name(&self) -> &'static str {
        "TransposedConvolution"
    }

    fn outputs(&self) -> Vec<Size> {
        self.outputs.clone()
    }

    fn run(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]], items: usize, threads: &Threads) {
        let (rows, columns) = (self.outputs[0].rows, self.outputs[0].columns);
        let worth = LEAST.div_ceil(columns * self.weights.columns());
        let each = (items * rows).div_ceil(threads.shares()).max(worth);
        let mut bands: Vec<Vec<&mut [f32]>> = Vec::new();
        for (output, size) in outputs.iter_mut().zip(&self.outputs) {
            for (i, part) in output.chunks_mut(each * size.line()).enumerate() {
                match bands.get_mut(i) {
                    Some(band) => band.push(part),
                    None => bands.push(vec![part]),
                }
            }
        }
        let mut bands: Vec<_> = bands.into_iter().enumerate().collect();
        threads.each(&mut bands, |(index, band)| {
            let mut parts: Vec<_> =
                band.iter_mut().zip(&self.outputs).map(|(b, s)| b.chunks_exact_mut(s.line())).collect();
            for line in *index * each.. {
                let mut out: Vec<&mut [f32]> = parts.iter_mut().filter_map(|part| part.next()).collect();
                if out.len() < parts.len() {
                    break;
                }
                self.line(line % rows, &inputs[0][line / rows * self.input.len()..][..self.input.len()], &mut out);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Work is in proportion to the results, not to the stride.
    #[test]
    fn a_stride_beyond_the_result_is_no_work() {
        let far = Enlargement { kernel: 2, stride: 1 << 60, before: 0 };
        let runs = far.runs(3, 2);
        let seen: Vec<_> = runs.iter().map(|run| (run.first, run.count, run.seen.as_slice())).collect();
        assert_eq!(seen, [(0, 1, &[(0, 0)][..]), (1, 1, &[(1, 0)]), (2, 1, &[])]);
        assert!(!far.is_sound());
    }
}
