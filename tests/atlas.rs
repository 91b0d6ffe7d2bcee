//! `densepose-atlas`: a person with a known texture is drawn, collected and drawn again.

mod common;

use std::path::Path;

use common::{caps, harness_and_bus, init, texts};
use gst::prelude::*;
use gst_check::Harness;
use gstdensepose::meta;
use gstdensepose::person::{IuvMap, Person, Persons};

const SIDE: usize = 32;
const SIZE: usize = 256;

/// A smooth texture that differs from chart to chart, as a file.
fn texture(path: &Path) -> image::RgbaImage {
    let picture = image::RgbaImage::from_fn(4 * SIDE as u32, 6 * SIDE as u32, |x, y| {
        let wave = |at: u32, phase: f32| ((at as f32 / 19.0 + phase).sin() * 90.0 + 130.0) as u8;
        image::Rgba([wave(x, 0.0), wave(y, 1.0), wave(x + y, 2.0), 255])
    });
    picture.save(path).unwrap();
    picture
}

/// A person whose map shows six charts as whole squares, beginning with part `first`.
fn person(id: u32, first: u8) -> Person {
    let side = 80;
    let mut data = vec![0; SIZE * SIZE * 3];
    for n in 0..6 {
        let (left, top) = (n % 3 * (side + 4) + 2, n / 3 * (side + 4) + 2);
        for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
            let at = ((top + y) * SIZE + left + x) * 3;
            let value = |i: usize| (i * 255 / (side - 1)) as u8;
            data[at..at + 3].copy_from_slice(&[first + n as u8, value(x), 255 - value(y)]);
        }
    }
    Person { id, score: 0.9, x: 0, y: 0, iuv: IuvMap::new(SIZE, SIZE, data).unwrap() }
}

fn frame(n: u64, person: Person) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_slice(vec![40u8; SIZE * SIZE * 3]);
    let b = buffer.get_mut().unwrap();
    b.set_pts(gst::ClockTime::from_mseconds(40 * n));
    meta::attach(b, &Persons { width: SIZE as u32, height: SIZE as u32, age: 0, moved: false, persons: vec![person] });
    buffer
}

fn harness(description: &str) -> (Harness, gst::Bus) {
    let (mut h, bus) = harness_and_bus(description);
    h.set_src_caps(caps("RGB", SIZE, SIZE));
    (h, bus)
}

/// Peak signal-to-noise ratio in dB over the texels that `got` knows, and the share of `parts` that it knows.
fn psnr(got: &image::RgbaImage, wanted: &image::RgbaImage, parts: std::ops::RangeInclusive<usize>) -> (f64, f64) {
    let (mut sum, mut known, mut all) = (0.0, 0, 0);
    for part in parts {
        let (left, top) = ((part - 1) / 6 * SIDE, (part - 1) % 6 * SIDE);
        for (x, y) in (0..SIDE * SIDE).map(|i| ((left + i % SIDE) as u32, (top + i / SIDE) as u32)) {
            all += 1;
            let (g, w) = (got.get_pixel(x, y).0, wanted.get_pixel(x, y).0);
            if g[3] > 0 {
                known += 1;
                sum += (0..3).map(|k| f64::from(g[k].abs_diff(w[k])).powi(2)).sum::<f64>() / 3.0;
            }
        }
    }
    (10.0 * (255.0f64.powi(2) / (sum / f64::from(known).max(1.0))).log10(), f64::from(known) / f64::from(all))
}

