//! The `densepose` element in a harness and in real pipelines.

mod common;

use common::{caps, element, frame, init, texts, tiny_frame, tiny_picture};
use gst::prelude::*;
use gst_check::Harness;
use gstdensepose::estimator::{Model, Threads};
use gstdensepose::frame::{InputSize, Sampler};
use gstdensepose::meta;
use gstdensepose::person::Persons;

fn harness(element: &gst::Element) -> Harness {
    Harness::with_element(element, Some("sink"), Some("src"))
}

/// Pushes one frame through the element and reads what it attached.
fn run(h: &mut Harness, caps: &gst::Caps, buffer: gst::Buffer) -> Persons {
    h.set_src_caps(caps.clone());
    h.push(buffer).unwrap();
    meta::read(&h.pull().unwrap()).expect("every buffer carries the meta")
}

/// A smooth picture, of which subsampled chroma loses next to nothing.
fn gradient(w: usize, h: usize) -> Vec<u8> {
    let level = |i: usize, n: usize| (40 + 170 * i / n) as u8;
    (0..h).flat_map(|y| (0..w).flat_map(move |x| [level(x, w), level(y, h), level(w - x, w)])).collect()
}

/// The network's input for a frame, in levels of 0 to 255.
fn sampled(caps: &gst::Caps, buffer: &gst::Buffer) -> Vec<f32> {
    let model = Model::open(common::tiny_model()).unwrap();
    let input = &model.manifest().input;
    let info = gst_video::VideoInfo::from_caps(caps).unwrap();
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).unwrap();
    let size = InputSize::new((info.width() as usize, info.height() as usize), 1.0, 64, input);
    let mut tensor = vec![0.0; 3 * size.padded_width * size.padded_height];
    Sampler::new(input).sample(&gstdensepose::video::image(&frame).unwrap(), size, &Threads::one(), &mut tensor);
    tensor.iter().enumerate().map(|(i, v)| v * input.std[i % 3]).collect()
}

fn is_yuv(format: gst_video::VideoFormat) -> bool {
    gst_video::VideoFormatInfo::from_format(format).is_yuv()
}

fn mean_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32
}

#[test]
fn every_format_is_the_same_picture_to_the_network() {
    let (w, h) = (187, 135);
    let rgb = gradient(w, h);
    let expected = sampled(&caps("RGB", w, h), &frame("RGB", w, h, &rgb));
    for format in gstdensepose::video::FORMATS {
        let (format, is_yuv) = (format.to_str(), is_yuv(format));
        let found = sampled(&caps(format.as_str(), w, h), &frame(format.as_str(), w, h, &rgb));
        let off = mean_difference(&expected, &found);
        match format.as_str() {
            _ if is_yuv => assert!(off < 2.0, "{format} is off by {off}"),
            // All colours are gone, all three inputs are the luma.
            "GRAY8" => assert_eq!(found.iter().filter(|v| v.is_nan()).count(), 0),
            _ => assert_eq!(off, 0.0, "{format}"),
        }
    }
}

#[test]
fn colorimetry_of_the_caps_is_honoured() {
    let (w, h) = (187, 135);
    let rgb = gradient(w, h);
    let expected = sampled(&caps("RGB", w, h), &frame("RGB", w, h, &rgb));
    for (colorimetry, misread) in [("bt601", "bt709"), ("bt709", "bt601"), ("1:4:0:0", "bt601"), ("bt2020", "bt601")] {
        let target = |colorimetry| {
            let mut target = caps("I420", w, h);
            target.make_mut().set("colorimetry", colorimetry);
            target
        };
        let mut convert = Harness::new_parse("videoconvert dither=none chroma-resampler=0");
        convert.set_caps(caps("RGB", w, h), target(colorimetry));
        convert.push(frame("RGB", w, h, &rgb)).unwrap();
        let buffer = convert.pull().unwrap();
        let right = mean_difference(&expected, &sampled(&target(colorimetry), &buffer));
        let wrong = mean_difference(&expected, &sampled(&target(misread), &buffer));
        assert!(right < 2.0 && wrong > 2.0 * right, "{colorimetry}: off by {right}, read as {misread} by {wrong}");
    }
}

#[test]
fn people_are_found_in_every_format() {
    let (caps, buffer) = tiny_frame("RGB");
    let expected = run(&mut harness(&element()), &caps, buffer);
    assert!(!expected.persons.is_empty(), "the fixture has people");
    for format in gstdensepose::video::FORMATS {
        let exact = !is_yuv(format) && format != gst_video::VideoFormat::Gray8;
        let format = format.to_str();
        let (caps, buffer) = tiny_frame(format.as_str());
        let found = run(&mut harness(&element()), &caps, buffer);
        let (w, h) = (expected.width, expected.height);
        assert_eq!((found.width, found.height, found.age), (w, h, 0), "{format}");
        // The tiny network's weights are random: only the very same picture gives the very same people.
        if exact {
            assert_eq!(found, expected, "{format}");
        }
    }
}

