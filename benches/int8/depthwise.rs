//! Depthwise convolution of bytes. The kernel's rows are the factors of units: a column of the input is interleaved
//! once for all results of a row that it is part of.

use std::{marker::PhantomData, mem::MaybeUninit};

use gstdensepose::kernels::simd::first_of;

use super::{
    Scaling,
    units::{FACTORS, Kernel, Unit, channel_of, unit},
};

/// Of an input, under 8 pixels of the result with the greatest kernel and stride.
const MOST_COLUMNS: usize = 7 * 2 + 5;

pub struct Depthwise<U> {
    kernel: usize,
    stride: usize,
    channels: usize,
    /// For each block of `4 * LANES` channels and each half: kernel columns x groups of rows x 2 vectors.
    weights: Vec<i32>,
    /// For each block and half: 2 vectors.
    bias: Vec<i32>,
    scale: Vec<f32>,
    zero: f32,
    units: PhantomData<U>,
}

impl<U: Unit> Depthwise<U> {
    /// Channels that are computed together, and the least that there can be.
    pub const BLOCK: usize = 4 * U::LANES;

    /// `weight(ky, kx, channel)`.
    pub fn pack(
        kernel: usize,
        stride: usize,
        channels: usize,
        weight: impl Fn(usize, usize, usize) -> i8,
        scaling: &Scaling,
    ) -> Self {
        assert!(U::is_available() && channels >= Self::BLOCK);
        let (mut weights, mut bias, mut scale) = (Vec::new(), Vec::new(), Vec::new());
        for block in 0..channels.div_ceil(Self::BLOCK) {
            let first = first_of(block, Self::BLOCK, channels);
            for half in 0..2 {
                let order = || (0..2).flat_map(|part| (0..U::LANES).map(move |lane| (part, lane)));
                let channels = || order().map(|(part, lane)| first + channel_of(half, part, lane));
                for kx in 0..kernel {
                    for ky in (0..kernel).step_by(FACTORS) {
                        let row = |i, channel| if ky + i < kernel { weight(ky + i, kx, channel) } else { 0 };
                        weights.extend(channels().map(|channel| unit(|i| row(i, channel))));
                    }
                }
                bias.extend(channels().map(|channel| scaling.bias[channel]));
                scale.extend(channels().map(|channel| scaling.scale[channel]));
            }
        }
        Self { kernel, stride, channels, weights, bias, scale, zero: scaling.zero, units: PhantomData }
    }

    /// One row of the result, of input rows (width x channels) under the kernel's rows. Beyond their ends, and where a
    /// row is missing, is `padding` (as long as a row; the input's zero point), `left` pixels of it on the left.
    pub fn row(&self, rows: &[Option<&[u8]>], left: usize, padding: &[u8], out: &mut [u8]) {
        let mut all = [padding; 5];
        assert!(rows.len() == self.kernel && self.kernel <= all.len());
        all.iter_mut().zip(rows).for_each(|(all, row)| *all = row.unwrap_or(padding));
        let (width, out_width) = (padding.len() / self.channels, out.len() / self.channels);
        assert!(all.iter().all(|row| row.len() == width * self.channels));
        let (rows, padding, out) = (all.map(<[u8]>::as_ptr), padding.as_ptr(), out.as_mut_ptr());
        // SAFETY: packing asked for the instructions; extents are checked.
        unsafe { U::apart(Row { filter: self, rows, padding, left, width, out, out_width }) }
    }
}

struct Row<'a, U> {
    filter: &'a Depthwise<U>,
    rows: [*const u8; 5],
    padding: *const u8,
    left: usize,
    width: usize,
    out: *mut u8,
    out_width: usize,
}

