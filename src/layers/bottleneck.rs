//! Depthwise convolution with the pointwise ones around it, as in MobileNetV2's inverted bottlenecks (Sandler et al.
//! 2018): what lies between them is several times as wide as what goes in and out, and never leaves the cache.

use super::scratch::numbers;
use super::{LEAST, Layer, Pointwise, Size, Window};
use crate::kernels::Clamp;
use crate::kernels::depthwise::Depthwise;
use crate::threads::Threads;

/// Numbers of widened lines that stay in the cache together.
const CACHED: usize = 96 * 1024;

/// What becomes of a depthwise convolution's result.
pub struct Projection {
    pub pointwise: Pointwise,
    /// Whether a further input of its result's size is added before the bounds.
    pub adds: bool,
    /// Pointwise convolutions of the result, which take its place.
    pub then: Vec<Pointwise>,
}

/// [Pointwise,] depthwise [, pointwise [, pointwise]] convolution, the last ones perhaps several times with different
/// weights.
pub struct Bottleneck {
    pub input: Size,
    /// Rows and columns of the results.
    pub size: (usize, usize),
    pub expand: Option<Pointwise>,
    pub depthwise: (Depthwise, Clamp),
    pub rows: Window,
    /// Zeros before a row's first pixel.
    pub left: usize,
    /// Where there is none, the depthwise convolution's is the result. Inputs to be added follow the first in order.
    pub project: Vec<Projection>,
}

/// Of a kernel.
pub const MOST_ROWS: usize = 16;

/// Lines of one picture's results to be computed in one go.
struct Band<'a> {
    item: usize,
    first: usize,
    outputs: Vec<&'a mut [f32]>,
}

impl Bottleneck {
    /// Channels of the depthwise convolution.
    fn width(&self) -> usize {
        self.expand.as_ref().map_or(self.input.channels, |expand| expand.columns())
    }

    /// Lines of the input under so many lines of the result, at most.
    fn seen(&self, lines: usize) -> usize {
        ((lines - 1) * self.rows.stride + self.rows.span()).min(self.input.rows)
    }

