//! Product of matrices without a copy of its input: pointwise convolutions, fully connected layers, and dense
//! convolutions as sums over [`Tap`]s (the "indirect" scheme of M. Dukhan, *The Indirect Convolution Algorithm*, 2019).
//!
//! Weights are packed once, in panels of one to three vectors of columns. A tile of results, some rows of one panel,
//! stays in registers while the depth passes: each step loads the panel's vectors once and broadcasts one input per row.
//! Around it, blocks of depth keep a panel in the first-level cache, and blocks of rows keep inputs and results in the
//! second (K. Goto, R. van de Geijn, *Anatomy of High-Performance Matrix Multiplication*, 2008).

use super::{
    Clamp,
    aligned::Aligned,
    simd::{Isa, Kernel, Vector},
};

/// Depth after which sums go to memory and back, so that a panel fits the first-level cache.
const DEPTH: usize = 384;
/// Bytes of inputs and results of a block of rows, for the second-level cache.
const BLOCK: usize = 192 << 10;
/// Bytes of weights that may stay in the first-level cache along with rows that pass.
const SMALL: usize = 20 << 10;

/// Weights of a product, packed in panels for the processor at hand.
pub struct Weights {
    isa: Isa,
    depth: usize,
    columns: usize,
    /// For each panel, depth x its columns.
    panels: Aligned,
    /// A number per column of the panels.
    bias: Aligned,
}

/// Part of a sum: `length` consecutive inputs starting `input` after a row's start, times weights from `weight` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tap {
    pub input: usize,
    pub weight: usize,
    pub length: usize,
}

impl Weights {
    /// `weight(k, column)` for `k` below `depth`, `bias(column)`.
    ///
    /// # Panics
    /// Where there are more weights than memory has addresses.
    pub fn pack(
        depth: usize,
        columns: usize,
        weight: impl Fn(usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        Self::pack_for(Isa::best(), depth, columns, weight, bias)
    }

    /// Like [`Self::pack`], to be computed with a given instruction set, or with shorter vectors than its own where these
    /// would be filled badly.
    pub fn pack_for(
        isa: Isa,
        depth: usize,
        columns: usize,
        weight: impl Fn(usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let shorter = isa.narrower(8);
        let waste = columns.next_multiple_of(isa.lanes()) - columns.next_multiple_of(shorter.lanes());
        let isa = if waste > columns / 4 { shorter } else { isa };
        let lanes = isa.lanes();
        let padded = columns.next_multiple_of(lanes);
        let mut panels = Aligned::zeros(padded.checked_mul(depth).expect("weights fit the memory"));
        let mut packed_bias = Aligned::zeros(padded);
        for (first, vectors) in panels_of(padded / lanes) {
            let (start, width) = (first * lanes, vectors * lanes);
            let panel = &mut panels[start * depth..][..width * depth];
            for (k, row) in panel.chunks_exact_mut(width).enumerate() {
                for (column, packed) in (start..columns).zip(row) {
                    *packed = weight(k, column);
                }
            }
        }
        for (column, packed) in packed_bias[..columns].iter_mut().enumerate() {
            *packed = bias(column);
        }
        Self { isa, depth, columns, panels, bias: packed_bias }
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

/// Panels of so many vectors of columns: where each starts, and how many vectors it has. Pairs, and a triple or a single
/// vector first where the number is odd.
pub(super) fn panels_of(vectors: usize) -> impl Iterator<Item = (usize, usize)> {
    let first = match vectors {
        0 | 1 => vectors,
        _ => 2 + vectors % 2,
    };
    (first > 0).then_some((0, first)).into_iter().chain((first..vectors).step_by(2).map(|start| (start, 2)))
}

/// For each row `r` below `rows` and each column `c` of the weights:
///
/// `out[r * out_stride + c] = clamp(bias[c] + sum + residual[r * residual_stride + c])`, where `sum` is that of
/// `input[r * stride + tap.input + i] * weight[tap.weight + i][c]` over all taps and `i < tap.length`, and `residual` is
/// a slice and its stride. Nothing else of `out` is written.
///
/// # Panics
/// Where a slice is too short, or a tap goes beyond the weights' depth.
#[allow(clippy::too_many_arguments)]
pub fn product(
    weights: &Weights,
    input: &[f32],
    stride: usize,
    taps: &[Tap],
    rows: usize,
    out: &mut [f32],
    out_stride: usize,
    residual: Option<(&[f32], usize)>,
    clamp: Clamp,
) {
    if rows == 0 || weights.columns == 0 {
        return;
    }
    let extent = |stride: usize, length: usize| (rows - 1).saturating_mul(stride).saturating_add(length);
    for tap in taps {
        assert!(tap.weight.saturating_add(tap.length) <= weights.depth, "{tap:?} within {} weights", weights.depth);
        let end = tap.input.saturating_add(tap.length);
        assert!(extent(stride, end) <= input.len(), "{rows} rows of {tap:?} within {} inputs", input.len());
    }
    assert!(extent(out_stride, weights.columns) <= out.len(), "{rows} rows within {} results", out.len());
    if let Some((residual, stride)) = residual {
        assert!(extent(stride, weights.columns) <= residual.len(), "{rows} rows within {} residuals", residual.len());
    }
    let (residual, residual_stride) = residual.map_or((std::ptr::null(), 0), |(data, stride)| (data.as_ptr(), stride));
    weights.isa.run(Product {
        weights,
        taps,
        rows,
        clamp,
        matrices: Matrices {
            input: input.as_ptr(),
            stride,
            out: out.as_mut_ptr(),
            out_stride,
            residual,
            residual_stride,
        },
    });
}

/// Where rows are read and written.
#[derive(Clone, Copy)]
struct Matrices {
    input: *const f32,
    stride: usize,
    out: *mut f32,
    out_stride: usize,
    /// Null where there is none.
    residual: *const f32,
    residual_stride: usize,
}

impl Matrices {
    /// From a later row and column of the result on.
    ///
    /// # Safety
    /// The row and the column exist.
    #[inline(always)]
    unsafe fn from(self, row: usize, column: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                input: self.input.add(row * self.stride),
                out: self.out.add(row * self.out_stride + column),
                residual: match self.residual.is_null() {
                    true => self.residual,
                    false => self.residual.add(row * self.residual_stride + column),
                },
                ..self
            }
        }
    }
}

/// A whole product, its extents checked.
struct Product<'a> {
    weights: &'a Weights,
    taps: &'a [Tap],
    rows: usize,
    clamp: Clamp,
    matrices: Matrices,
}

impl Kernel for Product<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { weights, taps, rows, clamp, matrices } = self;
        let blocks = depth_blocks(taps);
        let inputs = blocks.iter().map(|block| block.iter().map(|tap| tap.length).sum()).max().unwrap_or(0);
        let height = block_height(inputs, weights.columns);
        for row in (0..rows).step_by(height) {
            for (index, taps) in blocks.iter().enumerate() {
                for (panel, vectors) in panels_of(weights.columns.div_ceil(V::LANES)) {
                    let column = panel * V::LANES;
                    let width = vectors * V::LANES;
                    // SAFETY: `product` has checked the extents; packing made the panels.
                    unsafe {
                        let strip = Strip {
                            panel: weights.panels.as_ptr().add(column * weights.depth),
                            bias: weights.bias.as_ptr().add(column),
                            matrices: matrices.from(row, column),
                            taps,
                            rows: height.min(rows - row),
                            last: width.min(weights.columns - column) - (width - V::LANES),
                            is_first: index == 0,
                            is_last: index + 1 == blocks.len(),
                            clamp,
                        };
                        match vectors {
                            1 => V::apart(Narrow(strip)),
                            2 => V::apart(Pair(strip)),
                            _ => V::apart(Triple(strip)),
                        }
                    }
                }
            }
        }
    }
}

