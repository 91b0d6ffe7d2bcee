//! Networks: whatever an ONNX file says, loading it and looking at a small picture ends with people or an error.
#![no_main]

use std::sync::Once;

use densepose_fuzz::networks::looked_at;
use libfuzzer_sys::fuzz_target;

static QUIET: Once = Once::new();

fuzz_target!(|data: &[u8]| {
    // The runtime panics at some graphs that make no sense, which the estimator turns into errors; panics that leave it
    // still end the process.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let _ = looked_at(data);
});