    /// The inputs that are added to the results.
    fn added<'a>(&self, inputs: &[&'a [f32]]) -> Vec<Option<&'a [f32]>> {
        let mut rest = inputs[1..].iter();
        self.project.iter().map(|project| if project.adds { rest.next().copied() } else { None }).collect()
    }

    fn band(&self, inputs: &[&[f32]], band: &mut Band) {
        let width = self.width();
        let input = &inputs[0][band.item * self.input.len()..][..self.input.len()];
        let (wide, narrow, span) = (self.input.columns * width, self.size.1 * width, self.rows.span());
        let lines: Vec<usize> = self.outputs().iter().map(|size| size.line()).collect();
        let count = band.outputs[0].len() / lines[0];
        let fits = |lines: usize| self.seen(lines);
        let pointwise = self.expand.iter().chain(self.project.iter().map(|project| &project.pointwise));
        // Many weights are worth more lines for each time that they are read.
        let cached = CACHED.max(pointwise.map(|p| p.depth() * p.columns()).sum());
        let mut step = 1;
        while step < count && fits(step + 1) * wide + (step + 1) * narrow <= cached {
            step += 1;
        }
        let widened = if self.expand.is_some() { fits(step) * wide } else { 0 };
        let thinned = if self.project.is_empty() { 0 } else { step * narrow };
        numbers(widened + thinned, |memory| {
            let (widened, thinned) = memory.split_at_mut(widened);
            // Lines of the input that are in `widened`.
            let mut have = 0..0;
            for start in (0..count).step_by(step) {
                let (first, rows) = (band.first + start, step.min(count - start));
                let from = (first * self.rows.stride).saturating_sub(self.rows.before).min(self.input.rows);
                let to = ((first + rows - 1) * self.rows.stride + span).saturating_sub(self.rows.before);
                let to = to.clamp(from, self.input.rows);
                let seen = match &self.expand {
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
                let target = match self.project.is_empty() {
                    true => &mut band.outputs[0][start * narrow..][..rows * narrow],
                    false => &mut thinned[..rows * narrow],
                };
                for (j, target) in target.chunks_exact_mut(narrow).enumerate() {
                    self.depthwise_line(seen, from, first + j, target);
                }
                let mut outputs = band.outputs.iter_mut().zip(&lines);
                for (project, added) in self.project.iter().zip(self.added(inputs)) {
                    let mut next = || outputs.next().map(|(out, line)| &mut out[start * line..][..rows * line]);
                    let line = self.size.1 * project.pointwise.columns();
                    let added = added.map(|data| &data[(band.item * self.size.0 + first) * line..][..rows * line]);
                    let thinned = &thinned[..rows * narrow];
                    if project.then.is_empty() {
                        next().into_iter().for_each(|out| project.pointwise.run(thinned, out, added));
                        continue;
                    }
                    numbers(rows * line, |middle| {
                        project.pointwise.run(thinned, middle, added);
                        for then in &project.then {
                            next().into_iter().for_each(|out| then.run(middle, out, None));
                        }
                    });
                }
            }
        });
    }

    /// One convolution after the other on one picture, each on all threads.
    fn in_steps(&self, inputs: &[&[f32]], band: &mut Band, threads: &Threads) {
        let width = self.width();
        let input = &inputs[0][band.item * self.input.len()..][..self.input.len()];
        let (pixels, results) = (self.input.rows * self.input.columns, self.size.0 * self.size.1);
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
            let target = if self.project.is_empty() { &mut *band.outputs[0] } else { &mut *thinned };
            let narrow = self.size.1 * width;
            threads.bands(target, narrow, LEAST.div_ceil(narrow), |first, out| {
                for (i, out) in out.chunks_exact_mut(narrow).enumerate() {
                    self.depthwise_line(lines, 0, first + i, out);
                }
            });
            let everywhere = |pointwise: &Pointwise, input: &[f32], out: &mut [f32], added: Option<&[f32]>| {
                let (depth, channels) = (pointwise.depth(), pointwise.columns());
                threads.bands(out, channels, LEAST.div_ceil(channels), |first, out| {
                    pointwise.run(&input[first * depth..], out, added.map(|data| &data[first * channels..]));
                });
            };
            let mut outputs = band.outputs.iter_mut();
            for (project, added) in self.project.iter().zip(self.added(inputs)) {
                let length = results * project.pointwise.columns();
                let added = added.map(|data| &data[band.item * length..][..length]);
                if project.then.is_empty() {
                    outputs.next().into_iter().for_each(|out| everywhere(&project.pointwise, thinned, out, added));
                    continue;
                }
                numbers(length, |middle| {
                    everywhere(&project.pointwise, thinned, middle, added);
                    for then in &project.then {
                        outputs.next().into_iter().for_each(|out| everywhere(then, middle, out, None));
                    }
                });
            }
        });
    }

    /// Line `y` of the depthwise convolution's result; `lines` are those of its input from `from` on.
    fn depthwise_line(&self, lines: &[f32], from: usize, y: usize, out: &mut [f32]) {
        let length = self.input.columns * self.width();
        let (depthwise, clamp) = &self.depthwise;
        let mut rows = [None; MOST_ROWS];
        let rows = &mut rows[..self.rows.kernel];
        for (ky, row) in rows.iter_mut().enumerate() {
            let at = self.rows.at(y, ky, self.input.rows);
            *row = at.map(|at| &lines[(at - from) * length..][..length]);
        }
        depthwise.row(rows, self.left, out, *clamp);
    }

    /// Cuts the results into bands of so many lines.
    fn cut<'a>(&self, outputs: &'a mut [&mut [f32]], lines: usize) -> Vec<Band<'a>> {
        let mut bands: Vec<Band> = Vec::new();
        for (output, size) in outputs.iter_mut().zip(self.outputs()) {
            let items = output.chunks_exact_mut(size.len()).enumerate();
            let parts = items.flat_map(|(item, picture)| {
                picture.chunks_mut(lines * size.line()).enumerate().map(move |(i, part)| (item, i * lines, part))
            });
            for (index, (item, first, part)) in parts.enumerate() {
                match bands.get_mut(index) {
                    Some(band) => band.outputs.push(part),
                    None => bands.push(Band { item, first, outputs: vec![part] }),
                }
            }
        }
        bands
    }
}

