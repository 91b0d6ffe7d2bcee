//! Rows of bits, one for each pixel of a row, 64 to a word.

use std::ops::Range;

use super::parts::Parts;
use super::wide;
use crate::simd::vectorised;

/// Words that hold `length` bits.
pub(super) fn words(length: usize) -> usize {
    length.div_ceil(64)
}

vectorised! {
    /// Sets the bits of the pixels I, U, V that show one of the parts, and clears the others.
    pub(super) fn pack(pixels: &[[u8; 3]], parts: Parts, out: &mut [u64]) {
        for (pixels, word) in pixels.chunks(64).zip(out) {
            let mut shown = [0; 64];
            for (shown, pixel) in shown.iter_mut().zip(pixels) {
                *shown = u8::from(parts.contains(pixel[0]));
            }
            *word = self::word(&shown);
        }
    }
}

/// Bytes of 0 and 1 as bits.
#[inline(always)]
pub(super) fn word(bytes: &[u8; 64]) -> u64 {
    let mut word = 0;
    for (k, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
        // The product's uppermost byte collects the eight lowest bits.
        word |= u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56 << (8 * k);
    }
    word
}

/// Sets in `out` the bits of `row`, bit `from` of it as bit `to` of `out`; what does not fit is left out.
pub(super) fn copy(row: &[u64], from: usize, out: &mut [u64], to: usize) {
    out.fill(0);
    for (k, word) in out.iter_mut().enumerate().skip(to / 64) {
        // Bits of `row` from here on; those before its first one are 0.
        let at = 64 * k + from;
        *word = match at.checked_sub(to) {
            Some(at) => bits_at(row, at),
            None => bits_at(row, 0) << (to - at),
        };
    }
    // What lies before `to` comes from before `from`.
    if let Some(word) = out.get_mut(to / 64) {
        *word &= u64::MAX << (to % 64);
    }
}

/// 64 bits from bit `at` on, 0 beyond the end.
fn bits_at(row: &[u64], at: usize) -> u64 {
    let word = |k: usize| row.get(k).copied().unwrap_or(0);
    let (k, shift) = (at / 64, at % 64);
    if shift == 0 { word(k) } else { word(k) >> shift | word(k + 1) << (64 - shift) }
}

/// Sets all bits within `reach` to both sides of those that are set.
pub(super) fn widen(row: &mut [u64], reach: usize) {
    spread(reach, |by| {
        let (skip, shift) = (by / 64, by % 64);
        for k in (skip..row.len()).rev() {
            let carried = if shift > 0 && k > skip { row[k - skip - 1] >> (64 - shift) } else { 0 };
            row[k] |= row[k - skip] << shift | carried;
        }
    });
    spread(reach, |by| {
        for k in 0..row.len() {
            row[k] |= bits_at(row, 64 * k + by);
        }
    });
}

/// Sets all bits within `reach` above and below those that are set, in rows of `stride` words.
pub(super) fn heighten(rows: &mut [u64], stride: usize, reach: usize) {
    let count = rows.len() / stride.max(1);
    let mut or = |target: usize, source: usize| {
        let (low, high) = rows.split_at_mut(target.max(source) * stride);
        let (low, high) = (&mut low[target.min(source) * stride..][..stride], &mut high[..stride]);
        let (target, source) = if target < source { (low, high) } else { (high, low) };
        target.iter_mut().zip(source).for_each(|(t, s)| *t |= *s);
    };
    spread(reach, |by| (by..count).rev().for_each(|row| or(row, row - by)));
    spread(reach, |by| (by..count).for_each(|row| or(row - by, row)));
}

/// Calls `step` with distances that sum up to `reach`, each no longer than what those before reach together, and one.
fn spread(reach: usize, mut step: impl FnMut(usize)) {
    let mut reached = 0;
    while reached < reach {
        let by = (reached + 1).min(reach - reached);
        step(by);
        reached += by;
    }
}

/// Sets the bits where bytes of two rows differ, as far as both go, and clears the others.
pub(super) fn differ(a: &[u8], b: &[u8], out: &mut [u64]) {
    out.fill(0);
    let length = a.len().min(b.len());
    let whole = length / 64;
    differ_blocks(a[..64 * whole].as_chunks().0, b[..64 * whole].as_chunks().0, out);
    if whole * 64 < length {
        let [a, b] = [a, b].map(|row| {
            let mut block = [0; 64];
            block[..length % 64].copy_from_slice(&row[64 * whole..length]);
            block
        });
        differ_blocks(&[a], &[b], &mut out[whole..]);
    }
}

fn differ_blocks(a: &[[u8; 64]], b: &[[u8; 64]], out: &mut [u64]) {
    let done = wide::differ(a, b, out);
    for ((word, a), b) in out[done..].iter_mut().zip(&a[done..]).zip(&b[done..]) {
        *word = self::word(&std::array::from_fn(|k| u8::from(a[k] != b[k])));
    }
}

/// Word `k` of a row whose first `count` bits are set.
pub(super) fn first(count: usize, k: usize) -> u64 {
    match count.saturating_sub(64 * k) {
        64.. => u64::MAX,
        rest => (1 << rest) - 1,
    }
}

