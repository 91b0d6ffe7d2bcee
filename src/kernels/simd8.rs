//! Vectors of bytes that are multiplied and summed in 32 bits, and the choice of instructions for them at run time.
//!
//! As in [`super::simd`], whose reasons why this is sound hold here, too: an [`Isa8`] comes from asking the processor, and
//! kernels are run through it.

use super::simd::{Portable, Vector};

/// 32-bit lanes: sums, or units of four factors of 8 bits side by side.
pub trait Bytes: Copy {
    /// As many floats.
    type Floats: Vector;
    /// Vectors that fit the processor's registers.
    const REGISTERS: usize;
    /// The greatest activation for which no step overflows, whatever the weights in -127..=127.
    const GREATEST: u8;

    /// # Safety
    /// The processor has the instructions.
    unsafe fn zero() -> Self;
    /// # Safety
    /// The processor has the instructions; a number for each lane can be read.
    unsafe fn load(from: *const i32) -> Self;
    /// One unit in all lanes.
    ///
    /// # Safety
    /// The processor has the instructions; 4 bytes can be read.
    unsafe fn broadcast(from: *const u8) -> Self;
    /// `self` plus the products of unsigned activations and signed weights.
    fn add_products(self, activations: Self, weights: Self) -> Self;
    fn to_floats(self) -> Self::Floats;
    /// Writes a byte for each number in 0..=255, rounded half to even; 0 for NaN.
    ///
    /// # Safety
    /// A byte for each lane can be written.
    unsafe fn store(values: Self::Floats, to: *mut u8);
    /// Like [`Self::store`], four vectors one after the other.
    ///
    /// # Safety
    /// A byte for each lane of all of them can be written.
    #[inline(always)]
    unsafe fn store_four(values: [Self::Floats; 4], to: *mut u8) {
        for i in 0..4 {
            // SAFETY: the caller's promise.
            unsafe { Self::store(values[i], to.add(i * Self::Floats::LANES)) }
        }
    }

    /// Runs a kernel in a function of its own, which may use the instructions.
    ///
    /// # Safety
    /// The processor has the instructions; what the kernel demands.
    unsafe fn apart<K: Kernel8>(kernel: K);
}

/// Something to compute, with bytes of any kind.
pub trait Kernel8 {
    /// To be marked `#[inline(always)]`.
    ///
    /// # Safety
    /// The processor has the instructions; a kernel of `unsafe` making may demand more.
    unsafe fn run<B: Bytes>(self);
}

/// Instructions for bytes that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa8(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    #[cfg(target_arch = "x86_64")]
    Vnni512,
    #[cfg(target_arch = "x86_64")]
    Vnni256,
    #[cfg(target_arch = "x86_64")]
    Maddubs,
    Portable,
}

/// All sets of this architecture, the best first.
const SETS: &[Set] = &[
    #[cfg(target_arch = "x86_64")]
    Set::Vnni512,
    #[cfg(target_arch = "x86_64")]
    Set::Vnni256,
    #[cfg(target_arch = "x86_64")]
    Set::Maddubs,
    Set::Portable,
];

impl Isa8 {
    /// The fastest that this processor has; `None` where floats are faster.
    pub fn best() -> Option<Self> {
        Self::available().next().filter(|isa| isa.0 != Set::Portable)
    }

