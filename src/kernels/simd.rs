//! Vectors of floats in the instruction sets of processors, and the choice among these at run time.
//!
//! A [`Kernel`] is written once for any [`Vector`]. [`Isa::run`] compiles it for each instruction set, in a function
//! that may use these instructions, and calls the right one.
//!
//! Why this is sound, although a processor stops the process at instructions that it does not know:
//! - An [`Isa`] can only be had from [`Isa::best`] and [`Isa::available`] (and [`Isa::narrower`], which asks them), which
//!   ask the processor; so [`Isa::run`] is safe.
//! - Values of vector types come from `unsafe` functions that demand the instruction set. Only kernels call them, and
//!   kernels are run through an `Isa`. Who has a value has the instructions; so arithmetic on values is safe.
//! - Loads and stores are `unsafe` for their pointers, too. The kernels' safe entry points check extents.
//!
//! Everything between [`Isa::run`] and the intrinsics must be `#[inline(always)]` (or go through [`Vector::apart`]): code
//! that is not inlined into the function with the instruction set is compiled for the oldest processor. No closures
//! there, for the same reason.

/// Several floats that are computed with at once.
pub trait Vector: Copy {
    const LANES: usize;
    /// Vectors that fit the processor's registers.
    const REGISTERS: usize;

    /// # Safety
    /// The processor has the instruction set.
    unsafe fn splat(value: f32) -> Self;
    /// # Safety
    /// The processor has the instruction set; `LANES` floats can be read.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// `LANES` floats can be written.
    unsafe fn store(self, to: *mut f32);
    /// The first `count` lanes, zeros in others.
    ///
    /// # Safety
    /// The processor has the instruction set; `count` floats can be read, at most `LANES`.
    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        let mut buffer = [0.0; 16];
        // SAFETY: the caller's promise; no vector is longer than the buffer.
        unsafe {
            std::ptr::copy_nonoverlapping(from, buffer.as_mut_ptr(), count);
            Self::load(buffer.as_ptr())
        }
    }
    /// Writes the first `count` lanes.
    ///
    /// # Safety
    /// `count` floats can be written, at most `LANES`.
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        let mut buffer = [0.0; 16];
        // SAFETY: as in `load_first`.
        unsafe {
            self.store(buffer.as_mut_ptr());
            std::ptr::copy_nonoverlapping(buffer.as_ptr(), to, count);
        }
    }
    /// `self * factor + addend`, rounded once where the instruction set can.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn max(self, other: Self) -> Self;
    fn min(self, other: Self) -> Self;
    /// `yes` in the lanes where `self` is above `other`, `no` in others.
    fn where_above(self, other: Self, yes: Self, no: Self) -> Self;
    /// Of all lanes; anything where one of them is no number.
    fn least(self) -> f32;
    /// Of all lanes; anything where one of them is no number.
    fn greatest(self) -> f32;

    /// Runs a kernel in a function of its own: for inner loops that would otherwise be copied to each of their callers.
    ///
    /// # Safety
    /// The processor has the instruction set; what the kernel demands.
    unsafe fn apart<K: Kernel>(kernel: K);
}

/// Something to compute, with vectors of any kind.
pub trait Kernel {
    /// To be marked `#[inline(always)]`.
    ///
    /// # Safety
    /// The processor has the vector's instruction set; a kernel of `unsafe` making may demand more.
    unsafe fn run<V: Vector>(self);
}

/// The first of `count` numbers that a vector takes, where all vectors are to be full: the last ends with the last number,
/// and so overlaps the one before it. There are at least `lanes` numbers.
#[inline(always)]
pub fn first_of(vector: usize, lanes: usize, count: usize) -> usize {
    (vector * lanes).min(count - lanes)
}

/// An instruction set that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Scalar,
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

/// All sets of this architecture, the best first.
const SETS: &[Set] = &[
    #[cfg(target_arch = "x86_64")]
    Set::Avx512,
    #[cfg(target_arch = "x86_64")]
    Set::Avx2,
    #[cfg(target_arch = "aarch64")]
    Set::Neon,
    Set::Portable,
    Set::Scalar,
];

impl Set {
    fn is_available(self) -> bool {
        match self {
            Set::Scalar | Set::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "aarch64")]
            Set::Neon => std::arch::is_aarch64_feature_detected!("neon"),
        }
    }
}