/// The taps in groups of at most [`DEPTH`] inputs, one group at least.
fn depth_blocks(taps: &[Tap]) -> Vec<Vec<Tap>> {
    let total: usize = taps.iter().map(|tap| tap.length).sum();
    // Groups of equal length: a short one would move sums to memory and back for little.
    let limit = total.div_ceil(total.div_ceil(DEPTH).max(1)).next_multiple_of(8);
    let mut blocks = vec![Vec::with_capacity(taps.len())];
    let mut room = limit;
    for &(mut tap) in taps {
        while tap.length > 0 {
            if room == 0 {
                blocks.push(Vec::new());
                room = limit;
            }
            let length = tap.length.min(room);
            if let Some(block) = blocks.last_mut() {
                block.push(Tap { length, ..tap });
            }
            room -= length;
            tap = Tap { input: tap.input + length, weight: tap.weight + length, length: tap.length - length };
        }
    }
    blocks
}

/// Rows to compute with one panel before the next.
fn block_height(inputs: usize, columns: usize) -> usize {
    if inputs * columns * size_of::<f32>() <= SMALL {
        return 24;
    }
    (BLOCK / size_of::<f32>() / inputs).next_multiple_of(24).max(48)
}

/// Rows of one panel.
#[derive(Clone, Copy)]
struct Strip<'a> {
    panel: *const f32,
    bias: *const f32,
    matrices: Matrices,
    taps: &'a [Tap],
    rows: usize,
    /// Columns in the last vector.
    last: usize,
    /// Sums start from the bias, not from `out`.
    is_first: bool,
    /// Sums are complete: residual and clamp follow.
    is_last: bool,
    clamp: Clamp,
}

struct Narrow<'a>(Strip<'a>);
struct Pair<'a>(Strip<'a>);
struct Triple<'a>(Strip<'a>);

