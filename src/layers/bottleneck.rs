//! Depthwise convolution with the pointwise ones around it, as in MobileNetV2's inverted bottlenecks (Sandler et al.
//! 2018): what lies between them is several times as wide as what goes in and out, and never leaves the cache.

use super::scratch::numbers;
use super::{LEAST, Layer, Size, Window};
use crate::kernels::Clamp;
use crate::kernels::depthwise::Depthwise;
use crate::kernels::gemm::{Tap, Weights, product};
use crate::threads::Threads;

/// Numbers of widened lines that stay in the cache together.
const CACHED: usize = 96 * 1024;

/// Pointwise convolution with bounds.
pub struct Pointwise {
    pub weights: Weights,
    pub clamp: Clamp,
}

impl Pointwise {
    fn run(&self, input: &[f32], out: &mut [f32], residual: Option<&[f32]>) {
        let (depth, columns) = (self.weights.depth(), self.weights.columns());
        let tap = [Tap { input: 0, weight: 0, length: depth }];
        let residual = residual.map(|data| (data, columns));
        product(&self.weights, input, depth, &tap, out.len() / columns, out, columns, residual, self.clamp);
    }
}

/// [Pointwise,] depthwise [, pointwise] convolution.
pub struct Bottleneck {
    pub input: Size,
    pub output: Size,
    pub expand: Option<Pointwise>,
    pub depthwise: (Depthwise, Clamp),
    pub rows: Window,
    /// Zeros before a row's first pixel.
    pub left: usize,
    pub project: Option<Pointwise>,
    /// Whether a second input of the output's size is added to what `project` gives, before its bounds.
    pub residual: bool,
}

impl Bottleneck {
    /// Channels of the depthwise convolution.
    fn width(&self) -> usize {
        self.expand.as_ref().map_or(self.input.channels, |expand| expand.weights.columns())
    }

    /// Lines `first..` of one picture's result, some at a time.
    fn band(&self, input: &[f32], residual: Option<&[f32]>, first: usize, out: &mut [f32]) {
        let (wide, narrow) = (self.input.columns * self.width(), self.output.columns * self.width());
        let (line, span) = (self.output.line(), self.rows.span());
        let count = out.len() / line;
        let fits = |lines: usize| (lines - 1) * self.rows.stride + span;
        let weights =
            [&self.expand, &self.project].into_iter().flatten().map(|p| p.weights.depth() * p.weights.columns());
        // Many weights are worth more lines for each time that they are read.
        let cached = CACHED.max(weights.sum());
        let mut step = 1;
        while step < count && fits(step + 1) * wide + (step + 1) * narrow <= cached {
            step += 1;
        }
        let widened = if self.expand.is_some() { fits(step) * wide } else { 0 };
        let thinned = if self.project.is_some() { step * narrow } else { 0 };
        numbers(widened + thinned, |memory| {
            let (widened, thinned) = memory.split_at_mut(widened);
            // Lines of the input that are in `widened`.
            let mut have = 0..0;
            for (i, out) in out.chunks_mut(step * line).enumerate() {
                let (first, lines) = (first + i * step, out.len() / line);
                let from = (first * self.rows.stride).saturating_sub(self.rows.before).min(self.input.rows);
                let to = ((first + lines - 1) * self.rows.stride + span).saturating_sub(self.rows.before);
                let to = to.clamp(from, self.input.rows);
                let lines_from = match &self.expand {
                    Some(expand) => {
                        let kept = have.end.clamp(from, to);
                        if kept > from {
                            widened.copy_within((from - have.start) * wide..(kept - have.start) * wide, 0);
                        }
                        let new = &input[kept * self.input.line()..to * self.input.line()];
                        expand.run(new, &mut widened[(kept - from) * wide..(to - from) * wide], None);
                        have = from..to;
                        &widened[..(to - from) * wide]
                    }
                    None => &input[from * wide..to * wide],
                };
                let target = if self.project.is_some() { &mut thinned[..lines * narrow] } else { &mut *out };
                for (j, target) in target.chunks_exact_mut(narrow).enumerate() {
                    self.depthwise_line(lines_from, from, first + j, target);
                }
                if let Some(project) = &self.project {
                    let residual = residual.map(|data| &data[first * line..][..lines * line]);
                    project.run(&thinned[..lines * narrow], out, residual);
                }
            }
        });
    }