#[test]
fn pixels_are_left_alone_and_not_copied_after_a_tee() {
    let (caps, buffer) = tiny_frame("NV12");
    let mut h = harness(&element());
    h.set_src_caps(caps);
    let pointer = |b: &gst::Buffer| b.map_readable().unwrap().as_ptr();
    // A second reference, as a tee holds one: the buffer is not writable, its memory is shared.
    let before = buffer.clone();
    h.push(buffer).unwrap();
    let after = h.pull().unwrap();
    assert_eq!(pointer(&before), pointer(&after));
    assert!(meta::read(&before).is_none(), "the other branch of the tee is not touched");
    assert!(meta::read(&after).is_some());
    assert_eq!(before.map_readable().unwrap().as_slice(), after.map_readable().unwrap().as_slice());
}

#[test]
fn frames_between_carry_the_last_result_and_its_age() {
    let (caps, buffer) = tiny_frame("RGB");
    let element = element();
    element.set_property("interval", 3u32);
    let mut h = harness(&element);
    let results: Vec<_> = (0..7).map(|_| run(&mut h, &caps, buffer.clone())).collect();
    assert_eq!(results.iter().map(|p| p.age).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2, 0]);
    assert!(results.iter().all(|p| p.persons == results[0].persons), "same picture, same people, same ids");
    element.set_property("interval", 1u32);
    assert_eq!(run(&mut h, &caps, buffer.clone()).age, 0, "changed while playing");
    element.set_property("max-persons", 1u32);
    assert_eq!(run(&mut h, &caps, buffer.clone()).persons.len(), 1);
    element.set_property("max-persons", 0u32);
    assert_eq!(run(&mut h, &caps, buffer.clone()).persons.len(), 0);
    element.set_property("max-persons", 20u32);
    element.set_property("score-threshold", 1.0f64);
    assert_eq!(run(&mut h, &caps, buffer).persons.len(), 0);
}

#[test]
fn late_frames_keep_the_last_result_and_are_not_dropped() {
    let (caps, buffer) = tiny_frame("RGB");
    let mut h = harness(&element());
    let at = |ms: u64| {
        let mut b = buffer.copy();
        b.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(ms));
        b
    };
    assert_eq!(run(&mut h, &caps, at(0)).age, 0);
    let qos = gst::event::Qos::builder(gst::QOSType::Underflow, 2.0, 100_000_000).timestamp(gst::ClockTime::ZERO);
    h.push_upstream_event(qos.build());
    assert_eq!([40, 80, 199, 240, 280].map(|ms| run(&mut h, &caps, at(ms)).age), [1, 2, 3, 0, 0]);
}

#[test]
fn flushing_forgets_and_new_caps_start_anew() {
    let (w, h, rgb) = tiny_picture();
    let element = element();
    element.set_property("interval", 100u32);
    let mut harness = harness(&element);
    let full = (caps("RGB", w, h), frame("RGB", w, h, &rgb));
    assert_eq!(run(&mut harness, &full.0, full.1.clone()).age, 0);
    assert_eq!(run(&mut harness, &full.0, full.1.clone()).age, 1);
    // Another size and format mid-stream.
    let half = rgb[..w * (h / 2) * 3].to_vec();
    let small = run(&mut harness, &caps("I420", w, h / 2), frame("I420", w, h / 2, &half));
    assert_eq!((small.age, small.width, small.height), (0, w as u32, h as u32 / 2));
    assert_eq!(run(&mut harness, &full.0, full.1.clone()).age, 0);
    harness.push_event(gst::event::FlushStart::new());
    harness.push_event(gst::event::FlushStop::new(true));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    harness.push_event(gst::event::Segment::new(&segment));
    assert_eq!(run(&mut harness, &full.0, full.1).age, 0);
}

#[test]
fn odd_and_tiny_and_long_frames_pass() {
    for (w, h) in [(1, 1), (1, 2), (3, 1), (17, 33), (1, 700), (700, 1), (641, 359)] {
        for format in ["RGB", "I420", "YUY2", "NV21", "GRAY8"] {
            let buffer = frame(format, w, h, &vec![90; w * h * 3]);
            let found = run(&mut harness(&element()), &caps(format, w, h), buffer);
            for p in &found.persons {
                assert!(p.x >= 0 && p.x as usize + p.width() <= w, "{w}x{h} {p:?}");
                assert!(p.y >= 0 && p.y as usize + p.height() <= h, "{w}x{h} {p:?}");
            }
        }
    }
}

