//! Product of matrices of bytes: `gstdensepose::kernels::gemm` with units for floats.

use std::marker::PhantomData;

use gstdensepose::kernels::gemm::Tap;

use super::{
    Scaling,
    units::{Kernel, Unit, unit},
};

/// Bytes of inputs and results of a block of rows, for the second-level cache, and, where there are few weights, for
/// the first.
const BLOCK: usize = 192 << 10;
const SMALL: usize = 20 << 10;

/// Packed in panels of one to three vectors of columns.
pub struct Weights<U> {
    depth: usize,
    columns: usize,
    panels: Vec<i32>,
    bias: Vec<i32>,
    scale: Vec<f32>,
    zero: f32,
    units: PhantomData<U>,
}

impl<U: Unit> Weights<U> {
    /// `weight(k, column)`. Depth is a multiple of 4, columns of 8.
    pub fn pack(depth: usize, columns: usize, weight: impl Fn(usize, usize) -> i8, scaling: &Scaling) -> Self {
        assert!(U::is_available() && depth.is_multiple_of(4) && columns.is_multiple_of(8));
        let padded = columns.next_multiple_of(U::LANES);
        let units = depth / U::FACTORS;
        let mut panels = vec![0; padded * units];
        for (first, vectors) in panels_of(padded / U::LANES) {
            let (start, width) = (first * U::LANES, vectors * U::LANES);
            for (k, row) in panels[start * units..][..width * units].chunks_exact_mut(width).enumerate() {
                for (column, packed) in (start..columns).zip(row) {
                    *packed = unit::<U>(|i| weight(k * U::FACTORS + i, column));
                }
            }
        }
        let (mut bias, mut scale) = (scaling.bias.clone(), scaling.scale.clone());
        bias.resize(padded, 0);
        scale.resize(padded, 0.0);
        Self { depth, columns, panels, bias, scale, zero: scaling.zero, units: PhantomData }
    }

    /// `out[r, c] = u8(round((bias[c] + sum) * scale[c] + zero))`, with the sum over all taps of
    /// `input[r * stride + tap.input + i] * weight[tap.weight + i][c]`, saturated to 0..=255, which is the activation
    /// function, too. Taps are whole units and follow one another; `scratch` is for 16-bit factors.
    pub fn product(
        &self,
        input: &[u8],
        stride: usize,
        taps: &[Tap],
        rows: usize,
        out: &mut [u8],
        scratch: &mut Vec<u16>,
    ) {
        let reach = taps.iter().map(|tap| tap.input + tap.length).max().unwrap_or(0);
        assert!(taps.iter().all(|tap| tap.length.is_multiple_of(4)));
        assert!(taps.iter().map(|tap| tap.length).sum::<usize>() == self.depth);
        assert!(rows > 0 && input.len() >= (rows - 1) * stride + reach && out.len() >= rows * self.columns);
        // SAFETY: packing asked for the instructions; extents are checked.
        unsafe { U::apart(Product { weights: self, input, stride, taps, reach, rows, out: out.as_mut_ptr(), scratch }) }
    }
}

fn panels_of(vectors: usize) -> impl Iterator<Item = (usize, usize)> {
    let first = match vectors {
        0 | 1 => vectors,
        _ => 2 + vectors % 2,
    };
    std::iter::once((0, first)).chain((first..vectors).step_by(2).map(|start| (start, 2)))
}

struct Product<'a, U> {
    weights: &'a Weights<U>,
    input: &'a [u8],
    stride: usize,
    taps: &'a [Tap],
    reach: usize,
    rows: usize,
    out: *mut u8,
    scratch: &'a mut Vec<u16>,
}