    /// Line `y` of the depthwise convolution's result; `lines` are those of its input from `from` on.
    fn depthwise_line(&self, lines: &[f32], from: usize, y: usize, out: &mut [f32]) {
        let length = self.input.columns * self.width();
        let (depthwise, clamp) = &self.depthwise;
        let row = |ky| {
            let start = (self.rows.at(y, ky, self.input.rows)? - from) * length;
            Some(&lines[start..start + length])
        };
        let mut rows = [None; MOST_ROWS];
        let rows = &mut rows[..self.rows.kernel];
        rows.iter_mut().enumerate().for_each(|(ky, slot)| *slot = row(ky));
        depthwise.row(rows, self.left, out, *clamp);
    }
}

/// Of a kernel.
pub const MOST_ROWS: usize = 16;

impl Layer for Bottleneck {
    fn name(&self) -> &'static str {
        match (&self.expand, &self.project) {
            (None, None) => "DepthwiseConvolution",
            (None, Some(_)) => "SeparableConvolution",
            (Some(_), None) => "WidenedConvolution",
            (Some(_), Some(_)) => "InvertedBottleneck",
        }
    }

    fn output(&self) -> Size {
        self.output
    }

    fn run(&self, inputs: &[&[f32]], output: &mut [f32], items: usize, threads: &Threads) {
        let residual = self.residual.then(|| inputs[1]);
        let (size, out_size) = (self.input.len(), self.output.len());
        let item = |i: usize| (&inputs[0][i * size..][..size], residual.map(|data| &data[i * out_size..][..out_size]));
        // Bands of lines share what they widen with their neighbours, which should not be most of it.
        let overlap = self.rows.span().saturating_sub(self.rows.stride);
        let banded = self.expand.is_none() || self.input.rows >= 8 * overlap * threads.count();
        if items >= threads.count() {
            threads.bands(output, out_size, 1, |first, out| {
                for (i, out) in out.chunks_exact_mut(out_size).enumerate() {
                    let (input, residual) = item(first + i);
                    self.band(input, residual, 0, out);
                }
            });
        } else if banded {
            for (i, out) in output.chunks_exact_mut(out_size).enumerate() {
                let (input, residual) = item(i);
                let line = self.output.line();
                threads.bands(out, line, LEAST.div_ceil(line), |first, out| self.band(input, residual, first, out));
            }
        } else {
            for (i, out) in output.chunks_exact_mut(out_size).enumerate() {
                let (input, residual) = item(i);
                self.in_steps(input, residual, out, threads);
            }
        }
    }
}

