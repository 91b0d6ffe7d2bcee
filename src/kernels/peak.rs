//! The most multiplications and additions that a processor's registers allow, to compare kernels with.

use std::hint::black_box;
use std::time::Instant;

use super::simd::{Isa, Kernel, Vector};
use crate::threads::Threads;

/// Sums that are independent of each other: enough to hide the instruction's latency, few enough to stay in registers.
const SUMS: usize = 12;

struct Peak {
    steps: usize,
}

impl Kernel for Peak {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the vector's instructions exist; the buffer has the longest vector's length.
        unsafe {
            let mut sums = [V::splat(black_box(1.0)); SUMS];
            let factor = V::splat(black_box(0.5));
            for _ in 0..self.steps {
                for sum in &mut sums {
                    *sum = sum.mul_add(factor, factor);
                }
            }
            let mut buffer = [0.0; 16];
            for sum in sums {
                sum.store(buffer.as_mut_ptr());
                black_box(&buffer);
            }
        }
    }
}

/// Operations that [`run`] does in so many steps: a multiplication and an addition in each lane of each sum.
pub fn operations(steps: usize) -> usize {
    steps * SUMS * Isa::best().lanes() * 2
}

/// Multiplies and adds in registers, on the calling thread.
pub fn run(steps: usize) {
    Isa::best().run(Peak { steps });
}

/// Operations per second on all of `threads` together, in billions: the best of some short runs.
pub fn gflops(threads: &Threads) -> f64 {
    const STEPS: usize = 4_000_000;
    const RUNS: usize = 8;
    let mut shares = vec![(); threads.count()];
    let seconds = (0..RUNS).map(|_| {
        let start = Instant::now();
        threads.each(&mut shares, |()| run(STEPS));
        start.elapsed().as_secs_f64()
    });
    (operations(STEPS) * threads.count()) as f64 / seconds.fold(f64::INFINITY, f64::min) / 1e9
}
