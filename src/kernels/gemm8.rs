//! Product of matrices in 8 bits: weights are rounded when they are packed, each row of inputs on its way. Floats go in
//! and come out.
//!
//! With `q` whole numbers, an input is `least + step * q` (with the least of its row, and the row's range in as many steps
//! as a byte has), and a weight is `scale * q` (-127..=127, a scale for each column). So a result is `scale * (step *
//! sum of products + least * sum of weights) + bias`, in which the sums are exact (B. Jacob et al., *Quantization and
//! Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference*, 2018, with ranges per row instead of
//! calibrated ones). A row's result does not depend on the rows around it.

use super::{
    Clamp,
    aligned::{Aligned, reserve},
    gemm::{panels_of, tiles},
    simd::{Vector, first_of},
    simd8::{Bytes, Isa8, Kernel8},
};

/// Bytes of a block of rows, for the second-level cache, and, where there are few weights, rows for the first.
const BLOCK: usize = 64 << 10;
const SMALL: usize = 20 << 10;
const FEW: usize = 24;
/// A row with a smaller range is constant: the inverse of a step must be finite.
const LEAST_RANGE: f32 = 1e-30;

/// Inputs to a sum whose products, each at most 255 * 127, cannot overflow its 32 bits.
pub const MOST_DEPTH: usize = i32::MAX as usize / (255 * 127);

/// Weights in 8 bits, packed in panels for the processor at hand.
pub struct Weights8 {
    isa: Isa8,
    depth: usize,
    columns: usize,
    /// For each panel, units of four weights: depth / 4 x its columns.
    panels: Aligned<i32>,
    /// A number per column of the panels.
    scales: Aligned,
    /// Sums of weights.
    sums: Aligned,
    bias: Aligned,
}