impl<W: Unit> Kernel for Product<'_, W> {
    #[inline(always)]
    unsafe fn run<U: Unit>(self) {
        let Self { weights, input, stride, taps, reach, rows, out, scratch } = self;
        let height = match weights.depth * weights.columns <= SMALL {
            true => 24,
            false => (BLOCK / weights.depth).next_multiple_of(24).max(48),
        };
        // Bytes of a factor.
        let size = 4 / U::FACTORS;
        for row in (0..rows).step_by(height) {
            let count = height.min(rows - row);
            let block = &input[row * stride..][..(count - 1) * stride + reach];
            let block = match U::FACTORS {
                4 => block.as_ptr(),
                _ => {
                    scratch.clear();
                    scratch.extend(block.iter().map(|&byte| u16::from(byte)));
                    scratch.as_ptr().cast()
                }
            };
            for (panel, vectors) in panels_of(weights.columns.div_ceil(U::LANES)) {
                let column = panel * U::LANES;
                // SAFETY: `product` has checked the extents; packing made the panels.
                unsafe {
                    let strip = Strip {
                        panel: weights.panels.as_ptr().add(column * weights.depth / U::FACTORS),
                        bias: weights.bias.as_ptr().add(column),
                        scale: weights.scale.as_ptr().add(column),
                        zero: weights.zero,
                        input: block,
                        stride: stride * size,
                        taps,
                        size,
                        out: out.add(row * weights.columns + column),
                        columns: weights.columns,
                        rows: count,
                        is_whole: column + vectors * U::LANES <= weights.columns,
                    };
                    match vectors {
                        1 => U::apart(Narrow(strip)),
                        2 => U::apart(Pair(strip)),
                        _ => U::apart(Triple(strip)),
                    }
                }
            }
        }
    }
}

/// Rows of one panel.
struct Strip<'a> {
    panel: *const i32,
    bias: *const i32,
    scale: *const f32,
    zero: f32,
    input: *const u8,
    /// In bytes.
    stride: usize,
    taps: &'a [Tap],
    size: usize,
    out: *mut u8,
    columns: usize,
    rows: usize,
    is_whole: bool,
}

struct Narrow<'a>(Strip<'a>);
struct Pair<'a>(Strip<'a>);
struct Triple<'a>(Strip<'a>);

/// As many tiles of the greatest height as there are, then one of the rest's height.
macro_rules! tiles {
    ($strip:expr, $vectors:literal, $height:literal, [$($rest:literal)*]) => {{
        let strip = $strip;
        let whole = strip.rows - strip.rows % $height;
        for row in (0..whole).step_by($height) {
            strip.tile::<U, $height, $vectors>(row);
        }
        match strip.rows % $height {
            $($rest => strip.tile::<U, $rest, $vectors>(whole),)*
            _ => {}
        }
    }};
}

/// A kernel of a strip, with tiles for 32 and for 16 registers.
macro_rules! strips {
    ($name:ident, $vectors:literal, $many:literal $many_rest:tt, $few:literal $few_rest:tt) => {
        impl Kernel for $name<'_> {
            #[inline(always)]
            unsafe fn run<U: Unit>(self) {
                // SAFETY: the rows are the strip's.
                unsafe {
                    match U::MANY_REGISTERS {
                        true => tiles!(self.0, $vectors, $many, $many_rest),
                        false => tiles!(self.0, $vectors, $few, $few_rest),
                    }
                }
            }
        }
    };
}

strips!(Narrow, 1, 12 [1 2 3 4 5 6 7 8 9 10 11], 8 [1 2 3 4 5 6 7]);
// Twelve rows are slower: addresses of rows do not fit the general registers.
strips!(Pair, 2, 8 [1 2 3 4 5 6 7], 4 [1 2 3]);
strips!(Triple, 3, 8 [1 2 3 4 5 6 7], 3 [1 2]);

impl Strip<'_> {
    /// # Safety
    /// The processor has the instructions, the strip has the rows, and its pointers are good for them.
    #[inline(always)]
    unsafe fn tile<U: Unit, const ROWS: usize, const VECTORS: usize>(&self, row: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut sums = [[U::load(self.bias); VECTORS]; ROWS];
            for v in 1..VECTORS {
                for r in 0..ROWS {
                    sums[r][v] = U::load(self.bias.add(v * U::LANES));
                }
            }
            let mut panel = self.panel;
            for tap in self.taps {
                let mut input = self.input.add(row * self.stride + tap.input * self.size);
                for _ in 0..tap.length / U::FACTORS {
                    let mut weights = [sums[0][0]; VECTORS];
                    for v in 0..VECTORS {
                        weights[v] = U::load(panel.add(v * U::LANES));
                    }
                    for r in 0..ROWS {
                        let activations = U::broadcast(input.add(r * self.stride));
                        for v in 0..VECTORS {
                            sums[r][v] = sums[r][v].add_products(activations, weights[v]);
                        }
                    }
                    panel = panel.add(VECTORS * U::LANES);
                    input = input.add(4);
                }
            }
            for r in 0..ROWS {
                let out = self.out.add((row + r) * self.columns);
                for v in 0..VECTORS {
                    let bytes = sums[r][v].rescale(self.scale.add(v * U::LANES), self.zero);
                    bytes.store(out.add(v * U::LANES), self.is_whole || v + 1 < VECTORS);
                }
            }
        }
    }
}
