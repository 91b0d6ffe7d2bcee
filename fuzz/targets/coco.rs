//! COCO results and their run-length masks.
#![no_main]

use gstdensepose::records::coco;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = coco::parse(data);
});
