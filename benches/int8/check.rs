//! The 8-bit depthwise kernels against plain loops, number by number.

use super::{
    Scaling,
    depthwise::Depthwise,
    numbers,
    trunk::{Layer, Shape},
    units::Unit,
};

/// Activations and weights in their whole ranges; `extreme`: the greatest, with weights of one sign per channel.
fn operands<U: Unit>(count: (usize, usize), channels: usize, extreme: bool) -> (Vec<u8>, Vec<i8>) {
    let mut random = numbers(count.0 as u64);
    let greatest = i64::from(U::GREATEST);
    let activations = (0..count.0).map(|_| if extreme { 255 } else { random() as u8 }).collect();
    let weight = |i: usize, random: i64| match extreme {
        true => greatest - (i % channels % 2) as i64 * 2 * greatest,
        false => random.rem_euclid(2 * greatest + 1) - greatest,
    };
    (activations, (0..count.1).map(|i| weight(i, random() as i64) as i8).collect())
}

fn rescaled(sum: i32, scaling: &Scaling, channel: usize) -> u8 {
    (sum as f32).mul_add(scaling.scale[channel], scaling.zero).round_ties_even().clamp(0.0, 255.0) as u8
}

fn same(found: &[u8], expected: &[u8], what: &str) {
    if let Some(at) = (0..expected.len()).find(|&i| found[i] != expected[i]) {
        panic!("{what}: {} at {at}, not {}", found[at], expected[at]);
    }
}

fn depthwise<U: Unit>((kernel, stride, channels): (usize, usize, usize), width: usize, extreme: bool) {
    let in_width = width * stride;
    let length = in_width * channels;
    let (input, matrix) = operands::<U>((kernel * length, kernel * kernel * channels), channels, extreme);
    let scaling = Scaling::new(channels, 0.012 / kernel as f32, 117.0);
    let weight = |ky: usize, kx: usize, c: usize| matrix[(ky * kernel + kx) * channels + c];
    let filter = Depthwise::<U>::pack(kernel, stride, channels, weight, &scaling);
    let zero = 3;
    for missing in [None, Some(0), Some(kernel - 1)] {
        let rows: Vec<_> =
            (0..kernel).map(|ky| (missing != Some(ky)).then(|| &input[ky * length..][..length])).collect();
        let mut out = vec![77; width * channels];
        filter.row(&rows, kernel / 2, &vec![zero; length], &mut out);
        let mut expected = Vec::new();
        for (x, c) in (0..width).flat_map(|x| (0..channels).map(move |c| (x, c))) {
            let mut sum = scaling.bias[c];
            for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                let column = (x * stride + kx).checked_sub(kernel / 2).filter(|&column| column < in_width);
                let found = column.zip(rows[ky]).map_or(zero, |(column, row)| row[column * channels + c]);
                sum += i32::from(found) * i32::from(weight(ky, kx, c));
            }
            expected.push(rescaled(sum, &scaling, c));
        }
        let what = format!("{}: {channels} channels, kernel {kernel}, stride {stride}, width {width}", U::NAME);
        same(&out, &expected, &what);
    }
}

/// All layers, on as many rows and columns as reach every branch.
pub fn all<U: Unit>(layers: &[Layer]) {
    if !U::is_available() {
        return;
    }
    for (layer, extreme) in layers.iter().flat_map(|layer| [(layer, false), (layer, true)]) {
        match layer.shape {
            Shape::Depthwise { channels, kernel, stride } if channels >= Depthwise::<U>::BLOCK => {
                for width in [1, 3, 8, 21] {
                    depthwise::<U>((kernel, stride, channels), width, extreme);
                }
            }
            _ => {}
        }
    }
}