/// As many tiles of the greatest height as there are, then one of the rest's height, with the given instructions.
macro_rules! tiles {
    ($set:ident, $strip:expr, $vectors:literal, $height:literal, [$($rest:literal)*]) => {{
        let strip = $strip;
        let whole = strip.rows - strip.rows % $height;
        for row in (0..whole).step_by($height) {
            strip.tile::<$set, $height, $vectors>(row);
        }
        match strip.rows % $height {
            $($rest => strip.tile::<$set, $rest, $vectors>(whole),)*
            _ => {}
        }
    }};
}

pub(super) use tiles;

impl Kernel for Narrow<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the rows are the strip's.
        unsafe {
            match V::REGISTERS {
                32 => tiles!(V, self.0, 1, 12, [1 2 3 4 5 6 7 8 9 10 11]),
                _ => tiles!(V, self.0, 1, 8, [1 2 3 4 5 6 7]),
            }
        }
    }
}

impl Kernel for Pair<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the rows are the strip's.
        unsafe {
            match V::REGISTERS {
                32 => tiles!(V, self.0, 2, 12, [1 2 3 4 5 6 7 8 9 10 11]),
                _ => tiles!(V, self.0, 2, 6, [1 2 3 4 5]),
            }
        }
    }
}

impl Kernel for Triple<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the rows are the strip's.
        unsafe {
            match V::REGISTERS {
                32 => tiles!(V, self.0, 3, 8, [1 2 3 4 5 6 7]),
                // Four rows would fill 16 registers, and compilers do not manage with none to spare.
                _ => tiles!(V, self.0, 3, 3, [1 2]),
            }
        }
    }
}

