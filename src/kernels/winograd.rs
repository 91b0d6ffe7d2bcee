//! Dense 3x3 convolution (stride 1, padding 1) by Winograd's minimal filtering F(4x4, 3x3), after A. Lavin and S. Gray,
//! *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016: 36 products of matrices yield 4x4 pixels, where the
//! plain sum takes 144.
//!
//! A block of tiles at a time, sized for the second-level cache: 6x6 pixels of input around each tile are transformed
//! (over vectors of channels), each of the 36 positions is multiplied with its transformed weights by
//! [`product`](super::gemm::product), and the results are transformed to pixels.

use std::ops::Range;

use super::{
    Clamp,
    aligned::{Aligned, reserve},
    gemm::{Tap, Weights, product},
    simd::{Isa, Kernel, Vector, first_of},
};

/// Pixels of a tile's result, on a side.
pub const TILE: usize = 4;
/// Pixels under a tile, on a side: the result's and one more around it.
const PATCH: usize = TILE + 2;
const POSITIONS: usize = PATCH * PATCH;
/// Bytes of transformed inputs and results of a block of tiles.
const BLOCK: usize = 576 << 10;
/// Numbers between the positions' matrices, so that these do not meet in one set of the cache.
const GAP: usize = 16;

/// Weights of a convolution, transformed and packed for the processor at hand.
pub struct Winograd {
    isa: Isa,
    inputs: usize,
    outputs: usize,
    /// One matrix for each position.
    products: Vec<Weights>,
    bias: Vec<f32>,
    /// A pixel of padding.
    zeros: Aligned,
}

