//! The `densepose-overlay` element in a harness.

mod common;

use common::{caps, frame, init, texts};
use gst::prelude::*;
use gst_check::Harness;
use gst_video::{VideoFrameRef, VideoInfo};
use gstdensepose::meta;
use gstdensepose::person::Persons;
use gstdensepose::person::{IuvMap, Person};
use gstdensepose::render::{self, Canvas, Palette, Style, StyleKind};
use gstdensepose::video;

const STYLES: [(&str, StyleKind); 7] = [
    ("parts", StyleKind::Parts),
    ("u", StyleKind::U),
    ("v", StyleKind::V),
    ("contour", StyleKind::Contour),
    ("iuv", StyleKind::Iuv),
    ("iuv-legacy", StyleKind::IuvLegacy),
    ("index", StyleKind::Index),
];

/// The element with properties as they are written in a pipeline: `style=u opacity=1`.
fn overlay(properties: &str) -> gst::Element {
    init();
    let element = gst::ElementFactory::make("densepose-overlay").build().unwrap();
    for (name, value) in properties.split_whitespace().filter_map(|p| p.split_once('=')) {
        element.set_property_from_str(name, value);
    }
    element
}

fn harness(element: &gst::Element) -> Harness {
    Harness::with_element(element, Some("sink"), Some("src"))
}

/// A picture in which neighbouring pixels differ.
fn picture(w: usize, h: usize) -> Vec<u8> {
    (0..w * h * 3).map(|i| (i * 7 % 200 + 20) as u8).collect()
}

/// Two people who overlap, and reach over the frame's edges.
fn people(w: usize, h: usize) -> Persons {
    let (map_w, map_h) = (w / 2 + 3, h / 2 + 3);
    let person = |id: u32, x: i32, y: i32| {
        let data = (0..map_w * map_h)
            .flat_map(|i| [((i / 5 + id as usize) % 25) as u8, (i * 5 % 256) as u8, (i * 3 % 256) as u8])
            .collect();
        Person { id, score: 0.75, x, y, iuv: IuvMap::new(map_w, map_h, data).unwrap() }
    };
    let persons = vec![person(1, -2, 1), person(2, w as i32 / 3, h as i32 / 2)];
    Persons { width: w as u32, height: h as u32, age: 0, persons }
}

fn with_people(mut buffer: gst::Buffer, persons: &Persons) -> gst::Buffer {
    meta::attach(buffer.make_mut(), persons);
    buffer
}

/// Pushes a frame through an element.
fn run(h: &mut Harness, caps: &gst::Caps, buffer: gst::Buffer) -> gst::Buffer {
    h.set_src_caps(caps.clone());
    h.push(buffer).unwrap();
    h.pull().unwrap()
}

fn bytes(buffer: &gst::Buffer) -> Vec<u8> {
    buffer.map_readable().unwrap().to_vec()
}

/// The frame as the renderer draws it.
fn drawn(caps: &gst::Caps, buffer: &gst::Buffer, persons: &[Person], style: &Style) -> Vec<u8> {
    let info = VideoInfo::from_caps(caps).unwrap();
    let mut copy = buffer.copy_deep().unwrap();
    {
        let mut frame = VideoFrameRef::from_buffer_ref_writable(copy.make_mut(), &info).unwrap();
        render::draw(&mut video::image_mut(&mut frame).unwrap(), persons, style);
    }
    bytes(&copy)
}

#[test]
fn every_style_is_drawn_in_every_format() {
    let (w, h) = (65, 43);
    let persons = people(w, h);
    for format in video::FORMATS.map(|f| f.to_str()) {
        let caps = caps(format.as_str(), w, h);
        let buffer = frame(format.as_str(), w, h, &picture(w, h));
        for (nick, style) in STYLES {
            let expected = drawn(&caps, &buffer, &persons.persons, &Style { style, opacity: 0.5, ..Style::default() });
            assert_ne!(expected, bytes(&buffer), "{format} {nick}");
            let mut h = harness(&overlay(&format!("style={nick} opacity=0.5")));
            let out = run(&mut h, &caps, with_people(buffer.copy(), &persons));
            assert!(bytes(&out) == expected, "{format} {nick}");
            assert_eq!(meta::read(&out).as_ref(), Some(&persons), "the meta stays");
        }
    }
}

