//! Inverted residual block (M. Sandler et al., *MobileNetV2*, CVPR 2018): pointwise expansion, depthwise convolution,
//! pointwise projection, and the sum with the block's input. Without an expansion, a separable convolution.
//!
//! The expanded picture is the largest of a network and costs more time to write and read than to compute. Here, it never
//! exists: some rows at a time go through all steps while they are in the second-level cache.

use std::ops::Range;

use super::{
    Clamp,
    aligned::reserve,
    depthwise::Depthwise,
    gemm::{Tap, Weights, product},
};

/// Bytes of expanded rows, before and after the depthwise convolution.
const CACHE: usize = 512 << 10;
/// Pixels of the result to compute at once at least, so that weights are not read again for too few.
const PIXELS: usize = 96;

/// The steps of a block, each with its activation. The depthwise convolution's stride and dilation hold for both
/// directions.
pub struct InvertedResidual {
    pub expand: Option<(Weights, Clamp)>,
    pub filter: (Depthwise, Clamp),
    pub project: (Weights, Clamp),
}

/// Extents of the block's input and result.
#[derive(Clone, Copy, Debug)]
pub struct Extents {
    pub height: usize,
    pub width: usize,
    /// Rows of zeros before the expanded input; those after it follow from the rows asked for.
    pub top: usize,
    /// Pixels of zeros left of the expanded input.
    pub left: usize,
    pub out_width: usize,
}

impl InvertedResidual {
    /// Some rows of the result: `input` is the whole picture (height x width x channels), `out` takes the pixels of
    /// `rows`, `residual` lies like `out` and is added to the projection before its clamp. `scratch` is grown as needed
    /// and serves any number of calls.
    ///
    /// # Panics
    /// Where the steps' channels do not fit each other, or a slice has not the length that the extents say.
    pub fn rows(
        &self,
        input: &[f32],
        extents: Extents,
        rows: Range<usize>,
        residual: Option<&[f32]>,
        out: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        let Extents { height, width, top, left, out_width } = extents;
        let (filter, filter_clamp) = &self.filter;
        let (project, project_clamp) = &self.project;
        let (channels, results) = (filter.channels(), project.columns());
        let inputs = self.expand.as_ref().map_or(channels, |(weights, _)| weights.depth());
        assert!(
            self.expand.iter().all(|(weights, _)| weights.columns() == channels),
            "expansion to {channels} channels"
        );
        assert_eq!(project.depth(), channels, "projection from {channels} channels");
        assert_eq!(input.len(), height * width * inputs, "input of {extents:?}");
        assert_eq!(out.len(), rows.len() * out_width * results, "result of {} rows of {extents:?}", rows.len());
        assert!(residual.is_none_or(|residual| residual.len() == out.len()), "residual of the result's length");
        if out.is_empty() || channels == 0 {
            return;
        }

        let stride = filter.stride();
        // Rows under one row of the result.
        let reach = (filter.kernel().0 - 1) * filter.dilation() + 1;
        let (row_in, row_out) = (width * channels, out_width * channels);
        let room = (CACHE / size_of::<f32>()).saturating_sub(reach.saturating_sub(stride) * row_in);
        let group = (room / (stride * row_in + row_out)).max(PIXELS.div_ceil(out_width)).min(rows.len());
        // Expanded rows lie in a ring.
        let slots = (group - 1) * stride + reach;
        let ring = if self.expand.is_some() { slots * row_in } else { 0 };
        let (expanded, filtered) = reserve(scratch, ring + group * row_out).split_at_mut(ring);

        let mut done = (rows.start * stride).saturating_sub(top).min(height);
        for first in rows.clone().step_by(group) {
            let end = (first + group).min(rows.end);
            if let Some((weights, clamp)) = &self.expand {
                let needed = ((end - 1) * stride + reach).saturating_sub(top).min(height);
                while done < needed {
                    let slot = done % slots;
                    let count = (needed - done).min(slots - slot);
                    let input = &input[done * width * inputs..][..count * width * inputs];
                    let expanded = &mut expanded[slot * row_in..][..count * row_in];
                    product(weights, input, inputs, &[whole(weights)], count * width, expanded, channels, None, *clamp);
                    done += count;
                }
            }
            for (y, filtered) in (first..end).zip(filtered.chunks_exact_mut(row_out)) {
                let under: Vec<Option<&[f32]>> = (0..filter.kernel().0)
                    .map(|ky| {
                        let y = (y * stride + ky * filter.dilation()).checked_sub(top).filter(|&y| y < height)?;
                        Some(match self.expand {
                            Some(_) => &expanded[y % slots * row_in..][..row_in],
                            None => &input[y * row_in..][..row_in],
                        })
                    })
                    .collect();
                filter.row(&under, left, filtered, *filter_clamp);
            }
            let start = (first - rows.start) * out_width * results;
            let residual = residual.map(|residual| (&residual[start..], results));
            let pixels = (end - first) * out_width;
            let taps = [whole(project)];
            product(project, filtered, channels, &taps, pixels, &mut out[start..], results, residual, *project_clamp);
        }
    }
}

