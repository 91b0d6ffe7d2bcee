//! What fuzzing begins with, and networks with changes that bytes stand for.

pub mod networks;

/// Where the small networks are.
pub const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures");

use gstdensepose::person::{IuvMap, Person, Persons};

/// A frame with two people, for [seeds](../seeds.rs).
pub fn people() -> Persons {
    let person = |id: u32, width: usize, height: usize| {
        let pixels = (0..width * height).flat_map(|i| match i % 5 {
            0 => [0; 3],
            k => [(id as usize + i / 7) as u8 % 24 + 1, (i * 3) as u8, (k * 40) as u8],
        });
        let iuv = IuvMap::new(width, height, pixels.collect()).expect("three bytes for each pixel");
        Person { id, score: 1.0 / (id + 1) as f32, x: 3 - id as i32, y: 5, iuv }
    };
    Persons { width: 32, height: 24, age: 1, moved: false, persons: vec![person(0, 9, 11), person(7, 16, 8)] }
}
