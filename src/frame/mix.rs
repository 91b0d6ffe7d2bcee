//! Sums of bytes times weights along columns, and changes of the order of bytes.

use super::across::{PIXEL, ROWS};
use super::filter::round;
use crate::simd::vectorised;

vectorised! {
    /// Sums rows of bytes, those that begin at `starts` in `data`, each times its weight.
    pub fn mix_rows(data: &[u8], starts: &[usize], weights: &[i32], out: &mut [u8]) {
        const WIDTH: usize = 32;
        let (blocks, rest) = out.as_chunks_mut::<WIDTH>();
        let done = blocks.len() * WIDTH;
        for (i, block) in blocks.iter_mut().enumerate() {
            let mut sums = [0; WIDTH];
            for (start, weight) in starts.iter().zip(weights) {
                if let Some(samples) = data[start + i * WIDTH..].first_chunk::<WIDTH>() {
                    for j in 0..WIDTH {
                        sums[j] += weight * i32::from(samples[j]);
                    }
                }
            }
            for (out, sum) in block.iter_mut().zip(sums) {
                *out = round(sum);
            }
        }
        for (i, out) in rest.iter_mut().enumerate() {
            let sum = starts.iter().zip(weights).map(|(start, w)| w * i32::from(data[start + done + i])).sum();
            *out = round(sum);
        }
    }
}

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
