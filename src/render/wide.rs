//! The inner loops of drawing for processors with AVX2, which the compiler does not find by itself: bytes have to
//! change places.
//!
//! Every function does as many whole blocks as there are and returns the number of pixels (or samples, or inks) done, 0
//! on other processors; callers do the rest with plain loops, to the same result.

use super::ink::Ink;

/// Draws inks over pixels of `STEP` bytes, 3 or 4, whose first three are the colour.
#[inline]
pub(super) fn blend_packed<const STEP: usize>(pixels: &mut [u8], inks: &[Ink]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the feature that the function needs.
        return unsafe { avx2::blend_packed::<STEP>(pixels, inks) };
    }
    let _ = (pixels, inks);
    0
}

/// Draws component `index` of inks over samples that are `STEP` bytes apart, 1, 2 or 4.
#[inline]
pub(super) fn blend_samples<const STEP: usize>(samples: &mut [u8], index: usize, inks: &[Ink]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the feature that the function needs.
        return unsafe { avx2::blend_samples::<STEP>(samples, index, inks) };
    }
    let _ = (samples, index, inks);
    0
}

/// Mixes inks, whatever their weights, into pixels of `STEP` bytes, 3 or 4, by `opacity` in floating point, and cuts the
/// fraction off.
#[inline]
pub(super) fn cut_packed<const STEP: usize>(pixels: &mut [u8], inks: &[Ink], opacity: f64) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the feature that the function needs.
        return unsafe { avx2::cut_packed::<STEP>(pixels, inks, opacity) };
    }
    let _ = (pixels, inks, opacity);
    0
}

/// Means of blocks of two by two inks; returns the number of means.
#[inline]
pub(super) fn means(upper: &[Ink], lower: &[Ink], out: &mut [Ink]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the feature that the function needs.
        return unsafe { avx2::means(upper, lower, out) };
    }
    let _ = (upper, lower, out);
    0
}

/// Replaces the first three bytes of pixels of `STEP` bytes, 3 or 4, by their sum with `weights`, shifted right by
/// [`LUMA_SHIFT`](super::canvas::LUMA_SHIFT).
#[inline]
pub(super) fn gray_packed<const STEP: usize>(pixels: &mut [u8], weights: [u16; 3]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the feature that the function needs.
        return unsafe { avx2::gray_packed::<STEP>(pixels, weights) };
    }
    let _ = (pixels, weights);
    0
}

/// Sets the bits where bytes of two rows differ, 64 to a word; returns the number of words done.
#[inline]
pub(super) fn differ(a: &[[u8; 64]], b: &[[u8; 64]], out: &mut [u64]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the feature that the function needs.
        return unsafe { avx2::differ(a, b, out) };
    }
    let _ = (a, b, out);
    0
}

/// Sets the first three bytes of pixels of `STEP` bytes, 3 or 4, to the lower three of `colors`.
#[inline]
pub(super) fn set_packed<const STEP: usize>(pixels: &mut [u8], colors: &[u32]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the feature that the function needs.
        return unsafe { avx2::set_packed::<STEP>(pixels, colors) };
    }
    let _ = (pixels, colors);
    0
}