impl Winograd {
    /// `inputs` and `outputs` are numbers of channels; `weight(ky, kx, input, output)`, `bias(output)`.
    pub fn pack(
        inputs: usize,
        outputs: usize,
        weight: impl Fn(usize, usize, usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        Self::pack_for(Isa::best(), inputs, outputs, weight, bias)
    }

    /// Like [`Self::pack`], to be computed with a given instruction set.
    pub fn pack_for(
        isa: Isa,
        inputs: usize,
        outputs: usize,
        weight: impl Fn(usize, usize, usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        /// The paper's G.
        const FILTER: [[f64; 3]; PATCH] = [
            [1.0 / 4.0, 0.0, 0.0],
            [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
            [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
            [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
            [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
            [0.0, 0.0, 1.0],
        ];
        let transformed = |position: usize, input: usize, output: usize| {
            let (vertical, horizontal) = (FILTER[position / PATCH], FILTER[position % PATCH]);
            let mut sum = 0.0;
            for ky in 0..3 {
                for kx in 0..3 {
                    sum += vertical[ky] * horizontal[kx] * f64::from(weight(ky, kx, input, output));
                }
            }
            sum as f32
        };
        let products = (0..POSITIONS)
            .map(|position| {
                Weights::pack_for(isa, inputs, outputs, |input, output| transformed(position, input, output), |_| 0.0)
            })
            .collect();
        Self { isa, inputs, outputs, products, bias: (0..outputs).map(bias).collect(), zeros: Aligned::zeros(inputs) }
    }

    /// Rows of tiles of one picture: `input` is the whole picture (height x width x inputs), `out` takes the pixels of
    /// these rows of tiles ([`TILE`] rows of pixels each, the last as many as are left). `scratch` is grown as needed and
    /// serves any number of calls.
    ///
    /// # Panics
    /// Where `input` or `out` has not the length that these extents say.
    #[allow(clippy::too_many_arguments)]
    pub fn tile_rows(
        &self,
        input: &[f32],
        height: usize,
        width: usize,
        tiles: Range<usize>,
        out: &mut [f32],
        clamp: Clamp,
        scratch: &mut Vec<f32>,
    ) {
        let rows = (tiles.end * TILE).min(height).saturating_sub(tiles.start * TILE);
        assert_eq!(input.len(), height * width * self.inputs, "input of {height} x {width}");
        assert_eq!(out.len(), rows * width * self.outputs, "result of rows of tiles {tiles:?} of {height} x {width}");
        let across = width.div_ceil(TILE);
        let skipped = tiles.start * TILE * width;
        let tiles = tiles.start * across..tiles.end.min(height.div_ceil(TILE)) * across;
        self.blocks(&Pictures { height, width, skipped }, input, tiles, out, clamp, scratch);
    }

    /// Whole pictures, one after the other in `input` and `out`: for pictures of so few tiles that one alone would leave
    /// the products' rows short.
    ///
    /// # Panics
    /// Where `input` or `out` has not the length that these extents say.
    #[allow(clippy::too_many_arguments)]
    pub fn pictures(
        &self,
        input: &[f32],
        pictures: usize,
        height: usize,
        width: usize,
        out: &mut [f32],
        clamp: Clamp,
        scratch: &mut Vec<f32>,
    ) {
        assert_eq!(input.len(), pictures * height * width * self.inputs, "input of {pictures} x {height} x {width}");
        assert_eq!(out.len(), pictures * height * width * self.outputs, "result of {pictures} x {height} x {width}");
        let tiles = 0..pictures * height.div_ceil(TILE) * width.div_ceil(TILE);
        self.blocks(&Pictures { height, width, skipped: 0 }, input, tiles, out, clamp, scratch);
    }

    fn blocks(
        &self,
        pictures: &Pictures,
        input: &[f32],
        tiles: Range<usize>,
        out: &mut [f32],
        clamp: Clamp,
        scratch: &mut Vec<f32>,
    ) {
        if self.inputs == 0 || self.outputs == 0 || tiles.is_empty() {
            return;
        }
        let whole = BLOCK / (POSITIONS * (self.inputs + self.outputs) * size_of::<f32>());
        let block = whole.next_multiple_of(6).max(24).min(tiles.len());
        let (input_step, output_step) = (block * self.inputs + GAP, block * self.outputs + GAP);
        let (transformed, products) =
            reserve(scratch, POSITIONS * (input_step + output_step)).split_at_mut(POSITIONS * input_step);
        let taps = [Tap { input: 0, weight: 0, length: self.inputs }];
        for first in tiles.clone().step_by(block) {
            let tiles = first..(first + block).min(tiles.end);
            self.isa.narrower(self.inputs).run(Inputs {
                pictures,
                tiles: tiles.clone(),
                channels: self.inputs,
                input,
                zeros: &self.zeros,
                out: transformed,
                step: input_step,
            });
            for (position, weights) in self.products.iter().enumerate() {
                let transformed = &transformed[position * input_step..][..tiles.len() * self.inputs];
                let products = &mut products[position * output_step..][..tiles.len() * self.outputs];
                let (inputs, outputs) = (self.inputs, self.outputs);
                product(weights, transformed, inputs, &taps, tiles.len(), products, outputs, None, Clamp::NONE);
            }
            self.isa.narrower(self.outputs).run(Outputs {
                pictures,
                tiles,
                channels: self.outputs,
                products,
                step: output_step,
                bias: &self.bias,
                out,
                clamp,
            });
        }
    }
}

/// Pictures of one size, one after the other, and where their tiles lie.
struct Pictures {
    height: usize,
    width: usize,
    /// Pixels before the result's first.
    skipped: usize,
}

impl Pictures {
    /// The picture that a tile is in, and its row and column of pixels.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let (down, across) = (self.height.div_ceil(TILE), self.width.div_ceil(TILE));
        (tile / (down * across), tile / across % down * TILE, tile % across * TILE)
    }

    /// A pixel's index, if the picture has it.
    #[inline(always)]
    fn pixel(&self, picture: usize, y: usize, x: usize) -> Option<usize> {
        (y < self.height && x < self.width).then(|| (picture * self.height + y) * self.width + x)
    }
}

/// The transform of inputs: for each position, tiles x channels.
struct Inputs<'a> {
    pictures: &'a Pictures,
    tiles: Range<usize>,
    channels: usize,
    input: &'a [f32],
    /// A pixel.
    zeros: &'a [f32],
    out: &'a mut [f32],
    /// From one position's matrix to the next.
    step: usize,
}

impl Kernel for Inputs<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { pictures, channels, step, .. } = self;
        for (index, tile) in self.tiles.enumerate() {
            let (picture, top, left) = pictures.place(tile);
            let mut patch = [[self.zeros.as_ptr(); PATCH]; PATCH];
            for y in 0..PATCH {
                for x in 0..PATCH {
                    // The first row and column are those before the tile; before the picture, they wrap to far beyond it.
                    let (y_in, x_in) = ((top + y).wrapping_sub(1), (left + x).wrapping_sub(1));
                    if let Some(pixel) = pictures.pixel(picture, y_in, x_in) {
                        patch[y][x] = self.input[pixel * channels..][..channels].as_ptr();
                    }
                }
            }
            let out = &mut self.out[index * channels..][..(POSITIONS - 1) * step + channels];
            for vector in 0..channels.div_ceil(V::LANES) {
                let channel = first_of(vector, V::LANES, channels);
                // SAFETY: the caller's promise of instructions; the pixels and the result have `channels` numbers each.
                unsafe {
                    let zero = V::splat(0.0);
                    let mut columns = [[zero; PATCH]; PATCH];
                    for x in 0..PATCH {
                        let mut column = [zero; PATCH];
                        for y in 0..PATCH {
                            column[y] = V::load(patch[y][x].add(channel));
                        }
                        columns[x] = transform_input(column);
                    }
                    let out = out.as_mut_ptr().add(channel);
                    for y in 0..PATCH {
                        let mut row = [zero; PATCH];
                        for x in 0..PATCH {
                            row[x] = columns[x][y];
                        }
                        let row = transform_input(row);
                        for x in 0..PATCH {
                            row[x].store(out.add((y * PATCH + x) * step));
                        }
                    }
                }
            }
        }
    }
}

/// The transform of products to pixels.
struct Outputs<'a> {
    pictures: &'a Pictures,
    tiles: Range<usize>,
    channels: usize,
    /// For each position, tiles x channels.
    products: &'a [f32],
    /// From one position's matrix to the next.
    step: usize,
    bias: &'a [f32],
    out: &'a mut [f32],
    clamp: Clamp,
}

impl Kernel for Outputs<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { pictures, channels, step, .. } = self;
        let (out, out_length) = (self.out.as_mut_ptr(), self.out.len());
        for (index, tile) in self.tiles.enumerate() {
            let (picture, top, left) = pictures.place(tile);
            let products = &self.products[index * channels..][..(POSITIONS - 1) * step + channels];
            let bias = &self.bias[..channels];
            // Pixels beyond the picture are computed and left.
            let mut pixels = [[std::ptr::null_mut(); TILE]; TILE];
            for y in 0..TILE {
                for x in 0..TILE {
                    if let Some(pixel) = pictures.pixel(picture, top + y, left + x) {
                        let start = (pixel - pictures.skipped) * channels;
                        assert!(start + channels <= out_length);
                        // SAFETY: within the result, as was just found.
                        pixels[y][x] = unsafe { out.add(start) };
                    }
                }
            }
            for vector in 0..channels.div_ceil(V::LANES) {
                let channel = first_of(vector, V::LANES, channels);
                // SAFETY: the caller's promise of instructions; products, bias and pixels have `channels` numbers each.
                unsafe {
                    let zero = V::splat(0.0);
                    let (low, high) = (V::splat(self.clamp.low), V::splat(self.clamp.high));
                    let products = products.as_ptr().add(channel);
                    let bias = V::load(bias.as_ptr().add(channel));
                    let mut columns = [[zero; TILE]; PATCH];
                    for x in 0..PATCH {
                        let mut column = [zero; PATCH];
                        for y in 0..PATCH {
                            column[y] = V::load(products.add((y * PATCH + x) * step));
                        }
                        columns[x] = transform_output(column);
                    }
                    for y in 0..TILE {
                        let mut row = [zero; PATCH];
                        for x in 0..PATCH {
                            row[x] = columns[x][y];
                        }
                        let row = transform_output(row);
                        for x in 0..TILE {
                            if !pixels[y][x].is_null() {
                                row[x].add(bias).max(low).min(high).store(pixels[y][x].add(channel));
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The paper's transposed B times a column.
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
unsafe fn transform_input<V: Vector>([a, b, c, d, e, f]: [V; PATCH]) -> [V; PATCH] {
    // SAFETY: the caller's promise.
    let (two, four, minus_four, minus_five) = unsafe { (V::splat(2.0), V::splat(4.0), V::splat(-4.0), V::splat(-5.0)) };
    let (even, odd) = (minus_four.mul_add(c, e), minus_four.mul_add(b, d));
    let (near, far) = (e.sub(c), d.sub(b));
    [
        four.mul_add(a, minus_five.mul_add(c, e)),
        even.add(odd),
        even.sub(odd),
        two.mul_add(far, near),
        two.mul_add(b.sub(d), near),
        four.mul_add(b, minus_five.mul_add(d, f)),
    ]
}

/// The paper's transposed A times a column.
///
/// # Safety
/// The processor has the instruction set.
#[inline(always)]
unsafe fn transform_output<V: Vector>([a, b, c, d, e, f]: [V; PATCH]) -> [V; TILE] {
    // SAFETY: the caller's promise.
    let (two, four, eight) = unsafe { (V::splat(2.0), V::splat(4.0), V::splat(8.0)) };
    let (sum, difference) = (b.add(c), b.sub(c));
    let (far_sum, far_difference) = (d.add(e), d.sub(e));
    [
        a.add(sum).add(far_sum),
        two.mul_add(far_difference, difference),
        four.mul_add(far_sum, sum),
        eight.mul_add(far_difference, difference).add(f),
    ]
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{clamped, numbers},
        *,
    };

    /// A convolution's data, and its result in double precision.
    struct Case {
        inputs: usize,
        outputs: usize,
        height: usize,
        width: usize,
        pictures: usize,
        input: Vec<f32>,
        weights: Vec<f32>,
        bias: Vec<f32>,
        clamp: Clamp,
        expected: Vec<f64>,
    }

    impl Case {
        fn new(inputs: usize, outputs: usize, height: usize, width: usize, pictures: usize) -> Self {
            // Uniform numbers of variance 1; weights that keep it.
            let scaled = |seed, count, scale: f32| -> Vec<f32> {
                numbers(seed, count).iter().map(|number| number * 3f32.sqrt() * scale).collect()
            };
            let input = scaled(1, pictures * height * width * inputs, 1.0);
            let weights = scaled(2, 9 * inputs * outputs, 1.0 / (9.0 * inputs as f32).sqrt());
            let bias = scaled(3, outputs, 0.5);
            let clamp = [Clamp::NONE, Clamp::RELU, Clamp { low: -1.0, high: 1.0 }][(height + width) % 3];
            let mut expected = Vec::new();
            for (picture, y, x) in positions(pictures, height, width) {
                for output in 0..outputs {
                    let mut sum = f64::from(bias[output]);
                    for (ky, kx) in (0..9).map(|k| (k / 3, k % 3)) {
                        let (y, x) = ((y + ky).wrapping_sub(1), (x + kx).wrapping_sub(1));
                        if y < height && x < width {
                            for i in 0..inputs {
                                let pixel = (picture * height + y) * width + x;
                                let weight = weights[((ky * 3 + kx) * inputs + i) * outputs + output];
                                sum += f64::from(input[pixel * inputs + i]) * f64::from(weight);
                            }
                        }
                    }
                    expected.push(clamped(sum, clamp));
                }
            }
            Self { inputs, outputs, height, width, pictures, input, weights, bias, clamp, expected }
        }

        fn packed(&self, isa: Isa) -> Winograd {
            let (inputs, outputs) = (self.inputs, self.outputs);
            let weight = |ky, kx, i, o| self.weights[((ky * 3 + kx) * inputs + i) * outputs + o];
            Winograd::pack_for(isa, inputs, outputs, weight, |o| self.bias[o])
        }

        fn check(&self, isa: Isa, got: &[f32], what: &str) {
            let (mut errors, mut squares) = (0.0, 0.0);
            for (&got, &expected) in got.iter().zip(&self.expected) {
                errors += (f64::from(got) - expected).powi(2);
                squares += expected.powi(2);
            }
            let error = (errors / squares).sqrt();
            assert!(
                error < 2e-6,
                "{isa:?}, {what}, {} -> {} channels, {} x {}: relative error {error:e}",
                self.inputs,
                self.outputs,
                self.height,
                self.width
            );
        }
    }

    fn positions(pictures: usize, height: usize, width: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..pictures * height * width).map(move |i| (i / (height * width), i / width % height, i % width))
    }

    #[test]
    fn any_size_and_channels() {
        let sizes = [(1, 1), (3, 5), (4, 4), (7, 7), (4, 8), (9, 2), (5, 13), (17, 22)];
        let mut scratch = Vec::new();
        for isa in Isa::available() {
            for (height, width) in sizes {
                for (inputs, outputs) in [(1, 1), (3, 8), (8, 3), (17, 25), (64, 64)] {
                    let case = Case::new(inputs, outputs, height, width, 1);
                    let packed = case.packed(isa);
                    let mut out = vec![77.0; height * width * outputs];
                    let split = height.div_ceil(TILE) / 2;
                    let (head, tail) = out.split_at_mut(split * TILE * width * outputs);
                    packed.tile_rows(&case.input, height, width, 0..split, head, case.clamp, &mut scratch);
                    let rest = split..height.div_ceil(TILE);
                    packed.tile_rows(&case.input, height, width, rest, tail, case.clamp, &mut scratch);
                    case.check(isa, &out, "rows of tiles");
                }
            }
        }
    }

    #[test]
    fn several_pictures() {
        let mut scratch = Vec::new();
        for isa in Isa::available() {
            for (pictures, height, width) in [(5, 7, 7), (3, 3, 9), (20, 7, 7)] {
                let case = Case::new(12, 20, height, width, pictures);
                let mut out = vec![77.0; pictures * height * width * case.outputs];
                let packed = case.packed(isa);
                packed.pictures(&case.input, case.pictures, height, width, &mut out, case.clamp, &mut scratch);
                case.check(isa, &out, "pictures");
            }
        }
    }

    #[test]
    #[should_panic(expected = "result of rows")]
    fn a_short_result_is_refused() {
        let packed = Winograd::pack(2, 2, |_, _, _, _| 1.0, |_| 0.0);
        packed.tile_rows(&[0.0; 98], 7, 7, 1..2, &mut [0.0; 4], Clamp::NONE, &mut Vec::new());
    }
}
