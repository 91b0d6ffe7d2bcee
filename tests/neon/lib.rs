//! The modules of the plugin that compute with vectors, and their own tests.

#![allow(dead_code, unused_imports)]

pub mod estimator;
#[path = "../../src/kernels/mod.rs"]
pub mod kernels;
#[path = "../../src/layers/mod.rs"]
mod layers;
#[path = "../../src/simd.rs"]
mod simd;
#[path = "../../src/threads.rs"]
mod threads;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
