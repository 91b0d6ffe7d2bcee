//! `densepose-seiinsert` and `densepose-seiextract`: alone in a harness, and with encoders, containers, RTP and decoders.
//!
//! Needs the plugins that `scripts/dependencies.sh test` installs (good, bad, ugly, libav).

mod common;

use std::path::Path;

use common::{init, texts};
use gst::prelude::*;
use gst_check::Harness;
use gstdensepose::person::{IuvMap, Person, Persons};
use gstdensepose::sei::{self, Codec, Format, Framing};
use gstdensepose::{meta, packet};

const FRAMES: u32 = 24;
const FRAME: gst::ClockTime = gst::ClockTime::from_mseconds(40);
const WIDTH: usize = 64;
const HEIGHT: usize = 48;

/// The people of frame `n`: one whose box moves, more than fit the smallest message, and none in every fifth frame.
fn people(n: u32) -> Persons {
    let pixel = |i: u32| [(i / 9 % 25) as u8, (i * 37 % 251) as u8, (i * i % 241) as u8];
    let data = (0..30 * 20).flat_map(|i| if i / 9 % 25 == 0 { [0; 3] } else { pixel(i + n * 25 * 9) }).collect();
    let person = Person { id: n, score: 0.5, x: n as i32 - 3, y: 7, iuv: IuvMap::new(30, 20, data).unwrap() };
    let persons = if n % 5 == 4 { vec![] } else { vec![person] };
    Persons { width: WIDTH as u32, height: HEIGHT as u32, age: n % 3, moved: false, persons }
}

/// Frame `n` in I420, its number to be read from its brightness.
fn frame(n: u32) -> gst::Buffer {
    let mut data = vec![brightness(n); WIDTH * HEIGHT];
    data.resize(WIDTH * HEIGHT * 3 / 2, 128);
    let mut buffer = gst::Buffer::from_mut_slice(data);
    let b = buffer.make_mut();
    b.set_pts(FRAME * u64::from(n));
    b.set_duration(FRAME);
    buffer
}

fn brightness(n: u32) -> u8 {
    (40 + n * 8) as u8
}

/// Runs a pipeline to its end; what came to each of its appsinks named `out` and `other`. The frames of [`frame`], with
/// the people of [`people`] on all but every seventh, go into its appsrc `in`, if it has one.
fn run(description: &str) -> [Vec<gst::Sample>; 2] {
    init();
    let pipeline = gst::parse::launch(description).unwrap_or_else(|e| {
        panic!("{description}: {e}; scripts/dependencies.sh test installs what these tests need");
    });
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    if let Some(source) = pipeline.by_name("in") {
        let source = source.downcast::<gst_app::AppSrc>().unwrap();
        source.set_caps(Some(&common::caps("I420", WIDTH, HEIGHT)));
        for n in 0..FRAMES {
            let mut buffer = frame(n);
            if has_people(n) {
                meta::attach(buffer.make_mut(), &people(n));
            }
            source.push_buffer(buffer).unwrap();
        }
        source.end_of_stream().unwrap();
    }
    let samples = ["out", "other"].map(|name| {
        let sink = pipeline.by_name(name).map(|s| s.downcast::<gst_app::AppSink>().unwrap());
        sink.iter().flat_map(|s| std::iter::from_fn(|| s.pull_sample().ok())).collect::<Vec<_>>()
    });
    let end = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(gst::ClockTime::from_seconds(60), &[gst::MessageType::Eos, gst::MessageType::Error]);
    let end = end.expect("neither end nor error");
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(end.type_(), gst::MessageType::Eos, "{description}: {end:?}");
    samples
}

fn has_people(n: u32) -> bool {
    n % 7 != 6
}

fn read(sample: &gst::Sample) -> Option<Persons> {
    meta::read(sample.buffer().unwrap())
}

/// Every frame, in order, shows its number and carries its people and no others.
fn check(what: &str, samples: &[gst::Sample]) {
    assert_eq!(samples.len(), FRAMES as usize, "{what}");
    let first = samples[0].buffer().unwrap().pts().unwrap();
    for (n, sample) in (0..).zip(samples) {
        let buffer = sample.buffer().unwrap();
        assert_eq!((buffer.pts().unwrap() - first).mseconds(), (FRAME * u64::from(n)).mseconds(), "{what} {n}");
        let luma = buffer.map_readable().unwrap()[WIDTH * HEIGHT / 2 + WIDTH / 2];
        assert!(luma.abs_diff(brightness(n)) < 4, "{what} {n}: {luma}");
        assert_eq!(read(sample), has_people(n).then(|| people(n)), "{what} {n}");
    }
}