/// All of a row, times all weights.
fn whole(weights: &Weights) -> Tap {
    Tap { input: 0, weight: 0, length: weights.depth() }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::numbers, *};

    /// Extents, channels (0 expanded: no expansion), kernel, stride, dilation.
    type Case = (Extents, usize, (usize, usize, usize), (usize, usize), usize, usize);

    fn weights(seed: usize, depth: usize, columns: usize) -> Weights {
        let matrix = numbers(seed, depth * columns);
        let bias = numbers(seed + 1, columns);
        Weights::pack(depth, columns, |k, column| matrix[k * columns + column], |column| bias[column])
    }

    /// The steps one after the other on whole pictures, against rows in two parts, as two threads would compute them.
    fn check((extents, out_height, (inputs, channels, outputs), kernel, stride, dilation): Case) {
        let Extents { height, width, top, left, out_width } = extents;
        let expand = (inputs != channels).then(|| (weights(1, inputs, channels), Clamp::RELU6));
        let kernels = numbers(3, kernel.0 * kernel.1 * channels);
        let filter = Depthwise::pack(
            kernel,
            stride,
            dilation,
            channels,
            |ky, kx, channel| kernels[(ky * kernel.1 + kx) * channels + channel],
            |channel| channel as f32 * 0.01,
        );
        let project = weights(5, channels, outputs);
        let input = numbers(7, height * width * inputs);
        let residual = numbers(8, out_height * out_width * outputs);

        let mut expanded = input.clone();
        if let Some((weights, clamp)) = &expand {
            expanded = vec![0.0; height * width * channels];
            let taps = [Tap { input: 0, weight: 0, length: inputs }];
            product(weights, &input, inputs, &taps, height * width, &mut expanded, channels, None, *clamp);
        }
        let mut filtered = vec![0.0; out_height * out_width * channels];
        for (y, out) in filtered.chunks_exact_mut(out_width * channels).enumerate() {
            let rows: Vec<Option<&[f32]>> = (0..kernel.0)
                .map(|ky| expanded.chunks_exact(width * channels).nth((y * stride + ky * dilation).checked_sub(top)?))
                .collect();
            filter.row(&rows, left, out, Clamp::RELU);
        }
        let mut expected = vec![0.0; out_height * out_width * outputs];
        let taps = [Tap { input: 0, weight: 0, length: channels }];
        let pixels = out_height * out_width;
        let residuals = Some((&residual[..], outputs));
        product(&project, &filtered, channels, &taps, pixels, &mut expected, outputs, residuals, Clamp::NONE);

        let block = InvertedResidual { expand, filter: (filter, Clamp::RELU), project: (project, Clamp::NONE) };
        let mut out = vec![77.0; expected.len()];
        let mut scratch = Vec::new();
        let split = out_height / 3;
        let (head, tail) = out.split_at_mut(split * out_width * outputs);
        let (residual_head, residual_tail) = residual.split_at(head.len());
        block.rows(&input, extents, split..out_height, Some(residual_tail), tail, &mut scratch);
        block.rows(&input, extents, 0..split, Some(residual_head), head, &mut scratch);
        for (index, (got, expected)) in out.iter().zip(&expected).enumerate() {
            assert!((got - expected).abs() < 1e-4, "{extents:?}, kernel {kernel:?}: {got} at {index}, not {expected}");
        }
    }

    #[test]
    fn like_its_steps() {
        let same = |height, width, padding| Extents { height, width, top: padding, left: padding, out_width: width };
        check((same(9, 11, 1), 9, (5, 20, 5), (3, 3), 1, 1));
        check((same(9, 11, 2), 9, (5, 20, 7), (5, 5), 1, 1));
        check((same(9, 11, 1), 9, (6, 6, 4), (3, 3), 1, 1));
        check((same(15, 10, 6), 15, (3, 9, 4), (3, 3), 1, 6));
        // So large that groups have one row, or few.
        check((same(20, 300, 1), 20, (2, 160, 3), (3, 3), 1, 1));
        check((same(40, 40, 2), 40, (2, 144, 3), (5, 5), 1, 1));
        let halved = Extents { height: 30, width: 61, top: 0, left: 1, out_width: 31 };
        check((halved, 15, (3, 150, 3), (3, 3), 2, 1));
        check((halved, 14, (3, 150, 3), (5, 5), 2, 1));
        // Rows between kernels, and a result longer than the input.
        check((halved, 15, (3, 150, 3), (1, 1), 2, 1));
        check((same(3, 4, 2), 7, (3, 8, 3), (3, 3), 1, 1));
    }

    #[test]
    #[should_panic(expected = "projection from 4 channels")]
    fn steps_that_do_not_fit_are_refused() {
        let filter = Depthwise::pack((3, 3), 1, 1, 4, |_, _, _| 1.0, |_| 0.0);
        let block =
            InvertedResidual { expand: None, filter: (filter, Clamp::NONE), project: (weights(1, 5, 2), Clamp::NONE) };
        let extents = Extents { height: 2, width: 2, top: 1, left: 1, out_width: 2 };
        block.rows(&[0.0; 16], extents, 0..2, None, &mut [0.0; 8], &mut Vec::new());
    }
}