    /// All that this processor has, the fastest first; the last is plain Rust.
    pub fn available() -> impl Iterator<Item = Self> {
        let is_available = |set: &Set| match set {
            #[cfg(target_arch = "x86_64")]
            Set::Vnni512 | Set::Vnni256 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
                    && is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
            }
            #[cfg(target_arch = "x86_64")]
            Set::Maddubs => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Set::Portable => true,
        };
        SETS.iter().copied().filter(is_available).map(Self)
    }

    /// With shorter vectors, if there are.
    pub fn narrower(self) -> Self {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Vnni512 => Self(Set::Vnni256),
            _ => self,
        }
    }

    /// Sums in a vector.
    pub fn lanes(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Vnni512 => 16,
            #[cfg(target_arch = "x86_64")]
            Set::Vnni256 | Set::Maddubs => 8,
            Set::Portable => 4,
        }
    }

    /// Activations are in 0..=`greatest`.
    pub fn greatest(self) -> u8 {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Maddubs => x86::Maddubs::GREATEST,
            _ => u8::MAX,
        }
    }

    /// Runs a kernel that demands nothing but the instructions.
    pub fn run<K: Kernel8>(self, kernel: K) {
        // SAFETY: that there is an `Isa8` says that the processor has the instructions.
        unsafe {
            match self.0 {
                #[cfg(target_arch = "x86_64")]
                Set::Vnni512 => x86::Vnni512::apart(kernel),
                #[cfg(target_arch = "x86_64")]
                Set::Vnni256 => x86::Vnni256::apart(kernel),
                #[cfg(target_arch = "x86_64")]
                Set::Maddubs => x86::Maddubs::apart(kernel),
                Set::Portable => Plain::apart(kernel),
            }
        }
    }
}

/// Plain Rust.
#[derive(Clone, Copy)]
struct Plain([i32; 4]);