/// Encoders that reorder frames. The time per frame is set in stone by the caps, so that containers keep it.
const H264: &str =
    "appsrc name=in format=time ! x264enc speed-preset=ultrafast bframes=3 b-adapt=false quantizer=10 pass=quant";
const H265: &str = "appsrc name=in format=time ! x265enc speed-preset=ultrafast option-string=bframes=3:b-adapt=0:log-level=none qp=10";
const SINK: &str = "video/x-raw,format=I420 ! appsink name=out sync=false";

fn through_a_file(what: &str, write: &str, container: &str, read: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let location = |f: &Path| f.to_str().unwrap().to_owned();
    run(&format!("{write} ! {container} ! filesink location={}", location(&file)));
    let [samples, _] = run(&format!("filesrc location={} ! {read} ! {SINK}", location(&file)));
    check(what, &samples);
}

#[test]
fn h264_through_containers() {
    let write = format!("{H264} ! densepose-seiinsert max-size=300 ! h264parse");
    let read = |demuxer| format!("{demuxer} ! h264parse ! densepose-seiextract ! avdec_h264 ! videoconvert");
    through_a_file("mp4", &write, "mp4mux", &read("qtdemux"));
    through_a_file("mpeg-ts", &write, "mpegtsmux", &read("tsdemux"));
    through_a_file("matroska", &write, "matroskamux", &read("matroskademux"));
    // qtdemux of 1.22 loses reordered frames at the end of a fragmented file, with or without SEI.
    let write = write.replace("bframes=3", "bframes=0");
    through_a_file("fragments", &write, "mp4mux fragment-duration=200", &read("qtdemux"));
}

#[test]
fn h265_through_containers() {
    let write = format!("{H265} ! densepose-seiinsert max-size=300 ! h265parse");
    let read = |demuxer| format!("{demuxer} ! h265parse ! densepose-seiextract ! avdec_h265 ! videoconvert");
    through_a_file("mp4", &write, "mp4mux", &read("qtdemux"));
    through_a_file("mpeg-ts", &write, "mpegtsmux", &read("tsdemux"));
}

#[test]
fn through_rtp() {
    // Packets of 500 bytes: the payloader cuts messages of 2000 into several, and puts those of 100 together.
    for size in [100, 2000] {
        let rtp = "rtph264pay mtu=500 aggregate-mode=max-stap ! rtph264depay ! h264parse";
        let description = format!(
            "{H264} ! densepose-seiinsert keep-meta=false max-size={size} ! {rtp} ! densepose-seiextract \
             ! avdec_h264 ! videoconvert ! {SINK}"
        );
        check(&format!("h264 {size}"), &run(&description)[0]);
        let description = format!(
            "{H265} ! densepose-seiinsert keep-meta=false max-size={size} ! rtph265pay mtu=500 ! rtph265depay \
             ! h265parse ! densepose-seiextract ! avdec_h265 ! videoconvert ! {SINK}"
        );
        check(&format!("h265 {size}"), &run(&description)[0]);
    }
}

fn bytes(sample: &gst::Sample) -> Vec<u8> {
    sample.buffer().unwrap().map_readable().unwrap().to_vec()
}

