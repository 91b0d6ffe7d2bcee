//! The instructions for depthwise convolution in 8 bits on x86-64 processors, behind one trait.
//!
//! A vector has 32-bit lanes. A lane of activations or weights is a *unit* of four bytes side by side. One step multiplies units and adds the products to a lane's 32-bit sum. What this module and
//! `depthwise` say of safety is as in `gstdensepose::kernels::simd`: who has a value has the instructions.

use std::arch::x86_64::*;

/// Factors in a unit.
pub const FACTORS: usize = 4;

/// Sums, or units of factors.
pub trait Unit: Copy {
    const NAME: &'static str;
    /// 32-bit lanes.
    const LANES: usize;
    /// Whether there are 32 registers, not 16.
    const MANY_REGISTERS: bool;
    /// The weights' greatest magnitude for which no step overflows.
    const GREATEST: i8;

    fn is_available() -> bool;

    /// # Safety
    /// The processor has the instructions; `LANES` lanes can be read.
    unsafe fn load(from: *const i32) -> Self;
    /// `self + activations * weights`.
    fn add_products(self, activations: Self, weights: Self) -> Self;
    /// Units of the same channel's bytes at several places (at most [`FACTORS`]; other factors are zeros), for those
    /// channels of `4 * LANES` that [`channel_of`] tells for one `half`.
    ///
    /// # Safety
    /// The processor has the instructions; `4 * LANES` bytes can be read at each place.
    unsafe fn interleave(places: &[*const u8], half: usize) -> [Self; 2];
    /// `round(self * scale + zero)`, half to even.
    ///
    /// # Safety
    /// `LANES` scales can be read.
    unsafe fn rescale(self, scale: *const f32, zero: f32) -> Self;
    /// 16-bit numbers, with saturation, of what [`Self::interleave`] separated.
    fn narrow(parts: [Self; 2]) -> Self;
    /// Writes both halves' 16-bit numbers as bytes in the order of channels, with saturation.
    ///
    /// # Safety
    /// `4 * LANES` bytes can be written.
    unsafe fn store_halves(halves: [Self; 2], to: *mut u8);

    /// Runs a kernel in a function that may use the instructions.
    ///
    /// # Safety
    /// The processor has the instructions; what the kernel demands.
    unsafe fn apart<K: Kernel>(kernel: K);
}

/// Something to compute with units of any kind.
pub trait Kernel {
    /// To be marked `#[inline(always)]`.
    ///
    /// # Safety
    /// The processor has the instructions; a kernel of `unsafe` making may demand more.
    unsafe fn run<U: Unit>(self);
}

/// The channel, among `4 * LANES`, that interleaving puts in a lane: registers are interleaved in parts of 128 bits.
pub fn channel_of(half: usize, part: usize, lane: usize) -> usize {
    lane / 4 * 16 + half * 8 + part * 4 + lane % 4
}

/// A unit of weights.
pub fn unit(weight: impl Fn(usize) -> i8) -> i32 {
    i32::from_le_bytes([0, 1, 2, 3].map(|i| weight(i) as u8))
}