#[test]
fn raw_maps_on_black_hold_the_map_and_nothing_else() {
    let (w, h) = (48, 30);
    let mut persons = people(w, h);
    persons.persons.truncate(1);
    let caps = caps("RGB", w, h);
    let buffer = with_people(frame("RGB", w, h, &picture(w, h)), &persons);
    let out = bytes(&run(&mut harness(&overlay("style=iuv canvas=black opacity=1")), &caps, buffer));
    let person = &persons.persons[0];
    for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
        let (map_x, map_y) = (x as i32 - person.x, y as i32 - person.y);
        let inside = (0..person.width() as i32).contains(&map_x) && (0..person.height() as i32).contains(&map_y);
        let pixel = if inside { person.iuv.pixel(map_x as usize, map_y as usize) } else { [0; 3] };
        let expected = if pixel[0] == 0 { [0; 3] } else { pixel };
        assert_eq!(out[(y * w + x) * 3..][..3], expected, "at {x}, {y}");
    }
}

#[test]
fn properties_change_while_playing() {
    let (w, h) = (64, 48);
    let (caps, persons) = (caps("NV12", w, h), people(w, h));
    let buffer = frame("NV12", w, h, &picture(w, h));
    let element = overlay("");
    let mut harness = harness(&element);
    let mut style = Style::default();
    let mut change = |name: &str, value: &str, apply: &dyn Fn(&mut Style)| {
        element.set_property_from_str(name, value);
        apply(&mut style);
        let out = run(&mut harness, &caps, with_people(buffer.copy(), &persons));
        assert!(bytes(&out) == drawn(&caps, &buffer, &persons.persons, &style), "after {name}={value}");
    };
    change("opacity", "0.7", &|_| ());
    for (nick, kind) in STYLES {
        change("style", nick, &|s| s.style = kind);
    }
    change("style", "v", &|s| s.style = StyleKind::V);
    change("palette", "viridis", &|s| s.palette = Palette::Viridis);
    change("opacity", "0.25", &|s| s.opacity = 0.25);
    for (nick, canvas) in [("gray", Canvas::Gray), ("black", Canvas::Black), ("palette", Canvas::Palette)] {
        change("canvas", nick, &|s| s.canvas = canvas);
    }
    change("canvas", "video", &|s| s.canvas = Canvas::Video);
    change("boxes", "true", &|s| s.boxes = true);
    change("labels", "true", &|s| s.labels = true);
    change("palette", "parula", &|s| s.palette = Palette::Parula);
    change("opacity", "0", &|s| s.opacity = 0.0);
}

#[test]
fn properties_can_be_controlled_and_set_while_playing() {
    let element = overlay("");
    for name in ["style", "palette", "opacity", "canvas", "boxes", "labels"] {
        let flags = element.find_property(name).unwrap().flags();
        assert!(flags.contains(gst::PARAM_FLAG_CONTROLLABLE), "{name}");
        assert!(flags.contains(gst::PARAM_FLAG_MUTABLE_PLAYING), "{name}");
    }
}

#[test]
fn without_people_only_the_canvas_changes() {
    let (w, h) = (33, 21);
    for format in video::FORMATS.map(|f| f.to_str()) {
        let caps = caps(format.as_str(), w, h);
        let buffer = frame(format.as_str(), w, h, &picture(w, h));
        for (nick, canvas) in [("video", Canvas::Video), ("gray", Canvas::Gray), ("black", Canvas::Black)] {
            let expected = drawn(&caps, &buffer, &[], &Style { canvas, ..Style::default() });
            let out = run(&mut harness(&overlay(&format!("canvas={nick}"))), &caps, buffer.copy());
            assert!(bytes(&out) == expected, "{format} {nick}");
        }
    }
}

#[test]
fn shared_frames_are_copied_only_to_be_drawn_on() {
    let (w, h) = (64, 48);
    let caps = caps("RGB", w, h);
    let buffer = frame("RGB", w, h, &picture(w, h));
    let peopled = with_people(buffer.copy(), &people(w, h));
    let pointer = |b: &gst::Buffer| b.map_readable().unwrap().as_ptr();
    let element = overlay("");
    let mut h = harness(&element);
    // The clones are what another branch of a tee would hold.
    assert_eq!(pointer(&run(&mut h, &caps, buffer.clone())), pointer(&buffer));
    let before = bytes(&peopled);
    let out = run(&mut h, &caps, peopled.clone());
    assert_ne!(pointer(&out), pointer(&peopled));
    assert_ne!(bytes(&out), before);
    assert_eq!(bytes(&peopled), before, "the other branch sees the frame as it was");
    element.set_property("opacity", 0.0f64);
    assert_eq!(pointer(&run(&mut h, &caps, peopled.clone())), pointer(&peopled));
    element.set_property("boxes", true);
    assert_ne!(pointer(&run(&mut h, &caps, peopled.clone())), pointer(&peopled));
}

