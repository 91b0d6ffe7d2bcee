//! The `densepose-overlay` element in a harness.

mod common;

use common::{caps, frame, init, texts};
use gst::prelude::*;
use gst_check::Harness;
use gst_video::{VideoFrameRef, VideoInfo};
use gstdensepose::meta;
use gstdensepose::person::Persons;
use gstdensepose::person::{IuvMap, Person};
use gstdensepose::render::{self, Canvas, Hiding, Method, Palette, Preset, Style, StyleKind};
use gstdensepose::video;

/// Styles that need nothing but the map.
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
    Persons { width: w as u32, height: h as u32, age: 0, moved: false, persons }
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

/// A buffer of a format as packed RGB without padding, converted by GStreamer.
fn to_rgb(caps_in: &gst::Caps, w: usize, h: usize, buffer: gst::Buffer) -> Vec<u8> {
    let mut convert = Harness::new_parse("videoconvert dither=none chroma-resampler=0 alpha-mode=set");
    convert.set_caps(caps_in.clone(), caps("RGB", w, h));
    convert.push(buffer).unwrap();
    let data = bytes(&convert.pull().unwrap());
    data.chunks((w * 3).next_multiple_of(4)).flat_map(|row| row[..w * 3].to_vec()).collect()
}

#[test]
fn every_format_is_the_same_drawing_to_videoconvert() {
    let (w, h) = (128, 96);
    let level = |i: usize, n: usize| (60 + 130 * i / n) as u8;
    let smooth: Vec<u8> =
        (0..h).flat_map(|y| (0..w).flat_map(move |x| [level(x, w), level(y, h), level(w - x, w)])).collect();
    // Parts in squares of 16 pixels, so that chroma loses little.
    let map = (0..64 * 64).flat_map(|i| [(i % 64 / 16 + i / 1024 * 4 + 1) as u8, 0, 0]).collect();
    let person = Person { id: 1, score: 0.8, x: 32, y: 16, iuv: IuvMap::new(64, 64, map).unwrap() };
    let persons = Persons { width: w as u32, height: h as u32, age: 0, moved: false, persons: vec![person] };
    for properties in ["opacity=0.6", "canvas=black opacity=1", "effect=pixelate parts=1-8", "effect=blur parts=6,7"] {
        let shown = |format: &str| {
            let caps = caps(format, w, h);
            let buffer = with_people(frame(format, w, h, &smooth), &persons);
            to_rgb(&caps, w, h, run(&mut harness(&overlay(properties)), &caps, buffer))
        };
        let expected = shown("RGB");
        assert!(expected != smooth);
        for format in video::FORMATS.into_iter().filter(|f| *f != gst_video::VideoFormat::Gray8) {
            let found = shown(format.to_str().as_str());
            let sum: u32 = found.iter().zip(&expected).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            let mean = f64::from(sum) / expected.len() as f64;
            // Chroma of half the size blurs the edges of parts.
            let most = if gst_video::VideoFormatInfo::from_format(format).is_rgb() { 0.0 } else { 5.0 };
            assert!(mean <= most, "{format:?} {properties}: off by {mean}");
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
    let own = |p: &&gst::glib::ParamSpec| p.owner_type() == element.type_();
    let properties = element.list_properties();
    let names: Vec<&str> = properties.iter().filter(own).map(|p| p.name()).collect();
    assert_eq!(names.len(), 16, "{names:?}");
    for name in names {
        let flags = element.find_property(name).unwrap().flags();
        let is_string = matches!(name, "custom-palette" | "parts" | "texture");
        assert_eq!(flags.contains(gst::PARAM_FLAG_CONTROLLABLE), !is_string, "{name}");
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
    let small = people(w / 2, h / 2);
    let expected = drawn(&caps, &buffer, &small.scaled(w as u32, h as u32).persons, &Style::default());
    let out = run(&mut harness(&overlay("")), &caps, with_people(buffer, &small));
    assert!(bytes(&out) == expected);
}

/// A picture that was stretched, or has borders now: nobody knows where the people of another shape's frame are.
#[test]
fn metadata_of_a_frame_of_another_shape_is_not_drawn() {
    let (w, h) = (80, 60);
    let caps = caps("RGB", w, h);
    let buffer = frame("RGB", w, h, &picture(w, h));
    let out = run(&mut harness(&overlay("")), &caps, with_people(buffer.copy(), &people(w / 2, h / 3)));
    assert_eq!(bytes(&out), bytes(&buffer));
    let element = overlay("effect=fill without-meta=hide");
    let out = run(&mut harness(&element), &caps, with_people(buffer, &people(w / 2, h / 3)));
    assert!(bytes(&out).iter().all(|&b| b == 0));
}

#[test]
fn a_frame_that_nobody_analysed_is_told_from_one_without_people() {
    let (w, h) = (64, 48);
    for format in ["RGB", "I420", "YUY2"] {
        let caps = caps(format, w, h);
        let buffer = frame(format, w, h, &picture(w, h));
        let nobody = with_people(buffer.copy(), &Persons { persons: vec![], ..people(w, h) });
        let bus = gst::Bus::new();
        for without in ["pass", "hide", "error"] {
            let element = overlay(&format!("effect=fill without-meta={without}"));
            element.set_bus(Some(&bus));
            let mut h = harness(&element);
            assert_eq!(
                bytes(&run(&mut h, &caps, nobody.clone())),
                bytes(&buffer),
                "{format} {without}: nobody is there"
            );
            assert_eq!(texts(&bus, gst::MessageType::Warning), [""; 0]);
            if without == "error" {
                assert_eq!(h.push(buffer.copy()), Err(gst::FlowError::Error));
                let error = texts(&bus, gst::MessageType::Error).concat();
                assert!(error.contains("without-meta=hide") && error.contains("densepose before"), "{error}");
                continue;
            }
            for _ in 0..3 {
                let out = bytes(&run(&mut h, &caps, buffer.copy()));
                assert_eq!(out == bytes(&buffer), without == "pass", "{format} {without}");
                if without == "hide" && format == "RGB" {
                    assert!(out.iter().all(|&b| b == 0));
                }
            }
            let warnings = texts(&bus, gst::MessageType::Warning);
            assert_eq!(warnings.len(), 1, "once per caps: {warnings:?}");
            assert!(warnings[0].contains("densepose before this element"), "{warnings:?}");
        }
    }
    // Painting hides nothing: nothing to warn of.
    let bus = gst::Bus::new();
    let element = overlay("");
    element.set_bus(Some(&bus));
    run(&mut harness(&element), &caps("RGB", w, h), frame("RGB", w, h, &picture(w, h)));
    assert_eq!(texts(&bus, gst::MessageType::Warning), [""; 0]);
}

#[test]
fn hiding_without_an_effect_is_refused() {
    for properties in ["without-meta=hide", "without-meta=hide effect=blur preset=vitonhd"] {
        let element = overlay(properties);
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        assert!(element.set_state(gst::State::Paused).is_err());
        assert!(texts(&bus, gst::MessageType::Error).concat().contains("set effect to blur"));
        element.set_state(gst::State::Null).unwrap();
    }
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
fn buffers_without_room_pass_with_one_warning_per_caps() {
    let element = overlay("canvas=black");
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut h = harness(&element);
    let caps64 = caps("RGB", 64, 64);
    let warnings = || texts(&bus, gst::MessageType::Warning);
    // Too small to be mapped at all, and without the last row's end.
    let mut short = gst::Buffer::from_mut_slice(vec![9u8; 64 * 64 * 3]);
    let format = gst_video::VideoFormat::Rgb;
    gst_video::VideoMeta::add(short.make_mut(), gst_video::VideoFrameFlags::empty(), format, 64, 64).unwrap();
    short.make_mut().set_size(64 * 64 * 3 - 1);
    for _ in 0..2 {
        for small in [gst::Buffer::from_mut_slice([9u8; 100]), short.copy_deep().unwrap()] {
            let out = run(&mut h, &caps64, with_people(small, &people(64, 64)));
            assert!(bytes(&out).iter().all(|&b| b == 9));
        }
    }
    let text = warnings();
    assert!(text.len() == 1 && text[0].contains("undrawn") && text[0].contains("caps"), "{text:?}");
    run(&mut h, &caps("RGB", 65, 64), gst::Buffer::from_mut_slice([9u8; 100]));
    run(&mut h, &caps("RGB", 65, 64), gst::Buffer::from_mut_slice([9u8; 100]));
    assert_eq!(warnings().len(), 1, "once for each caps");
    // A frame that is whole again is drawn on.
    let out = run(&mut h, &caps64, gst::Buffer::from_mut_slice(vec![9u8; 64 * 64 * 3]));
    assert!(bytes(&out).iter().all(|&b| b == 0));
    element.set_bus(None);
}

#[test]
fn a_buffer_in_which_nothing_can_be_hidden_does_not_pass() {
    let element = overlay("effect=fill");
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut h = harness(&element);
    h.set_src_caps(caps("RGB", 64, 64));
    let buffer = with_people(gst::Buffer::from_mut_slice([9u8; 100]), &people(64, 64));
    assert_eq!(h.push(buffer), Err(gst::FlowError::Error));
    assert!(texts(&bus, gst::MessageType::Error).concat().contains("parts cannot be hidden"));
    element.set_bus(None);
}

/// A frame with a border of 9s around a picture, which is what its crop shows.
fn bordered(format: &str, w: usize, h: usize, (x, y): (usize, usize), inner: (usize, usize)) -> gst::Buffer {
    let rgb = picture(w, h);
    let mut buffer = frame(format, w, h, &rgb);
    let video_format = gst_video::VideoFormat::from_string(format);
    let flags = gst_video::VideoFrameFlags::empty();
    gst_video::VideoMeta::add(buffer.make_mut(), flags, video_format, w as u32, h as u32).unwrap();
    let (inner_w, inner_h) = (inner.0 as u32, inner.1 as u32);
    gst_video::VideoCropMeta::add(buffer.make_mut(), (x as u32, y as u32, inner_w, inner_h));
    buffer
}

#[test]
fn only_what_a_crop_shows_is_drawn_on() {
    let ((w, h), (x, y), inner) = ((96, 80), (18, 10), (50, 44));
    for format in ["RGBA", "I420", "NV12", "YUY2", "P010_10LE"] {
        let whole = bordered(format, w, h, (x, y), inner);
        let before = bytes(&whole);
        // What the crop shows, as a frame of its own.
        let rgb = picture(w, h);
        let row = |row: usize| &rgb[((y + row) * w + x) * 3..][..inner.0 * 3];
        let shown: Vec<u8> = (0..inner.1).flat_map(row).copied().collect();
        let caps = caps(format, inner.0, inner.1);
        let small = frame(format, inner.0, inner.1, &shown);
        for properties in ["canvas=black boxes=true labels=true", "effect=pixelate", "style=contour opacity=1"] {
            let persons = people(inner.0, inner.1);
            let drawn = |buffer: gst::Buffer, persons: &Persons| {
                run(&mut harness(&overlay(properties)), &caps, with_people(buffer, persons))
            };
            let out = drawn(whole.copy_deep().unwrap(), &persons);
            // Metadata of the whole frame means the same people.
            let mut of_whole = Persons { width: w as u32, height: h as u32, ..persons.clone() };
            of_whole.persons.iter_mut().for_each(|p| (p.x, p.y) = (p.x + x as i32, p.y + y as i32));
            assert!(bytes(&drawn(whole.copy_deep().unwrap(), &of_whole)) == bytes(&out), "{format} {properties}");

            let expected = drawn(small.copy_deep().unwrap(), &persons);
            let info =
                |w: usize, h: usize| VideoInfo::builder(info_format(format), w as u32, h as u32).build().unwrap();
            let (info, small_info) = (info(w, h), info(inner.0, inner.1));
            let (out, expected, mut rest) = (bytes(&out), bytes(&expected), before.clone());
            let layout = video::layout(&info);
            for c in 0..3 {
                let component = layout.components[c];
                let (plane, step) = (component.plane, component.step);
                let (sub_x, sub_y) = (component.shift_x, component.shift_y);
                let start = |info: &VideoInfo| info.offset()[plane] + component.offset;
                for (sx, sy) in (0..inner.1 >> sub_y).flat_map(|sy| (0..inner.0 >> sub_x).map(move |sx| (sx, sy))) {
                    let at = |info: &VideoInfo, sx: usize, sy: usize| {
                        start(info) + sy * info.stride()[plane] as usize + sx * step
                    };
                    let (at, of_small) = (at(&info, sx + (x >> sub_x), sy + (y >> sub_y)), at(&small_info, sx, sy));
                    assert!(out[at].abs_diff(expected[of_small]) <= 3, "{format} {properties} {c} at {sx}, {sy}");
                    rest[at] = out[at];
                    if layout.depth.bytes() > 1 {
                        rest[at + 1] = out[at + 1];
                    }
                }
            }
            if format == "RGBA" {
                rest.iter_mut().zip(&out).skip(3).step_by(4).for_each(|(alpha, new)| *alpha = *new);
            }
            assert!(rest == out, "{format} {properties}: outside the crop");
            assert!(out != before, "{format} {properties}");
        }
    }
}

fn info_format(format: &str) -> gst_video::VideoFormat {
    gst_video::VideoFormat::from_string(format)
}

#[test]
fn a_crop_out_of_its_frame_passes_undrawn() {
    let element = overlay("canvas=black");
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let buffer = bordered("RGB", 64, 48, (60, 0), (32, 24));
    let before = bytes(&buffer);
    let out = run(&mut harness(&element), &caps("RGB", 32, 24), buffer);
    assert!(bytes(&out) == before);
    assert!(texts(&bus, gst::MessageType::Warning).concat().contains("crop"));
    element.set_bus(None);
}

#[test]
fn what_is_drawn_on_transparent_video_can_be_seen() {
    let (w, h) = (64, 48);
    let persons = people(w, h);
    for format in ["RGBA", "BGRA", "ARGB", "ABGR", "AYUV", "VUYA", "A420", "GBRA"] {
        let caps = caps(format, w, h);
        let mut buffer = frame(format, w, h, &picture(w, h));
        let info = VideoInfo::from_caps(&caps).unwrap();
        let (plane, at) = (info.format_info().plane()[3] as usize, info.format_info().poffset()[3] as usize);
        let step = info.format_info().pixel_stride()[3] as usize;
        let row = |y: usize| info.offset()[plane] + y * info.stride()[plane] as usize + at;
        {
            let mut data = buffer.get_mut().unwrap().map_writable().unwrap();
            (0..h).for_each(|y| (0..w).for_each(|x| data[row(y) + x * step] = 0));
        }
        let out = bytes(&run(&mut harness(&overlay("opacity=1")), &caps, with_people(buffer, &persons)));
        for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
            let painted = persons.persons.iter().any(|p| {
                let (x, y) = (x as i32 - p.x, y as i32 - p.y);
                let inside = (0..p.width() as i32).contains(&x) && (0..p.height() as i32).contains(&y);
                inside && p.iuv.pixel(x as usize, y as usize)[0] > 0
            });
            assert_eq!(out[row(y) + x * step], if painted { 255 } else { 0 }, "{format} at {x}, {y}");
        }
    }
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

#[test]
fn presets_are_drawn_and_win_over_single_properties() {
    let (w, h) = (65, 43);
    let persons = people(w, h);
    let presets = [
        ("magic-animate", Preset::MagicAnimate),
        ("vitonhd", Preset::VitonHd),
        ("catvton", Preset::CatVton),
        ("detectron2-segm", Preset::Detectron2Segm),
        ("detectron2-u", Preset::Detectron2U),
        ("detectron2-v", Preset::Detectron2V),
        ("detectron2-contour", Preset::Detectron2Contour),
        ("detectron2-bbox", Preset::Detectron2Bbox),
        ("legacy-iuv", Preset::LegacyIuv),
    ];
    let mut persons = persons.clone();
    persons.persons[0].score = 0.9;
    for format in ["RGB", "BGRx", "I420", "GRAY8"] {
        let caps = caps(format, w, h);
        let buffer = frame(format, w, h, &picture(w, h));
        let mut seen = Vec::new();
        for (nick, preset) in presets {
            let element =
                overlay(&format!("preset={nick} style=v opacity=0.2 labels=true effect=fill palette=viridis"));
            let out = bytes(&run(&mut harness(&element), &caps, with_people(buffer.copy(), &persons)));
            let expected = drawn(&caps, &buffer, &persons.persons, &preset.applied_to(&Style::default()));
            assert!(out == expected, "{nick} on {format}");
            assert!(!seen.contains(&out), "{nick} on {format} is like another");
            seen.push(out);
            assert_eq!(element.property::<f64>("opacity"), 0.2, "properties keep their values");
        }
    }
    // And on gray, the raw index.
    let caps = caps("GRAY8", w, h);
    let buffer = with_people(frame("GRAY8", w, h, &picture(w, h)), &persons);
    let out = bytes(&run(&mut harness(&overlay("preset=catvton")), &caps, buffer));
    let stride = out.len() / h;
    let person = &persons.persons[1];
    for (x, y) in (0..person.height()).flat_map(|y| (0..person.width()).map(move |x| (x, y))) {
        let (px, py, part) = (x + person.x as usize, y + person.y as usize, person.iuv.pixel(x, y)[0]);
        if px < w && py < h && part > 0 {
            assert_eq!(out[py * stride + px], part, "at {px}, {py}");
        }
    }
}

/// 25 colours, and how the renderer knows them.
fn colors() -> (Vec<String>, Palette) {
    let colors: [[u8; 3]; 25] = std::array::from_fn(|k| [k as u8 * 10, 255 - k as u8, 77]);
    (colors.iter().map(|[r, g, b]| format!("#{r:02x}{g:02x}{b:02x}")).collect(), Palette::Custom(colors))
}

/// A PNG of 4 by 6 charts of `side` by `side` pixels, all of one colour.
fn atlas(side: u32, color: [u8; 3]) -> tempfile::TempPath {
    let file = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
    let picture = image::RgbImage::from_pixel(4 * side, 6 * side, image::Rgb(color));
    picture.save_with_format(file.path(), image::ImageFormat::Png).unwrap();
    file.into_temp_path()
}

#[test]
fn palettes_parts_and_textures_are_read_from_strings_and_files() {
    let (w, h) = (64, 48);
    let (caps, persons) = (caps("RGB", w, h), people(w, h));
    let buffer = frame("RGB", w, h, &picture(w, h));
    let (list, palette) = colors();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("# of my own\n{}\n", list.join("\n"))).unwrap();
    for text in [list.join(","), list.join(" "), file.path().to_str().unwrap().to_owned()] {
        let element = overlay("palette=viridis canvas=palette");
        element.set_property("custom-palette", &text);
        let out = run(&mut harness(&element), &caps, with_people(buffer.copy(), &persons));
        let style = Style { palette, canvas: Canvas::Palette, ..Style::default() };
        assert!(bytes(&out) == drawn(&caps, &buffer, &persons.persons, &style), "{text}");
    }

    let element = overlay("opacity=1");
    element.set_property("parts", "3,20-24");
    let out = run(&mut harness(&element), &caps, with_people(buffer.copy(), &persons));
    let style = Style { parts: "3,20-24".parse().unwrap(), opacity: 1.0, ..Style::default() };
    assert!(bytes(&out) == drawn(&caps, &buffer, &persons.persons, &style));
    assert!(bytes(&out) != drawn(&caps, &buffer, &persons.persons, &Style { opacity: 1.0, ..Style::default() }));

    let texture = atlas(5, [10, 200, 30]);
    let element = overlay("style=texture opacity=1 canvas=black");
    element.set_property("texture", texture.to_str().unwrap());
    let out = bytes(&run(&mut harness(&element), &caps, with_people(buffer.copy(), &persons)));
    let index = Style { style: StyleKind::Index, opacity: 1.0, canvas: Canvas::Black, ..Style::default() };
    let body = drawn(&caps, &buffer, &persons.persons, &index);
    for (got, part) in out.chunks(3).zip(body.chunks(3)) {
        assert_eq!(got, if part[0] > 0 { [10, 200, 30] } else { [0; 3] });
    }
}

#[test]
fn what_is_wrong_with_a_string_or_file_is_an_error_at_the_start() {
    let jpeg = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/media/astronaut.jpg");
    let (list, _) = colors();
    let square = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
    image::RgbImage::new(30, 30).save(square.path()).unwrap();
    let short = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(short.path(), "1 2 3\n4 5\n").unwrap();
    let cases = [
        ("parts", "23,face", vec!["parts", "face", "1 to 24"]),
        ("parts", "", vec!["parts", "no body part"]),
        ("custom-palette", "#123456", vec!["1 colours", "25"]),
        ("custom-palette", &format!("{},#12345z", list[..24].join(",")), vec!["entry 25", "#12345z", "#rrggbb"]),
        ("custom-palette", "no-such-file.txt", vec!["no-such-file.txt", "No such file", "#rrggbb"]),
        ("custom-palette", short.path().to_str().unwrap(), vec!["line 2", "4 5"]),
        ("texture", "no-such-file.png", vec!["no-such-file.png", "No such file"]),
        ("texture", jpeg, vec!["no PNG", "convert"]),
        ("texture", square.path().to_str().unwrap(), vec!["30x30", "4 charts across and 6 down"]),
        ("style", "texture", vec!["style=texture", "set property texture"]),
    ];
    for (name, value, words) in cases {
        let element = overlay("");
        element.set_property_from_str(name, value);
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        assert!(element.set_state(gst::State::Paused).is_err(), "{name}={value}");
        let text = texts(&bus, gst::MessageType::Error).concat();
        assert!(words.iter().all(|w| text.contains(w)), "{name}={value}: {text}");
        element.set_state(gst::State::Null).unwrap();
        element.set_bus(None);
    }
}

#[test]
fn what_is_wrong_while_playing_is_a_warning_and_leaves_the_old_value() {
    let (w, h) = (64, 48);
    let (caps, persons) = (caps("RGB", w, h), people(w, h));
    let buffer = frame("RGB", w, h, &picture(w, h));
    let (list, palette) = colors();
    let texture = atlas(3, [1, 2, 3]);
    let element = overlay("");
    element.set_property("custom-palette", list.join(","));
    element.set_property("parts", "1-12");
    element.set_property("texture", texture.to_str().unwrap());
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut harness = harness(&element);
    let mut style = Style { palette, parts: "1-12".parse().unwrap(), ..Style::default() };
    let mut check = |style: &Style| {
        let out = run(&mut harness, &caps, with_people(buffer.copy(), &persons));
        assert!(bytes(&out) == drawn(&caps, &buffer, &persons.persons, style));
    };
    check(&style);
    for (name, value) in [("custom-palette", "#123"), ("parts", "99"), ("texture", "nowhere.png")] {
        let old = element.property::<Option<String>>(name);
        element.set_property(name, value);
        let warning = texts(&bus, gst::MessageType::Warning).concat();
        assert!(warning.contains(name) && warning.contains(value) && warning.contains("old value stays"), "{warning}");
        assert_eq!(element.property::<Option<String>>(name), old);
        check(&style);
    }
    element.set_property("parts", None::<String>);
    element.set_property("custom-palette", None::<String>);
    style = Style::default();
    check(&style);
    element.set_property("parts", "24");
    style.parts = "24".parse().unwrap();
    check(&style);
    element.set_property("texture", None::<String>);
    assert!(texts(&bus, gst::MessageType::Warning).is_empty());
    element.set_property_from_str("style", "texture");
    let warning = texts(&bus, gst::MessageType::Warning).concat();
    assert!(warning.contains("set property texture"), "{warning}");
    element.set_bus(None);
}

#[test]
fn effects_hide_parts_in_every_format() {
    let (w, h) = (65, 43);
    let persons = people(w, h);
    let methods =
        [("blur", Method::Blur), ("pixelate", Method::Pixelate), ("fill", Method::Fill([0x80, 0x11, 0xaa, 0xff]))];
    for format in video::FORMATS.map(|f| f.to_str()) {
        let caps = caps(format.as_str(), w, h);
        let buffer = frame(format.as_str(), w, h, &picture(w, h));
        for (nick, method) in methods {
            let element = overlay(&format!("effect={nick} effect-size=0.4 effect-margin=0.05 parts=3-5 opacity=0"));
            element.set_property("fill-color", 0x8011_aaffu32);
            let out = bytes(&run(&mut harness(&element), &caps, with_people(buffer.copy(), &persons)));
            let hiding = Some(Hiding { method, size: 0.4, margin: 0.05 });
            let style = Style { hiding, parts: "3-5".parse().unwrap(), ..Style::default() };
            assert!(out == drawn(&caps, &buffer, &persons.persons, &style), "{format} {nick}");
            assert!(out != bytes(&buffer), "{format} {nick}");
        }
    }
}

#[test]
fn effects_reach_farther_the_older_a_result_is_and_those_too_old_count_as_none() {
    let (w, h) = (64, 48);
    let caps = caps("RGB", w, h);
    let buffer = frame("RGB", w, h, &picture(w, h));
    let run_aged = |properties: &str, age, moved| {
        let old = Persons { age, moved, ..people(w, h) };
        bytes(&run(&mut harness(&overlay(properties)), &caps, with_people(buffer.copy(), &old)))
    };
    let filled = |margin| {
        let hiding = Some(Hiding { method: Method::Fill([0xff, 0, 0, 0]), size: 0.25, margin });
        let style = Style { hiding, parts: "3".parse().unwrap(), ..Style::default() };
        drawn(&caps, &buffer, &people(w, h).persons, &style)
    };
    let fill = "effect=fill effect-margin=0.2 parts=3";
    let count = |bytes: &[u8]| bytes.iter().filter(|&&b| b == 0).count();
    assert!(run_aged(fill, 0, false) == filled(0.2));
    assert!(run_aged(fill, 5, true) == filled(0.2 + 5.0 * 0.02));
    assert!(run_aged(fill, 5, false) == filled(0.2 + 5.0 * 0.06));
    assert!(run_aged(fill, u32::MAX, false) == filled(1.0));
    let [fresh, moved, held] =
        [(0, false), (5, true), (5, false)].map(|(age, moved)| count(&run_aged(fill, age, moved)));
    assert!(fresh <= moved && moved < held, "{fresh} {moved} {held}");

    let limited = format!("{fill} max-age=5 without-meta=hide");
    assert!(run_aged(&limited, 5, false) == filled(0.2 + 5.0 * 0.06));
    assert!(run_aged(&limited, 6, false).iter().all(|&b| b == 0), "the whole picture is hidden");
    assert!(run_aged("max-age=5", 5, true) != bytes(&buffer));
    assert!(run_aged("max-age=5", 6, true) == bytes(&buffer), "nothing is drawn");
}