#[test]
fn absurd_short_sides_are_survived() {
    let (caps, buffer) = tiny_frame("RGB");
    for short_side in [1u32, 31, 2048] {
        let element = element();
        element.set_property("short-side", short_side);
        let found = run(&mut harness(&element), &caps, buffer.clone());
        assert_eq!(found.age, 0, "short-side={short_side}");
    }
}

#[test]
fn strides_and_offsets_of_the_buffer_are_followed() {
    let (w, h, rgb) = tiny_picture();
    let expected = run(&mut harness(&element()), &caps("RGB", w, h), frame("RGB", w, h, &rgb));
    // Rows 40 bytes longer than needed, 100 bytes of something else in front, and nothing after the last pixel.
    let (offset, stride) = (100, w * 3 + 40);
    let mut data = vec![255u8; offset + stride * (h - 1) + w * 3];
    for (y, row) in rgb.chunks(w * 3).enumerate() {
        data[offset + y * stride..][..w * 3].copy_from_slice(row);
    }
    let mut buffer = gst::Buffer::from_slice(data);
    gst_video::VideoMeta::add_full(
        buffer.get_mut().unwrap(),
        gst_video::VideoFrameFlags::empty(),
        gst_video::VideoFormat::Rgb,
        w as u32,
        h as u32,
        &[offset],
        &[stride as i32],
    )
    .unwrap();
    assert_eq!(run(&mut harness(&element()), &caps("RGB", w, h), buffer), expected);
}

#[test]
fn every_format_is_documented() {
    let docs = std::fs::read_to_string(common::root().join("docs/densepose.md")).unwrap();
    let words: Vec<&str> = docs.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let formats = gstdensepose::video::FORMATS.map(|f| f.to_str());
    let missing: Vec<_> = formats.iter().filter(|f| !words.contains(&f.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let readme = std::fs::read_to_string(common::root().join("README.md")).unwrap();
    assert!(readme.contains(&format!("[{} formats]", formats.len())));
}

#[test]
fn pixels_outside_of_a_crop_are_not_analysed() {
    let (w, h, rgb) = tiny_picture();
    for format in ["RGB", "GBR"] {
        let expected = run(&mut harness(&element()), &caps(format, w, h), frame(format, w, h, &rgb));
        assert!(!expected.persons.is_empty());
        // The picture in the midst of another one.
        let (x, y, whole_w, whole_h) = (33, 21, w + 70, h + 40);
        let mut whole: Vec<u8> = (0..whole_w * whole_h * 3).map(|i| (i * 7919 % 256) as u8).collect();
        for (row, pixels) in rgb.chunks(w * 3).enumerate() {
            whole[((row + y) * whole_w + x) * 3..][..w * 3].copy_from_slice(pixels);
        }
        let mut buffer = frame(format, whole_w, whole_h, &whole);
        let video_format = gst_video::VideoFormat::from_string(format);
        let flags = gst_video::VideoFrameFlags::empty();
        gst_video::VideoMeta::add(buffer.make_mut(), flags, video_format, whole_w as u32, whole_h as u32).unwrap();
        gst_video::VideoCropMeta::add(buffer.make_mut(), (x as u32, y as u32, w as u32, h as u32));
        assert_eq!(run(&mut harness(&element()), &caps(format, w, h), buffer), expected, "{format}");
    }
}

/// Intersection over union of two boxes given as left, top, width and height.
fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let common = |k: usize| ((a[k] + a[k + 2]).min(b[k] + b[k + 2]) - a[k].max(b[k])).max(0.0);
    let both = common(0) * common(1);
    both / (a[2] * a[3] + b[2] * b[3] - both)
}

#[test]
fn people_are_the_same_whatever_the_shape_of_pixels() {
    init();
    let picture = image::open(common::root().join("examples/media/astronaut.jpg")).unwrap().to_rgb8();
    let people = |w: u32, h: u32, par: (i32, i32)| {
        let rgb = image::imageops::resize(&picture, w, h, image::imageops::FilterType::Triangle);
        let (w, h) = (w as usize, h as usize);
        let mut caps = caps("RGB", w, h);
        caps.make_mut().set("pixel-aspect-ratio", gst::Fraction::new(par.0, par.1));
        let element = gst::ElementFactory::make("densepose")
            .property("threads", 1u32)
            .property_from_str("mode", "sync")
            .build()
            .unwrap();
        let found = run(&mut harness(&element), &caps, frame("RGB", w, h, rgb.as_raw()));
        assert_eq!((found.width as usize, found.height as usize), (w, h), "the frame's own pixels");
        found.persons
    };
    let square = people(512, 512, (1, 1));
    assert_eq!(square.len(), 1);
    // Network input of the same shape, and a box and map in the pixels of the frame.
    for (w, h, par) in [(256, 512, (2, 1)), (512, 256, (1, 2))] {
        let found = people(w, h, par);
        assert_eq!(found.len(), 1, "pixels of {par:?}");
        let (x, y) = (512.0 / f64::from(w), 512.0 / f64::from(h));
        let [found, square] = [(&found[0], x, y), (&square[0], 1.0, 1.0)]
            .map(|(p, x, y)| [f64::from(p.x) * x, f64::from(p.y) * y, p.width() as f64 * x, p.height() as f64 * y]);
        assert!(iou(found, square) > 0.9, "pixels of {par:?}: {found:?}, not {square:?}");
    }
}

#[test]
fn buffers_without_room_pass_with_one_warning_per_caps() {
    let element = element();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut h = harness(&element);
    h.set_src_caps(caps("RGB", 64, 64));
    for _ in 0..3 {
        h.push(gst::Buffer::from_slice([0u8; 100])).unwrap();
        let out = h.pull().unwrap();
        assert_eq!((out.size(), meta::read(&out)), (100, None));
    }
    let warnings = texts(&bus, gst::MessageType::Warning);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("caps"), "{warnings:?}");
    // A frame that is whole again is worked on, and the next one that is not carries its people.
    let (w, h2, rgb) = tiny_picture();
    let whole = run(&mut h, &caps("RGB", w, h2), frame("RGB", w, h2, &rgb));
    assert_eq!(whole.age, 0);
    for age in 1..3 {
        let found = run(&mut h, &caps("RGB", w, h2), gst::Buffer::from_slice([0u8; 100]));
        assert_eq!((found.age, &found.persons), (age, &whole.persons));
    }
    assert_eq!(texts(&bus, gst::MessageType::Warning).len(), 1, "once for each caps");
    element.set_bus(None);
}