#[test]
fn stale_metadata_is_scaled_to_the_frame() {
    let (w, h) = (80, 60);
    let caps = caps("RGB", w, h);
    let buffer = frame("RGB", w, h, &picture(w, h));
    let small = people(w / 2, h / 3);
    let expected = drawn(&caps, &buffer, &small.scaled(w as u32, h as u32).persons, &Style::default());
    let out = run(&mut harness(&overlay("")), &caps, with_people(buffer, &small));
    assert!(bytes(&out) == expected);
}

#[test]
fn odd_and_tiny_and_long_frames_pass() {
    for (w, h) in [(1, 1), (1, 2), (3, 1), (17, 33), (1, 700), (700, 1), (641, 359)] {
        for format in ["RGB", "xBGR", "I420", "YUY2", "NV21", "GRAY8"] {
            let buffer = frame(format, w, h, &picture(w, h));
            let size = buffer.size();
            let mut h2 = harness(&overlay("style=contour canvas=palette boxes=true labels=true"));
            for _ in 0..2 {
                let out = run(&mut h2, &caps(format, w, h), with_people(buffer.copy(), &people(w, h)));
                assert_eq!(out.size(), size, "{format} {w}x{h}");
            }
        }
    }
}

#[test]
fn strides_and_offsets_of_the_buffer_are_followed() {
    let (w, h) = (50, 30);
    let persons = people(w, h);
    let (offset, stride) = (100, w * 4 + 40);
    // Nothing comes after the last pixel.
    let mut data = vec![255u8; offset + stride * (h - 1) + w * 4];
    let pixels: Vec<u8> = picture(w, h).chunks(3).flat_map(|p| [p[0], p[1], p[2], 77]).collect();
    for (y, row) in pixels.chunks(w * 4).enumerate() {
        data[offset + y * stride..][..w * 4].copy_from_slice(row);
    }
    let mut buffer = gst::Buffer::from_mut_slice(data);
    gst_video::VideoMeta::add_full(
        buffer.get_mut().unwrap(),
        gst_video::VideoFrameFlags::empty(),
        gst_video::VideoFormat::Rgba,
        w as u32,
        h as u32,
        &[offset],
        &[stride as i32],
    )
    .unwrap();
    let caps = caps("RGBA", w, h);
    let plain = gst::Buffer::from_mut_slice(pixels);
    let expected = drawn(&caps, &plain, &persons.persons, &Style::default());
    let out = bytes(&run(&mut harness(&overlay("")), &caps, with_people(buffer, &persons)));
    for (y, row) in expected.chunks(w * 4).enumerate() {
        assert_eq!(&out[offset + y * stride..][..w * 4], row, "row {y}");
    }
    let padding = |y: usize| &out[offset + y * stride + w * 4..offset + (y + 1) * stride];
    assert!(out[..offset].iter().all(|&b| b == 255) && (0..h - 1).all(|y| padding(y).iter().all(|&b| b == 255)));
}

#[test]
fn a_buffer_without_room_passes_with_a_warning() {
    let element = overlay("canvas=black");
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut h = harness(&element);
    let caps64 = caps("RGB", 64, 64);
    let out = run(&mut h, &caps64, with_people(gst::Buffer::from_mut_slice([9u8; 100]), &people(64, 64)));
    assert_eq!(bytes(&out), [9; 100]);
    assert!(!texts(&bus, gst::MessageType::Warning).is_empty());
    // A frame that is whole again is drawn on.
    let out = run(&mut h, &caps64, gst::Buffer::from_mut_slice(vec![9u8; 64 * 64 * 3]));
    assert!(bytes(&out).iter().all(|&b| b == 0));
    element.set_bus(None);
}

#[test]
fn caps_may_change_and_late_frames_are_not_dropped() {
    let mut harness = harness(&overlay("canvas=black"));
    for (format, w, h) in [("RGB", 32, 24), ("I420", 64, 48), ("GRAY8", 33, 11), ("RGB", 32, 24)] {
        let caps = caps(format, w, h);
        let buffer = with_people(frame(format, w, h, &picture(w, h)), &people(w, h));
        let style = Style { canvas: Canvas::Black, ..Style::default() };
        let expected = drawn(&caps, &buffer, &people(w, h).persons, &style);
        assert!(bytes(&run(&mut harness, &caps, buffer)) == expected, "{format}");
    }
    let qos = gst::event::Qos::builder(gst::QOSType::Underflow, 2.0, 100_000_000).timestamp(gst::ClockTime::ZERO);
    harness.push_upstream_event(qos.build());
    let caps = caps("RGB", 32, 24);
    for ms in [40, 80, 120] {
        let mut buffer = frame("RGB", 32, 24, &picture(32, 24));
        buffer.make_mut().set_pts(gst::ClockTime::from_mseconds(ms));
        assert_eq!(run(&mut harness, &caps, buffer).pts(), Some(gst::ClockTime::from_mseconds(ms)));
    }
}