impl Layer for Bottleneck {
    fn name(&self) -> &'static str {
        match (&self.expand, self.project.is_empty()) {
            (None, true) => "DepthwiseConvolution",
            (None, false) => "SeparableConvolution",
            (Some(_), true) => "WidenedConvolution",
            (Some(_), false) => "InvertedBottleneck",
        }
    }

    fn outputs(&self) -> Vec<Size> {
        let (rows, columns) = self.size;
        let size = |channels| Size { rows, columns, channels };
        if self.project.is_empty() {
            return vec![size(self.width())];
        }
        let last = |project: &Projection| match project.then.is_empty() {
            true => vec![size(project.pointwise.columns())],
            false => project.then.iter().map(|then| size(then.columns())).collect(),
        };
        self.project.iter().flat_map(last).collect()
    }

    fn run(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]], items: usize, threads: &Threads) {
        // Bands of lines share what they widen with their neighbours, which should not be most of it.
        let overlap = self.rows.span().saturating_sub(self.rows.stride);
        let fits = |bands: usize, part: usize| self.expand.is_none() || self.input.rows >= part * overlap * bands;
        let share = match items < threads.count() {
            true if fits(threads.shares(), 16) => threads.shares(),
            true if fits(threads.count(), 8) => threads.count(),
            _ => 1,
        };
        let worth = LEAST.div_ceil(self.size.1 * self.width());
        let mut bands = self.cut(outputs, self.size.0.div_ceil(share).max(worth));
        if bands.len() > 1 || threads.count() == 1 {
            threads.each(&mut bands, |band| self.band(inputs, band));
        } else {
            bands.iter_mut().for_each(|band| self.in_steps(inputs, band, threads));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Precision;
    use super::*;

    fn noise(seed: usize, count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| (((i + seed) as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0)
            .collect()
    }

    /// (rows, columns, kernel, stride, dilation, padding, widened to or 0, narrowed to or 0)
    type Case = (usize, usize, usize, usize, usize, usize, usize, usize);

    /// Channels as they are, or in the opposite order.
    fn copying(channels: usize, backwards: bool) -> Pointwise {
        let target = |k: usize| if backwards { channels - 1 - k } else { k };
        let weight = |k: usize, c: usize| if target(k) == c { 1.0 } else { 0.0 };
        Pointwise::new(Precision::Float, (channels, channels), weight, |_| 0.0)
    }

    fn check((rows, columns, kernel, stride, dilation, padding, wide, narrow): Case) {
        let channels = 5;
        let width = if wide > 0 { wide } else { channels };
        let window = Window { kernel, stride, dilation, before: padding };
        let out = |length: usize| (length + 2 * padding - window.span()) / stride + 1;
        let results = if narrow > 0 { narrow } else { width };
        let output = Size { rows: out(rows), columns: out(columns), channels: results };
        let size = Size { rows, columns, channels };
        let items = 3;
        let (input, added) = (noise(1, items * size.len()), noise(2, items * output.len()));
        let (first, middle, last) =
            (noise(3, channels * width), noise(4, kernel * kernel * width), noise(5, width * results));
        let pointwise = |weights: &[f32], depth, columns, clamp| {
            let weight = |k: usize, c: usize| weights[k * columns + c];
            Pointwise::new(Precision::Float, (depth, columns), weight, |c| c as f32 * 0.1).bounded(clamp)
        };
        let weight = |y: usize, x: usize, c: usize| middle[(y * kernel + x) * width + c];
        let layer = Bottleneck {
            input: size,
            size: (output.rows, output.columns),
            expand: (wide > 0).then(|| pointwise(&first, channels, width, Clamp::RELU6)),
            depthwise: (
                Depthwise::pack((kernel, kernel), stride, dilation, width, weight, |c| c as f32 * 0.01),
                Clamp::RELU,
            ),
            rows: window,
            left: padding,
            // The second one is the first without what is added; the third passes everything on as it is, and backwards.
            project: [(true, 0), (false, 0), (true, 2)]
                .into_iter()
                .filter(|_| narrow > 0)
                .map(|(adds, then)| Projection {
                    pointwise: pointwise(&last, width, results, Clamp::NONE),
                    adds,
                    then: (0..then).map(|i| copying(results, i == 1)).collect(),
                })
                .collect(),
        };

        let layer_inputs = [&input[..], &added, &added];

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
        assert!((1..9).all(|lines| layer.seen(lines) <= rows), "memory is for lines that there are");
        for threads in [1, 2, 4] {
            for items in [1, items] {
                let count = layer.outputs().len();
                let mut found = vec![vec![f32::NAN; items * output.len()]; count];
                let mut outputs: Vec<&mut [f32]> = found.iter_mut().map(|out| &mut out[..]).collect();
                layer.run(&layer_inputs, &mut outputs, items, &Threads::new(threads).unwrap());
                assert_eq!(count, if narrow > 0 { 4 } else { 1 });
                for (which, found) in found.iter().enumerate() {
                    for (i, found) in found.iter().enumerate() {
                        let back = i - i % results + results - 1 - i % results;
                        let expected = match which {
                            1 => expected[i] - added[i],
                            3 => expected[back],
                            _ => expected[i],
                        };
                        assert!((found - expected).abs() < 1e-3, "result {which} at {i}: {found}, not {expected}");
                    }
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
        // Kernels that reach far beyond the picture.
        check((5, 6, 3, 1, 4096, 4096, 16, 6));
        check((3, 2, 5, 2, 999, 1998, 16, 0));
        // So many rows that threads take bands, so wide that some lines are done at a time.
        check((80, 30, 3, 1, 1, 1, 150, 6));
        check((70, 30, 5, 2, 1, 2, 150, 6));
    }
}