impl Isa {
    /// The fastest that this processor has.
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self(Set::Scalar))
    }

    /// All that this processor has, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        SETS.iter().copied().filter(|set| set.is_available()).map(Self)
    }

    /// This one, or the first after it whose vectors have at most `lanes` (1 or more) lanes.
    pub fn narrower(self, lanes: usize) -> Self {
        let candidates = Self::available().skip_while(|&isa| isa != self);
        candidates.into_iter().find(|isa| isa.lanes() <= lanes).unwrap_or(Self(Set::Scalar))
    }

    /// Floats in a vector.
    pub fn lanes(self) -> usize {
        match self.0 {
            Set::Scalar => f32::LANES,
            Set::Portable => Portable::LANES,
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => x86::Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => x86::Avx2::LANES,
            #[cfg(target_arch = "aarch64")]
            Set::Neon => arm::Neon::LANES,
        }
    }

    /// Runs a kernel that demands nothing but the instruction set.
    pub fn run<K: Kernel>(self, kernel: K) {
        // SAFETY: that there is an `Isa` says that the processor has the instructions.
        unsafe {
            match self.0 {
                Set::Scalar => f32::apart(kernel),
                Set::Portable => Portable::apart(kernel),
                #[cfg(target_arch = "x86_64")]
                Set::Avx512 => x86::Avx512::apart(kernel),
                #[cfg(target_arch = "x86_64")]
                Set::Avx2 => x86::Avx2::apart(kernel),
                #[cfg(target_arch = "aarch64")]
                Set::Neon => arm::Neon::apart(kernel),
            }
        }
    }
}

impl Vector for f32 {
    const LANES: usize = 1;
    const REGISTERS: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        value
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { *to = self }
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        self * factor + addend
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self + other
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self - other
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if self < other { self } else { other }
    }
    #[inline(always)]
    fn where_above(self, other: Self, yes: Self, no: Self) -> Self {
        if self > other { yes } else { no }
    }
    #[inline(always)]
    fn least(self) -> f32 {
        self
    }
    #[inline(always)]
    fn greatest(self) -> f32 {
        self
    }
    #[inline(never)]
    unsafe fn apart<K: Kernel>(kernel: K) {
        // SAFETY: the caller's promise.
        unsafe { kernel.run::<Self>() }
    }
}

/// Four floats in plain Rust, which the compiler turns to the vectors that every processor of an architecture has.
#[derive(Clone, Copy)]
pub struct Portable(pub(super) [f32; 4]);

