//! Model manifests.
#![no_main]

use gstdensepose::estimator::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Manifest::parse("model.json", data);
});
