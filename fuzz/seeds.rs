//! Writes what fuzzing begins with: a well-formed file for each target, in corpus/TARGET.

use std::io::Write;
use std::path::Path;

use densepose_fuzz::{networks, people};
use gstdensepose::packet;
use gstdensepose::records::{Encoder, Fields, Record, coco, jsonl};
use gstdensepose::sei::{self, Codec, Format, Framing};

fn main() -> std::io::Result<()> {
    let packet = packet::encode(&people());
    seed("packet", "exact", &packet)?;
    seed("packet", "coarse", &packet::encode_with(&people(), 5))?;
    let fragments = packet::split(&packet, 100, 1);
    // As the target reads them: without the UUID, behind their length.
    let listed = fragments.iter().map(|f| &f[packet::UUID.len()..]).flat_map(|f| [&[f.len() as u8], f].concat());
    seed("packet", "fragments", &listed.collect::<Vec<u8>>())?;

    let h264 = [&[0, 0, 0, 1, 9, 0x10][..], &[0, 0, 0, 1, 0x65, 0x88, 0x84, 0, 0x10]].concat();
    let format = Format { codec: Codec::H264, framing: Framing::ByteStream };
    let edit = sei::insert(format, &h264, &fragments).ok().flatten().expect("there is a picture");
    seed("sei", "h264", &[&[0][..], &sei::apply(&h264, &[edit])].concat())?;
    let h265 = [0, 0, 0, 3, 0x46, 1, 0x10, 0, 0, 0, 6, 0x26, 1, 0xaf, 8, 0, 0x10];
    let format = Format { codec: Codec::H265, framing: Framing::Length(4) };
    let edit = sei::insert(format, &h265, &fragments).ok().flatten().expect("there is a picture");
    seed("sei", "h265", &[&[7][..], &sei::apply(&h265, &[edit])].concat())?;

    let record = Record { frame: 3, clip: 0, pts: Some(120_000_000), duration: Some(40_000_000), persons: people() };
    seed("jsonl", "png", &file(jsonl::Writer::default(), &record))?;
    let masks = jsonl::Writer { iuv: jsonl::IuvEncoding::Rle, ..Default::default() };
    seed("jsonl", "rle", &file(masks, &record))?;
    seed("coco", "results", &file(coco::Writer::new(Fields::of(&coco::FIELDS)), &record))?;
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/default/model.json");
    seed("manifest", "default", &std::fs::read(model)?)?;
    for (name, bytes) in networks::seeds() {
        seed("onnx", &name, &bytes)?;
    }
    Ok(())
}

fn file(mut writer: impl Encoder, record: &Record) -> Vec<u8> {
    let mut out = Vec::new();
    writer.start(&mut out);
    writer.record(record, &mut out);
    writer.finish(&mut out);
    out
}

fn seed(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&folder)?;
    std::fs::File::create(folder.join(name))?.write_all(bytes)
}