/// The parts that vectors of 256 bits have in common.
macro_rules! ymm {
    ($name:ident, $label:literal, [$($feature:tt),+], $features:literal, many $many:literal,
     greatest $greatest:literal, |$sum:ident, $a:ident, $w:ident| $step:expr) => {
        #[derive(Clone, Copy)]
        pub struct $name(__m256i);

        // SAFETY, of all blocks: a value or the caller says that the processor has the instructions; pointers are the
        // caller's promise.
        impl Unit for $name {
            const NAME: &'static str = $label;
            const LANES: usize = 8;
            const MANY_REGISTERS: bool = $many;
            const GREATEST: i8 = $greatest;

            fn is_available() -> bool {
                $(is_x86_feature_detected!($feature))&&+
            }
            #[inline(always)]
            unsafe fn load(from: *const i32) -> Self {
                Self(unsafe { _mm256_loadu_si256(from.cast()) })
            }
            #[inline(always)]
            fn add_products(self, activations: Self, weights: Self) -> Self {
                let ($sum, $a, $w) = (self.0, activations.0, weights.0);
                Self(unsafe { $step })
            }
            #[inline(always)]
            unsafe fn interleave(places: &[*const u8], half: usize) -> [Self; 2] {
                let mut bytes = [unsafe { _mm256_setzero_si256() }; 4];
                for i in 0..places.len() {
                    bytes[i] = unsafe { _mm256_loadu_si256(places[i].cast()) };
                }
                let [a, b, c, d] = bytes;
                unsafe {
                    let (ab, cd) = match half {
                        0 => (_mm256_unpacklo_epi8(a, b), _mm256_unpacklo_epi8(c, d)),
                        _ => (_mm256_unpackhi_epi8(a, b), _mm256_unpackhi_epi8(c, d)),
                    };
                    [Self(_mm256_unpacklo_epi16(ab, cd)), Self(_mm256_unpackhi_epi16(ab, cd))]
                }
            }
            #[inline(always)]
            unsafe fn rescale(self, scale: *const f32, zero: f32) -> Self {
                unsafe {
                    let sum = _mm256_cvtepi32_ps(self.0);
                    Self(_mm256_cvtps_epi32(_mm256_fmadd_ps(sum, _mm256_loadu_ps(scale), _mm256_set1_ps(zero))))
                }
            }
            #[inline(always)]
            fn narrow(parts: [Self; 2]) -> Self {
                Self(unsafe { _mm256_packs_epi32(parts[0].0, parts[1].0) })
            }
            #[inline(always)]
            unsafe fn store_halves(halves: [Self; 2], to: *mut u8) {
                unsafe { _mm256_storeu_si256(to.cast(), _mm256_packus_epi16(halves[0].0, halves[1].0)) }
            }
            #[inline(never)]
            #[target_feature(enable = $features)]
            unsafe fn apart<K: Kernel>(kernel: K) {
                unsafe { kernel.run::<Self>() }
            }
        }
    };
}

// Two products of bytes add up in 16 bits, with saturation: weights of 7 bits are safe (2 * 255 * 64 < 2^15).
ymm!(Maddubs, "maddubs, 7-bit weights", ["avx2", "fma"], "avx2,fma", many false, greatest 64, |sum, a, w| {
    let words = _mm256_maddubs_epi16(a, w);
    _mm256_add_epi32(sum, _mm256_madd_epi16(words, _mm256_set1_epi16(1)))
});
ymm!(Vnni256, "VNNI, 256 bits", ["avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512vnni"],
     "avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni", many true, greatest 127, |sum, a, w| {
    _mm256_dpbusd_epi32(sum, a, w)
});

#[derive(Clone, Copy)]
pub struct Vnni512(__m512i);

// SAFETY, of all blocks: as above.
impl Unit for Vnni512 {
    const NAME: &'static str = "VNNI, 512 bits";
    const LANES: usize = 16;
    const MANY_REGISTERS: bool = true;
    const GREATEST: i8 = 127;

    fn is_available() -> bool {
        is_x86_feature_detected!("avx512bw") && Vnni256::is_available()
    }
    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        Self(unsafe { _mm512_loadu_si512(from.cast()) })
    }
    #[inline(always)]
    fn add_products(self, activations: Self, weights: Self) -> Self {
        Self(unsafe { _mm512_dpbusd_epi32(self.0, activations.0, weights.0) })
    }
    #[inline(always)]
    unsafe fn interleave(places: &[*const u8], half: usize) -> [Self; 2] {
        let mut bytes = [unsafe { _mm512_setzero_si512() }; 4];
        for i in 0..places.len() {
            bytes[i] = unsafe { _mm512_loadu_si512(places[i].cast()) };
        }
        let [a, b, c, d] = bytes;
        unsafe {
            let (ab, cd) = match half {
                0 => (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d)),
                _ => (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d)),
            };
            [Self(_mm512_unpacklo_epi16(ab, cd)), Self(_mm512_unpackhi_epi16(ab, cd))]
        }
    }
    #[inline(always)]
    unsafe fn rescale(self, scale: *const f32, zero: f32) -> Self {
        unsafe {
            let sum = _mm512_cvtepi32_ps(self.0);
            Self(_mm512_cvtps_epi32(_mm512_fmadd_ps(sum, _mm512_loadu_ps(scale), _mm512_set1_ps(zero))))
        }
    }
    #[inline(always)]
    fn narrow(parts: [Self; 2]) -> Self {
        Self(unsafe { _mm512_packs_epi32(parts[0].0, parts[1].0) })
    }
    #[inline(always)]
    unsafe fn store_halves(halves: [Self; 2], to: *mut u8) {
        unsafe { _mm512_storeu_si512(to.cast(), _mm512_packus_epi16(halves[0].0, halves[1].0)) }
    }
    #[inline(never)]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn apart<K: Kernel>(kernel: K) {
        unsafe { kernel.run::<Self>() }
    }
}
