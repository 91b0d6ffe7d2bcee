//! Dense convolution.

use std::ops::Range;

use super::scratch::scratch;
use super::{LEAST, Layer, Pointwise, Precision, Size, Window};
use crate::kernels::Clamp;
use crate::kernels::gemm::{Tap, Weights, product};
use crate::kernels::winograd::{TILE, Winograd};
use crate::threads::Threads;

/// Winograd's transformed weights take four times the memory; beyond so many numbers the sum itself is the better deal.
const MOST_TRANSFORMED: usize = 256 * 256;
/// Channels from which on the transforms are worth their while.
const LEAST_CHANNELS: usize = 16;

/// Dense convolution, with a bias, bounds, and for most kernels something to add.
pub struct Convolution {
    input: Size,
    output: Size,
    method: Method,
    clamp: Clamp,
    /// Whether a second input of the output's size is added before the bounds.
    residual: bool,
}

enum Method {
    /// Each pixel is a row of a product.
    Pixels(Pointwise),
    /// The whole picture is a row of a product.
    Pictures(Pointwise),
    /// Pixels that see the same positions of the kernel are the rows of a product.
    Runs {
        weights: Weights,
        rows: Window,
        columns: Window,
        runs: Vec<(Range<usize>, Range<usize>)>,
    },
    Winograd(Winograd),
}

/// Of a method.
enum Choice {
    Pixels,
    Pictures,
    Runs,
    Winograd,
}

impl Choice {
    fn of(input: Size, output: Size, (rows, columns): (Window, Window)) -> Self {
        let three = Window { kernel: 3, stride: 1, dilation: 1, before: 1 };
        let fits = (input.rows, input.columns) == (output.rows, output.columns);
        let whole = |window: Window, length| window.kernel == length && window.dilation == 1 && window.before == 0;
        let (least, product) = (input.channels.min(output.channels), input.channels * output.channels);
        if fits && (rows, columns) == (Window::POINT, Window::POINT) {
            Self::Pixels
        } else if whole(rows, input.rows) && whole(columns, input.columns) && output.rows * output.columns == 1 {
            Self::Pictures
        } else if fits && (rows, columns) == (three, three) && least >= LEAST_CHANNELS && product <= MOST_TRANSFORMED {
            Self::Winograd
        } else {
            Self::Runs
        }
    }
}

impl Convolution {
    /// `weight(ky, kx, input channel, output channel)`, `bias(output channel)`. The precision is that of products whose
    /// rows lie side by side in the input.
    pub fn new(
        precision: Precision,
        (input, output): (Size, Size),
        (rows, columns): (Window, Window),
        weight: impl Fn(usize, usize, usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let channels = input.channels;
        let depth = rows.kernel * columns.kernel * channels;
        let at = |k: usize, c| weight(k / channels / columns.kernel, k / channels % columns.kernel, k % channels, c);
        let pointwise = || Pointwise::new(precision, (depth, output.channels), at, &bias);
        let method = match Choice::of(input, output, (rows, columns)) {
            Choice::Pixels => Method::Pixels(pointwise()),
            Choice::Pictures => Method::Pictures(pointwise()),
            Choice::Winograd => Method::Winograd(Winograd::pack(channels, output.channels, &weight, &bias)),
            Choice::Runs => {
                let runs = columns.runs(output.columns, input.columns);
                Method::Runs { weights: Weights::pack(depth, output.channels, at, &bias), rows, columns, runs }
            }
        };
        Self { input, output, method, clamp: Clamp::NONE, residual: false }
    }

    /// With these bounds of the result.
    pub fn bounded(self, clamp: Clamp) -> Self {
        let method = match self.method {
            Method::Pixels(pointwise) => Method::Pixels(pointwise.bounded(clamp)),
            Method::Pictures(pointwise) => Method::Pictures(pointwise.bounded(clamp)),
            other => other,
        };
        Self { clamp, method, ..self }
    }

    /// Whether something can be added to the result of a convolution with these windows.
    pub fn can_add(input: Size, output: Size, windows: (Window, Window)) -> bool {
        !matches!(Choice::of(input, output, windows), Choice::Winograd)
    }

    /// Adding a second input of the output's size, before the bounds.
    pub fn adding(self) -> Self {
        Self { residual: true, ..self }
    }

    fn line(
        &self,
        (weights, rows, columns): (&Weights, Window, Window),
        runs: &[(Range<usize>, Range<usize>)],
        y: usize,
        (input, residual): (&[f32], Option<&[f32]>),
        out: &mut [f32],
        taps: &mut Vec<Tap>,
    ) {
        let (channels, results) = (self.input.channels, self.output.channels);
        for (run, positions) in runs {
            // Of the run's first pixel; positions are seen by all of them, so the first exists.
            let at = |k: usize| columns.at(run.start, k, self.input.columns).unwrap_or_default();
            taps.clear();
            for (ky, row) in (0..rows.kernel).filter_map(|ky| Some((ky, rows.at(y, ky, self.input.rows)?))) {
                let tap = |k: usize, count: usize| Tap {
                    input: row * self.input.line() + at(k) * channels,
                    weight: (ky * columns.kernel + k) * channels,
                    length: count * channels,
                };
                match columns.dilation {
                    // Neighbours in the kernel are neighbours in the picture.
                    1 if !positions.is_empty() => taps.push(tap(positions.start, positions.len())),
                    _ => taps.extend(positions.clone().map(|k| tap(k, 1))),
                }
            }
            let residual = residual.map(|data| (&data[run.start * results..], results));
            let out = &mut out[run.start * results..];
            product(weights, input, columns.stride * channels, taps, run.len(), out, results, residual, self.clamp);
        }
    }
}

impl Layer for Convolution {
    fn name(&self) -> &'static str {
        match &self.method {
            Method::Pixels(_) => "PointwiseConvolution",
            Method::Pictures(_) => "FullyConnected",
            Method::Runs { .. } => "Convolution",
            Method::Winograd(_) => "WinogradConvolution",
        }
    }

