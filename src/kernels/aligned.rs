//! Numbers that start at a cache line, so that no vector load spans two.
//!
//! Alignment saves time; nothing relies on it.

use std::ops::{Deref, DerefMut};

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line<T>([T; 16]);

/// Of 32 bits each.
pub struct Aligned<T = f32> {
    lines: Vec<Line<T>>,
    length: usize,
}

impl<T: Copy + Default> Aligned<T> {
    pub fn zeros(length: usize) -> Self {
        const { assert!(size_of::<T>() == 4, "a line has no padding") }
        Self { lines: vec![Line([T::default(); 16]); length.div_ceil(16)], length }
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the lines are initialised numbers without padding, and at least `length` of them.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}

/// As many numbers of a scratch buffer, which is grown where it is too small. What they are is left from earlier uses.
pub fn reserve(scratch: &mut Vec<f32>, length: usize) -> &mut [f32] {
    const LINE: usize = size_of::<Line<f32>>() / size_of::<f32>();
    if scratch.len() < length + LINE {
        scratch.resize(length + LINE, 0.0);
    }
    let start = scratch.as_ptr().align_offset(align_of::<Line<f32>>()).min(LINE);
    &mut scratch[start..start + length]
}