#[test]
fn unusable_models_are_refused_by_name() {
    init();
    let empty = tempfile::tempdir().unwrap();
    let garbage = tempfile::tempdir().unwrap();
    std::fs::write(garbage.path().join("model.json"), "{").unwrap();
    let cut = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(common::tiny_model()).unwrap().flatten() {
        std::fs::copy(entry.path(), cut.path().join(entry.file_name())).unwrap();
    }
    let trunk = cut.path().join("trunk.onnx");
    let bytes = std::fs::read(&trunk).unwrap();
    std::fs::write(&trunk, &bytes[..bytes.len() / 2]).unwrap();
    let cases = [
        ("/nonexistent/model", "/nonexistent/model"),
        (empty.path().to_str().unwrap(), "model.json"),
        (garbage.path().to_str().unwrap(), "model.json"),
        (cut.path().to_str().unwrap(), "trunk.onnx"),
    ];
    for (model, named) in cases {
        let pipeline = gst::parse::launch("videotestsrc num-buffers=1 ! densepose name=d ! fakesink").unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        pipeline.by_name("d").unwrap().set_property("model", model);
        assert!(pipeline.set_state(gst::State::Playing).is_err(), "{model}");
        let errors = texts(&pipeline.bus().unwrap(), gst::MessageType::Error);
        assert!(errors.iter().any(|e| e.contains(named)), "{model}: {errors:?}");
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn live_pipelines_learn_the_latency() {
    let (caps, buffer) = tiny_frame("RGB");
    let element = element();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut h = harness(&element);
    h.set_upstream_latency(gst::ClockTime::from_mseconds(40));
    h.use_systemclock();
    assert_eq!(h.query_latency(), Some(gst::ClockTime::from_mseconds(40)));
    run(&mut h, &caps, buffer);
    assert!(bus.pop_filtered(&[gst::MessageType::Latency]).is_some());
    assert!(h.query_latency() > Some(gst::ClockTime::from_mseconds(40)));
    element.set_bus(None);
}

/// The short form of `make soak`: counts, not speed.
#[test]
fn every_frame_of_a_live_source_arrives_whatever_the_network_takes() {
    init();
    let model = common::tiny_model();
    for properties in ["", "follow=false", "interval=3", "max-age=2", "mode=sync ! queue"] {
        let pipeline = gst::parse::launch(&format!(
            "videotestsrc is-live=true num-buffers=60 ! video/x-raw,width=320,height=240,framerate=60/1 \
             ! densepose model={} short-side=256 threads=1 name=d {properties} ! appsink name=out max-buffers=0",
            model.display()
        ));
        let pipeline = pipeline.unwrap().downcast::<gst::Pipeline>().unwrap();
        let sink = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
        sink.set_property("sync", false);
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut frames = 0;
        let mut ages = Vec::new();
        while let Ok(sample) = sink.pull_sample() {
            frames += 1;
            ages.extend(people(&sample).map(|p| p.age));
        }
        let element = pipeline.by_name("d").unwrap();
        assert_eq!((frames, stat(&element, "frames")), (60, 60), "{properties}");
        assert!((1..=60).contains(&stat(&element, "inferences")), "{properties}");
        let carried = ages.iter().filter(|age| **age > 0).count() as u64;
        assert_eq!(stat(&element, "reused"), carried, "{properties}");
        if properties == "max-age=2" {
            assert!(ages.iter().all(|age| *age <= 2), "{ages:?}");
        }
        assert_eq!(texts(&pipeline.bus().unwrap(), gst::MessageType::Error), Vec::<String>::new());
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

/// A field of the stats.
fn stat(element: &gst::Element, field: &str) -> u64 {
    element.property::<gst::Structure>("stats").get(field).unwrap()
}

/// A harness whose source is live.
fn live_harness(element: &gst::Element) -> Harness {
    let mut h = harness(element);
    h.set_upstream_latency(gst::ClockTime::from_mseconds(40));
    h
}

fn end(h: &mut Harness) {
    h.push_event(gst::event::Eos::new());
}

#[test]
fn frames_of_live_sources_do_not_wait() {
    let (caps, buffer) = tiny_frame("RGB");
    let expected = run(&mut harness(&element()), &caps, buffer.clone()).persons;
    let element = element();
    element.set_property_from_str("mode", "auto");
    let mut h = live_harness(&element);
    h.set_src_caps(caps);
    let mut frames = 0;
    let found = loop {
        h.push(buffer.clone()).unwrap();
        frames += 1;
        let out = h.pull().unwrap();
        match meta::read(&out) {
            Some(found) => break found,
            None => std::thread::sleep(std::time::Duration::from_millis(1)),
        }
    };
    assert!(found.age > 0 && found.age < frames, "of an earlier frame: {}", found.age);
    assert_eq!(found.persons, expected);
    assert_eq!(h.query_latency(), Some(gst::ClockTime::from_mseconds(40)), "none is added");
    end(&mut h);
    assert_eq!(stat(&element, "frames"), u64::from(frames));
    assert_eq!(stat(&element, "reused"), 1);
    assert!((1..=u64::from(frames)).contains(&stat(&element, "inferences")));
}

#[test]
fn the_end_waits_for_the_frame_that_is_analysed() {
    let (caps, buffer) = tiny_frame("RGB");
    for (mode, waits) in [("async", false), ("sync", true), ("auto", false)] {
        let element = element();
        element.set_property_from_str("mode", mode);
        let mut h = harness(&element);
        h.set_src_caps(caps.clone());
        h.push(buffer.clone()).unwrap();
        end(&mut h);
        assert_eq!(stat(&element, "inferences"), 1, "{mode}");
        assert_eq!(meta::read(&h.pull().unwrap()).is_some(), waits, "{mode}");
    }
}

#[test]
fn nothing_of_before_a_flush_comes_after_it() {
    let (caps, buffer) = tiny_frame("RGB");
    let (w, h, _) = tiny_picture();
    let empty = frame("RGB", w, h, &vec![0; w * h * 3]);
    let expected = run(&mut harness(&element()), &caps, empty.clone()).persons;
    let element = element();
    element.set_property_from_str("mode", "async");
    let mut harness = live_harness(&element);
    harness.set_src_caps(caps);
    for _ in 0..5 {
        harness.push(buffer.clone()).unwrap();
        harness.pull().unwrap();
        harness.push_event(gst::event::FlushStart::new());
        harness.push_event(gst::event::FlushStop::new(true));
        harness.push_event(gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()));
        let mut results = 0;
        while results < 3 {
            harness.push(empty.clone()).unwrap();
            if let Some(found) = meta::read(&harness.pull().unwrap()) {
                assert_eq!(found.persons, expected);
                results += 1;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

#[test]
fn a_worker_tells_of_frames_that_it_cannot_read_once() {
    let (caps, buffer) = tiny_frame("RGB");
    let element = element();
    element.set_property_from_str("mode", "async");
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut h = harness(&element);
    h.set_src_caps(caps);
    for _ in 0..20 {
        h.push(gst::Buffer::from_slice([0u8; 7])).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    h.push(buffer).unwrap();
    end(&mut h);
    let warnings = texts(&bus, gst::MessageType::Warning);
    assert!(warnings.len() == 1 && warnings[0].contains("frame passed unread"), "{warnings:?}");
    assert_eq!(stat(&element, "inferences"), 1);
    element.set_bus(None);
}

#[test]
fn a_frame_that_would_come_too_late_is_not_analysed() {
    let (caps, buffer) = tiny_frame("RGB");
    let element = element();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut h = live_harness(&element);
    h.use_testclock();
    let second = gst::ClockTime::SECOND;
    let mut at = |now: gst::ClockTime, pts: gst::ClockTime| {
        h.set_time(now).unwrap();
        let mut b = buffer.copy();
        b.get_mut().unwrap().set_pts(pts);
        let age = run(&mut h, &caps, b).age;
        h.push_upstream_event(gst::event::Latency::new(gst::ClockTime::ZERO));
        age
    };
    assert_eq!(at(10 * second, 10 * second), 0, "there is no result yet");
    assert_eq!(
        at(10 * second + second / 10, 10 * second + second / 10),
        1,
        "shown at once: too late with an inference"
    );
    assert_eq!(at(10 * second + second / 10, 10 * second + second / 2), 0, "there is time");
    assert_eq!(at(11 * second, 11 * second + second / 4), 0);
    assert_eq!(at(11 * second + second / 2, 11 * second + second / 2), 1);
    assert_eq!(at(12 * second + second / 4, 12 * second + second / 4), 0, "the result is a second old");
    assert_eq!(stat(&element, "skipped-late"), 2);
    let qos = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Qos])).count();
    assert_eq!(qos, 2);
    element.set_bus(None);
}

#[test]
fn the_stats_are_posted_where_they_are_wanted() {
    let (caps, buffer) = tiny_frame("RGB");
    let element = element();
    element.set_property("stats-interval", 100_000_000u64);
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let mut h = harness(&element);
    for n in 0..6 {
        let mut b = buffer.copy();
        b.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(n * 40));
        run(&mut h, &caps, b);
    }
    let posted: Vec<u64> = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Element]))
        .map(|m| m.structure().unwrap().get("frames").unwrap())
        .collect();
    assert_eq!(posted, [1, 4], "at 0 and at 120 ms");
    element.set_bus(None);
}

/// Runs a pipeline that ends in `appsink name=out` to its end and returns all samples.
fn samples(pipeline: &str) -> Vec<gst::Sample> {
    init();
    let pipeline = gst::parse::launch(pipeline).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
    sink.set_property("sync", false);
    pipeline.set_state(gst::State::Playing).unwrap();
    let samples: Vec<_> = std::iter::from_fn(|| sink.pull_sample().ok()).collect();
    let errors = texts(&pipeline.bus().unwrap(), gst::MessageType::Error);
    assert_eq!(errors, Vec::<String>::new());
    pipeline.set_state(gst::State::Null).unwrap();
    samples
}

/// A pipeline's start: the tiny picture as a video of five frames with people found in it.
fn source() -> String {
    let model = common::tiny_model();
    let dir = model.display();
    format!(
        "filesrc location={dir}/picture.png ! pngdec ! videoconvert ! video/x-raw,format=RGB ! imagefreeze num-buffers=5 \
         ! video/x-raw,framerate=25/1 ! densepose model={dir} score-threshold=0.05 threads=1"
    )
}

fn people(sample: &gst::Sample) -> Option<Persons> {
    meta::read(sample.buffer().unwrap())
}

#[test]
fn the_meta_follows_the_video_through_elements() {
    let (w, h, _) = tiny_picture();
    let plain = people(&samples(&format!("{} ! appsink name=out", source()))[0]).unwrap();
    assert!(!plain.persons.is_empty());
    for elements in [
        "queue",
        "videoconvert ! video/x-raw,format=I420",
        "tee ! queue",
        "videoconvert ! x264enc tune=zerolatency",
        "videoconvert ! jpegenc",
        "identity ! videorate ! video/x-raw,framerate=50/1",
    ] {
        for sample in samples(&format!("{} ! {elements} ! appsink name=out", source())) {
            let found = people(&sample).unwrap_or_else(|| panic!("lost by {elements}"));
            assert_eq!(found, plain, "{elements}");
        }
    }
    let (w2, h2) = (w * 2, h / 2);
    let scaled = format!("{} ! videoscale ! video/x-raw,width={w2},height={h2} ! appsink name=out", source());
    for sample in samples(&scaled) {
        assert_eq!(people(&sample).unwrap(), plain.scaled(w2 as u32, h2 as u32));
    }
    // Borders or stretched, nobody says which: better no people than people in the wrong place.
    let size = format!("video/x-raw,width={w2},height={h2},pixel-aspect-ratio=1/1");
    for borders in ["true", "false"] {
        let shape = format!("{} ! videoscale add-borders={borders} ! {size} ! appsink name=out", source());
        assert!(samples(&shape).iter().all(|sample| people(sample).is_none()), "add-borders={borders}");
    }
    // Where the picture is cropped, old GStreamer drops the meta and new GStreamer lets it follow; never is it stale.
    let cropped = format!("{} ! videocrop left=16 ! appsink name=out", source());
    for found in samples(&cropped).iter().filter_map(people) {
        assert_eq!(found.width as usize, w - 16);
    }
}

#[test]
fn all_frames_arrive_and_several_instances_run_side_by_side() {
    let dir = common::tiny_model();
    let branch = format!("densepose model={} threads=1 interval=2 ! queue", dir.display());
    let branches = format!("videotestsrc num-buffers=20 ! tee name=t t. ! {branch} ! fakesink t. ! {branch}");
    let samples = samples(&format!("{branches} ! appsink name=out"));
    assert_eq!(samples.len(), 20);
    let ages: Vec<_> = samples.iter().map(|s| people(s).unwrap().age).collect();
    assert_eq!(ages, [0, 1].repeat(10));
}

#[test]
fn an_element_can_be_stopped_and_started_again() {
    let (caps, buffer) = tiny_frame("RGB");
    let element = element();
    let first = run(&mut harness(&element), &caps, buffer.clone());
    element.set_state(gst::State::Null).unwrap();
    let again = run(&mut harness(&element), &caps, buffer);
    assert_eq!(first, again);
}

/// A frame at a time of the stream, of pixels as `run` takes them.
fn at(buffer: &gst::Buffer, milliseconds: u64) -> gst::Buffer {
    let mut buffer = buffer.copy();
    buffer.make_mut().set_pts(gst::ClockTime::from_mseconds(milliseconds));
    buffer
}

/// The tiny picture, and another scene: the same with its colours inverted and upside down.
fn two_scenes() -> (gst::Caps, gst::Buffer, gst::Buffer) {
    let (w, h, rgb) = tiny_picture();
    let other: Vec<u8> = rgb.chunks(3).rev().flatten().map(|v| 255 - v).collect();
    (caps("RGB", w, h), frame("RGB", w, h, &rgb), frame("RGB", w, h, &other))
}

/// The people of a frame but for their numbers.
fn unnumbered(mut found: Persons) -> Persons {
    found.persons.iter_mut().for_each(|p| p.id = 0);
    found
}

#[test]
fn after_a_cut_nothing_of_the_scene_before_is_left() {
    let (caps, a, b) = two_scenes();
    let alone = |buffer: &gst::Buffer| run(&mut harness(&element()), &caps, at(buffer, 0));
    let (alone_a, alone_b) = (alone(&a), alone(&b));
    assert!(!alone_a.persons.is_empty() && !alone_b.persons.is_empty());
    let mut h = harness(&element());
    let (first, second, third) =
        (run(&mut h, &caps, at(&a, 0)), run(&mut h, &caps, at(&b, 40)), run(&mut h, &caps, at(&a, 80)));
    assert_eq!(first, alone_a);
    assert_eq!(unnumbered(second.clone()), unnumbered(alone_b));
    assert_eq!(unnumbered(third.clone()), unnumbered(alone_a));
    let mut ids: Vec<_> = [first, second, third].iter().flat_map(|f| f.persons.iter().map(|p| p.id)).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "numbers of two scenes are the same");
}

