//! What 8 bits gain in each layer of the trunk, with AVX2 and with AVX-512's VNNI beside our float32 kernels, one thread:
//! pointwise layers as the network computes them (`kernels::gemm8`, floats in and out), depthwise layers on bytes, by
//! kernels that are here alone because they gain too little. `docs/int8.md` discusses the results.
//!
//! `cargo bench --bench int8` compares the depthwise kernels with plain loops, then prints the times. Without `--bench`
//! (`cargo test`), it does the first alone.

// Loops over registers, which the compiler unrolls.
#![allow(clippy::needless_range_loop)]

#[cfg(target_arch = "x86_64")]
mod check;
#[cfg(target_arch = "x86_64")]
mod depthwise;
#[cfg(target_arch = "x86_64")]
mod runs;
#[cfg(target_arch = "x86_64")]
mod table;
#[cfg(target_arch = "x86_64")]
mod trunk;
#[cfg(target_arch = "x86_64")]
mod units;

/// How sums become activations: `u8(round((sum + bias) * scale + zero))`, with a bias and a scale per channel.
#[cfg(target_arch = "x86_64")]
struct Scaling {
    bias: Vec<i32>,
    scale: Vec<f32>,
    zero: f32,
}

#[cfg(target_arch = "x86_64")]
impl Scaling {
    /// Scales around `scale`.
    fn new(channels: usize, scale: f32, zero: f32) -> Self {
        Self {
            bias: (0..channels).map(|c| (c * 7919 % 4001) as i32 - 2000).collect(),
            scale: (0..channels).map(|c| scale * (0.5 + (c * 31 % 101) as f32 / 100.0)).collect(),
            zero,
        }
    }
}

/// Numbers that look random, always the same for a seed.
#[cfg(target_arch = "x86_64")]
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state >> 40
    }
}

#[cfg(target_arch = "x86_64")]
fn main() {
    let layers = trunk::layers();
    check::all::<units::Maddubs>(&layers);
    check::all::<units::Vnni256>(&layers);
    check::all::<units::Vnni512>(&layers);
    println!("8-bit kernels: same results as plain loops");
    if std::env::args().any(|argument| argument == "--bench") {
        table::print(&layers);
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("The 8-bit kernels are for x86-64.");
}
