//! Depthwise convolution: each channel with a kernel of its own.

use super::{
    Clamp,
    aligned::Aligned,
    simd::{Isa, Kernel, Vector, first_of},
};

/// Greatest kernel, stride and dilation: no network has more, and with less than that indices are easily bounded.
pub const MOST: usize = 1 << 12;

/// Weights of a depthwise convolution, packed for the processor at hand.
pub struct Depthwise {
    isa: Isa,
    kernel: (usize, usize),
    stride: usize,
    dilation: usize,
    channels: usize,
    /// For each vector of channels, kernel rows x kernel columns x lanes. The last vector ends with the last channel and
    /// so overlaps the one before it.
    weights: Aligned,
    /// A vector for each vector of channels.
    bias: Aligned,
}

impl Depthwise {
    /// `kernel` is (height, width), `weight(ky, kx, channel)`, `bias(channel)`. Stride and dilation are those along a
    /// row; the rows are the caller's choice.
    ///
    /// # Panics
    /// Where the kernel, stride or dilation is zero or beyond 4096.
    pub fn pack(
        kernel: (usize, usize),
        stride: usize,
        dilation: usize,
        channels: usize,
        weight: impl Fn(usize, usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        Self::pack_for(Isa::best(), kernel, stride, dilation, channels, weight, bias)
    }

    /// Like [`Self::pack`], to be computed with a given instruction set (or a narrower one where there are few channels).
    pub fn pack_for(
        isa: Isa,
        kernel: (usize, usize),
        stride: usize,
        dilation: usize,
        channels: usize,
        weight: impl Fn(usize, usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let fits = [kernel.0, kernel.1, stride, dilation].iter().all(|n| (1..=MOST).contains(n));
        assert!(fits, "kernel {kernel:?}, stride {stride}, dilation {dilation}: each must be between 1 and {MOST}");
        let isa = isa.narrower(channels);
        let lanes = isa.lanes();
        let vectors = channels.div_ceil(lanes);
        let length = (kernel.0 * kernel.1).checked_mul(vectors * lanes).expect("weights fit the memory");
        let mut weights = Aligned::zeros(length);
        let mut packed_bias = Aligned::zeros(vectors * lanes);
        for vector in 0..vectors {
            let first = first_of(vector, lanes, channels);
            for lane in 0..lanes {
                packed_bias[vector * lanes + lane] = bias(first + lane);
                for ky in 0..kernel.0 {
                    for kx in 0..kernel.1 {
                        let position = (vector * kernel.0 + ky) * kernel.1 + kx;
                        weights[position * lanes + lane] = weight(ky, kx, first + lane);
                    }
                }
            }
        }
        Self { isa, kernel, stride, dilation, channels, weights, bias: packed_bias }
    }

    /// Height and width.
    pub fn kernel(&self) -> (usize, usize) {
        self.kernel
    }

    pub fn stride(&self) -> usize {
        self.stride
    }

    pub fn dilation(&self) -> usize {
        self.dilation
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    /// One row of the result. `rows[ky]` is the input row (width x channels) under kernel row `ky`, `None` where it is
    /// padding (zeros). `left` is the padding on the left in pixels; pixels right of the row's end are zeros, too. `out`
    /// takes as many pixels as fit it.
    ///
    /// # Panics
    /// Where the number of rows is not the kernel's height, rows differ in length, a row or `out` is not a whole number
    /// of pixels, or places of pixels overflow.
    pub fn row(&self, rows: &[Option<&[f32]>], left: usize, out: &mut [f32], clamp: Clamp) {
        if self.channels == 0 {
            return;
        }
        assert_eq!(rows.len(), self.kernel.0, "one input row for each row of the kernel");
        let length = rows.iter().flatten().next().map_or(0, |row| row.len());
        assert!(rows.iter().flatten().all(|row| row.len() == length), "input rows of one length");
        assert!(
            length.is_multiple_of(self.channels) && out.len().is_multiple_of(self.channels),
            "rows of whole pixels"
        );
        let (width, out_width) = (length / self.channels, out.len() / self.channels);
        // Where the last input lies that any pixel sees, counted from the left padding's start.
        let span = (self.kernel.1 - 1) * self.dilation + 1;
        let end = out_width.checked_mul(self.stride).and_then(|end| end.checked_add(span));
        assert!(end.is_some() && left.checked_add(width).is_some(), "{left} pixels left of {width} for {out_width}");
        self.isa.run(Row { filter: self, rows, width, left, out: out.as_mut_ptr(), out_width, clamp });
    }
}

/// A row to compute, its extents checked.
struct Row<'a> {
    filter: &'a Depthwise,
    rows: &'a [Option<&'a [f32]>],
    width: usize,
    left: usize,
    out: *mut f32,
    out_width: usize,
    clamp: Clamp,
}

impl Kernel for Row<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: `row` has checked the extents.
        unsafe {
            match (self.filter.kernel, self.filter.stride, self.filter.dilation) {
                ((3, 3), 1, 1) => self.blocks::<V, 3, 1, 6>(),
                ((3, 3), 2, 1) => self.blocks::<V, 3, 2, 4>(),
                ((5, 5), 1, 1) => self.blocks::<V, 5, 1, 6>(),
                ((5, 5), 2, 1) => self.blocks::<V, 5, 2, 4>(),
                _ => self.blocks::<V, 0, 0, 8>(),
            }
        }
    }
}

