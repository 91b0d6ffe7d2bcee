//! Speed of the arithmetic kernels on the shapes that the networks have at 256x480, beside the processor's peak.
//!
//! An item is a floating-point operation (a multiplication or an addition), so that the column of throughputs shows
//! GFLOP/s; for Winograd's algorithm, an item is one of the plain sum's operations. One thread:
//! `cargo bench --bench kernels`.

use std::fmt;

use divan::{Bencher, black_box, counter::ItemsCount};
use gstdensepose::kernels::{
    Clamp,
    depthwise::Depthwise,
    gemm::{Tap, Weights, product},
    peak,
    simd::Isa,
    winograd::Winograd,
};

fn main() {
    println!("{:?} of {:?}", Isa::best(), Isa::available().collect::<Vec<_>>());
    divan::main();
}

/// Numbers that start at a cache line, as tract's tensors do.
struct Numbers(Vec<f32>);

impl Numbers {
    fn new(count: usize) -> Self {
        Self(vec![0.1; count + 16])
    }

    fn get(&mut self) -> &mut [f32] {
        let start = self.0.as_ptr().align_offset(64);
        let end = self.0.len() - 16 + start;
        &mut self.0[start..end]
    }
}

/// The most multiplications and additions that registers allow.
#[divan::bench(max_time = 0.5)]
fn peak_of_registers(bencher: Bencher) {
    const STEPS: usize = 100_000;
    bencher.counter(ItemsCount::new(peak::operations(STEPS))).bench(|| peak::run(black_box(STEPS)));
}

/// A product's extents.
#[derive(Clone, Copy)]
struct Product {
    rows: usize,
    depth: usize,
    columns: usize,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}x{}->{}", self.rows, self.depth, self.columns)
    }
}

const fn rows(rows: usize, depth: usize, columns: usize) -> Product {
    Product { rows, depth, columns }
}

#[divan::bench(max_time = 0.25, args = [
    rows(30720, 32, 16), rows(30720, 16, 96), rows(7680, 96, 24), rows(7680, 24, 144), rows(7680, 144, 24),
    rows(7680, 144, 64), rows(1920, 144, 40), rows(1920, 40, 240), rows(1920, 240, 40), rows(480, 240, 80),
    rows(480, 80, 480), rows(480, 480, 80), rows(480, 480, 112), rows(480, 112, 672), rows(480, 672, 112),
    rows(120, 672, 192), rows(120, 192, 1152), rows(120, 1152, 192), rows(120, 1152, 64), rows(7680, 64, 64),
    rows(7680, 64, 15), rows(100, 3136, 1024),
])]
fn pointwise(bencher: Bencher, Product { rows, depth, columns }: Product) {
    let weights = Weights::pack(depth, columns, |_, _| 0.1, |_| 0.1);
    let (mut input, mut out) = (Numbers::new(rows * depth), Numbers::new(rows * columns));
    let taps = [Tap { input: 0, weight: 0, length: depth }];
    bencher.counter(ItemsCount::new(2 * rows * depth * columns)).bench_local(|| {
        product(&weights, black_box(input.get()), depth, &taps, rows, out.get(), columns, None, Clamp::RELU6);
    });
}

/// A convolution's result (height, width, channels), and its kernel.
#[derive(Clone, Copy)]
struct Filter {
    height: usize,
    width: usize,
    channels: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { height, width, channels, kernel, stride, dilation } = self;
        write!(f, "{height}x{width}x{channels} kernel {kernel} stride {stride} dilation {dilation}")
    }
}

const fn filter(height: usize, width: usize, channels: usize, kernel: usize, stride: usize) -> Filter {
    Filter { height, width, channels, kernel, stride, dilation: 1 }
}

