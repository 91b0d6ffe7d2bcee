//! Sums of bytes times weights, along rows and along columns.

use super::filter::{Filter, PAIR, round};
use crate::simd::vectorised;

/// Bytes that hold one pixel of any packed RGB layout.
pub const PIXEL: usize = 4;
/// Rows filtered at once.
pub const ROWS: usize = 4;

/// Bytes of a row of pixels of `step` bytes that [`mix_pixels`] may read.
pub fn needed(filter: &Filter, step: usize) -> usize {
    (filter.reach() - PAIR) * step + AT_ONCE
}

/// Bytes read at once: those of four pixels, or of two where no more are left.
const AT_ONCE: usize = 4 * PIXEL;

/// Filters rows of pixels of `step` bytes, 3 or [`PIXEL`], along themselves; `out` gets pixels of [`PIXEL`] bytes, an
/// even number of them, of which the last one may mean nothing.
///
/// # Panics
/// Where a row has fewer bytes than [`needed`].
pub fn mix_pixels(rows: [&[u8]; ROWS], step: usize, filter: &Filter, out: [&mut [u8]; ROWS]) {
    assert!(rows.iter().all(|row| row.len() >= needed(filter, step)), "a row is too short");
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the feature, and the rows have what is read of them.
        return unsafe {
            match step {
                3 => avx2::mix_pixels::<3>(rows, filter, out),
                _ => avx2::mix_pixels::<PIXEL>(rows, filter, out),
            }
        };
    }
    mix_pixels_portable(rows, step, filter, out);
}

fn mix_pixels_portable(rows: [&[u8]; ROWS], step: usize, filter: &Filter, out: [&mut [u8]; ROWS]) {
    for (row, out) in rows.into_iter().zip(out) {
        match step {
            3 => mix_row_of_pixels::<3>(row, filter, out),
            _ => mix_row_of_pixels::<PIXEL>(row, filter, out),
        }
    }
}

