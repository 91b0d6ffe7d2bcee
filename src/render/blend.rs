//! A layer of inks onto the picture.

use super::ink::{Ink, Medium, Packing};
use super::layer::Layer;
use super::{samples, wide};
use crate::image::{Component, Depth, ImageMut};

/// What detectron2 makes of two bytes: mixed by `opacity` in floating point, with the fraction cut off.
#[derive(Debug)]
pub(super) struct Cut {
    opacity: f64,
    /// By the new byte, then by the old one.
    bytes: Box<[[u8; 256]]>,
}

impl Cut {
    pub fn new(opacity: f64) -> Self {
        let mix = |new: usize, old: usize| (old as f64 * (1.0 - opacity) + new as f64 * opacity) as u8;
        Self { opacity, bytes: (0..256).map(|new| std::array::from_fn(|old| mix(new, old))).collect() }
    }

    pub fn is_for(&self, opacity: f64) -> bool {
        self.opacity == opacity
    }

    /// Draws the layer's first `rows` rows over the picture's from `top` on, whatever the inks' weights. For pictures
    /// without subsampling, of samples of one byte.
    pub fn blend(&self, image: &mut ImageMut, medium: &Medium, top: usize, rows: usize, layer: &Layer) {
        let columns = layer.touched();
        if columns.is_empty() {
            return;
        }
        for row in 0..rows {
            let inks = &layer.row(row)[columns.clone()];
            blend_alpha(image, top + row, columns.start, inks, |ink, old| match ink {
                &Ink::NONE => old,
                // A fraction cut off would make what is opaque less so.
                _ => old.max(self.bytes[255][usize::from(old)]),
            });
            if let Packing::Packed { plane, offset, step } = medium.packing {
                let plane = image.plane_mut(plane);
                let start = (top + row) * plane.stride + offset + columns.start * step;
                let pixels = &mut plane.data[start..][..(columns.len() - 1) * step + 3];
                let done = match step {
                    3 => wide::cut_packed::<3>(pixels, inks, self.opacity),
                    _ => wide::cut_packed::<4>(pixels, inks, self.opacity),
                };
                let rest = pixels[done * step..].chunks_mut(step).zip(&inks[done..]);
                for (pixel, ink) in rest.filter(|(_, ink)| **ink != Ink::NONE) {
                    for (lane, byte) in pixel[..3].iter_mut().enumerate() {
                        *byte = self.bytes[usize::from(ink.over(0, lane))][usize::from(*byte)];
                    }
                }
                continue;
            }
            for index in 0..medium.color.components() {
                let step = image.layout().components[index].step;
                let samples = image.row_mut(index, top + row)[columns.start * step..].iter_mut().step_by(step);
                for (sample, ink) in samples.zip(inks).filter(|(_, ink)| **ink != Ink::NONE) {
                    *sample = self.bytes[usize::from(ink.over(0, index))][usize::from(*sample)];
                }
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
    for row in 0..rows {
        blend_alpha(image, top + row, columns.start, &layer.row(row)[columns.clone()], Ink::over_alpha);
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

/// Changes alpha in row `y` from column `start` on, where it is not opaque already.
fn blend_alpha(image: &mut ImageMut, y: usize, start: usize, inks: &[Ink], new: impl Fn(&Ink, u8) -> u8) {
    let Some((row, step)) = image.alpha_row_mut(y) else { return };
    let alpha = &mut row[start * step..];
    if samples::are_all(alpha, step, u8::MAX) {
        return;
    }
    for (alpha, ink) in alpha.iter_mut().step_by(step).zip(inks) {
        *alpha = new(ink, *alpha);
    }
}

/// Component by component; those of the same subsampling share their averaged inks.
fn separate(image: &mut ImageMut, count: usize, top: usize, rows: usize, layer: &Layer, scratch: &mut Vec<Ink>) {
    let columns = layer.touched();
    let depth = image.layout().depth;
    let mut reduced = None;
    for index in 0..count {
        let Component { step, shift_x, shift_y, .. } = image.layout().components[index];
        let start = columns.start >> shift_x;
        if (shift_x, shift_y) == (0, 0) {
            for row in 0..rows {
                let samples = &mut image.row_mut(index, top + row)[start * step..];
                blend_samples(samples, step, depth, index, &layer.row(row)[columns.clone()]);
            }
            continue;
        }
        if reduced.replace((shift_x, shift_y)) != Some((shift_x, shift_y)) {
            reduce(layer, rows, (shift_x, shift_y), scratch);
        }
        let count = ((columns.end - 1) >> shift_x) + 1 - start;
        for (row, inks) in scratch.chunks(count).enumerate() {
            let samples = &mut image.row_mut(index, (top >> shift_y) + row)[start * step..];
            blend_samples(samples, step, depth, index, inks);
        }
    }
}

fn packed3(pixels: &mut [u8], inks: &[Ink]) {
    let done = wide::blend_packed::<3>(pixels, inks);
    for (pixel, ink) in pixels[3 * done..].as_chunks_mut::<3>().0.iter_mut().zip(&inks[done..]) {
        *pixel = std::array::from_fn(|k| ink.over(pixel[k], k));
    }
}

/// The last pixel comes without its fourth byte, which may lie outside the buffer.
fn packed4(pixels: &mut [u8], inks: &[Ink]) {
    let done = wide::blend_packed::<4>(pixels, inks);
    let (pixels, last) = pixels.as_chunks_mut::<4>();
    for (pixel, ink) in pixels[done..].iter_mut().zip(&inks[done..]) {
        *pixel = ink.over_pixel(*pixel);
    }
    packed3(last, &inks[pixels.len()..]);
}

/// Draws component `index` of the inks on samples that are `step` apart.
fn blend_samples(samples: &mut [u8], step: usize, depth: Depth, index: usize, inks: &[Ink]) {
    if depth != Depth::BYTE {
        return match step {
            2 => blend_words(samples, 2, depth, index, inks),
            4 => blend_words(samples, 4, depth, index, inks),
            _ => blend_words(samples, step, depth, index, inks),
        };
    }
    let done = match step {
        1 => wide::blend_samples::<1>(samples, index, inks),
        2 => wide::blend_samples::<2>(samples, index, inks),
        4 => wide::blend_samples::<4>(samples, index, inks),
        _ => 0,
    };
    for (sample, ink) in samples[step * done..].iter_mut().step_by(step).zip(&inks[done..]) {
        *sample = ink.over(*sample, index);
    }
}

/// The same on words.
#[inline(always)]
fn blend_words(samples: &mut [u8], step: usize, depth: Depth, index: usize, inks: &[Ink]) {
    let extra = depth.extra_bits();
    for (sample, ink) in samples.chunks_mut(step).zip(inks) {
        if let Some(word) = sample.first_chunk_mut() {
            *word = depth.with_value(*word, ink.over_value(depth.value(*word), index, extra));
        }
    }
}

/// Means of blocks of two by two inks; at an odd end, of two.
fn mean_of_fours(upper: &[Ink], lower: &[Ink], out: &mut [Ink]) {
    let done = wide::means(upper, lower, out);
    let pairs = upper[2 * done..].chunks(2).zip(lower[2 * done..].chunks(2));
    for (out, (upper, lower)) in out[done..].iter_mut().zip(pairs) {
        *out = match (upper, lower) {
            (&[a, b], &[c, d]) => a.mean(c).mean(b.mean(d)),
            _ => upper[0].mean(lower[0]),
        };
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
            // Means of an ink and itself are that ink.
            (2, 1) => mean_of_fours(&layer.row(top)[columns.clone()], &layer.row(top)[columns.clone()], out),
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