impl Strip<'_> {
    /// Computes `ROWS` rows from `row` on, in registers.
    ///
    /// # Safety
    /// The processor has the instruction set, the strip has the rows, and its pointers are good for them.
    #[inline(always)]
    unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize>(&self, row: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let Matrices { input, stride, out, out_stride, residual, residual_stride } = self.matrices.from(row, 0);
            let is_whole = self.last == V::LANES;
            let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    sums[r][v] = if self.is_first {
                        V::load(self.bias.add(v * V::LANES))
                    } else {
                        self.load::<V, VECTORS>(out.add(r * out_stride), v, is_whole)
                    };
                }
            }
            for tap in self.taps {
                let mut weight = self.panel.add(tap.weight * VECTORS * V::LANES);
                let input = input.add(tap.input);
                for i in 0..tap.length {
                    let mut weights = [V::splat(0.0); VECTORS];
                    for v in 0..VECTORS {
                        weights[v] = V::load(weight.add(v * V::LANES));
                    }
                    for r in 0..ROWS {
                        let value = V::splat(*input.add(r * stride + i));
                        for v in 0..VECTORS {
                            sums[r][v] = value.mul_add(weights[v], sums[r][v]);
                        }
                    }
                    weight = weight.add(VECTORS * V::LANES);
                }
            }
            if self.is_last {
                if !residual.is_null() {
                    for r in 0..ROWS {
                        for v in 0..VECTORS {
                            let residual = residual.add(r * residual_stride);
                            sums[r][v] = sums[r][v].add(self.load::<V, VECTORS>(residual, v, is_whole));
                        }
                    }
                }
                let (low, high) = (V::splat(self.clamp.low), V::splat(self.clamp.high));
                for r in 0..ROWS {
                    for v in 0..VECTORS {
                        sums[r][v] = sums[r][v].max(low).min(high);
                    }
                }
            }
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    let to = out.add(r * out_stride + v * V::LANES);
                    match is_whole || v + 1 < VECTORS {
                        true => sums[r][v].store(to),
                        false => sums[r][v].store_first(to, self.last),
                    }
                }
            }
        }
    }

    /// The vector `v` of a row of results.
    ///
    /// # Safety
    /// The processor has the instruction set; the row has the strip's columns.
    #[inline(always)]
    unsafe fn load<V: Vector, const VECTORS: usize>(&self, row: *const f32, v: usize, is_whole: bool) -> V {
        // SAFETY: the caller's promise.
        unsafe {
            match is_whole || v + 1 < VECTORS {
                true => V::load(row.add(v * V::LANES)),
                false => V::load_first(row.add(v * V::LANES), self.last),
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

    struct Case<'a> {
        depth: usize,
        columns: usize,
        rows: usize,
        stride: usize,
        taps: &'a [Tap],
        with_residual: bool,
        clamp: Clamp,
    }

    /// Compares with a plain sum, and finds that nothing else was written.
    fn check(isa: Isa, case: &Case) {
        let &Case { depth, columns, rows, stride, taps, with_residual, clamp } = case;
        let reach = taps.iter().map(|tap| tap.input + tap.length).max().unwrap_or(0);
        let input = numbers(1, (rows - 1) * stride + reach);
        let matrix = numbers(2, depth * columns);
        let bias = numbers(3, columns);
        let weights = Weights::pack_for(isa, depth, columns, |k, c| matrix[k * columns + c], |c| bias[c]);
        assert_eq!((weights.depth(), weights.columns()), (depth, columns));

        let out_stride = columns + 3;
        let residual_stride = columns + 1;
        let residual = numbers(4, rows * residual_stride);
        let mut out = vec![77.0; rows * out_stride + 5];
        let residuals = with_residual.then_some((&residual[..], residual_stride));
        product(&weights, &input, stride, taps, rows, &mut out, out_stride, residuals, clamp);

        for (index, &got) in out.iter().enumerate() {
            let (row, column) = (index / out_stride, index % out_stride);
            if row >= rows || column >= columns {
                assert_eq!(got, 77.0, "{isa:?}, row {row}, column {column} is not the product's");
                continue;
            }
            let mut sum = f64::from(bias[column]);
            for tap in taps {
                for i in 0..tap.length {
                    let weight = matrix[(tap.weight + i) * columns + column];
                    sum += f64::from(input[row * stride + tap.input + i]) * f64::from(weight);
                }
            }
            if with_residual {
                sum += f64::from(residual[row * residual_stride + column]);
            }
            let expected = clamped(sum, clamp);
            assert!(
                (f64::from(got) - expected).abs() < 2e-6 * (depth as f64 + 4.0),
                "{isa:?}, depth {depth}, {rows} rows, {columns} columns: {got} at {row}, {column}, not {expected}"
            );
        }
    }

    #[test]
    fn any_rows_and_columns() {
        for isa in Isa::available() {
            for columns in 1..=70 {
                for rows in (1..=13).chain([25]) {
                    let depth = 1 + (columns * 7 + rows * 5) % 23;
                    let taps = [Tap { input: 0, weight: 0, length: depth }];
                    let with_residual = (rows + columns) % 2 == 0;
                    let clamp = [Clamp::NONE, Clamp::RELU, Clamp::RELU6][columns % 3];
                    check(isa, &Case { depth, columns, rows, stride: depth, taps: &taps, with_residual, clamp });
                }
            }
        }
    }

    #[test]
    fn several_blocks_of_depth_and_rows() {
        for isa in Isa::available() {
            for (depth, columns, rows) in [(385, 20, 7), (1152, 24, 5), (3136, 3, 2), (700, 40, 200), (3, 17, 700)] {
                for with_residual in [false, true] {
                    let taps = [Tap { input: 0, weight: 0, length: depth }];
                    let clamp = Clamp { low: -1.0, high: 2.0 };
                    check(isa, &Case { depth, columns, rows, stride: depth, taps: &taps, with_residual, clamp });
                }
            }
        }
    }

    /// As for a convolution with stride 2 whose first kernel row is padding: rows overlap, taps have gaps, weights are
    /// left out.
    #[test]
    fn taps() {
        for isa in Isa::available() {
            for length in [1, 5, 12, 200] {
                let depth = 3 * length;
                let taps = [
                    Tap { input: 4, weight: 2 * length, length },
                    Tap { input: 300, weight: length, length },
                    Tap { input: 7, weight: 0, length: 0 },
                ];
                for columns in [5, 16, 26] {
                    let clamp = Clamp::NONE;
                    check(isa, &Case { depth, columns, rows: 9, stride: 2, taps: &taps, with_residual: true, clamp });
                }
            }
            let clamp = Clamp::RELU;
            check(isa, &Case { depth: 4, columns: 9, rows: 5, stride: 1, taps: &[], with_residual: true, clamp });
        }
    }

    /// With overflow, there would be no weights at all, and any read.
    #[test]
    #[should_panic(expected = "weights fit")]
    fn more_weights_than_memory_are_refused() {
        Weights::pack(usize::MAX / 8 + 1, 8, |_, _| 1.0, |_| 0.0);
    }

    #[test]
    #[should_panic(expected = "inputs")]
    fn a_short_input_is_refused() {
        let weights = Weights::pack(4, 2, |_, _| 1.0, |_| 0.0);
        let taps = [Tap { input: 1, weight: 0, length: 4 }];
        product(&weights, &[0.0; 8], 4, &taps, 2, &mut [0.0; 4], 2, None, Clamp::NONE);
    }

    #[test]
    #[should_panic(expected = "results")]
    fn a_short_result_is_refused() {
        let weights = Weights::pack(4, 2, |_, _| 1.0, |_| 0.0);
        let taps = [Tap { input: 0, weight: 0, length: 4 }];
        product(&weights, &[0.0; 8], 4, &taps, 2, &mut [0.0; 3], 2, None, Clamp::NONE);
    }
}
