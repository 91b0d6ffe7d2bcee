//! What is behind the people.

use super::ink::{Medium, Packing};
use super::samples;
use super::style::{Canvas, Style};
use super::wide;
use crate::image::{ColorModel, Depth, ImageMut};

/// What to do with every pixel before people are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Background {
    Keep,
    /// Take the colours out.
    Gray,
    /// The bytes, in an ink's order, of one colour.
    Fill([u8; 3]),
}

impl Background {
    pub fn of(style: &Style, medium: &Medium) -> Self {
        match style.canvas {
            Canvas::Video => Self::Keep,
            Canvas::Gray => Self::Gray,
            Canvas::Black => Self::Fill(medium.bytes([0; 3])),
            Canvas::Palette => Self::Fill(medium.bytes(style.palette.part(0))),
        }
    }

    /// Prepares `rows` rows from `top` on, which begin and end at whole samples. A colour is opaque.
    pub fn apply(self, image: &mut ImageMut, medium: &Medium, top: usize, rows: usize) {
        if matches!(self, Self::Fill(_)) {
            for y in top..top + rows {
                if let Some((row, step)) = image.alpha_row_mut(y) {
                    samples::fill(row, step, u8::MAX);
                }
            }
        }
        match (self, medium.packing) {
            (Self::Keep, _) => {}
            (Self::Gray, _) if matches!(medium.color.model, ColorModel::Yuv { .. }) => {
                (1..3).for_each(|index| fill(image, index, top, rows, 128));
            }
            (_, Packing::Packed { plane, offset, step }) => {
                let length = (image.width() - 1) * step + 3;
                let plane = image.plane_mut(plane);
                for y in top..top + rows {
                    let row = &mut plane.data[y * plane.stride + offset..][..length];
                    match self {
                        Self::Fill(color) => samples::fill_packed(row, step, color),
                        _ => gray_packed(row, step, medium.order),
                    }
                }
            }
            (Self::Fill(color), _) => {
                for (index, &value) in color.iter().enumerate().take(medium.color.components()) {
                    fill(image, index, top, rows, value);
                }
            }
            (Self::Gray, _) => match medium.color.model {
                ColorModel::Gray | ColorModel::Yuv { .. } => {}
                ColorModel::Rgb => (top..top + rows).for_each(|y| gray_planar(image, y)),
            },
        }
    }
}

/// Sets component `index` where it covers the rows.
fn fill(image: &mut ImageMut, index: usize, top: usize, rows: usize, value: u8) {
    let (component, depth) = (image.layout().components[index], image.layout().depth);
    for y in top >> component.shift_y..(top + rows).div_ceil(1 << component.shift_y) {
        let row = image.row_mut(index, y);
        match depth {
            Depth::BYTE => samples::fill(row, component.step, value),
            words => samples::fill_words(row, component.step, words, u16::from(value) << words.extra_bits()),
        }
    }
}

/// Weights of red, green and blue in luma (ITU-R BT.601), times `1 << LUMA_SHIFT`; their sum is exactly that.
const LUMA: [u16; 3] = [9798, 19235, 3735];
pub(super) const LUMA_SHIFT: u32 = 15;

fn luma<T: Into<u32>>(pixel: [T; 3], weights: [u16; 3]) -> u16 {
    let sum: u32 = std::iter::zip(pixel, weights).map(|(v, w)| v.into() * u32::from(w)).sum();
    ((sum + (1 << (LUMA_SHIFT - 1))) >> LUMA_SHIFT) as u16
}

fn gray_packed(row: &mut [u8], step: usize, order: [usize; 3]) {
    let weights = order.map(|i| LUMA[i]);
    let done = match step {
        3 => wide::gray_packed::<3>(row, weights),
        _ => wide::gray_packed::<4>(row, weights),
    };
    for pixel in row[step * done..].chunks_mut(step) {
        let y = luma([pixel[0], pixel[1], pixel[2]], weights);
        pixel[..3].fill(y as u8);
    }
}

/// A row of RGB whose components are apart.
fn gray_planar(image: &mut ImageMut, y: usize) {
    let steps: [usize; 3] = std::array::from_fn(|i| image.layout().components[i].step);
    let depth = image.layout().depth;
    for x in 0..image.width() {
        if depth == Depth::BYTE {
            let pixel: [u8; 3] = std::array::from_fn(|i| image.row_mut(i, y)[x * steps[i]]);
            let gray = luma(pixel, LUMA) as u8;
            (0..3).for_each(|i| image.row_mut(i, y)[x * steps[i]] = gray);
            continue;
        }
        let mut word = |i: usize| [0, 1].map(|k| image.row_mut(i, y)[x * steps[i] + k]);
        let words = [word(0), word(1), word(2)];
        let gray = luma(words.map(|word| depth.value(word)), LUMA);
        for (i, word) in words.into_iter().enumerate() {
            image.row_mut(i, y)[x * steps[i]..][..2].copy_from_slice(&depth.with_value(word, gray));
        }
    }
}
