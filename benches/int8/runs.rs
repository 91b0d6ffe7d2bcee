//! A layer's convolution in float and in 8 bits, on pictures that lie in memory as the network's would.

use gstdensepose::kernels::{
    Clamp,
    depthwise::Depthwise,
    gemm::{Tap, Weights, product},
    gemm8::{Weights8, product8},
    simd::Isa,
    simd8::Isa8,
};

use super::{
    Scaling, depthwise, numbers,
    trunk::{Band, Layer, Shape},
    units::Unit,
};

/// Bytes that stay in the cache.
const CACHED: usize = 384 << 10;

pub type Run = Box<dyn FnMut()>;

/// Numbers that start at a cache line.
struct Picture<T>(Vec<T>);

impl<T: Copy> Picture<T> {
    fn new(numbers: impl Iterator<Item = T>, zero: T) -> Self {
        let mut all: Vec<T> = numbers.collect();
        all.extend([zero; 64]);
        let start = all.as_ptr().align_offset(64);
        all.rotate_right(start);
        Self(all)
    }

    fn get(&mut self) -> &mut [T] {
        let start = self.0.as_ptr().align_offset(64);
        &mut self.0[start..]
    }
}

/// The input's rows, columns and channels, and the result's channels.
fn sizes(layer: &Layer, pixel: usize) -> (usize, usize, usize, usize) {
    match layer.shape {
        // With the padding around it.
        Shape::Stem { channels } => (2 * layer.rows + 1, 2 * layer.columns + 1, pixel, channels),
        Shape::Pointwise { depth, columns } => (layer.rows, layer.columns, depth, columns),
        Shape::Depthwise { channels, stride, .. } => (layer.rows * stride, layer.columns * stride, channels, channels),
    }
}