/// The set bits of a word, from the lowest.
pub(super) fn ones(word: u64) -> impl Iterator<Item = usize> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
        rest &= rest - 1;
        Some(bit)
    })
}

/// The set bits, from the left.
pub(super) fn positions(row: &[u64]) -> impl Iterator<Item = usize> {
    row.iter().enumerate().flat_map(|(k, &word)| ones(word).map(move |bit| 64 * k + bit))
}

/// The ranges of set bits, from the left.
pub(super) fn runs(row: &[u64]) -> impl Iterator<Item = Range<usize>> {
    // The first bit from `at` on that is set, or clear where `flip` is all ones.
    let find = |at: usize, flip: u64| {
        let first = row.get(at / 64)?;
        let rest = (first ^ flip) & (u64::MAX << (at % 64));
        if rest != 0 {
            return Some(at / 64 * 64 + rest.trailing_zeros() as usize);
        }
        let k = (at / 64 + 1..row.len()).find(|&k| row[k] != flip)?;
        Some(64 * k + (row[k] ^ flip).trailing_zeros() as usize)
    };
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = find(at, 0)?;
        at = find(start, u64::MAX).unwrap_or(64 * row.len());
        Some(start..at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: usize = 300;

    fn row(set: impl Fn(usize) -> bool) -> Vec<u64> {
        let mut row = vec![0; words(LENGTH)];
        (0..LENGTH).filter(|&k| set(k)).for_each(|k| row[k / 64] |= 1 << (k % 64));
        row
    }

    fn is_set(row: &[u64], k: usize) -> bool {
        row[k / 64] >> (k % 64) & 1 == 1
    }

    /// Some bits, and long gaps.
    fn some(k: usize) -> bool {
        k * k % 71 == 3 || (130..200).contains(&k)
    }

    #[test]
    fn pixels_become_bits() {
        let parts: Parts = "3,24".parse().unwrap();
        let pixels: Vec<[u8; 3]> = (0..LENGTH).map(|k| [(k * 7 % 256) as u8, 3, 24]).collect();
        let mut out = vec![u64::MAX; words(LENGTH)];
        pack(&pixels, parts, &mut out);
        assert_eq!(out, row(|k| matches!(k * 7 % 256, 3 | 24)));
    }

    #[test]
    fn bytes_that_differ_become_bits() {
        let bytes: Vec<u8> = (0..LENGTH).map(|k| (k * k / 7 % 256) as u8).collect();
        for length in [0, 1, 63, 64, 65, 128, LENGTH] {
            let other: Vec<u8> = (0..LENGTH).map(|k| bytes[k] ^ u8::from(some(k)) << (k % 8)).collect();
            let mut out = vec![u64::MAX; words(LENGTH)];
            differ(&bytes, &other[..length], &mut out);
            assert_eq!(out, row(|k| k < length && some(k)), "{length}");
        }
    }

    #[test]
    fn first_bits_are_as_many_as_counted() {
        for count in [0, 1, 63, 64, 65, 300] {
            let all: Vec<u64> = (0..words(LENGTH)).map(|k| first(count, k)).collect();
            assert_eq!(all, row(|k| k < count), "{count}");
        }
    }

    #[test]
    fn copies_begin_anywhere() {
        for (from, to) in [(0, 0), (0, 5), (7, 0), (64, 128), (130, 3), (3, 130), (299, 299), (400, 0), (0, 400)] {
            let mut out = vec![u64::MAX; words(LENGTH)];
            copy(&row(some), from, &mut out, to);
            for k in 0..64 * out.len() {
                let expected = k >= to && k - to + from < LENGTH && some(k - to + from);
                assert_eq!(is_set(&out, k), expected, "{from} {to}: {k}");
            }
        }
    }

    #[test]
    fn bits_spread_as_far_as_they_reach() {
        for reach in [0, 1, 2, 7, 63, 64, 65, 128, 500] {
            let near = |k: usize| (k.saturating_sub(reach)..(k + reach + 1).min(LENGTH)).any(some);
            let mut wide = row(some);
            widen(&mut wide, reach);
            assert!((0..LENGTH).all(|k| is_set(&wide, k) == near(k)), "{reach}");
            // The same bits one below the other, in rows of two words.
            let mut high: Vec<u64> = (0..LENGTH).flat_map(|k| [0, u64::from(some(k)) << 9]).collect();
            heighten(&mut high, 2, reach);
            let expected: Vec<u64> = (0..LENGTH).flat_map(|k| [0, u64::from(near(k)) << 9]).collect();
            assert!(high == expected, "{reach}");
        }
    }

    #[test]
    fn runs_are_all_that_is_set() {
        let mut left = vec![0; words(LENGTH)];
        for run in runs(&row(some)) {
            assert!(run.start < run.end && !some(run.end) && (run.start == 0 || !some(run.start - 1)));
            run.for_each(|k| left[k / 64] |= 1 << (k % 64));
        }
        assert_eq!(left, row(some));
        let all: Vec<usize> = runs(&row(some)).flatten().collect();
        assert_eq!(positions(&row(some)).collect::<Vec<_>>(), all);
        assert!(runs(&[u64::MAX; 2]).eq(std::iter::once(0..128)));
        assert_eq!(runs(&[0; 2]).count() + runs(&[]).count(), 0);
    }
}