#[test]
fn in_every_stream_format_and_taken_out_again() {
    for (encoder, parser, name, formats) in [
        (H264, "h264parse", "video/x-h264", ["byte-stream", "avc", "avc3"]),
        (H265, "h265parse", "video/x-h265", ["byte-stream", "hvc1", "hev1"]),
    ] {
        for format in formats {
            let [out, original] = run(&format!(
                "{encoder} ! {parser} ! {name},stream-format={format},alignment=au ! tee name=t \
                 t. ! queue ! densepose-seiinsert keep-meta=false max-size=200 ! tee name=u \
                 u. ! queue ! densepose-seiextract remove=true ! appsink name=out sync=false \
                 t. ! queue ! appsink name=other sync=false"
            ));
            assert_eq!((out.len(), original.len()), (FRAMES as usize, FRAMES as usize));
            let order: Vec<_> = out.iter().map(|s| s.buffer().unwrap().pts().unwrap()).collect();
            assert!(!order.is_sorted(), "{name}: no frame was reordered, the test tests nothing");
            for (out, original) in out.iter().zip(&original) {
                assert!(bytes(out) == bytes(original), "{name} {format}");
                assert_eq!(out.caps(), original.caps());
                let (b, o) = (out.buffer().unwrap(), original.buffer().unwrap());
                // The only thing to be seen is that the buffer's memory is not the encoder's.
                let flags = |b: &gst::BufferRef| b.flags() - gst::BufferFlags::TAG_MEMORY;
                assert_eq!((b.pts(), b.dts(), flags(b)), (o.pts(), o.dts(), flags(o)));
                assert_eq!(read(out), read(original), "{name} {format}");
            }
            assert_eq!(
                out.iter().filter(|s| read(s).is_some()).count(),
                (0..FRAMES).filter(|&n| has_people(n)).count()
            );
        }
    }
}

#[test]
fn another_decoder_and_a_player_that_knows_nothing() {
    for (decoder, people) in [("densepose-seiextract ! openh264dec", true), ("avdec_h264", false)] {
        let description = format!(
            // openh264 decodes no B-frames.
            "appsrc name=in format=time ! x264enc tune=zerolatency quantizer=10 pass=quant \
             ! video/x-h264,profile=constrained-baseline ! densepose-seiinsert keep-meta=false ! {decoder} ! {SINK}"
        );
        let [samples, _] = run(&description);
        if people {
            check(decoder, &samples);
        } else {
            assert_eq!(samples.len(), FRAMES as usize);
            assert!(samples.iter().all(|s| read(s).is_none()));
        }
    }
}

const BYTE_STREAM: &str = "video/x-h264, stream-format=byte-stream, alignment=au";
const FORMAT: Format = Format { codec: Codec::H264, framing: Framing::ByteStream };
/// Delimiter and picture.
const UNIT: [u8; 13] = [0, 0, 0, 1, 9, 16, 0, 0, 1, 0x65, 1, 2, 3];

fn harness(element: &str, caps: &str) -> (Harness, gst::Bus) {
    init();
    let mut h = Harness::new_parse(element);
    let bus = gst::Bus::new();
    h.element().unwrap().set_bus(Some(&bus));
    h.set_src_caps_str(caps);
    (h, bus)
}

fn with_payloads(payloads: &[Vec<u8>]) -> gst::Buffer {
    let edit = sei::insert(FORMAT, &UNIT, payloads).unwrap().unwrap();
    gst::Buffer::from_slice(sei::apply(&UNIT, &[edit]))
}

fn passed(h: &mut Harness, buffer: gst::Buffer) -> gst::Buffer {
    h.push(buffer).unwrap();
    h.pull().unwrap()
}

#[test]
fn a_buffer_without_people_is_not_even_copied() {
    for element in ["densepose-seiinsert", "densepose-seiextract", "densepose-seiextract remove=true"] {
        let (mut h, bus) = harness(element, BYTE_STREAM);
        let buffer = gst::Buffer::from_slice(UNIT);
        let pointer = buffer.as_ptr();
        assert_eq!(passed(&mut h, buffer).as_ptr(), pointer, "{element}");
        assert!(bus.pop().is_none());
    }
}

#[test]
fn insert_replaces_what_is_there() {
    let (mut h, _) = harness("densepose-seiinsert", BYTE_STREAM);
    let mut once = gst::Buffer::from_slice(UNIT);
    meta::attach(once.make_mut(), &people(1));
    let mut buffer = passed(&mut h, once);
    assert_eq!(meta::read(&buffer), Some(people(1)), "kept");
    meta::attach(buffer.make_mut(), &people(2));
    let buffer = passed(&mut h, buffer);
    let found = sei::user_data(FORMAT, &buffer.map_readable().unwrap()).unwrap();
    assert_eq!(found.len(), 1);
    let packet = packet::join([&found[0][..]]).unwrap().unwrap();
    assert_eq!(packet::decode(&packet), Ok(people(2)));
    assert_eq!(found[0][17..21], [0, 0, 0, 1], "the sequence number counts");
}