impl Bottleneck {
    /// One convolution after the other, each on all threads.
    fn in_steps(&self, input: &[f32], residual: Option<&[f32]>, out: &mut [f32], threads: &Threads) {
        let width = self.width();
        let (pixels, results) = (self.input.rows * self.input.columns, self.output.rows * self.output.columns);
        numbers((pixels + results) * width, |memory| {
            let (widened, thinned) = memory.split_at_mut(pixels * width);
            let lines = match &self.expand {
                Some(expand) => {
                    threads.bands(widened, width, LEAST.div_ceil(width), |first, out| {
                        expand.run(&input[first * self.input.channels..], out, None);
                    });
                    &*widened
                }
                None => input,
            };
            let target = if self.project.is_some() { &mut *thinned } else { &mut *out };
            let narrow = self.output.columns * width;
            threads.bands(target, narrow, LEAST.div_ceil(narrow), |first, out| {
                for (i, out) in out.chunks_exact_mut(narrow).enumerate() {
                    self.depthwise_line(lines, 0, first + i, out);
                }
            });
            if let Some(project) = &self.project {
                let channels = self.output.channels;
                threads.bands(out, channels, LEAST.div_ceil(channels), |first, out| {
                    let residual = residual.map(|data| &data[first * channels..]);
                    project.run(&thinned[first * width..], out, residual);
                });
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: usize, count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| (((i + seed) as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0)
            .collect()
    }

    /// (rows, columns, kernel, stride, dilation, padding, widened to or 0, narrowed to or 0)
    type Case = (usize, usize, usize, usize, usize, usize, usize, usize);

    fn check((rows, columns, kernel, stride, dilation, padding, wide, narrow): Case) {
        let channels = 5;
        let width = if wide > 0 { wide } else { channels };
        let window = Window { kernel, stride, dilation, before: padding };
        let out = |length: usize| (length + 2 * padding - window.span()) / stride + 1;
        let size = Size { rows, columns, channels };
        let results = if narrow > 0 { narrow } else { width };
        let output = Size { rows: out(rows), columns: out(columns), channels: results };
        let items = 3;
        let (input, added) = (noise(1, items * size.len()), noise(2, items * output.len()));
        let (first, middle, last) =
            (noise(3, channels * width), noise(4, kernel * kernel * width), noise(5, width * results));
        let pointwise = |weights: &[f32], depth, columns, clamp| Pointwise {
            weights: Weights::pack(depth, columns, |k, c| weights[k * columns + c], |c| c as f32 * 0.1),
            clamp,
        };
        let weight = |y: usize, x: usize, c: usize| middle[(y * kernel + x) * width + c];
        let layer = Bottleneck {
            input: size,
            output,
            expand: (wide > 0).then(|| pointwise(&first, channels, width, Clamp::RELU6)),
            depthwise: (
                Depthwise::pack((kernel, kernel), stride, dilation, width, weight, |c| c as f32 * 0.01),
                Clamp::RELU,
            ),
            rows: window,
            left: padding,
            project: (narrow > 0).then(|| pointwise(&last, width, results, Clamp::NONE)),
            residual: narrow > 0,
        };

        // The same, one number after the other.
        let product = |pixel: &[f32], weights: &[f32], columns: usize, c: usize| {
            c as f32 * 0.1 + pixel.iter().enumerate().map(|(k, v)| v * weights[k * columns + c]).sum::<f32>()
        };
        let mut expected = Vec::new();
        for item in 0..items {
            let widened: Vec<f32> = input[item * size.len()..][..size.len()]
                .chunks_exact(channels)
                .flat_map(|pixel| {
                    (0..width).map(|c| match wide {
                        0 => pixel[c],
                        _ => product(pixel, &first, width, c).clamp(0.0, 6.0),
                    })
                })
                .collect();
            for (y, x) in (0..output.rows).flat_map(|y| (0..output.columns).map(move |x| (y, x))) {
                let pixel: Vec<f32> = (0..width)
                    .map(|c| {
                        let mut sum = c as f32 * 0.01;
                        for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                            if let (Some(sy), Some(sx)) = (window.at(y, ky, rows), window.at(x, kx, columns)) {
                                sum += widened[(sy * columns + sx) * width + c] * weight(ky, kx, c);
                            }
                        }
                        sum.max(0.0)
                    })
                    .collect();
                let at = expected.len();
                expected.extend((0..results).map(|c| match narrow {
                    0 => pixel[c],
                    _ => product(&pixel, &last, results, c) + added[at + c],
                }));
            }
        }
        for threads in [1, 2, 4] {
            for items in [1, items] {
                let mut found = vec![f32::NAN; items * output.len()];
                layer.run(&[&input, &added], &mut found, items, &Threads::new(threads).unwrap());
                for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    assert!((found - expected).abs() < 1e-3, "{i}: {found}, not {expected}");
                }
            }
        }
    }

    #[test]
    fn as_its_definition_says() {
        check((9, 7, 3, 1, 1, 1, 0, 0));
        check((9, 7, 3, 1, 1, 1, 16, 6));
        check((10, 9, 5, 2, 1, 2, 16, 0));
        check((11, 8, 3, 2, 1, 1, 0, 9));
        check((12, 12, 3, 1, 4, 4, 0, 6));
        check((4, 4, 1, 2, 1, 0, 0, 0));
        // So many rows that threads take bands, so wide that some lines are done at a time.
        check((80, 30, 3, 1, 1, 1, 150, 6));
        check((70, 30, 5, 2, 1, 2, 150, 6));
    }
}