/// A frame and the same picture some pixels farther right.
fn panned() -> (gst::Caps, [gst::Buffer; 2]) {
    let (w, h, rgb) = tiny_picture();
    let row = |y: usize| &rgb[y * w * 3..][..w * 3];
    let panned =
        (0..h).flat_map(|y| (0..w).flat_map(move |x| (0..3).map(move |k| row(y)[x.saturating_sub(4) * 3 + k])));
    let panned: Vec<u8> = panned.collect();
    (caps("RGB", w, h), [frame("RGB", w, h, &rgb), frame("RGB", w, h, &panned)])
}

#[test]
fn results_follow_the_picture_unless_told_not_to() {
    let (caps, [first, second]) = panned();
    for follow in [true, false] {
        let element = element();
        element.set_property("interval", 3u32);
        element.set_property("follow", follow);
        let mut h = harness(&element);
        let [found, between] = [&first, &second].map(|buffer| run(&mut h, &caps, buffer.clone()));
        assert!(!found.moved && !found.persons.is_empty());
        assert_eq!((between.moved, between.age), (follow, 1));
        if !follow {
            assert_eq!(between.persons, found.persons);
            continue;
        }
        // Those whom an edge of the picture cuts on both sides cannot go anywhere.
        let free = found.persons.iter().filter(|p| p.x > 2 && p.x + (p.width() as i32) < found.width as i32 - 8);
        let moves: Vec<_> = free.map(|p| between.persons.iter().find(|q| q.id == p.id).unwrap().x - p.x).collect();
        assert!(!moves.is_empty() && moves.iter().all(|dx| (2..=6).contains(dx)), "{moves:?}");
        // Two frames later the network looks again.
        run(&mut h, &caps, second.clone());
        assert!(!run(&mut h, &caps, second.clone()).moved);
    }
}

