//! Networks: whatever an ONNX file says, loading it and looking at a small picture ends with people or an error.
#![no_main]

use std::sync::Once;

use densepose_fuzz::networks::changed;
use gstdensepose::estimator::boxes::Rect;
use gstdensepose::estimator::{Estimator, Options};
use gstdensepose::image::Image;
use libfuzzer_sys::fuzz_target;

const WIDTH: usize = 48;
const HEIGHT: usize = 40;

static QUIET: Once = Once::new();

fuzz_target!(|data: &[u8]| {
    // The runtime panics at some graphs that make no sense, which the estimator turns into errors; panics that leave it
    // still end the process.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let Ok(model) = changed(data) else { return };
    let options = Options { short_side: 32, threads: 1, ..Options::default() };
    let Ok(mut estimator) = Estimator::new(&model, options) else { return };
    let pixels: Vec<u8> = (0..WIDTH * HEIGHT * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let image = Image::rgb(WIDTH, HEIGHT, &pixels).expect("three bytes for each pixel");
    // The body is mapped in a box, whatever is detected.
    let boxes = [Rect::new(8.0, 4.0, 30.0, 39.0)];
    if let Ok(people) = estimator.estimate_boxes(&image, &boxes) {
        assert!(people.iter().all(|person| person.iuv.data().chunks_exact(3).all(|pixel| pixel[0] <= 24)));
    }
});