impl Weights8 {
    /// `weight(k, column)` for `k` below `depth`, `bias(column)`. Weights that have been multiples of a 127th of the
    /// column's greatest magnitude stay what they are. `None` if this processor has no instructions that make it worth
    /// while, or if there are more than [`MOST_DEPTH`] inputs to a sum.
    pub fn pack(
        depth: usize,
        columns: usize,
        weight: impl Fn(usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Option<Self> {
        let isa = Isa8::best().filter(|_| depth <= MOST_DEPTH)?;
        Some(Self::pack_for(isa, depth, columns, weight, bias))
    }

    /// Like [`Self::pack`], to be computed with given instructions, or with shorter vectors where theirs would be filled
    /// badly.
    ///
    /// # Panics
    /// Where there are more than [`MOST_DEPTH`] inputs to a sum, or more weights than memory has addresses.
    pub fn pack_for(
        isa: Isa8,
        depth: usize,
        columns: usize,
        weight: impl Fn(usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        assert!(depth <= MOST_DEPTH, "sums of {depth} products of bytes overflow 32 bits, of {MOST_DEPTH} not");
        let shorter = isa.narrower();
        let waste = columns.next_multiple_of(isa.lanes()) - columns.next_multiple_of(shorter.lanes());
        let isa = if waste > columns / 4 { shorter } else { isa };
        let lanes = isa.lanes();
        let (padded, units) = (columns.next_multiple_of(lanes), depth.div_ceil(4));
        let (mut scales, mut sums) = (Aligned::zeros(padded), Aligned::zeros(padded));
        let (mut packed_bias, mut panels) =
            (Aligned::zeros(padded), Aligned::zeros(padded.checked_mul(units).expect("weights fit the memory")));
        for column in 0..columns {
            scales[column] = (0..depth).map(|k| weight(k, column).abs()).fold(0.0, f32::max) / 127.0;
            packed_bias[column] = bias(column);
        }
        let rounded = |k: usize, column: usize| match k < depth && scales[column] > 0.0 {
            true => (weight(k, column) / scales[column]).round_ties_even().clamp(-127.0, 127.0) as i8,
            false => 0,
        };
        for (first, vectors) in panels_of(padded / lanes) {
            let (start, width) = (first * lanes, vectors * lanes);
            for (unit, row) in panels[start * units..][..width * units].chunks_exact_mut(width).enumerate() {
                for (column, packed) in (start..columns).zip(row) {
                    let bytes = [0, 1, 2, 3].map(|i| rounded(unit * 4 + i, column));
                    *packed = i32::from_le_bytes(bytes.map(|byte| byte as u8));
                    sums[column] += bytes.iter().map(|&byte| f32::from(byte)).sum::<f32>();
                }
            }
        }
        Self { isa, depth, columns, panels, scales, sums, bias: packed_bias }
    }

    /// Inputs to a sum.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Results per row.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

/// For each row `r` below `rows` and each column `c` of the weights:
///
/// `out[r * columns + c] = clamp(bias[c] + sum + residual[r * columns + c])`, where `sum` is that of
/// `input[r * depth + k] * weight[k][c]` over all `k`, both rounded to 8 bits (inputs to 7 with AVX2 alone). Nothing else
/// of `out` is written. A row with numbers that are not finite has any results.
///
/// # Panics
/// Where a slice is too short.
pub fn product8(
    weights: &Weights8,
    input: &[f32],
    rows: usize,
    out: &mut [f32],
    residual: Option<&[f32]>,
    clamp: Clamp,
    scratch: &mut Vec<f32>,
) {
    let &Weights8 { isa, depth, columns, .. } = weights;
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(rows.saturating_mul(depth) <= input.len(), "{rows} rows of {depth} within {} inputs", input.len());
    let results = rows.saturating_mul(columns);
    assert!(results <= out.len(), "{rows} rows of {columns} within {} results", out.len());
    if let Some(residual) = residual {
        assert!(results <= residual.len(), "{rows} rows of {columns} within {} residuals", residual.len());
    }
    let height = match depth * columns <= SMALL {
        true => FEW,
        false => (BLOCK / depth).next_multiple_of(FEW).max(2 * FEW),
    };
    let height = height.min(rows);
    // For each row a step and the least, and its bytes.
    let memory = reserve(scratch, height * (2 + depth.div_ceil(4)));
    let (ranges, bytes) = memory.split_at_mut(2 * height);
    isa.run(Product {
        weights,
        input: input.as_ptr(),
        rows,
        height,
        out: out.as_mut_ptr(),
        residual: residual.map_or(std::ptr::null(), <[f32]>::as_ptr),
        clamp,
        ranges: ranges.as_mut_ptr(),
        bytes: bytes.as_mut_ptr().cast(),
    });
}

/// A whole product, its extents checked.
struct Product<'a> {
    weights: &'a Weights8,
    input: *const f32,
    rows: usize,
    /// Rows whose bytes there is room for.
    height: usize,
    out: *mut f32,
    /// Null where there is none.
    residual: *const f32,
    clamp: Clamp,
    ranges: *mut f32,
    bytes: *mut u8,
}

impl Kernel8 for Product<'_> {
    #[inline(always)]
    unsafe fn run<B: Bytes>(self) {
        let Self { weights, input, rows, height, out, residual, clamp, ranges, bytes } = self;
        let &Weights8 { depth, columns, .. } = weights;
        let (lanes, units) = (B::Floats::LANES, depth.div_ceil(4));
        for row in (0..rows).step_by(height) {
            let count = height.min(rows - row);
            // SAFETY: `product8` has checked the extents and made room for `height` rows; packing made the panels.
            unsafe {
                B::apart(Rounding { input: input.add(row * depth), depth, rows: count, ranges, bytes });
                for (panel, vectors) in panels_of(columns.div_ceil(lanes)) {
                    let column = panel * lanes;
                    let strip = Strip {
                        panel: weights.panels.as_ptr().add(column * units),
                        scales: weights.scales.as_ptr().add(column),
                        sums: weights.sums.as_ptr().add(column),
                        bias: weights.bias.as_ptr().add(column),
                        units,
                        ranges,
                        bytes,
                        out: out.add(row * columns + column),
                        residual: match residual.is_null() {
                            true => residual,
                            false => residual.add(row * columns + column),
                        },
                        columns,
                        rows: count,
                        last: (vectors * lanes).min(columns - column) - (vectors - 1) * lanes,
                        clamp,
                    };
                    match vectors {
                        1 => B::apart(Narrow(strip)),
                        2 => B::apart(Pair(strip)),
                        _ => B::apart(Triple(strip)),
                    }
                }
            }
        }
    }
}

/// Rows to bytes.
struct Rounding {
    input: *const f32,
    depth: usize,
    rows: usize,
    ranges: *mut f32,
    bytes: *mut u8,
}

impl Kernel8 for Rounding {
    #[inline(always)]
    unsafe fn run<B: Bytes>(self) {
        let stride = self.depth.next_multiple_of(4);
        for row in 0..self.rows {
            // SAFETY: the rows are there, with room for their bytes and ranges. What bytes follow a row's is of no
            // account: their weights are zeros.
            unsafe {
                let (input, bytes) = (self.input.add(row * self.depth), self.bytes.add(row * stride));
                let (least, greatest) = range::<B>(input, self.depth);
                let range = greatest - least;
                let steps = f32::from(B::GREATEST);
                let (step, inverse) = if range > LEAST_RANGE { (range / steps, steps / range) } else { (0.0, 0.0) };
                self.ranges.add(2 * row).write(step);
                self.ranges.add(2 * row + 1).write(least);
                round::<B>(input, self.depth, least, inverse, bytes);
            }
        }
    }
}

/// The least and the greatest of some numbers.
///
/// # Safety
/// The processor has the instructions; `count` numbers can be read.
#[inline(always)]
unsafe fn range<B: Bytes>(input: *const f32, count: usize) -> (f32, f32) {
    let lanes = B::Floats::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        if count < lanes {
            let (mut least, mut greatest) = (f32::INFINITY, f32::NEG_INFINITY);
            for i in 0..count {
                let value = *input.add(i);
                least = Vector::min(value, least);
                greatest = Vector::max(value, greatest);
            }
            return (least, greatest);
        }
        let mut least = [B::Floats::splat(f32::INFINITY); 2];
        let mut greatest = [B::Floats::splat(f32::NEG_INFINITY); 2];
        let vectors = count.div_ceil(lanes);
        for pair in (0..vectors).step_by(2) {
            for i in 0..2 {
                let values = B::Floats::load(input.add(first_of((pair + i).min(vectors - 1), lanes, count)));
                least[i] = values.min(least[i]);
                greatest[i] = values.max(greatest[i]);
            }
        }
        (least[0].min(least[1]).least(), greatest[0].max(greatest[1]).greatest())
    }
}

/// Bytes of numbers.
///
/// # Safety
/// The processor has the instructions; `count` numbers can be read and bytes written.
#[inline(always)]
unsafe fn round<B: Bytes>(input: *const f32, count: usize, least: f32, inverse: f32, to: *mut u8) {
    let lanes = B::Floats::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        if count < lanes {
            for i in 0..count {
                *to.add(i) = ((*input.add(i) - least) * inverse).round_ties_even() as u8;
            }
            return;
        }
        let zero = B::Floats::splat(0.0);
        let (least, inverse) = (B::Floats::splat(least), B::Floats::splat(inverse));
        let fours = count / (4 * lanes);
        for four in 0..fours {
            let mut values = [zero; 4];
            for i in 0..4 {
                let at = (four * 4 + i) * lanes;
                values[i] = B::Floats::load(input.add(at)).sub(least).mul_add(inverse, zero);
            }
            B::store_four(values, to.add(four * 4 * lanes));
        }
        for vector in 4 * fours..count.div_ceil(lanes) {
            let at = first_of(vector, lanes, count);
            B::store(B::Floats::load(input.add(at)).sub(least).mul_add(inverse, zero), to.add(at));
        }
    }
}

