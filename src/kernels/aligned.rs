//! Numbers that start at a cache line, so that no vector load spans two.
//!
//! Alignment saves time; nothing relies on it.

use std::ops::{Deref, DerefMut};

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

pub struct Aligned {
    lines: Vec<Line>,
    length: usize,
}

impl Aligned {
    pub fn zeros(length: usize) -> Self {
        Self { lines: vec![Line([0.0; 16]); length.div_ceil(16)], length }
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: the lines are initialised floats without padding, and at least `length` of them.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}

/// As many numbers of a scratch buffer, which is grown where it is too small. What they are is left from earlier uses.
pub fn reserve(scratch: &mut Vec<f32>, length: usize) -> &mut [f32] {
    const LINE: usize = size_of::<Line>() / size_of::<f32>();
    if scratch.len() < length + LINE {
        scratch.resize(length + LINE, 0.0);
    }
    let start = scratch.as_ptr().align_offset(align_of::<Line>()).min(LINE);
    &mut scratch[start..start + length]
}