fn mix_row_of_pixels<const STEP: usize>(row: &[u8], filter: &Filter, out: &mut [u8]) {
    for (out, (start, weights)) in out.as_chunks_mut::<PIXEL>().0.iter_mut().zip(filter.results()) {
        let mut sums = [0; PIXEL];
        let mut at = start * STEP;
        for weights in weights.as_chunks::<PAIR>().0 {
            let Some(pixels) = row[at..].first_chunk::<{ PAIR * PIXEL }>() else { break };
            for (t, weight) in weights.iter().enumerate() {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum += weight * i32::from(pixels[t * STEP + i]);
                }
            }
            at += PAIR * STEP;
        }
        *out = sums.map(round);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::super::filter::{CutPair, Filter, HALF, LOW_BITS, PAIR, PRECISION};
    use super::{AT_ONCE, PIXEL, ROWS};

    /// Four rows: two side by side in the halves of a vector, and two vectors.
    type Rows = [__m256i; ROWS / 2];

    /// 32 bits for each byte of a pixel. Weights are cut in two, since pairs of 16-bit numbers are multiplied and summed
    /// by one instruction; the sum of both parts is exact.
    ///
    /// # Safety
    /// Rows must have as many bytes as [`needed`](super::needed) says.
    #[target_feature(enable = "avx2")]
    pub unsafe fn mix_pixels<const STEP: usize>(rows: [&[u8]; ROWS], filter: &Filter, out: [&mut [u8]; ROWS]) {
        let (first, second) = (spread::<STEP>(0), spread::<STEP>(PAIR));
        let last = filter.resize.wanted - 1;
        let [out0, out1, out2, out3] = out.map(|row| row.as_chunks_mut::<{ 2 * PIXEL }>().0.iter_mut());
        for (i, (((out0, out1), out2), out3)) in out0.zip(out1).zip(out2).zip(out3).enumerate() {
            let mut results = [[_mm256_setzero_si256(); ROWS / 2]; 2];
            for (i, result) in (2 * i..).zip(&mut results) {
                let (start, weights) = filter.cut(i.min(last));
                let mut at = start * STEP;
                let (mut high, mut low) = ([_mm256_setzero_si256(); ROWS / 2], [_mm256_set1_epi32(HALF); ROWS / 2]);
                let (fours, rest) = weights.as_chunks::<2>();
                for [one, two] in fours {
                    // SAFETY: a filter starts `taps` pixels or more before its reach, so all that is read here and
                    // below are bytes that the caller vouches for.
                    let pixels = unsafe { load(&rows, at) };
                    add(&mut high, &mut low, pixels, first, one);
                    add(&mut high, &mut low, pixels, second, two);
                    at += 2 * PAIR * STEP;
                }
                if let [pair] = rest {
                    // SAFETY: as above.
                    add(&mut high, &mut low, unsafe { load(&rows, at) }, first, pair);
                }
                for (result, (high, low)) in result.iter_mut().zip(high.into_iter().zip(low)) {
                    let sum = _mm256_add_epi32(_mm256_slli_epi32(high, LOW_BITS as i32), low);
                    *result = _mm256_srai_epi32(sum, PRECISION as i32);
                }
            }
            let [one, two] = results;
            let bytes = _mm256_packus_epi16(_mm256_packs_epi32(one[0], two[0]), _mm256_packs_epi32(one[1], two[1]));
            let (even, odd) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
            *out0 = _mm_cvtsi128_si64(even).to_le_bytes();
            *out1 = _mm_cvtsi128_si64(odd).to_le_bytes();
            *out2 = _mm_extract_epi64(even, 1).to_le_bytes();
            *out3 = _mm_extract_epi64(odd, 1).to_le_bytes();
        }
    }

    /// A shuffle that puts each byte of pixel `tap` beside that of the next one, as 16-bit numbers.
    #[target_feature(enable = "avx2")]
    fn spread<const STEP: usize>(tap: usize) -> __m256i {
        let byte = |i: usize| match i % 4 {
            0 => (tap * STEP + i / 4) as u8,
            2 => ((tap + 1) * STEP + i / 4) as u8,
            _ => 0x80,
        };
        let half = |part: usize| i64::from_le_bytes(std::array::from_fn(|i| byte(part * 8 + i)));
        _mm256_broadcastsi128_si256(_mm_set_epi64x(half(1), half(0)))
    }

    /// # Safety
    /// Each row must have [`AT_ONCE`] bytes from `at` on.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(rows: &[&[u8]; ROWS], at: usize) -> Rows {
        debug_assert!(rows.iter().all(|row| at + AT_ONCE <= row.len()));
        let load = |row: &[u8]| {
            // SAFETY: as the caller vouches.
            unsafe { _mm_loadu_si128(row.as_ptr().add(at).cast()) }
        };
        let both = |upper, lower| _mm256_inserti128_si256(_mm256_castsi128_si256(upper), lower, 1);
        [both(load(rows[0]), load(rows[1])), both(load(rows[2]), load(rows[3]))]
    }

    /// Adds two pixels times their weights.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn add(high: &mut Rows, low: &mut Rows, pixels: Rows, spread: __m256i, weights: &CutPair) {
        let [upper, lower] = weights.map(|pair| _mm256_set1_epi32(pair));
        for ((high, low), pixels) in high.iter_mut().zip(low).zip(pixels) {
            let pixels = _mm256_shuffle_epi8(pixels, spread);
            *high = _mm256_add_epi32(*high, _mm256_madd_epi16(pixels, upper));
            *low = _mm256_add_epi32(*low, _mm256_madd_epi16(pixels, lower));
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::super::filter::Resize;
    use super::*;

    #[test]
    fn every_processor_filters_pixels_alike() {
        for (samples, wanted) in [(1, 1), (1, 7), (9, 4), (40, 13), (64, 63), (100, 230), (300, 2)] {
            let filter = Filter::new(Resize::new(samples, 0, wanted));
            for step in [3, PIXEL] {
                let length = needed(&filter, step);
                let data: Vec<u8> = (0..ROWS * length).map(|i| (i * i * 31 % 257) as u8).collect();
                let rows = std::array::from_fn(|i| &data[i * length..][..length]);
                let mut best = [(); ROWS].map(|()| vec![0; wanted.next_multiple_of(2) * PIXEL]);
                let mut portable = best.clone();
                mix_pixels(rows, step, &filter, best.each_mut().map(|row| &mut row[..]));
                mix_pixels_portable(rows, step, &filter, portable.each_mut().map(|row| &mut row[..]));
                for (best, portable) in best.iter().zip(&portable) {
                    let count = wanted * PIXEL;
                    assert_eq!(best[..count], portable[..count], "{samples} to {wanted}, {step}");
                }
            }
        }
    }
}
