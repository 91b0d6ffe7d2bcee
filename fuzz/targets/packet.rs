//! Payloads of SEI messages: no bytes may make the reader panic, and what it accepts is read back as it was.
#![no_main]

use gstdensepose::packet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(persons) = packet::decode(data) {
        assert_eq!(packet::decode(&packet::encode(&persons)).as_ref(), Ok(&persons));
    }
    // Fragments, each behind a byte that says how long it is.
    let mut fragments = Vec::new();
    let mut rest = data;
    while let Some((&length, behind)) = rest.split_first() {
        let (fragment, behind) = behind.split_at(behind.len().min(length.into()));
        fragments.push([&packet::UUID[..], fragment].concat());
        rest = behind;
    }
    let _ = packet::join(fragments.iter().map(Vec::as_slice));
});