#[test]
fn results_that_are_too_old_are_not_attached() {
    let (caps, buffer) = tiny_frame("RGB");
    let element = element();
    element.set_property("interval", 5u32);
    element.set_property("max-age", 2u32);
    let mut h = harness(&element);
    h.set_src_caps(caps);
    let mut age = || {
        h.push(buffer.copy()).unwrap();
        meta::read(&h.pull().unwrap()).map(|persons| persons.age)
    };
    assert_eq!([(); 6].map(|()| age()), [Some(0), Some(1), Some(2), None, None, Some(0)]);
}

#[test]
fn a_cut_is_analysed_at_once_whatever_the_interval() {
    let (caps, a, b) = two_scenes();
    let element = element();
    element.set_property("interval", 10u32);
    let mut h = harness(&element);
    let ages: Vec<_> = [&a, &a, &b, &b].iter().zip(0..).map(|(f, n)| run(&mut h, &caps, at(f, n * 40)).age).collect();
    assert_eq!(ages, [0, 1, 0, 1]);
}

/// The tiny picture a little darker: the same scene, for which the tiny network says something else.
fn darker() -> gst::Buffer {
    let (w, h, rgb) = tiny_picture();
    frame("RGB", w, h, &rgb.iter().map(|v| (f32::from(*v) * 0.93) as u8).collect::<Vec<_>>())
}