#[test]
fn a_known_texture_is_rebuilt_whatever_the_pixel_format() {
    for format in ["RGB", "BGRA", "I420", "NV12"] {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("source.png");
        let wanted = texture(&source);
        let description = format!(
            "densepose-overlay style=texture opacity=1 texture={} ! videoconvert ! video/x-raw,format={format} \
             ! densepose-atlas chart-size={SIDE} location={}/p-%d.png",
            source.display(),
            directory.path().display()
        );
        let (mut h, _bus) = harness(&description);
        for (n, first) in [1, 7, 13, 19].into_iter().enumerate() {
            h.push(frame(n as u64, person(5, first))).unwrap();
        }
        h.push_event(gst::event::Eos::new());
        let got = image::open(directory.path().join("p-5.png")).unwrap().to_rgba8();
        let (psnr, known) = psnr(&got, &wanted, 1..=24);
        let least = if format.contains("RG") || format.contains("BGR") { 35.0 } else { 27.0 };
        assert!(psnr > least && known == 1.0, "{format}: {psnr:.1} dB over {known}");
    }
}

#[test]
fn the_write_signal_writes_what_is_known_and_says_how_many() {
    let directory = tempfile::tempdir().unwrap();
    let location = directory.path().join("p-%03d.png");
    let (mut h, _bus) = harness(&format!("densepose-atlas chart-size=16 location={}", location.display()));
    let element = h.element().unwrap().downcast::<gst::Bin>().unwrap().children().remove(0);
    let write = || element.emit_by_name::<u32>("write", &[]);
    assert_eq!(write(), 0);
    h.push(frame(0, person(5, 1))).unwrap();
    assert_eq!(write(), 1);
    let first = image::open(directory.path().join("p-005.png")).unwrap().to_rgba8();
    h.push(frame(1, person(5, 7))).unwrap();
    assert_eq!(write(), 1);
    let second = image::open(directory.path().join("p-005.png")).unwrap().to_rgba8();
    let known = |picture: &image::RgbaImage| picture.pixels().filter(|p| p.0[3] > 0).count();
    assert_eq!((known(&first), known(&second)), (6 * 16 * 16, 12 * 16 * 16));
}

#[test]
fn one_person_may_be_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let location = directory.path().join("one.png");
    let (mut h, _bus) = harness(&format!("densepose-atlas person=7 chart-size=16 location={}", location.display()));
    h.push(frame(0, person(5, 1))).unwrap();
    h.push(frame(1, person(7, 1))).unwrap();
    h.push_event(gst::event::Eos::new());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    assert!(location.exists());
}

#[test]
fn settings_that_make_no_sense_are_refused_with_the_remedy() {
    init();
    let directory = tempfile::tempdir().unwrap();
    let there = directory.path().join("p-3.png");
    std::fs::write(&there, "precious").unwrap();
    let series = directory.path().join("p-%d.png");
    let cases = [
        (None, "set it to the files to write"),
        (Some(directory.path().join("one.png")), "%d, or say which one by person"),
        (Some(directory.path().join("%s.png")), "no usable location"),
        (Some(directory.path().join("no/p-%d.png")), "no"),
        (Some(series), "p-3.png` is there already: set overwrite=true"),
    ];
    for (location, expected) in cases {
        let element = gst::ElementFactory::make("densepose-atlas").build().unwrap();
        if let Some(location) = location {
            element.set_property("location", location.to_str().unwrap());
        }
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        assert!(element.set_state(gst::State::Paused).is_err());
        let errors = texts(&bus, gst::MessageType::Error).concat();
        assert!(errors.contains(expected), "{errors}");
        element.set_state(gst::State::Null).unwrap();
    }
    assert_eq!(std::fs::read_to_string(there).unwrap(), "precious");
}

#[test]
fn nobody_leaves_no_file_and_the_video_is_not_changed() {
    let directory = tempfile::tempdir().unwrap();
    let location = directory.path().join("p-%d.png");
    let (mut h, _bus) = harness(&format!("densepose-atlas location={}", location.display()));
    let mut buffer = frame(0, person(1, 1));
    meta::remove(buffer.get_mut().unwrap());
    h.push(buffer.clone()).unwrap();
    assert_eq!(h.pull().unwrap().as_ptr(), buffer.as_ptr());
    h.push_event(gst::event::Eos::new());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