#[test]
fn properties_of_insert_do_what_they_say() {
    let mut sizes = vec![];
    for precision in [8, 4] {
        let (mut h, _) =
            harness(&format!("densepose-seiinsert max-size=100 precision={precision} keep-meta=false"), BYTE_STREAM);
        let mut buffer = gst::Buffer::from_slice(UNIT);
        meta::attach(buffer.make_mut(), &people(1));
        let buffer = passed(&mut h, buffer);
        assert_eq!(meta::read(&buffer), None);
        assert_eq!(buffer.iter_meta::<gst::Meta>().count(), 0, "no region of interest either");
        let found = sei::user_data(FORMAT, &buffer.map_readable().unwrap()).unwrap();
        assert!(found.len() > 1 && found.iter().all(|p| p.len() <= 100));
        sizes.push(buffer.size());
    }
    assert!(sizes[1] < sizes[0], "{sizes:?}");
}

#[test]
fn extract_takes_fragments_in_any_order_twice_and_among_others() {
    let mut payloads = packet::split(&packet::encode(&people(3)), 100, 5);
    assert!(payloads.len() > 3);
    payloads.reverse();
    payloads.extend(payloads.clone());
    payloads.insert(2, vec![1; 40]);
    let (mut h, bus) = harness("densepose-seiextract remove=true", BYTE_STREAM);
    let out = passed(&mut h, with_payloads(&payloads));
    assert_eq!(meta::read(&out), Some(people(3)));
    assert_eq!(sei::user_data(FORMAT, &out.map_readable().unwrap()).unwrap(), [vec![1; 40]], "others' stay");
    assert!(bus.pop().is_none());
}

#[test]
fn what_is_lost_is_skipped_and_what_is_damaged_is_reported_once() {
    let fragments = packet::split(&packet::encode(&people(3)), 100, 5);
    let changed = |offset: usize| {
        let mut fragments = fragments.clone();
        fragments.iter_mut().for_each(|f| f[offset] ^= 64);
        with_payloads(&fragments)
    };
    let mut future = packet::encode(&people(3));
    future[0] = 2;
    let (version, sum, packet) = (changed(16), changed(30), with_payloads(&packet::split(&future, 4000, 0)));
    let cut = gst::Buffer::from_slice([1u8, 2, 3]);
    for (buffer, warning) in [
        (with_payloads(&fragments[1..]), None),
        (changed(3), None),
        (version, Some("version")),
        (sum, Some("checksum")),
        (packet, Some("version")),
        (cut, Some("start code")),
    ] {
        let (mut h, bus) = harness("densepose-seiextract", BYTE_STREAM);
        for _ in 0..3 {
            let before = buffer.map_readable().unwrap().to_vec();
            let out = passed(&mut h, buffer.clone());
            assert_eq!(meta::read(&out), None);
            assert_eq!(out.map_readable().unwrap().as_slice(), before);
        }
        let warnings = texts(&bus, gst::MessageType::Warning);
        assert_eq!(warnings.len(), usize::from(warning.is_some()), "{warnings:?}");
        assert!(warning.is_none_or(|w| warnings[0].contains(w)), "{warnings:?}");
        // The next whole one is read.
        assert_eq!(meta::read(&passed(&mut h, with_payloads(&fragments))), Some(people(3)));
    }
}

#[test]
fn insert_passes_what_it_cannot_read_and_says_so_once() {
    let (mut h, bus) = harness("densepose-seiinsert", BYTE_STREAM);
    for _ in 0..3 {
        let mut buffer = gst::Buffer::from_slice([1u8, 2, 3]);
        meta::attach(buffer.make_mut(), &people(0));
        assert_eq!(passed(&mut h, buffer).size(), 3);
    }
    assert_eq!(texts(&bus, gst::MessageType::Warning).len(), 1);
}

#[test]
fn what_is_no_whole_access_unit_is_refused_with_a_remedy() {
    for element in ["densepose-seiinsert", "densepose-seiextract"] {
        for (caps, remedy) in [
            ("video/x-h264, stream-format=byte-stream, alignment=nal", "h264parse"),
            ("video/x-h265, stream-format=byte-stream", "h265parse"),
            ("video/x-h264, stream-format=avc, alignment=au", "codec_data"),
        ] {
            let (mut h, bus) = harness(element, caps);
            assert!(h.push(gst::Buffer::from_slice(UNIT)).is_err());
            let errors = texts(&bus, gst::MessageType::Error);
            assert!(errors.iter().any(|e| e.contains(remedy)), "{element} {caps}: {errors:?}");
        }
    }
}
