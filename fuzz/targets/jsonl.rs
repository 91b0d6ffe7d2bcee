//! Lines of `densepose-import`'s files: no line may make the reader panic, and what it accepts is read back as it was.
#![no_main]

use gstdensepose::records::Encoder;
use gstdensepose::records::jsonl;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = jsonl::header(data);
    if let Ok(record) = jsonl::parse(data) {
        let mut line = Vec::new();
        jsonl::Writer::default().record(&record, &mut line);
        assert_eq!(jsonl::parse(&line).expect("what was written is read"), record);
    }
});