impl Bytes for Plain {
    type Floats = Portable;
    const REGISTERS: usize = 16;
    const GREATEST: u8 = 255;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { from.cast::<[i32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn broadcast(from: *const u8) -> Self {
        // SAFETY: the caller's promise.
        Self([i32::from_le_bytes(unsafe { from.cast::<[u8; 4]>().read_unaligned() }); 4])
    }
    #[inline(always)]
    fn add_products(self, activations: Self, weights: Self) -> Self {
        let mut sums = self.0;
        for lane in 0..4 {
            let (activations, weights) = (activations.0[lane].to_le_bytes(), weights.0[lane].to_le_bytes());
            for i in 0..4 {
                sums[lane] += i32::from(activations[i]) * i32::from(weights[i] as i8);
            }
        }
        Self(sums)
    }
    #[inline(always)]
    fn to_floats(self) -> Portable {
        let [a, b, c, d] = self.0;
        Portable([a as f32, b as f32, c as f32, d as f32])
    }
    #[inline(always)]
    unsafe fn store(values: Portable, to: *mut u8) {
        let [a, b, c, d] = values.0;
        let byte = |value: f32| value.round_ties_even() as u8;
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[u8; 4]>().write_unaligned([byte(a), byte(b), byte(c), byte(d)]) }
    }
    #[inline(never)]
    unsafe fn apart<K: Kernel8>(kernel: K) {
        // SAFETY: the caller's promise.
        unsafe { kernel.run::<Self>() }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::super::simd::x86::{Avx2, Avx512};
    use super::{Bytes, Kernel8};

    /// What vectors of 256 bits have in common.
    macro_rules! ymm {
        ($name:ident, $features:literal, registers $registers:literal, greatest $greatest:literal,
         |$sum:ident, $a:ident, $w:ident| $step:expr) => {
            #[derive(Clone, Copy)]
            pub struct $name(__m256i);

            // SAFETY, of all blocks: a value or the caller says that the processor has the instructions; pointers are
            // the caller's promise.
            impl Bytes for $name {
                type Floats = Avx2;
                const REGISTERS: usize = $registers;
                const GREATEST: u8 = $greatest;

                #[inline(always)]
                unsafe fn zero() -> Self {
                    Self(unsafe { _mm256_setzero_si256() })
                }
                #[inline(always)]
                unsafe fn load(from: *const i32) -> Self {
                    Self(unsafe { _mm256_loadu_si256(from.cast()) })
                }
                #[inline(always)]
                unsafe fn broadcast(from: *const u8) -> Self {
                    Self(unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) })
                }
                #[inline(always)]
                fn add_products(self, activations: Self, weights: Self) -> Self {
                    let ($sum, $a, $w) = (self.0, activations.0, weights.0);
                    Self(unsafe { $step })
                }
                #[inline(always)]
                fn to_floats(self) -> Avx2 {
                    Avx2(unsafe { _mm256_cvtepi32_ps(self.0) })
                }
                #[inline(always)]
                unsafe fn store(values: Avx2, to: *mut u8) {
                    unsafe {
                        let whole = _mm256_cvtps_epi32(values.0);
                        let words =
                            _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256::<1>(whole));
                        _mm_storel_epi64(to.cast(), _mm_packus_epi16(words, words));
                    }
                }
                #[inline(always)]
                unsafe fn store_four([a, b, c, d]: [Avx2; 4], to: *mut u8) {
                    unsafe {
                        let (a, b) = (_mm256_cvtps_epi32(a.0), _mm256_cvtps_epi32(b.0));
                        let (c, d) = (_mm256_cvtps_epi32(c.0), _mm256_cvtps_epi32(d.0));
                        let bytes = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
                        // Packing goes by parts of 128 bits.
                        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
                        _mm256_storeu_si256(to.cast(), _mm256_permutevar8x32_epi32(bytes, order));
                    }
                }
                #[inline(never)]
                #[target_feature(enable = $features)]
                unsafe fn apart<K: Kernel8>(kernel: K) {
                    unsafe { kernel.run::<Self>() }
                }
            }
        };
    }

    // Two products of bytes add up in 16 bits, with saturation: activations of 7 bits are safe (2 * 127 * 127 < 2^15).
    ymm!(Maddubs, "avx2,fma", registers 16, greatest 127, |sum, a, w| {
        let words = _mm256_maddubs_epi16(a, w);
        _mm256_add_epi32(sum, _mm256_madd_epi16(words, _mm256_set1_epi16(1)))
    });
    ymm!(Vnni256, "avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni", registers 32, greatest 255, |sum, a, w| {
        _mm256_dpbusd_epi32(sum, a, w)
    });

    #[derive(Clone, Copy)]
    pub struct Vnni512(__m512i);

    // SAFETY, of all blocks: as above.
    impl Bytes for Vnni512 {
        type Floats = Avx512;
        const REGISTERS: usize = 32;
        const GREATEST: u8 = 255;

        #[inline(always)]
        unsafe fn zero() -> Self {
            Self(unsafe { _mm512_setzero_si512() })
        }
        #[inline(always)]
        unsafe fn load(from: *const i32) -> Self {
            Self(unsafe { _mm512_loadu_si512(from.cast()) })
        }
        #[inline(always)]
        unsafe fn broadcast(from: *const u8) -> Self {
            Self(unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) })
        }
        #[inline(always)]
        fn add_products(self, activations: Self, weights: Self) -> Self {
            Self(unsafe { _mm512_dpbusd_epi32(self.0, activations.0, weights.0) })
        }
        #[inline(always)]
        fn to_floats(self) -> Avx512 {
            Avx512(unsafe { _mm512_cvtepi32_ps(self.0) })
        }
        #[inline(always)]
        unsafe fn store(values: Avx512, to: *mut u8) {
            unsafe {
                let whole = _mm512_max_epi32(_mm512_cvtps_epi32(values.0), _mm512_setzero_si512());
                _mm_storeu_si128(to.cast(), _mm512_cvtusepi32_epi8(whole));
            }
        }
        #[inline(always)]
        unsafe fn store_four([a, b, c, d]: [Avx512; 4], to: *mut u8) {
            unsafe {
                let (a, b) = (_mm512_cvtps_epi32(a.0), _mm512_cvtps_epi32(b.0));
                let (c, d) = (_mm512_cvtps_epi32(c.0), _mm512_cvtps_epi32(d.0));
                let bytes = _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
                let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
                _mm512_storeu_si512(to.cast(), _mm512_permutexvar_epi32(order, bytes));
            }
        }
        #[inline(never)]
        #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni")]
        unsafe fn apart<K: Kernel8>(kernel: K) {
            unsafe { kernel.run::<Self>() }
        }
    }
}