impl<W: Unit> Kernel for Row<'_, W> {
    #[inline(always)]
    unsafe fn run<U: Unit>(self) {
        // SAFETY: `row` has checked the extents.
        unsafe {
            match (self.filter.kernel, self.filter.stride, U::MANY_REGISTERS) {
                (3, 1, true) => self.blocks::<U, 3, 1, 8>(),
                (3, 1, false) => self.blocks::<U, 3, 1, 5>(),
                (3, 2, true) => self.blocks::<U, 3, 2, 8>(),
                (3, 2, false) => self.blocks::<U, 3, 2, 5>(),
                (5, 1, true) => self.blocks::<U, 5, 1, 8>(),
                (5, 1, false) => self.blocks::<U, 5, 1, 5>(),
                (5, 2, true) => self.blocks::<U, 5, 2, 8>(),
                (5, 2, false) => self.blocks::<U, 5, 2, 5>(),
                other => panic!("no kernel for {other:?}"),
            }
        }
    }
}

impl<W: Unit> Row<'_, W> {
    /// # Safety
    /// The processor has the instructions; the row's extents are right.
    #[inline(always)]
    unsafe fn blocks<U: Unit, const K: usize, const S: usize, const P: usize>(&self) {
        // SAFETY: the caller's promise.
        unsafe {
            let Some(last) = self.out_width.checked_sub(P) else {
                for x in 0..self.out_width {
                    self.block::<U, K, S, 1, true>(x);
                }
                return;
            };
            for x in (0..self.out_width).step_by(P) {
                // The last block overlaps the one before it.
                let x = x.min(last);
                match x * S >= self.left && (x + P - 1) * S + K <= self.left + self.width {
                    true => self.block::<U, K, S, P, false>(x),
                    false => self.block::<U, K, S, P, true>(x),
                }
            }
        }
    }

    /// `P` pixels from `x` on.
    ///
    /// # Safety
    /// The processor has the instructions; the row's extents are right.
    #[inline(always)]
    unsafe fn block<U: Unit, const K: usize, const S: usize, const P: usize, const BORDER: bool>(&self, x: usize) {
        let channels = self.filter.channels;
        // SAFETY: the caller's promise; packing made the weights; columns are written before they are read.
        unsafe {
            let mut weights = self.filter.weights.as_ptr();
            let mut columns = MaybeUninit::<[[[U; 2]; MOST_COLUMNS]; 3]>::uninit();
            let columns = columns.as_mut_ptr().cast::<[U; 2]>();
            let (mut bias, mut scale) = (self.filter.bias.as_ptr(), self.filter.scale.as_ptr());
            for block in 0..channels.div_ceil(4 * U::LANES) {
                let channel = first_of(block, 4 * U::LANES, channels);
                let mut halves = [[U::load(bias); P]; 2];
                for half in 0..2 {
                    for i in 0..(P - 1) * S + K {
                        let column = (x * S + i).wrapping_sub(self.left);
                        let mut places = [self.padding.add(channel); K];
                        if !BORDER || column < self.width {
                            for ky in 0..K {
                                places[ky] = self.rows[ky].add(column * channels + channel);
                            }
                        }
                        for group in 0..K.div_ceil(FACTORS) {
                            let rows = group * FACTORS..K.min((group + 1) * FACTORS);
                            columns.add(group * MOST_COLUMNS + i).write(U::interleave(&places[rows], half));
                        }
                    }
                    let mut sums = [[U::load(bias), U::load(bias.add(U::LANES))]; P];
                    for kx in 0..K {
                        for group in 0..K.div_ceil(FACTORS) {
                            for part in 0..2 {
                                let weight = U::load(weights);
                                weights = weights.add(U::LANES);
                                for p in 0..P {
                                    let activations = (*columns.add(group * MOST_COLUMNS + p * S + kx))[part];
                                    sums[p][part] = sums[p][part].add_products(activations, weight);
                                }
                            }
                        }
                    }
                    for p in 0..P {
                        let zero = self.filter.zero;
                        let first = sums[p][0].rescale(scale, zero);
                        let second = sums[p][1].rescale(scale.add(U::LANES), zero);
                        halves[half][p] = U::narrow([first, second]);
                    }
                    bias = bias.add(2 * U::LANES);
                    scale = scale.add(2 * U::LANES);
                }
                for p in 0..P {
                    U::store_halves([halves[0][p], halves[1][p]], self.out.add((x + p) * channels + channel));
                }
            }
        }
    }
}
