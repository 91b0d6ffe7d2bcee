//! Two results of four rows at once, with AVX2.

use std::arch::x86_64::*;

use super::super::filter::{CutPair, Filter, HALF, LOW_BITS, PAIR, PRECISION};
use super::{AT_ONCE, PIXEL, ROWS};

/// Four rows: two side by side in the halves of a vector, and two vectors.
type Rows = [__m256i; ROWS / 2];

/// 32 bits for each byte of a pixel. Weights are cut in two, since pairs of 16-bit numbers are multiplied and summed
/// by one instruction; the sum of both parts is exact.
///
/// # Safety
/// Rows must have as many bytes as [`needed`](super::Across::needed) says.
#[target_feature(enable = "avx2")]
pub unsafe fn mix<const STEP: usize>(
    rows: [&[u8]; ROWS],
    filter: &Filter,
    lanes: &[usize],
    mut out: [&mut [u8]; ROWS],
) {
    let (first, second) = (spread::<STEP>(0), spread::<STEP>(PAIR));
    let kept = kept(lanes);
    let last = filter.resize.wanted - 1;
    for i in (0..=last).step_by(2) {
        let mut results = [[_mm256_setzero_si256(); ROWS / 2]; 2];
        for (i, result) in (i..).zip(&mut results) {
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
        let bytes = _mm256_shuffle_epi8(bytes, kept);
        let (even, odd) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
        let pixels =
            [_mm_cvtsi128_si64(even), _mm_cvtsi128_si64(odd), _mm_extract_epi64(even, 1), _mm_extract_epi64(odd, 1)];
        let at = i * lanes.len();
        for (out, pixels) in out.iter_mut().zip(pixels) {
            // What is too much is written over by the next ones, or means nothing.
            out[at..at + 2 * PIXEL].copy_from_slice(&pixels.to_le_bytes());
        }
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
    everywhere(std::array::from_fn(byte))
}

/// A shuffle that keeps these bytes of both pixels in each half of 16 bytes.
#[target_feature(enable = "avx2")]
fn kept(lanes: &[usize]) -> __m256i {
    let byte = |i: usize| match (i % 8) / lanes.len() {
        pixel @ (0 | 1) => (i / 8 * 8 + pixel * PIXEL + lanes[i % 8 % lanes.len()]) as u8,
        _ => 0x80,
    };
    everywhere(std::array::from_fn(byte))
}

#[target_feature(enable = "avx2")]
fn everywhere(shuffle: [u8; 16]) -> __m256i {
    let number = u128::from_le_bytes(shuffle);
    _mm256_broadcastsi128_si256(_mm_set_epi64x((number >> 64) as i64, number as i64))
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
