//! Access units: whatever they hold, what is put in is found again and can be taken out.
#![no_main]

use gstdensepose::sei::{self, Codec, Format, Framing};
use libfuzzer_sys::fuzz_target;

const UUID: [u8; 16] = *b"0123456789abcdef";

fuzz_target!(|data: &[u8]| {
    let Some((&kind, unit)) = data.split_first() else { return };
    let codec = if kind & 1 == 0 { Codec::H264 } else { Codec::H265 };
    let _ = Framing::from_configuration(codec, unit);
    let framing = match kind >> 1 & 3 {
        0 => Framing::ByteStream,
        1 => Framing::Length(1),
        2 => Framing::Length(2),
        _ => Framing::Length(4),
    };
    let format = Format { codec, framing };
    let before = sei::user_data(format, unit);
    if let Ok(edits) = sei::remove(format, unit, &UUID) {
        let _ = sei::user_data(format, &sei::apply(unit, &edits));
    }
    let payload = [&UUID[..], &[kind, 0, 0, 0, 1]].concat();
    if let (Ok(before), Ok(Some(edit))) = (before, sei::insert(format, unit, std::slice::from_ref(&payload))) {
        let with = sei::apply(unit, &[edit]);
        let found = sei::user_data(format, &with).expect("what was readable stays so");
        assert_eq!(found.len(), before.len() + 1);
        assert!(found.contains(&payload));
    }
});