/// Makes inks of colours whose fourth byte is alpha, with `weight` as opacity.
#[inline]
pub(super) fn lay(colors: &[[u8; 4]], weight: u16, inks: &mut [Ink]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the feature that the function needs.
        return unsafe { avx2::lay(colors, weight, inks) };
    }
    let _ = (colors, weight, inks);
    0
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use crate::render::canvas::LUMA_SHIFT;
    use crate::render::ink::{Ink, OPAQUE};

    /// Eight pixels of three or four bytes in four bytes each; those of three get a 0.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn load_eight<const STEP: usize>(pixels: &[u8]) -> __m256i {
        let pixels = &pixels[..8 * STEP];
        if STEP == 4 {
            // SAFETY: 32 bytes are there.
            return unsafe { _mm256_loadu_si256(pixels.as_ptr().cast()) };
        }
        // SAFETY: 24 bytes are there: 16 from the first on, and 16 from the ninth on.
        let halves = unsafe {
            let low = _mm_loadu_si128(pixels.as_ptr().cast());
            _mm256_set_m128i(_mm_loadu_si128(pixels[8..].as_ptr().cast()), low)
        };
        #[rustfmt::skip]
        let spread = _mm256_setr_epi8(
            0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1,
            4, 5, 6, -1, 7, 8, 9, -1, 10, 11, 12, -1, 13, 14, 15, -1,
        );
        _mm256_shuffle_epi8(halves, spread)
    }

    /// The reverse of [`load_eight`].
    #[inline]
    #[target_feature(enable = "avx2")]
    fn store_eight<const STEP: usize>(pixels: &mut [u8], eight: __m256i) {
        let pixels = &mut pixels[..8 * STEP];
        if STEP == 4 {
            // SAFETY: 32 bytes are there.
            return unsafe { _mm256_storeu_si256(pixels.as_mut_ptr().cast(), eight) };
        }
        #[rustfmt::skip]
        let dense = _mm256_setr_epi8(
            0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1,
            0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1,
        );
        let dense = _mm256_shuffle_epi8(eight, dense);
        let dense = _mm256_permutevar8x32_epi32(dense, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
        // SAFETY: 24 bytes are there: 16, and 8 from the seventeenth on.
        unsafe {
            _mm_storeu_si128(pixels.as_mut_ptr().cast(), _mm256_castsi256_si128(dense));
            _mm_storel_epi64(pixels[16..].as_mut_ptr().cast(), _mm256_extracti128_si256::<1>(dense));
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load_inks(inks: &[Ink]) -> __m256i {
        let inks = &inks[..4];
        // SAFETY: four inks are 32 bytes without padding.
        unsafe { _mm256_loadu_si256(inks.as_ptr().cast()) }
    }

    /// `(old * (256 - weight) + ink + 128) >> 8`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn mix(old: __m256i, ink: __m256i, weight: __m256i) -> __m256i {
        let keep = _mm256_sub_epi16(_mm256_set1_epi16(OPAQUE as i16), weight);
        let new = _mm256_add_epi16(ink, _mm256_set1_epi16(OPAQUE as i16 / 2));
        _mm256_srli_epi16::<8>(_mm256_add_epi16(_mm256_mullo_epi16(old, keep), new))
    }

    #[target_feature(enable = "avx2")]
    pub fn blend_packed<const STEP: usize>(pixels: &mut [u8], inks: &[Ink]) -> usize {
        // The fourth lane has no weight and no ink: that byte stays.
        #[rustfmt::skip]
        let weights = _mm256_setr_epi8(
            6, 7, 6, 7, 6, 7, -1, -1, 14, 15, 14, 15, 14, 15, -1, -1,
            6, 7, 6, 7, 6, 7, -1, -1, 14, 15, 14, 15, 14, 15, -1, -1,
        );
        let colours = _mm256_set1_epi64x(0xffff_ffff_ffff);
        let four = |old: __m128i, inks: __m256i| {
            let weight = _mm256_shuffle_epi8(inks, weights);
            mix(_mm256_cvtepu8_epi16(old), _mm256_and_si256(inks, colours), weight)
        };
        let count = (pixels.len() / STEP).min(inks.len()) / 8;
        for (pixels, inks) in pixels.chunks_exact_mut(8 * STEP).zip(inks.chunks_exact(8)) {
            let old = load_eight::<STEP>(pixels);
            let low = four(_mm256_castsi256_si128(old), load_inks(inks));
            let high = four(_mm256_extracti128_si256::<1>(old), load_inks(&inks[4..]));
            let new = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi16(low, high));
            store_eight::<STEP>(pixels, new);
        }
        count * 8
    }

    #[target_feature(enable = "avx2")]
    pub fn cut_packed<const STEP: usize>(pixels: &mut [u8], inks: &[Ink], opacity: f64) -> usize {
        let (keep, opacity) = (_mm256_set1_pd(1.0 - opacity), _mm256_set1_pd(opacity));
        let half = _mm256_set1_epi16(OPAQUE as i16 / 2);
        let one = |old: __m128i, new: __m128i| {
            let old = _mm256_mul_pd(_mm256_cvtepi32_pd(_mm_cvtepu8_epi32(old)), keep);
            let new = _mm256_mul_pd(_mm256_cvtepi32_pd(_mm_cvtepu16_epi32(new)), opacity);
            _mm256_cvttpd_epi32(_mm256_add_pd(old, new))
        };
        let four = |old: __m128i, inks: __m256i| {
            // What an ink is on black.
            let new = _mm256_srli_epi16::<8>(_mm256_add_epi16(inks, half));
            let (low, high) = (_mm256_castsi256_si128(new), _mm256_extracti128_si256::<1>(new));
            let first = one(old, low);
            let second = one(_mm_srli_si128::<4>(old), _mm_srli_si128::<8>(low));
            let third = one(_mm_srli_si128::<8>(old), high);
            let fourth = one(_mm_srli_si128::<12>(old), _mm_srli_si128::<8>(high));
            _mm_packus_epi16(_mm_packus_epi32(first, second), _mm_packus_epi32(third, fourth))
        };
        let count = (pixels.len() / STEP).min(inks.len()) / 8;
        for (pixels, inks) in pixels.chunks_exact_mut(8 * STEP).zip(inks.chunks_exact(8)) {
            let (low, high) = (load_inks(inks), load_inks(&inks[4..]));
            let any = _mm256_or_si256(low, high);
            if _mm256_testz_si256(any, any) != 0 {
                continue;
            }
            let old = load_eight::<STEP>(pixels);
            let new = _mm256_set_m128i(
                four(_mm256_extracti128_si256::<1>(old), high),
                four(_mm256_castsi256_si128(old), low),
            );
            // Pixels that have ink, in the order 0, 1, 4, 5, 2, 3, 6, 7.
            let [low, high] = [low, high].map(|inks| _mm256_castsi256_ps(_mm256_srli_epi64::<48>(inks)));
            let inked = _mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(low, high));
            let inked = _mm256_cmpgt_epi32(inked, _mm256_setzero_si256());
            let inked = _mm256_permute4x64_epi64::<0b11_01_10_00>(inked);
            let inked = _mm256_and_si256(inked, _mm256_set1_epi32(0x00ff_ffff));
            store_eight::<STEP>(pixels, _mm256_blendv_epi8(old, new, inked));
        }
        count * 8
    }

    /// One lane of sixteen inks: `bytes` picks it from each pair of inks for each of the four places in half a register.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn lane(inks: [__m256i; 4], lane: usize) -> __m256i {
        let at = (2 * lane) as i32;
        // The same two bytes of both inks.
        let pair = at | (at + 1) << 8 | (at + 8) << 16 | (at + 9) << 24;
        let none = -1;
        let place = |k: usize| {
            let to = |place: usize| if place == k { pair } else { none };
            _mm256_shuffle_epi8(inks[k], _mm256_broadcastsi128_si256(_mm_setr_epi32(to(0), to(1), to(2), to(3))))
        };
        let all = _mm256_or_si256(_mm256_or_si256(place(0), place(1)), _mm256_or_si256(place(2), place(3)));
        _mm256_permutevar8x32_epi32(all, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
    }

    #[target_feature(enable = "avx2")]
    pub fn blend_samples<const STEP: usize>(samples: &mut [u8], index: usize, inks: &[Ink]) -> usize {
        let count = (samples.len() / STEP).min(inks.len()) / 16;
        for (samples, inks) in samples.chunks_exact_mut(16 * STEP).zip(inks.chunks_exact(16)) {
            let inks = [load_inks(inks), load_inks(&inks[4..]), load_inks(&inks[8..]), load_inks(&inks[12..])];
            let (ink, weight) = (lane(inks, index), lane(inks, 3));
            let pointer = samples.as_mut_ptr();
            // SAFETY: 16, 32 or 64 bytes are there.
            unsafe {
                match STEP {
                    1 => {
                        let old = _mm256_cvtepu8_epi16(_mm_loadu_si128(pointer.cast()));
                        let new = mix(old, ink, weight);
                        let new = _mm256_permute4x64_epi64::<0b00_00_10_00>(_mm256_packus_epi16(new, new));
                        _mm_storeu_si128(pointer.cast(), _mm256_castsi256_si128(new));
                    }
                    2 => {
                        let all = _mm256_loadu_si256(pointer.cast());
                        let own = _mm256_set1_epi16(0xff);
                        let new = mix(_mm256_and_si256(all, own), ink, weight);
                        let new = _mm256_or_si256(_mm256_andnot_si256(own, all), new);
                        _mm256_storeu_si256(pointer.cast(), new);
                    }
                    _ => {
                        let all = [0, 32].map(|k| _mm256_loadu_si256(pointer.add(k).cast()));
                        let own = _mm256_set1_epi32(0xff);
                        let [low, high] = all.map(|all| _mm256_and_si256(all, own));
                        let old = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(low, high));
                        let new = mix(old, ink, weight);
                        let new = [_mm256_castsi256_si128(new), _mm256_extracti128_si256::<1>(new)];
                        for (k, (all, new)) in std::iter::zip(all, new).enumerate() {
                            let new = _mm256_or_si256(_mm256_andnot_si256(own, all), _mm256_cvtepu16_epi32(new));
                            _mm256_storeu_si256(pointer.add(32 * k).cast(), new);
                        }
                    }
                }
            }
        }
        count * 16
    }

    #[target_feature(enable = "avx2")]
    pub fn means(upper: &[Ink], lower: &[Ink], out: &mut [Ink]) -> usize {
        let count = upper.len().min(lower.len()).min(2 * out.len()) / 8;
        for ((upper, lower), out) in upper.chunks_exact(8).zip(lower.chunks_exact(8)).zip(out.chunks_exact_mut(4)) {
            let first = _mm256_avg_epu16(load_inks(upper), load_inks(lower));
            let second = _mm256_avg_epu16(load_inks(&upper[4..]), load_inks(&lower[4..]));
            let even = _mm256_unpacklo_epi64(first, second);
            let odd = _mm256_unpackhi_epi64(first, second);
            let means = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_avg_epu16(even, odd));
            // SAFETY: four inks are 32 bytes without padding, of which every value is one.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), means) };
        }
        count * 4
    }

    #[target_feature(enable = "avx2")]
    pub fn gray_packed<const STEP: usize>(pixels: &mut [u8], [a, b, c]: [u16; 3]) -> usize {
        let [a, b, c] = [a, b, c].map(|w| w as i16);
        #[rustfmt::skip]
        let weights = _mm256_setr_epi16(a, b, c, 0, a, b, c, 0, a, b, c, 0, a, b, c, 0);
        let half = _mm256_set1_epi32(1 << (LUMA_SHIFT - 1));
        let sums = |old: __m128i| _mm256_madd_epi16(_mm256_cvtepu8_epi16(old), weights);
        let count = pixels.len() / STEP / 8;
        for pixels in pixels.chunks_exact_mut(8 * STEP) {
            let old = load_eight::<STEP>(pixels);
            let (low, high) = (sums(_mm256_castsi256_si128(old)), sums(_mm256_extracti128_si256::<1>(old)));
            // Within halves of registers: pixels 0, 1, 4, 5 and 2, 3, 6, 7.
            let luma = _mm256_srli_epi32::<{ LUMA_SHIFT as i32 }>(_mm256_add_epi32(_mm256_hadd_epi32(low, high), half));
            let luma = _mm256_permute4x64_epi64::<0b11_01_10_00>(luma);
            #[rustfmt::skip]
            let thrice = _mm256_shuffle_epi8(luma, _mm256_setr_epi8(
                0, 0, 0, -1, 4, 4, 4, -1, 8, 8, 8, -1, 12, 12, 12, -1,
                0, 0, 0, -1, 4, 4, 4, -1, 8, 8, 8, -1, 12, 12, 12, -1,
            ));
            let other = _mm256_and_si256(old, _mm256_set1_epi32(0xff00_0000_u32 as i32));
            store_eight::<STEP>(pixels, _mm256_or_si256(thrice, other));
        }
        count * 8
    }

    #[target_feature(enable = "avx2")]
    pub fn differ(a: &[[u8; 64]], b: &[[u8; 64]], out: &mut [u64]) -> usize {
        for ((word, a), b) in out.iter_mut().zip(a).zip(b) {
            let (a, b) = (a.as_ptr().cast::<__m256i>(), b.as_ptr().cast::<__m256i>());
            // SAFETY: two times 32 bytes are there.
            let (low, high) = unsafe {
                let low = _mm256_cmpeq_epi8(_mm256_loadu_si256(a), _mm256_loadu_si256(b));
                (low, _mm256_cmpeq_epi8(_mm256_loadu_si256(a.add(1)), _mm256_loadu_si256(b.add(1))))
            };
            let (low, high) = (_mm256_movemask_epi8(low) as u32, _mm256_movemask_epi8(high) as u32);
            *word = !(u64::from(low) | u64::from(high) << 32);
        }
        out.len().min(a.len()).min(b.len())
    }

    #[target_feature(enable = "avx2")]
    pub fn set_packed<const STEP: usize>(pixels: &mut [u8], colors: &[u32]) -> usize {
        let count = (pixels.len() / STEP).min(colors.len()) / 8;
        let kept = _mm256_set1_epi32(0xff00_0000_u32 as i32);
        for (pixels, colors) in pixels.chunks_exact_mut(8 * STEP).zip(colors.chunks_exact(8)) {
            // SAFETY: eight numbers are 32 bytes.
            let new = unsafe { _mm256_loadu_si256(colors.as_ptr().cast()) };
            let old = load_eight::<STEP>(pixels);
            let new = _mm256_or_si256(_mm256_and_si256(old, kept), _mm256_andnot_si256(kept, new));
            store_eight::<STEP>(pixels, new);
        }
        count * 8
    }

    #[target_feature(enable = "avx2")]
    pub fn lay(colors: &[[u8; 4]], weight: u16, inks: &mut [Ink]) -> usize {
        #[rustfmt::skip]
        let alphas = _mm256_setr_epi8(
            6, -1, 6, -1, 6, -1, 6, -1, 14, -1, 14, -1, 14, -1, 14, -1,
            6, -1, 6, -1, 6, -1, 6, -1, 14, -1, 14, -1, 14, -1, 14, -1,
        );
        let weight = _mm256_set1_epi16(2 * weight as i16);
        let count = colors.len().min(inks.len()) / 4;
        for (colors, inks) in colors.chunks_exact(4).zip(inks.chunks_exact_mut(4)) {
            // SAFETY: four colours are 16 bytes.
            let four = _mm256_cvtepu8_epi16(unsafe { _mm_loadu_si128(colors.as_ptr().cast()) });
            let alpha = _mm256_shuffle_epi8(four, alphas);
            let alpha = _mm256_add_epi16(alpha, _mm256_srli_epi16::<7>(alpha));
            // `(64 * alpha * 2 * weight + (1 << 14)) >> 15`.
            let weight = _mm256_mulhrs_epi16(_mm256_slli_epi16::<6>(alpha), weight);
            let factor = _mm256_blend_epi16::<0b1000_1000>(four, _mm256_set1_epi16(1));
            // SAFETY: four inks are 32 bytes without padding, of which every value is one.
            unsafe { _mm256_storeu_si256(inks.as_mut_ptr().cast(), _mm256_mullo_epi16(factor, weight)) };
        }
        count * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::canvas::LUMA_SHIFT;
    use crate::render::ink::OPAQUE;

    const COUNT: usize = 75;

    fn bytes(count: usize) -> Vec<u8> {
        (0..count).map(|i| (i * i * 7 + i / 3) as u8).collect()
    }

    /// Inks of every kind, none and opaque ones among them.
    fn inks(count: usize) -> Vec<Ink> {
        let weight =
            |i: usize| if i.is_multiple_of(5) || (16..32).contains(&i) { 0 } else { (i * 37) as u16 % (OPAQUE + 1) };
        (0..count).map(|i| Ink::new([i as u8 ^ 0xa5, (i * 3) as u8, 255 - i as u8], weight(i))).collect()
    }

    /// Checks what is done against a plain loop, and that the rest is left alone.
    fn check(before: &[u8], after: &[u8], step: usize, done: usize, expected: impl Fn(usize, usize, u8) -> u8) {
        for (i, (&old, &new)) in before.iter().zip(after).enumerate() {
            let expected = if i / step < done { expected(i / step, i % step, old) } else { old };
            assert_eq!(new, expected, "byte {i} of {done} times {step}");
        }
    }

    fn packed<const STEP: usize>() {
        let inks = inks(COUNT);
        let before = bytes(COUNT * STEP);
        let mut after = before.clone();
        let done = blend_packed::<STEP>(&mut after, &inks);
        check(&before, &after, STEP, done, |k, lane, old| if lane < 3 { inks[k].over(old, lane) } else { old });
        for opacity in [0.7, 0.3, 0.5, 0.01] {
            let mut after = before.clone();
            let done = cut_packed::<STEP>(&mut after, &inks, opacity);
            check(&before, &after, STEP, done, |k, lane, old| {
                if lane == 3 || inks[k] == Ink::NONE {
                    return old;
                }
                (f64::from(old) * (1.0 - opacity) + f64::from(inks[k].over(0, lane)) * opacity) as u8
            });
        }
        let mut after = before.clone();
        let weights = [9798, 19235, 3735];
        let done = gray_packed::<STEP>(&mut after, weights);
        check(&before, &after, STEP, done, |k, lane, old| {
            let sum: u32 = (0..3).map(|c| u32::from(before[k * STEP + c]) * u32::from(weights[c])).sum();
            if lane < 3 { ((sum + (1 << (LUMA_SHIFT - 1))) >> LUMA_SHIFT) as u8 } else { old }
        });
    }

    #[test]
    fn pixels_are_those_of_plain_loops() {
        packed::<3>();
        packed::<4>();
    }

    fn samples<const STEP: usize>() {
        let inks = inks(COUNT);
        for index in 0..3 {
            let before = bytes(COUNT * STEP);
            let mut after = before.clone();
            let done = blend_samples::<STEP>(&mut after, index, &inks);
            check(&before, &after, STEP, done, |k, lane, old| if lane == 0 { inks[k].over(old, index) } else { old });
        }
    }

    #[test]
    fn samples_are_those_of_plain_loops() {
        samples::<1>();
        samples::<2>();
        samples::<4>();
    }

    #[test]
    fn inks_are_those_of_plain_loops() {
        let (upper, lower) = (inks(COUNT), inks(2 * COUNT).split_off(COUNT));
        let mut out = vec![Ink::NONE; COUNT.div_ceil(2)];
        let done = means(&upper, &lower, &mut out);
        for (k, ink) in out.iter().enumerate() {
            let [a, b] = [&upper, &lower].map(|row| row.get(2 * k..2 * k + 2));
            let expected = a.zip(b).filter(|_| k < done);
            let expected = expected.map_or(Ink::NONE, |(a, b)| a[0].mean(b[0]).mean(a[1].mean(b[1])));
            assert_eq!(*ink, expected, "mean {k}");
        }
        let colors: Vec<[u8; 4]> = bytes(4 * 256).as_chunks().0.to_vec();
        for weight in 0..=OPAQUE {
            let mut out = vec![Ink::NONE; colors.len()];
            let done = lay(&colors, weight, &mut out);
            for (ink, &[a, b, c, alpha]) in out.iter().zip(&colors).take(done) {
                let alpha = u32::from(alpha) + u32::from(alpha >> 7);
                assert_eq!(*ink, Ink::new([a, b, c], ((u32::from(weight) * alpha + 0x80) >> 8) as u16));
            }
        }
    }
}
