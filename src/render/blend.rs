//! A layer of inks onto the picture.

use super::ink::{Ink, Medium, Packing};
use super::layer::Layer;
use super::wide;
use crate::image::{Component, ImageMut};
use crate::simd::vectorised;

/// Draws the layer's first `rows` rows over the picture's from `top` on as detectron2 does: ink by ink with `opacity`,
/// whatever the ink's weight, in floating point, with the fraction cut off. For pictures without subsampling.
pub(super) fn blend_cut(image: &mut ImageMut, medium: &Medium, top: usize, rows: usize, layer: &Layer, opacity: f64) {
    let columns = layer.touched();
    for (lane, &index) in medium.order.iter().enumerate().take(medium.color.components()) {
        let step = image.layout().components[index].step;
        for row in 0..rows {
            let samples = image.row_mut(index, top + row).iter_mut().step_by(step).skip(columns.start);
            for (sample, ink) in samples.zip(&layer.row(row)[columns.clone()]).filter(|(_, ink)| **ink != Ink::NONE) {
                let [old, new] = [*sample, ink.over(0, lane)].map(f64::from);
                *sample = (old * (1.0 - opacity) + new * opacity) as u8;
            }
        }
    }
}

/// Draws the layer's first `rows` rows over the picture's from `top` on. `scratch` is room for averaged inks.
pub(super) fn blend(
    image: &mut ImageMut,
    medium: &Medium,
    top: usize,
    rows: usize,
    layer: &Layer,
    scratch: &mut Vec<Ink>,
) {
    let columns = layer.touched();
    if columns.is_empty() {
        return;
    }
    match medium.packing {
        Packing::Packed { plane, offset, step } => {
            let plane = image.plane_mut(plane);
            for row in 0..rows {
                let start = (top + row) * plane.stride + offset + columns.start * step;
                let pixels = &mut plane.data[start..][..(columns.len() - 1) * step + 3];
                let inks = &layer.row(row)[columns.clone()];
                if step == 4 { packed4(pixels, inks) } else { packed3(pixels, inks) }
            }
        }
        Packing::Separate => separate(image, medium.color.components(), top, rows, layer, scratch),
    }
}

/// Component by component; those of the same subsampling share their averaged inks.
fn separate(image: &mut ImageMut, count: usize, top: usize, rows: usize, layer: &Layer, scratch: &mut Vec<Ink>) {
    let columns = layer.touched();
    let mut reduced = None;
    for index in 0..count {
        let Component { step, shift_x, shift_y, .. } = image.layout().components[index];
        let start = columns.start >> shift_x;
        if (shift_x, shift_y) == (0, 0) {
            for row in 0..rows {
                let samples = &mut image.row_mut(index, top + row)[start * step..];
                blend_samples(samples, step, index, &layer.row(row)[columns.clone()]);
            }
            continue;
        }
        if reduced.replace((shift_x, shift_y)) != Some((shift_x, shift_y)) {
            reduce(layer, rows, (shift_x, shift_y), scratch);
        }
        let count = ((columns.end - 1) >> shift_x) + 1 - start;
        for (row, inks) in scratch.chunks(count).enumerate() {
            let samples = &mut image.row_mut(index, (top >> shift_y) + row)[start * step..];
            blend_samples(samples, step, index, inks);
        }
    }
}

fn packed3(pixels: &mut [u8], inks: &[Ink]) {
    let done = wide::blend_packed::<3>(pixels, inks);
    for (pixel, ink) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(inks).skip(done) {
        *pixel = std::array::from_fn(|k| ink.over(pixel[k], k));
    }
}

/// The last pixel comes without its fourth byte, which may lie outside the buffer.
fn packed4(pixels: &mut [u8], inks: &[Ink]) {
    let done = wide::blend_packed::<4>(pixels, inks);
    let (pixels, last) = pixels.as_chunks_mut::<4>();
    for (pixel, ink) in pixels.iter_mut().zip(inks).skip(done) {
        *pixel = ink.over_pixel(*pixel);
    }
    packed3(last, &inks[pixels.len()..]);
}

/// Draws component `index` of the inks on samples that are `step` apart.
fn blend_samples(samples: &mut [u8], step: usize, index: usize, inks: &[Ink]) {
    let done = match step {
        1 => wide::blend_samples::<1>(samples, index, inks),
        2 => wide::blend_samples::<2>(samples, index, inks),
        4 => wide::blend_samples::<4>(samples, index, inks),
        _ => 0,
    };
    for (sample, ink) in samples.iter_mut().step_by(step).zip(inks).skip(done) {
        *sample = ink.over(*sample, index);
    }
}

/// Means of blocks of two by two inks; at an odd end, of two.
fn mean_of_fours(upper: &[Ink], lower: &[Ink], out: &mut [Ink]) {
    let done = wide::means(upper, lower, out);
    let pairs = upper.chunks(2).zip(lower.chunks(2));
    for (out, (upper, lower)) in out.iter_mut().zip(pairs).skip(done) {
        *out = match (upper, lower) {
            (&[a, b], &[c, d]) => a.mean(c).mean(b.mean(d)),
            _ => upper[0].mean(lower[0]),
        };
    }
}

vectorised! {
    /// Means of pairs of inks; at an odd end, one ink.
    fn mean_of_pairs(inks: &[Ink], out: &mut [Ink]) {
        let (pairs, rest) = inks.as_chunks::<2>();
        for (out, [a, b]) in out.iter_mut().zip(pairs) {
            *out = a.mean(*b);
        }
        if let ([ink], Some(out)) = (rest, out.last_mut()) {
            *out = *ink;
        }
    }
}

/// Averages the inks over samples of `1 << shifts.0` by `1 << shifts.1` pixels into `out`, row after row.
fn reduce(layer: &Layer, rows: usize, (shift_x, shift_y): (u32, u32), out: &mut Vec<Ink>) {
    out.clear();
    let size = 1 << shift_x;
    let columns = layer.touched();
    // Whole samples: those at the edges may lie partly outside what was touched, or outside the picture.
    let columns = columns.start / size * size..layer.width().min(columns.end.next_multiple_of(size));
    let count = columns.len().div_ceil(size);
    out.resize(count * rows.div_ceil(1 << shift_y), Ink::NONE);
    for (out, top) in out.chunks_mut(count).zip((0..rows).step_by(1 << shift_y)) {
        let height = (rows - top).min(1 << shift_y);
        let rows = top..top + height;
        match (size, height) {
            (2, 1) => mean_of_pairs(&layer.row(top)[columns.clone()], out),
            (2, 2) => mean_of_fours(&layer.row(top)[columns.clone()], &layer.row(top + 1)[columns.clone()], out),
            _ => {
                for (out, start) in out.iter_mut().zip(columns.clone().step_by(size)) {
                    let end = columns.end.min(start + size);
                    *out = Ink::mean_of(rows.clone().flat_map(|row| layer.row(row)[start..end].iter().copied()));
                }
            }
        }
    }
}