    fn outputs(&self) -> Vec<Size> {
        vec![self.output]
    }

    fn run(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]], items: usize, threads: &Threads) {
        let (input, output, results) = (inputs[0], &mut *outputs[0], self.output.channels);
        let residual = self.residual.then(|| inputs[1]);
        match &self.method {
            Method::Pixels(pointwise) | Method::Pictures(pointwise) => {
                let depth = pointwise.depth();
                threads.bands(output, results, LEAST.div_ceil(results), |first, out| {
                    let residual = residual.map(|data| &data[first * results..]);
                    pointwise.run(&input[first * depth..], out, residual);
                });
            }
            Method::Runs { weights, rows, columns, runs } => {
                let line = self.output.line();
                threads.bands(output, line, LEAST.div_ceil(line), |first, out| {
                    let mut taps = Vec::new();
                    for (i, out) in out.chunks_exact_mut(line).enumerate() {
                        let (item, y) = ((first + i) / self.output.rows, (first + i) % self.output.rows);
                        let picture = &input[item * self.input.len()..][..self.input.len()];
                        let residual = residual.map(|data| &data[(first + i) * line..][..line]);
                        self.line((weights, *rows, *columns), runs, y, (picture, residual), out, &mut taps);
                    }
                });
            }
            Method::Winograd(winograd) if items > 1 => {
                let size = (self.input.rows, self.input.columns);
                threads.bands(output, self.output.len(), 1, |first, out| {
                    let pictures = out.len() / self.output.len();
                    let input = &input[first * self.input.len()..][..pictures * self.input.len()];
                    scratch(|memory| winograd.pictures(input, pictures, size.0, size.1, out, self.clamp, memory));
                });
            }
            Method::Winograd(winograd) => {
                // A line of tiles is some lines of pixels, the last perhaps fewer: bands of lines of tiles.
                let (rows, columns) = (self.input.rows, self.input.columns);
                let tiles = rows.div_ceil(TILE);
                let each = tiles.div_ceil(threads.shares());
                let bands = output[..self.output.len()].chunks_mut(each * TILE * self.output.line());
                let mut bands: Vec<_> = bands.enumerate().collect();
                threads.each(&mut bands, |(i, out)| {
                    let tiles = *i * each..((*i + 1) * each).min(tiles);
                    let input = &input[..self.input.len()];
                    scratch(|memory| winograd.tile_rows(input, rows, columns, tiles, out, self.clamp, memory));
                });
            }
        }
    }
}
