//! A person's map, one kind of byte at a time.

use super::parts::Parts;
use crate::simd::vectorised;

vectorised! {
    /// Takes pixels I, U, V apart; what shows none of the parts is 0.
    pub(super) fn split(pixels: &[[u8; 3]], parts: Parts, part: &mut [u8], u: &mut [u8], v: &mut [u8]) {
        for (((pixel, part), u), v) in pixels.iter().zip(part).zip(u).zip(v) {
            let body = u8::from(parts.contains(pixel[0])).wrapping_neg();
            *part = pixel[0] & body;
            *u = pixel[1] & body;
            *v = pixel[2] & body;
        }
    }
}