/// Rows of one panel.
struct Strip {
    panel: *const i32,
    scales: *const f32,
    sums: *const f32,
    bias: *const f32,
    /// Of four factors.
    units: usize,
    ranges: *const f32,
    bytes: *const u8,
    out: *mut f32,
    residual: *const f32,
    columns: usize,
    rows: usize,
    /// Columns in the last vector.
    last: usize,
    clamp: Clamp,
}

struct Narrow(Strip);
struct Pair(Strip);
struct Triple(Strip);

/// A kernel of a strip, with tiles for 32 and for 16 registers.
macro_rules! strips {
    ($name:ident, $vectors:literal, $many:literal $many_rest:tt, $few:literal $few_rest:tt) => {
        impl Kernel8 for $name {
            #[inline(always)]
            unsafe fn run<B: Bytes>(self) {
                // SAFETY: the rows are the strip's.
                unsafe {
                    match B::REGISTERS {
                        32 => tiles!(B, self.0, $vectors, $many, $many_rest),
                        _ => tiles!(B, self.0, $vectors, $few, $few_rest),
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

impl Strip {
    /// # Safety
    /// The processor has the instructions, the strip has the rows, and its pointers are good for them.
    #[inline(always)]
    unsafe fn tile<B: Bytes, const ROWS: usize, const VECTORS: usize>(&self, row: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let lanes = B::Floats::LANES;
            let stride = self.units * 4;
            let mut sums = [[B::zero(); VECTORS]; ROWS];
            let (mut panel, mut bytes) = (self.panel, self.bytes.add(row * stride));
            for _ in 0..self.units {
                let mut weights = [B::zero(); VECTORS];
                for v in 0..VECTORS {
                    weights[v] = B::load(panel.add(v * lanes));
                }
                for r in 0..ROWS {
                    let activations = B::broadcast(bytes.add(r * stride));
                    for v in 0..VECTORS {
                        sums[r][v] = sums[r][v].add_products(activations, weights[v]);
                    }
                }
                panel = panel.add(VECTORS * lanes);
                bytes = bytes.add(4);
            }
            let is_whole = self.last == lanes;
            let zero = B::Floats::splat(0.0);
            let (low, high) = (B::Floats::splat(self.clamp.low), B::Floats::splat(self.clamp.high));
            for v in 0..VECTORS {
                let scale = B::Floats::load(self.scales.add(v * lanes));
                let weights = B::Floats::load(self.sums.add(v * lanes));
                let bias = B::Floats::load(self.bias.add(v * lanes));
                let is_full = is_whole || v + 1 < VECTORS;
                for r in 0..ROWS {
                    let step = B::Floats::splat(*self.ranges.add(2 * (row + r)));
                    let least = B::Floats::splat(*self.ranges.add(2 * (row + r) + 1));
                    let sum = sums[r][v].to_floats().mul_add(step, least.mul_add(weights, zero));
                    let mut result = sum.mul_add(scale, bias);
                    let at = (row + r) * self.columns + v * lanes;
                    if !self.residual.is_null() {
                        result = result.add(match is_full {
                            true => B::Floats::load(self.residual.add(at)),
                            false => B::Floats::load_first(self.residual.add(at), self.last),
                        });
                    }
                    result = result.max(low).min(high);
                    match is_full {
                        true => result.store(self.out.add(at)),
                        false => result.store_first(self.out.add(at), self.last),
                    }
                }
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

    /// Rounded as the module says, one number after the other; sums and bytes exact.
    fn expected(isa: Isa8, row: &[f32], weights: &[f32], bias: f32) -> f64 {
        let greatest = f32::from(isa.greatest());
        let (low, high) = row.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &v| (v.min(l), v.max(h)));
        let (step, inverse) = if high > low { ((high - low) / greatest, greatest / (high - low)) } else { (0.0, 0.0) };
        let scale = weights.iter().fold(0_f32, |m, w| m.max(w.abs())) / 127.0;
        let whole = |w: &f32| if scale > 0.0 { (w / scale).round_ties_even() as i32 } else { 0 };
        let activation = |v: &f32| ((v - low) * inverse).round_ties_even() as i32;
        let sum: i32 = row.iter().zip(weights).map(|(v, w)| activation(v) * whole(w)).sum();
        let weights: i32 = weights.iter().map(whole).sum();
        f64::from(scale) * (f64::from(step) * f64::from(sum) + f64::from(low) * f64::from(weights)) + f64::from(bias)
    }

    fn check(isa: Isa8, (depth, columns, rows): (usize, usize, usize), input: &[f32], clamp: Clamp) {
        let (matrix, bias) = (numbers(2, depth * columns), numbers(3, columns));
        let weights = Weights8::pack_for(isa, depth, columns, |k, c| matrix[k * columns + c], |c| bias[c]);
        assert_eq!((weights.depth(), weights.columns()), (depth, columns));
        let residual = numbers(4, rows * columns);
        for residual in [None, Some(&residual[..])] {
            let mut out = vec![77.0; rows * columns + 9];
            product8(&weights, input, rows, &mut out, residual, clamp, &mut Vec::new());
            let (found, rest) = out.split_at(rows * columns);
            assert!(rest.iter().all(|&v| v == 77.0), "{isa:?}: {columns} columns: more is written");
            for (i, &found) in found.iter().enumerate() {
                let (row, column) = (&input[i / columns * depth..][..depth], i % columns);
                let weights: Vec<f32> = (0..depth).map(|k| matrix[k * columns + column]).collect();
                let sum = expected(isa, row, &weights, bias[column]);
                let size = row.iter().zip(&weights).map(|(v, w)| (v * w).abs()).sum::<f32>() + 1.0;
                let expected = clamped(sum + residual.map_or(0.0, |r| r[i].into()), clamp);
                assert!(
                    (f64::from(found) - expected).abs() < 1e-5 * f64::from(size).sqrt(),
                    "{isa:?}, {rows}x{depth}->{columns}: {found} at {i}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn any_rows_and_columns() {
        for isa in Isa8::available() {
            for columns in 1..=70 {
                for rows in (1..=13).chain([25, 61]) {
                    let depth = 1 + (columns * 7 + rows * 5) % 71;
                    let clamp = [Clamp::NONE, Clamp::RELU, Clamp::RELU6][columns % 3];
                    check(isa, (depth, columns, rows), &numbers(1, rows * depth), clamp);
                }
            }
        }
    }

    #[test]
    fn several_blocks_of_rows() {
        for isa in Isa8::available() {
            for size in [(1152, 24, 100), (700, 40, 200), (24, 144, 130)] {
                check(isa, size, &numbers(1, size.0 * size.2), Clamp::NONE);
            }
        }
    }

    /// The greatest sums of products that there can be, and their opposite.
    #[test]
    fn nothing_overflows() {
        for isa in Isa8::available() {
            let depth = 64;
            let mut input = vec![1.0; depth];
            input[0] = 0.0;
            let sign = |c: usize| if c == 0 { 1.0 } else { -1.0 };
            let weights = Weights8::pack_for(isa, depth, 2, |_, c| sign(c), |_| 0.0);
            let mut out = [0.0; 2];
            product8(&weights, &input, 1, &mut out, None, Clamp::NONE, &mut Vec::new());
            assert!(out.iter().enumerate().all(|(c, v)| (v - 63.0 * sign(c)).abs() < 1e-4), "{isa:?}: {out:?}");
        }
    }

    #[test]
    fn near_the_product_of_floats() {
        let (depth, columns, rows) = (150, 33, 20);
        let (input, matrix) = (numbers(1, rows * depth), numbers(2, depth * columns));
        for isa in Isa8::available() {
            let weights = Weights8::pack_for(isa, depth, columns, |k, c| matrix[k * columns + c], |_| 0.5);
            let mut out = vec![0.0; rows * columns];
            product8(&weights, &input, rows, &mut out, None, Clamp::NONE, &mut Vec::new());
            let (mut off, mut size) = (0.0, 0.0);
            for (i, found) in out.iter().enumerate() {
                let row = &input[i / columns * depth..][..depth];
                let sum: f32 = row.iter().enumerate().map(|(k, v)| v * matrix[k * columns + i % columns]).sum();
                off += (found - 0.5 - sum).powi(2);
                size += sum.powi(2);
            }
            let relative = (off / size).sqrt();
            assert!(relative > 0.0 && relative < 0.015, "{isa:?}: {relative}");
        }
    }

    #[test]
    fn rows_of_one_number_and_weights_of_8_bits_are_exact() {
        let (depth, columns) = (37, 18);
        let byte = |k: usize, c: usize| ((k * 31 + c * 17) % 255) as i32 - 127;
        let weight = |k: usize, c: usize| if k == c { 0.25 * 127.0 } else { 0.25 * byte(k, c) as f32 };
        for isa in Isa8::available() {
            let weights = Weights8::pack_for(isa, depth, columns, weight, |c| c as f32);
            let input: Vec<f32> = [-3.0, 0.0, 2.5].iter().flat_map(|&v| vec![v; depth]).collect();
            let mut out = vec![0.0; 3 * columns];
            product8(&weights, &input, 3, &mut out, None, Clamp::NONE, &mut Vec::new());
            for (i, found) in out.iter().enumerate() {
                let sum: f32 = (0..depth).map(|k| weight(k, i % columns)).sum();
                let expected = input[i / columns * depth] * sum + (i % columns) as f32;
                assert!((found - expected).abs() < 1e-3, "{isa:?}: {found}, not {expected}");
            }
            let zeros = Weights8::pack_for(isa, depth, columns, |_, _| 0.0, |c| c as f32);
            product8(&zeros, &numbers(1, 3 * depth), 3, &mut out, None, Clamp::NONE, &mut Vec::new());
            assert!(out.iter().enumerate().all(|(i, &v)| v == (i % columns) as f32), "{isa:?}: {out:?}");
        }
    }

    #[test]
    fn what_is_not_finite_spoils_its_own_row_alone() {
        let (depth, columns) = (35, 20);
        let matrix = numbers(2, depth * columns);
        for isa in Isa8::available() {
            for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE] {
                let good = numbers(1, 3 * depth);
                let mut bad = good.clone();
                bad[depth] = odd;
                bad[depth + 30] = -odd;
                let weights = Weights8::pack_for(isa, depth, columns, |k, c| matrix[k * columns + c], |_| 0.0);
                let run = |input: &[f32]| {
                    let mut out = vec![0.0; 3 * columns];
                    product8(&weights, input, 3, &mut out, None, Clamp::NONE, &mut Vec::new());
                    out
                };
                let (good, bad) = (run(&good), run(&bad));
                for row in [0, 2] {
                    assert_eq!(good[row * columns..][..columns], bad[row * columns..][..columns], "{isa:?}: {odd}");
                }
            }
            let weights = Weights8::pack_for(isa, depth, columns, |_, _| f32::NAN, |_| 0.0);
            product8(&weights, &matrix, 1, &mut vec![0.0; columns], None, Clamp::NONE, &mut Vec::new());
        }
    }

    #[test]
    #[should_panic(expected = "inputs")]
    fn a_short_input_is_refused() {
        let weights = Weights8::pack_for(Isa8::available().last().unwrap(), 4, 2, |_, _| 1.0, |_| 0.0);
        product8(&weights, &[0.0; 7], 2, &mut [0.0; 4], None, Clamp::NONE, &mut Vec::new());
    }

    #[test]
    #[should_panic(expected = "results")]
    fn a_short_result_is_refused() {
        let weights = Weights8::pack_for(Isa8::available().last().unwrap(), 4, 2, |_, _| 1.0, |_| 0.0);
        product8(&weights, &[0.0; 8], 2, &mut [0.0; 3], None, Clamp::NONE, &mut Vec::new());
    }

    /// The greatest sum there is, and the least one.
    #[test]
    fn the_deepest_sums_do_not_overflow() {
        for isa in Isa8::available() {
            let input: Vec<f32> = (0..MOST_DEPTH).map(|k| if k == 0 { 0.0 } else { 1.0 }).collect();
            let sign = |column: usize| if column == 0 { 1.0 } else { -1.0 };
            let weights = Weights8::pack_for(isa, MOST_DEPTH, 2, |_, column| sign(column), |_| 0.0);
            let mut out = [0.0; 2];
            product8(&weights, &input, 1, &mut out, None, Clamp::NONE, &mut Vec::new());
            for (column, found) in out.into_iter().enumerate() {
                let expected = sign(column) * (MOST_DEPTH - 1) as f32;
                assert!((found - expected).abs() < 1.0, "{isa:?}: {found}, not {expected}");
            }
        }
    }

    #[test]
    fn sums_that_may_overflow_are_left_to_others() {
        assert!(Weights8::pack(MOST_DEPTH + 1, 24, |_, _| 1.0, |_| 0.0).is_none());
    }

    #[test]
    #[should_panic(expected = "overflow 32 bits")]
    fn sums_that_may_overflow_are_refused() {
        let isa = Isa8::available().next().unwrap();
        Weights8::pack_for(isa, MOST_DEPTH + 1, 1, |_, _| 1.0, |_| 0.0);
    }
}
