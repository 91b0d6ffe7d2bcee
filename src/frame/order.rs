//! Changes of the order of bytes.

use super::across::{PIXEL, ROWS};
use crate::image::Depth;
use crate::simd::vectorised;

vectorised! {
    /// Takes every `step`-th byte of each row: the four that lie above each other become a pixel.
    pub fn interleave(rows: [&[u8]; ROWS], step: usize, out: &mut [u8]) {
        match step {
            1 => interleave_of::<1>(rows, out),
            2 => interleave_of::<2>(rows, out),
            4 => interleave_of::<4>(rows, out),
            _ => {
                for (i, out) in out.as_chunks_mut::<PIXEL>().0.iter_mut().enumerate() {
                    *out = rows.map(|row| row[i * step]);
                }
            }
        }
    }
}

vectorised! {
    /// The same for words at every `step`-th byte, rounded to bytes.
    pub fn interleave_words(rows: [&[u8]; ROWS], step: usize, depth: Depth, out: &mut [u8]) {
        match step {
            2 => interleave_words_of::<2>(rows, depth, out),
            4 => interleave_words_of::<4>(rows, depth, out),
            _ => {
                for (i, out) in out.as_chunks_mut::<PIXEL>().0.iter_mut().enumerate() {
                    *out = rows.map(|row| byte([row[i * step], row[i * step + 1]], depth));
                }
            }
        }
    }
}

#[inline(always)]
fn interleave_words_of<const STEP: usize>(rows: [&[u8]; ROWS], depth: Depth, out: &mut [u8]) {
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<STEP>().0);
    for ((((out, a), b), c), d) in out.as_chunks_mut::<PIXEL>().0.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *out = [a, b, c, d].map(|word| byte([word[0], word[1]], depth));
    }
}

/// The value of a word, rounded to a byte's.
#[inline(always)]
fn byte(word: [u8; 2], depth: Depth) -> u8 {
    let extra = depth.extra_bits();
    ((u32::from(depth.value(word)) + (1 << extra >> 1)) >> extra).min(255) as u8
}

#[inline(always)]
fn interleave_of<const STEP: usize>(rows: [&[u8]; ROWS], out: &mut [u8]) {
    let [a, b, c, d] = rows.map(|row| row.chunks(STEP));
    for ((((out, a), b), c), d) in out.as_chunks_mut::<PIXEL>().0.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *out = [a[0], b[0], c[0], d[0]];
    }
}

vectorised! {
    /// Byte `lane` of each pixel.
    pub fn lane(pixels: &[u8], lane: usize, out: &mut [u8]) {
        for (out, pixel) in out.iter_mut().zip(pixels.as_chunks::<PIXEL>().0) {
            *out = (u32::from_le_bytes(*pixel) >> (8 * lane)) as u8;
        }
    }
}