impl Vector for Portable {
    const LANES: usize = 4;
    const REGISTERS: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h], [i, j, k, l]) = (self.0, factor.0, addend.0);
        Self([a * e + i, b * f + j, c * g + k, d * h + l])
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a + e, b + f, c + g, d + h])
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a - e, b - f, c - g, d - h])
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([Vector::max(a, e), Vector::max(b, f), Vector::max(c, g), Vector::max(d, h)])
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([Vector::min(a, e), Vector::min(b, f), Vector::min(c, g), Vector::min(d, h)])
    }
    #[inline(always)]
    fn where_above(self, other: Self, yes: Self, no: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        let ([i, j, k, l], [m, n, o, p]) = (yes.0, no.0);
        Self([a.where_above(e, i, m), b.where_above(f, j, n), c.where_above(g, k, o), d.where_above(h, l, p)])
    }
    #[inline(always)]
    fn least(self) -> f32 {
        let [a, b, c, d] = self.0;
        Vector::min(Vector::min(a, b), Vector::min(c, d))
    }
    #[inline(always)]
    fn greatest(self) -> f32 {
        let [a, b, c, d] = self.0;
        Vector::max(Vector::max(a, b), Vector::max(c, d))
    }
    #[inline(never)]
    unsafe fn apart<K: Kernel>(kernel: K) {
        // SAFETY: the caller's promise.
        unsafe { kernel.run::<Self>() }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use std::arch::x86_64::*;

    use super::{Kernel, Vector};

    #[derive(Clone, Copy)]
    pub struct Avx2(pub(in super::super) __m256);

    // SAFETY, of all blocks: a value or the caller says that the processor has the instructions; pointers are the
    // caller's promise.
    impl Vector for Avx2 {
        const LANES: usize = 8;
        const REGISTERS: usize = 16;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            Self(unsafe { _mm256_set1_ps(value) })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Self(unsafe { _mm256_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm256_storeu_ps(to, self.0) }
        }
        // Halves, because masked stores take dozens of cycles on AMD's processors.
        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, count: usize) {
            unsafe {
                if count & 8 != 0 {
                    return self.store(to);
                }
                let (mut to, mut rest) = (to, _mm256_castps256_ps128(self.0));
                if count & 4 != 0 {
                    _mm_storeu_ps(to, rest);
                    to = to.add(4);
                    rest = _mm256_extractf128_ps::<1>(self.0);
                }
                if count & 2 != 0 {
                    _mm_storel_pd(to.cast(), _mm_castps_pd(rest));
                    to = to.add(2);
                    rest = _mm_movehl_ps(rest, rest);
                }
                if count & 1 != 0 {
                    _mm_store_ss(to, rest);
                }
            }
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, addend: Self) -> Self {
            Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Self(unsafe { _mm256_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            Self(unsafe { _mm256_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            Self(unsafe { _mm256_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            Self(unsafe { _mm256_min_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn where_above(self, other: Self, yes: Self, no: Self) -> Self {
            Self(unsafe { _mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0)) })
        }
        #[inline(always)]
        fn least(self) -> f32 {
            unsafe {
                let v = _mm_min_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
                let v = _mm_min_ps(v, _mm_movehl_ps(v, v));
                _mm_cvtss_f32(_mm_min_ss(v, _mm_movehdup_ps(v)))
            }
        }
        #[inline(always)]
        fn greatest(self) -> f32 {
            unsafe {
                let v = _mm_max_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
                let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
                _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)))
            }
        }
        #[inline(never)]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn apart<K: Kernel>(kernel: K) {
            unsafe { kernel.run::<Self>() }
        }
    }

    #[derive(Clone, Copy)]
    pub struct Avx512(pub(in super::super) __m512);

    impl Vector for Avx512 {
        const LANES: usize = 16;
        const REGISTERS: usize = 32;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            Self(unsafe { _mm512_set1_ps(value) })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            Self(unsafe { _mm512_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn load_first(from: *const f32, count: usize) -> Self {
            Self(unsafe { _mm512_maskz_loadu_ps(first(count), from) })
        }
        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, count: usize) {
            unsafe { _mm512_mask_storeu_ps(to, first(count), self.0) }
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, addend: Self) -> Self {
            Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            Self(unsafe { _mm512_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            Self(unsafe { _mm512_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            Self(unsafe { _mm512_min_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn where_above(self, other: Self, yes: Self, no: Self) -> Self {
            Self(unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0), no.0, yes.0) })
        }
        #[inline(always)]
        fn least(self) -> f32 {
            unsafe { _mm512_reduce_min_ps(self.0) }
        }
        #[inline(always)]
        fn greatest(self) -> f32 {
            unsafe { _mm512_reduce_max_ps(self.0) }
        }
        #[inline(never)]
        #[target_feature(enable = "avx512f")]
        unsafe fn apart<K: Kernel>(kernel: K) {
            unsafe { kernel.run::<Self>() }
        }
    }

    /// A mask of the first `count` lanes, at most 16.
    #[inline(always)]
    fn first(count: usize) -> __mmask16 {
        (0xffff_u32 >> (16 - count)) as __mmask16
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;

    use super::{Kernel, Vector};

    /// Two registers of four floats: with 32 registers, as many vectors of 8 as AVX2 has.
    #[derive(Clone, Copy)]
    pub struct Neon(float32x4_t, float32x4_t);

    // SAFETY, of all blocks: a value or the caller says that the processor has the instructions; pointers are the
    // caller's promise.
    impl Vector for Neon {
        const LANES: usize = 8;
        const REGISTERS: usize = 16;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            unsafe { Self(vdupq_n_f32(value), vdupq_n_f32(value)) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { Self(vld1q_f32(from), vld1q_f32(from.add(4))) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe {
                vst1q_f32(to, self.0);
                vst1q_f32(to.add(4), self.1);
            }
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, addend: Self) -> Self {
            unsafe { Self(vfmaq_f32(addend.0, self.0, factor.0), vfmaq_f32(addend.1, self.1, factor.1)) }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            unsafe { Self(vaddq_f32(self.0, other.0), vaddq_f32(self.1, other.1)) }
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            unsafe { Self(vsubq_f32(self.0, other.0), vsubq_f32(self.1, other.1)) }
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            unsafe { Self(vmaxq_f32(self.0, other.0), vmaxq_f32(self.1, other.1)) }
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            unsafe { Self(vminq_f32(self.0, other.0), vminq_f32(self.1, other.1)) }
        }
        #[inline(always)]
        fn where_above(self, other: Self, yes: Self, no: Self) -> Self {
            unsafe {
                Self(
                    vbslq_f32(vcgtq_f32(self.0, other.0), yes.0, no.0),
                    vbslq_f32(vcgtq_f32(self.1, other.1), yes.1, no.1),
                )
            }
        }
        #[inline(always)]
        fn least(self) -> f32 {
            unsafe { vminvq_f32(vminq_f32(self.0, self.1)) }
        }
        #[inline(always)]
        fn greatest(self) -> f32 {
            unsafe { vmaxvq_f32(vmaxq_f32(self.0, self.1)) }
        }
        #[inline(never)]
        #[target_feature(enable = "neon")]
        unsafe fn apart<K: Kernel>(kernel: K) {
            unsafe { kernel.run::<Self>() }
        }
    }
}
