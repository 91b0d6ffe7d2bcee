//! The network's arithmetic on plain slices of float32: products of matrices (in float and in 8 bits), depthwise and
//! dense 3x3 convolution, and blocks of these.
//!
//! Pictures lie channels last (height, width, channels). Every function is single-threaded, checks the extents of its
//! slices once at entry and panics where they do not fit, like indexing. [`simd`] and [`simd8`] are the only places
//! that know processors.

// Loops over registers, which the compiler unrolls: iterators would hide that several arrays go in step.
#![allow(clippy::needless_range_loop)]

mod aligned;
pub mod depthwise;
pub mod gemm;
pub mod gemm8;
pub mod peak;
pub mod simd;
pub mod simd8;
pub mod winograd;

/// Bounds of a result: what an activation function makes of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    pub low: f32,
    pub high: f32,
}

impl Clamp {
    pub const NONE: Self = Self { low: f32::NEG_INFINITY, high: f32::INFINITY };
    pub const RELU: Self = Self { low: 0.0, high: f32::INFINITY };
    pub const RELU6: Self = Self { low: 0.0, high: 6.0 };
}

#[cfg(test)]
mod testing {
    use super::Clamp;

    /// Numbers in -1..1 that look random, always the same for a seed.
    pub fn numbers(seed: usize, count: usize) -> Vec<f32> {
        let mut state = seed as u64 ^ 0x9e37_79b9_7f4a_7c15;
        let mut number = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..count).map(|_| number()).collect()
    }

    pub fn clamped(value: f64, clamp: Clamp) -> f64 {
        value.max(clamp.low.into()).min(clamp.high.into())
    }
}