#[test]
fn pictures_of_a_slide_show_stand_for_themselves_and_people_keep_their_numbers() {
    let (caps, a, _) = two_scenes();
    let b = darker();
    let alone = run(&mut harness(&element()), &caps, at(&b, 0));
    for (pause, smoothed) in [(40, true), (1000, false)] {
        let mut h = harness(&element());
        let first = run(&mut h, &caps, at(&a, 0));
        let second = run(&mut h, &caps, at(&b, pause));
        assert_eq!(unnumbered(second.clone()) == unnumbered(alone.clone()), !smoothed, "{pause} ms");
        assert!(second.persons.iter().any(|p| first.persons.iter().any(|q| p.id == q.id)), "{pause} ms");
    }
}

#[test]
fn numbers_are_not_used_again_after_a_flush_or_new_caps() {
    let (caps, a, _) = two_scenes();
    let mut h = harness(&element());
    let mut ids: Vec<u32> = run(&mut h, &caps, at(&a, 0)).persons.iter().map(|p| p.id).collect();
    h.push_event(gst::event::FlushStart::new());
    h.push_event(gst::event::FlushStop::new(true));
    h.push_event(gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()));
    ids.extend(run(&mut h, &caps, at(&a, 0)).persons.iter().map(|p| p.id));
    let (other, buffer) = tiny_frame("BGR");
    ids.extend(run(&mut h, &other, at(&buffer, 40)).persons.iter().map(|p| p.id));
    // A playlist's next clip: time begins again.
    ids.extend(run(&mut h, &other, at(&buffer, 0)).persons.iter().map(|p| p.id));
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

/// Forty portraits side by side.
#[test]
fn who_asks_for_many_people_gets_them() {
    let portrait = image::open("examples/media/astronaut.jpg").unwrap().to_rgb8();
    let portrait = image::imageops::resize(&portrait, 160, 160, image::imageops::FilterType::Triangle);
    let crowd = image::RgbImage::from_fn(1600, 640, |x, y| *portrait.get_pixel(x % 160, y % 160));
    let caps = caps("RGB", 1600, 640);
    init();
    for (most, range) in [(20u32, 20..=20), (60, 36..=60)] {
        let element = gst::ElementFactory::make("densepose")
            .property("short-side", 640u32)
            .property("max-persons", most)
            .property_from_str("mode", "sync")
            .build()
            .unwrap();
        let found = run(&mut harness(&element), &caps, gst::Buffer::from_slice(crowd.as_raw().clone()));
        assert!(range.contains(&found.persons.len()), "max-persons={most}: {}", found.persons.len());
    }
}