impl Row<'_> {
    /// The whole row in blocks of `P` pixels, with a square kernel of size `K`, stride `S` and dilation 1, or with any
    /// others where `K` is 0.
    ///
    /// # Safety
    /// The processor has the instruction set; the row's extents are right.
    #[inline(always)]
    unsafe fn blocks<V: Vector, const K: usize, const S: usize, const P: usize>(&self) {
        // SAFETY: the caller's promise.
        unsafe {
            let Some(last) = self.out_width.checked_sub(P) else {
                for x in 0..self.out_width {
                    self.any::<V, 1>(x);
                }
                return;
            };
            for x in (0..self.out_width).step_by(P) {
                // The last block overlaps the one before it.
                let x = x.min(last);
                if K == 0 {
                    self.any::<V, P>(x);
                } else if x * S >= self.left && (x + P - 1) * S + K <= self.left + self.width {
                    self.dense::<V, K, S, P, false>(x);
                } else {
                    self.dense::<V, K, S, P, true>(x);
                }
            }
        }
    }

    /// `P` pixels from `x` on, with a square kernel of size `K`, stride `S` and dilation 1: each input is read
    /// once for all pixels that it is part of. At a `BORDER`, inputs may not exist.
    ///
    /// # Safety
    /// The processor has the instruction set; the row's extents are right.
    #[inline(always)]
    unsafe fn dense<V: Vector, const K: usize, const S: usize, const P: usize, const BORDER: bool>(&self, x: usize) {
        let channels = self.filter.channels;
        let start = (x * S).wrapping_sub(self.left).wrapping_mul(channels);
        let existing = self.left.saturating_sub(x * S)..(self.left + self.width).saturating_sub(x * S);
        // SAFETY: the caller's promise; packing made the weights. Only existing inputs are read.
        unsafe {
            let mut weight = self.filter.weights.as_ptr();
            for vector in 0..channels.div_ceil(V::LANES) {
                let channel = first_of(vector, V::LANES, channels);
                let mut sums = [V::load(self.filter.bias.as_ptr().add(vector * V::LANES)); P];
                for row in self.rows {
                    if let Some(row) = row {
                        let mut weights = [V::splat(0.0); K];
                        for kx in 0..K {
                            weights[kx] = V::load(weight.add(kx * V::LANES));
                        }
                        let input = row.as_ptr().wrapping_add(start.wrapping_add(channel));
                        for i in 0..(P - 1) * S + K {
                            if BORDER && !(existing.start <= i && i < existing.end) {
                                continue;
                            }
                            let value = V::load(input.wrapping_add(i * channels));
                            for p in 0..P {
                                if i >= p * S && i < p * S + K {
                                    sums[p] = value.mul_add(weights[i - p * S], sums[p]);
                                }
                            }
                        }
                    }
                    weight = weight.add(K * V::LANES);
                }
                self.store(x, channel, sums);
            }
        }
    }

    /// `P` pixels from `x` on, with any kernel: each with those inputs that exist.
    ///
    /// # Safety
    /// The processor has the instruction set; the row's extents are right.
    #[inline(always)]
    unsafe fn any<V: Vector, const P: usize>(&self, x: usize) {
        let &Depthwise { kernel, stride, dilation, channels, .. } = self.filter;
        let existing = self.left..self.left + self.width;
        // SAFETY: the caller's promise; packing made the weights. Only existing inputs are read.
        unsafe {
            let mut weight = self.filter.weights.as_ptr();
            for vector in 0..channels.div_ceil(V::LANES) {
                let channel = first_of(vector, V::LANES, channels);
                let mut sums = [V::load(self.filter.bias.as_ptr().add(vector * V::LANES)); P];
                for row in self.rows {
                    for kx in 0..kernel.1 {
                        if let Some(row) = row {
                            let weight = V::load(weight.add(kx * V::LANES));
                            // Pixels are counted from the left padding's start.
                            let first = x * stride + kx * dilation;
                            let input = row.as_ptr().wrapping_add(channel);
                            if existing.start <= first && first + (P - 1) * stride < existing.end {
                                let input = input.add((first - self.left) * channels);
                                for p in 0..P {
                                    let value = V::load(input.add(p * stride * channels));
                                    sums[p] = value.mul_add(weight, sums[p]);
                                }
                                continue;
                            }
                            for p in 0..P {
                                let pixel = first + p * stride;
                                if existing.start <= pixel && pixel < existing.end {
                                    let value = V::load(input.add((pixel - self.left) * channels));
                                    sums[p] = value.mul_add(weight, sums[p]);
                                }
                            }
                        }
                    }
                    weight = weight.add(kernel.1 * V::LANES);
                }
                self.store(x, channel, sums);
            }
        }
    }

    /// Clamps and writes a vector of channels of pixels from `x` on.
    ///
    /// # Safety
    /// The result has these pixels.
    #[inline(always)]
    unsafe fn store<V: Vector, const P: usize>(&self, x: usize, channel: usize, sums: [V; P]) {
        let channels = self.filter.channels;
        // SAFETY: the caller's promise; there is a vector, so there are its instructions.
        unsafe {
            let (low, high) = (V::splat(self.clamp.low), V::splat(self.clamp.high));
            let out = self.out.add(x * channels + channel);
            for p in 0..P {
                sums[p].max(low).min(high).store(out.add(p * channels));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{clamped, numbers},
        *,
    };

    struct Case {
        kernel: (usize, usize),
        stride: usize,
        dilation: usize,
        channels: usize,
        width: usize,
        left: usize,
        out_width: usize,
        /// Bit `ky`: that row is padding.
        missing: usize,
    }

    fn check(isa: Isa, case: &Case) {
        let &Case { kernel, stride, dilation, channels, width, left, out_width, missing } = case;
        let input = numbers(1, kernel.0 * width * channels);
        let weights = numbers(2, kernel.0 * kernel.1 * channels);
        let bias = numbers(3, channels);
        let weight = |ky: usize, kx: usize, channel: usize| weights[(ky * kernel.1 + kx) * channels + channel];
        let filter = Depthwise::pack_for(isa, kernel, stride, dilation, channels, weight, |channel| bias[channel]);
        let rows: Vec<Option<&[f32]>> = (0..kernel.0)
            .map(|ky| (missing >> ky & 1 == 0).then(|| &input[ky * width * channels..][..width * channels]))
            .collect();
        let clamp = [Clamp::NONE, Clamp::RELU, Clamp { low: -0.5, high: 0.5 }][(channels + width) % 3];
        let mut out = vec![77.0; out_width * channels];
        filter.row(&rows, left, &mut out, clamp);
        for x in 0..out_width {
            for channel in 0..channels {
                let mut sum = f64::from(bias[channel]);
                for (ky, row) in rows.iter().enumerate() {
                    for kx in 0..kernel.1 {
                        let pixel = (x * stride + kx * dilation).checked_sub(left).filter(|&pixel| pixel < width);
                        if let (Some(row), Some(pixel)) = (row, pixel) {
                            sum += f64::from(row[pixel * channels + channel]) * f64::from(weight(ky, kx, channel));
                        }
                    }
                }
                let (got, expected) = (out[x * channels + channel], clamped(sum, clamp));
                assert!(
                    (f64::from(got) - expected).abs() < 1e-5,
                    "{isa:?}, kernel {kernel:?}, stride {stride}, dilation {dilation}, {channels} channels, width \
                     {width}, left {left}: {got} at {x}, {channel}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn any_shape() {
        for isa in Isa::available() {
            for kernel in [(3, 3), (5, 5), (1, 1), (2, 4), (7, 7)] {
                for (stride, dilation) in [(1, 1), (2, 1), (3, 1), (1, 2), (2, 3), (1, 6)] {
                    for width in (1..=14usize).chain([31]) {
                        let channels = 1 + (width * 5 + kernel.1 * 3 + stride * 11) % 41;
                        let left = (kernel.1 - 1) * dilation / 2;
                        let out_width = width.div_ceil(stride);
                        let missing = [0, 1, 1 << (kernel.0 - 1), 3][width % 4];
                        check(isa, &Case { kernel, stride, dilation, channels, width, left, out_width, missing });
                    }
                }
            }
        }
    }

    #[test]
    fn any_channels() {
        for isa in Isa::available() {
            for channels in 1..=70 {
                for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
                    let (width, left) = (13usize, (kernel - 1) / 2);
                    let kernel = (kernel, kernel);
                    let out_width = width.div_ceil(stride);
                    check(isa, &Case { kernel, stride, dilation: 1, channels, width, left, out_width, missing: 0 });
                }
            }
        }
    }

    #[test]
    fn padding_on_one_side_or_beyond_the_kernel() {
        for isa in Isa::available() {
            for (left, out_width) in [(0, 6), (0, 8), (0, 12), (2, 8), (5, 16), (9, 4)] {
                for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
                    let kernel = (kernel, kernel);
                    let missing = 0;
                    check(isa, &Case { kernel, stride, dilation: 1, channels: 9, width: 8, left, out_width, missing });
                }
            }
        }
    }

    #[test]
    fn a_row_of_padding_alone_is_the_bias() {
        let filter = Depthwise::pack((3, 3), 1, 1, 2, |_, _, _| 1.0, |channel| channel as f32);
        let mut out = [7.0; 6];
        filter.row(&[None; 3], 1, &mut out, Clamp::NONE);
        assert_eq!(out, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    }

    /// With overflow, the last pixel of a block would seem to lie within the row, and be read far outside.
    #[test]
    fn absurd_extents_are_refused() {
        let fails = |work: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err();
        let pack = |kernel, stride, dilation| Depthwise::pack(kernel, stride, dilation, 2, |_, _, _| 1.0, |_| 0.0);
        for far in [MOST + 1, 1 << 32, 1 << 62, usize::MAX / 7, usize::MAX] {
            assert!(fails(&|| drop(pack((3, 3), far, 1))), "stride {far}");
            assert!(fails(&|| drop(pack((3, 3), 1, far))), "dilation {far}");
            assert!(fails(&|| drop(pack((1, far), 1, 1))), "kernel of {far}");
        }
        let (filter, row) = (pack((3, 3), MOST, MOST), [1.0; 16]);
        let run = |left| filter.row(&[Some(&row[..]); 3], left, &mut [0.0; 20], Clamp::NONE);
        assert!(fails(&|| run(usize::MAX)), "padding");
        run(MOST);
    }

    #[test]
    #[should_panic(expected = "one length")]
    fn rows_of_different_lengths_are_refused() {
        let filter = Depthwise::pack((3, 3), 1, 1, 2, |_, _, _| 1.0, |_| 0.0);
        filter.row(&[Some(&[0.0; 6]), Some(&[0.0; 4]), None], 1, &mut [0.0; 6], Clamp::NONE);
    }
}