#[divan::bench(max_time = 0.25, args = [
    filter(128, 240, 32, 3, 1), filter(64, 120, 96, 3, 2), filter(64, 120, 144, 3, 1), filter(32, 60, 144, 5, 2),
    filter(32, 60, 240, 5, 1), filter(16, 30, 240, 3, 2), filter(16, 30, 480, 3, 1), filter(16, 30, 480, 5, 1),
    filter(16, 30, 672, 5, 1), filter(8, 15, 672, 5, 2), filter(8, 15, 1152, 5, 1), filter(8, 15, 1152, 3, 1),
    filter(64, 120, 64, 3, 1), Filter { dilation: 6, ..filter(32, 32, 64, 3, 1) },
    Filter { dilation: 12, ..filter(32, 32, 64, 3, 1) },
])]
fn depthwise(bencher: Bencher, Filter { height, width, channels, kernel, stride, dilation }: Filter) {
    let packed = Depthwise::pack((kernel, kernel), stride, dilation, channels, |_, _, _| 0.1, |_| 0.1);
    let (mut input, mut out) =
        (Numbers::new(height * stride * width * stride * channels), Numbers::new(height * width * channels));
    let padding = (kernel - 1) * dilation / 2;
    bencher.counter(ItemsCount::new(2 * height * width * channels * kernel * kernel)).bench_local(|| {
        let input: &[f32] = black_box(input.get());
        let mut rows = [None; 5];
        let rows_in = |y: usize| input.chunks_exact(width * stride * channels).nth(y);
        for (y, out) in out.get().chunks_exact_mut(width * channels).enumerate() {
            for (ky, row) in rows[..kernel].iter_mut().enumerate() {
                *row = (y * stride + ky * dilation).checked_sub(padding).and_then(rows_in);
            }
            packed.row(&rows[..kernel], padding, out, Clamp::RELU6);
        }
    });
}

/// Pictures for a dense 3x3 convolution.
#[derive(Clone, Copy)]
struct Pictures {
    count: usize,
    height: usize,
    width: usize,
    channels: usize,
}

impl Pictures {
    /// Operations of the plain sum.
    fn operations(self) -> ItemsCount {
        ItemsCount::new(2 * 9 * self.count * self.height * self.width * self.channels * self.channels)
    }
}

impl fmt::Display for Pictures {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}x {}x{}, {} channels", self.count, self.height, self.width, self.channels)
    }
}

const PICTURES: [Pictures; 5] = [
    Pictures { count: 1, height: 64, width: 120, channels: 64 },
    Pictures { count: 1, height: 32, width: 60, channels: 64 },
    Pictures { count: 1, height: 32, width: 32, channels: 64 },
    Pictures { count: 32, height: 7, width: 7, channels: 64 },
    Pictures { count: 1, height: 32, width: 32, channels: 256 },
];

#[divan::bench(max_time = 0.25, args = PICTURES)]
fn winograd(bencher: Bencher, pictures: Pictures) {
    let Pictures { count, height, width, channels } = pictures;
    let packed = Winograd::pack(channels, channels, |_, _, _, _| 0.1, |_| 0.1);
    let numbers = count * height * width * channels;
    let (mut input, mut out, mut scratch) = (Numbers::new(numbers), Numbers::new(numbers), Vec::new());
    bencher.counter(pictures.operations()).bench_local(|| {
        packed.pictures(black_box(input.get()), count, height, width, out.get(), Clamp::RELU, &mut scratch);
    });
}

/// The same as a plain sum, of an input with its padding around it.
#[divan::bench(max_time = 0.25, args = PICTURES)]
fn direct(bencher: Bencher, pictures: Pictures) {
    let Pictures { count, height, width, channels } = pictures;
    let weights = Weights::pack(9 * channels, channels, |_, _| 0.1, |_| 0.1);
    let row = (width + 2) * channels;
    let taps = [0, 1, 2].map(|ky| Tap { input: ky * row, weight: ky * 3 * channels, length: 3 * channels });
    let (mut input, mut out) =
        (Numbers::new(count * (height + 2) * row), Numbers::new(count * height * width * channels));
    bencher.counter(pictures.operations()).bench_local(|| {
        let input = black_box(input.get());
        for (y, out) in out.get().chunks_exact_mut(width * channels).enumerate() {
            let input = &input[(y / height * (height + 2) + y % height) * row..];
            product(&weights, input, channels, &taps, width, out, channels, None, Clamp::RELU);
        }
    });
}