/// The lines under the kernel's rows for line `j` of a band.
fn under<'a, T>(input: &'a [T], length: usize, layer: &Layer, band: &Band, j: usize) -> ([Option<&'a [T]>; 5], usize) {
    let Shape::Depthwise { kernel, stride, .. } = layer.shape else { return ([None; 5], 0) };
    let mut rows = [None; 5];
    for (ky, row) in rows[..kernel].iter_mut().enumerate() {
        let line = match band.input {
            Some(first) => Some((first + j) * stride + ky),
            None => ((band.first + j) * stride + ky).checked_sub(kernel / 2).filter(|&y| y < layer.rows * stride),
        };
        *row = line.map(|line| &input[line * length..][..length]);
    }
    (rows, kernel)
}

/// Of an input with `pixel` channels, for a line of results.
fn stem(width: usize, pixel: usize) -> [Tap; 3] {
    [0, 1, 2].map(|ky| Tap { input: ky * width * pixel, weight: ky * 3 * pixel, length: 3 * pixel })
}

pub fn float(isa: Isa, layer: Layer) -> Run {
    let (height, width, channels, results) = sizes(&layer, 3);
    // Bands of a depthwise layer reach over their last line.
    let mut input = Picture::new((0..(height + 4) * width * channels).map(|_| 0.1), 0.0);
    let mut out = Picture::new((0..layer.rows * layer.columns * results).map(|_| 0.0), 0.0);
    let (line, out_line) = (width * channels, layer.columns * results);
    let bands = layer.bands(CACHED / size_of::<f32>());
    match layer.shape {
        Shape::Stem { .. } => {
            let weights = Weights::pack_for(isa, 27, results, |_, _| 0.1, |_| 0.1);
            let taps = stem(width, 3);
            Box::new(move || {
                let input: &[f32] = input.get();
                for (y, out) in out.get().chunks_exact_mut(out_line).take(layer.rows).enumerate() {
                    let input = &input[2 * y * line..];
                    product(&weights, input, 6, &taps, layer.columns, out, results, None, Clamp::RELU6);
                }
            })
        }
        Shape::Pointwise { .. } => {
            let weights = Weights::pack_for(isa, channels, results, |_, _| 0.1, |_| 0.1);
            let taps = [Tap { input: 0, weight: 0, length: channels }];
            Box::new(move || {
                for band in &bands {
                    let input = &input.get()[band.input.unwrap_or(band.first) * line..];
                    let out = &mut out.get()[band.output * out_line..];
                    let rows = band.count * layer.columns;
                    product(&weights, input, channels, &taps, rows, out, results, None, Clamp::RELU6);
                }
            })
        }
        Shape::Depthwise { kernel, stride, .. } => {
            let size = (kernel, kernel);
            let filter = Depthwise::pack_for(isa, size, stride, 1, channels, |_, _, _| 0.1, |_| 0.1);
            Box::new(move || {
                let input: &[f32] = input.get();
                for band in &bands {
                    let out = &mut out.get()[band.output * out_line..];
                    for (j, out) in out.chunks_exact_mut(out_line).take(band.count).enumerate() {
                        let (rows, count) = under(input, line, &layer, band, j);
                        filter.row(&rows[..count], kernel / 2, out, Clamp::RELU6);
                    }
                }
            })
        }
    }
}

/// `None` for other layers than pointwise ones.
pub fn pointwise(isa: Isa8, layer: Layer) -> Option<Run> {
    let Shape::Pointwise { .. } = layer.shape else { return None };
    let (height, width, channels, results) = sizes(&layer, 3);
    let mut random = numbers(1);
    let mut input = Picture::new((0..height * width * channels).map(|_| random() as f32), 0.0);
    let mut out = Picture::new((0..layer.rows * layer.columns * results).map(|_| 0.0), 0.0);
    let (line, out_line) = (width * channels, layer.columns * results);
    let bands = layer.bands(CACHED / size_of::<f32>());
    let weights = Weights8::pack_for(isa, channels, results, |k, c| ((k * 5 + c * 3) % 127) as f32 - 63.0, |_| 0.1);
    let mut scratch = Vec::new();
    Some(Box::new(move || {
        for band in &bands {
            let input = &input.get()[band.input.unwrap_or(band.first) * line..];
            let out = &mut out.get()[band.output * out_line..];
            let rows = band.count * layer.columns;
            product8(&weights, input, rows, out, None, Clamp::RELU6, &mut scratch);
        }
    }))
}

/// `None` for other layers than depthwise ones, where the processor lacks the instructions, or where there are too few
/// channels for them.
pub fn depthwise<U: Unit + 'static>(layer: Layer) -> Option<Run> {
    let Shape::Depthwise { kernel, stride, channels } = layer.shape else { return None };
    if !U::is_available() || channels < depthwise::Depthwise::<U>::BLOCK {
        return None;
    }
    let (height, width, ..) = sizes(&layer, 4);
    let mut random = numbers(1);
    let mut input = Picture::new((0..(height + 4) * width * channels).map(|_| random() as u8), 0);
    let mut out = Picture::new((0..layer.rows * layer.columns * channels).map(|_| 0), 0);
    let (line, out_line) = (width * channels, layer.columns * channels);
    let bands = layer.bands(CACHED);
    let weight = |ky: usize, kx: usize, c: usize| ((ky * 50 + kx * 20 + c * 3) % 127) as i8 - 63;
    let scaling = Scaling::new(channels, 0.01, 0.0);
    let filter = depthwise::Depthwise::<U>::pack(kernel, stride, channels, weight, &scaling);
    let padding = vec![0; line];
    Some(Box::new(move || {
        let input: &[u8] = input.get();
        for band in &bands {
            let out = &mut out.get()[band.output * out_line..];
            for (j, out) in out.chunks_exact_mut(out_line).take(band.count).enumerate() {
                let (rows, count) = under(input, line, &layer, band, j);
                filter.row(&rows[..count], kernel / 2, &padding, out);
            }
        }
    }))
}
