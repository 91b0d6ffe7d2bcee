//! `densepose-export` and `densepose-import`, in a harness and in whole pipelines.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use common::{init, texts};
use gst::prelude::*;
use gst_check::Harness;
use gstdensepose::meta;
use gstdensepose::person::{IuvMap, Person, Persons};
use gstdensepose::records::{Record, coco, jsonl};

const STEP: u64 = 40_000_000;

/// The people of a frame; none in some.
fn people(frame: u64) -> Persons {
    let map = |w: usize, h: usize| {
        let pixel = |i: usize| [(i as u64 / 7 + frame) as u8 % 25, (i * 5) as u8, (i * 3 + 1) as u8];
        IuvMap::new(w, h, (0..w * h).flat_map(pixel).collect()).unwrap()
    };
    let person = |id, x, w: usize| Person { id, score: 0.1 + id as f32 / 7.0, x, y: 3, iuv: map(w, 24) };
    let persons = match frame % 4 {
        3 => vec![],
        n => vec![person(n as u32, n as i32 - 2, 16), person(9, 20, 11)],
    };
    Persons { width: 64, height: 48, age: (frame % 2) as u32, moved: false, persons }
}

fn buffer(frame: u64) -> gst::Buffer {
    init();
    let mut buffer = gst::Buffer::from_slice([frame as u8; 8]);
    let b = buffer.get_mut().unwrap();
    b.set_pts(gst::ClockTime::from_nseconds(frame * STEP));
    b.set_duration(gst::ClockTime::from_nseconds(STEP));
    meta::attach(b, &people(frame));
    buffer
}

fn bare(frame: u64) -> gst::Buffer {
    let mut buffer = buffer(frame);
    meta::remove(buffer.get_mut().unwrap());
    buffer
}

/// An element with properties as they are written in a pipeline, a bus, and a harness once it can start.
struct Bench {
    element: gst::Element,
    bus: gst::Bus,
    harness: Option<Harness>,
}

impl Bench {
    fn new(factory: &str, location: &Path, properties: &str) -> Self {
        init();
        let element = gst::ElementFactory::make(factory).property("location", location.to_str().unwrap()).build();
        let element = element.unwrap();
        for (name, value) in properties.split_whitespace().filter_map(|p| p.split_once('=')) {
            element.set_property_from_str(name, value);
        }
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        Self { element, bus, harness: None }
    }

    fn export(location: &Path, properties: &str) -> Self {
        Self::new("densepose-export", location, properties)
    }

    fn import(location: &Path, properties: &str) -> Self {
        Self::new("densepose-import", location, properties)
    }

    fn harness(&mut self) -> &mut Harness {
        self.harness.get_or_insert_with(|| {
            let mut h = Harness::with_element(&self.element, Some("sink"), Some("src"));
            h.set_src_caps_str("video/x-h264, stream-format=byte-stream, alignment=au");
            h
        })
    }

    fn pass(&mut self, buffer: gst::Buffer) -> Result<gst::Buffer, gst::FlowError> {
        self.harness().push(buffer)?;
        Ok(self.harness().pull().unwrap())
    }

    fn pass_all(&mut self, frames: std::ops::Range<u64>) {
        frames.for_each(|n| drop(self.pass(buffer(n)).unwrap()));
    }

    /// Sends the end of the stream and stops.
    fn end(mut self) {
        self.harness().push_event(gst::event::Eos::new());
        self.stop();
    }

    fn stop(mut self) {
        self.harness = None;
        self.element.set_state(gst::State::Null).unwrap();
        assert_eq!(self.errors(), Vec::<String>::new());
        self.element.set_bus(None);
    }

    fn errors(&self) -> Vec<String> {
        texts(&self.bus, gst::MessageType::Error)
    }

    fn warnings(&self) -> Vec<String> {
        texts(&self.bus, gst::MessageType::Warning)
    }

    /// The error with which the element refuses to start.
    fn refusal(self) -> String {
        assert!(self.element.set_state(gst::State::Paused).is_err());
        let errors = self.errors();
        assert_eq!(errors.len(), 1, "{errors:?}");
        self.element.set_state(gst::State::Null).unwrap();
        self.element.set_bus(None);
        errors.into_iter().next().unwrap()
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn lines(path: &Path) -> Vec<Record> {
    let text = fs::read(path).unwrap();
    assert!(text.is_empty() || text.ends_with(b"\n"));
    text.split_inclusive(|&b| b == b'\n').map(|l| jsonl::parse(l).unwrap()).collect()
}

fn frames(path: &Path) -> Vec<u64> {
    lines(path).iter().map(|r| r.frame).collect()
}

fn record(frame: u64) -> Record {
    Record { frame, clip: 0, pts: Some(frame * STEP), duration: Some(STEP), persons: people(frame) }
}

#[test]
fn lines_appear_frame_by_frame_and_the_name_at_the_end() {
    let d = tempfile::tempdir().unwrap();
    let (path, part) = (d.path().join("p.jsonl"), d.path().join("p.jsonl.part"));
    let mut export = Bench::export(&path, "");
    for n in 0..6 {
        export.pass(buffer(n)).unwrap();
        assert_eq!(frames(&part), (0..=n).collect::<Vec<_>>());
        assert!(!path.exists());
    }
    export.harness().push_event(gst::event::Eos::new());
    assert_eq!(names(d.path()), ["p.jsonl"], "complete before the end of the stream goes on");
    assert_eq!(lines(&path), (0..6).map(record).collect::<Vec<_>>());
    export.stop();
    assert_eq!(names(d.path()), ["p.jsonl"]);
}

#[test]
fn a_stream_that_is_stopped_is_complete_too() {
    let d = tempfile::tempdir().unwrap();
    let mut export = Bench::export(&d.path().join("p.json"), "format=coco");
    export.pass_all(0..3);
    export.stop();
    assert_eq!(names(d.path()), ["p.json"]);
    let read = coco::parse(&fs::read(d.path().join("p.json")).unwrap()).unwrap();
    let expected = |n| Record { pts: None, duration: None, persons: Persons { age: 0, ..people(n) }, ..record(n) };
    assert_eq!(read, (0..3).map(expected).collect::<Vec<_>>());
}

#[test]
fn buffers_pass_as_they_are() {
    let d = tempfile::tempdir().unwrap();
    let mut export = Bench::export(&d.path().join("p.jsonl"), "");
    let before = buffer(0);
    let after = export.pass(before.clone()).unwrap();
    assert_eq!(before.as_ptr(), after.as_ptr(), "the very buffer, though another branch holds it");
    for caps in ["audio/x-raw, format=S16LE, rate=8000, channels=1, layout=interleaved", "application/x-rtp"] {
        export.harness().set_src_caps_str(caps);
        let bare = bare(1);
        assert_eq!(export.pass(bare.clone()).unwrap().as_ptr(), bare.as_ptr(), "{caps}");
    }
    export.end();
    assert_eq!(frames(&d.path().join("p.jsonl")), [0]);
}

#[test]
fn frames_without_people_are_counted_and_those_without_metadata_too() {
    let d = tempfile::tempdir().unwrap();
    let path = d.path().join("p.jsonl");
    let mut export = Bench::export(&path, "");
    for buffer in [bare(0), buffer(1), bare(2), buffer(3)] {
        export.pass(buffer).unwrap();
    }
    export.end();
    assert_eq!(lines(&path), [record(1), record(3)]);
}

#[test]
fn times_are_positions_in_the_stream() {
    let d = tempfile::tempdir().unwrap();
    let path = d.path().join("p.jsonl");
    let mut export = Bench::export(&path, "");
    export.harness();
    // As encoders shift timestamps.
    let shift = gst::ClockTime::from_seconds(3600);
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    segment.set_start(shift);
    segment.set_time(gst::ClockTime::ZERO);
    export.harness().push_event(gst::event::Segment::new(&segment));
    let mut shifted = buffer(2);
    let pts = shifted.pts().unwrap() + shift;
    shifted.get_mut().unwrap().set_pts(pts);
    export.pass(shifted).unwrap();
    export.end();
    assert_eq!(lines(&path)[0].pts, Some(2 * STEP));
}

#[test]
fn files_of_a_series_are_as_long_as_asked_for() {
    let cases: [(&str, &[u64]); 3] =
        [("max-frames=4", &[4, 4, 2]), ("max-size-time=200000000", &[5, 5]), ("max-size-bytes=1", &[1; 10])];
    for (limit, expected) in cases {
        let d = tempfile::tempdir().unwrap();
        let mut export = Bench::export(&d.path().join("p-%03d.jsonl"), limit);
        export.pass_all(0..10);
        export.end();
        let found = names(d.path());
        let numbers: Vec<_> = (0..expected.len()).map(|n| format!("p-{n:03}.jsonl")).collect();
        assert_eq!(found, numbers, "{limit}");
        let found: Vec<_> = found.iter().map(|n| lines(&d.path().join(n))).collect();
        assert_eq!(found.iter().map(|f| f.len() as u64).collect::<Vec<_>>(), expected, "{limit}");
        assert_eq!(found.concat(), (0..10).map(record).collect::<Vec<_>>(), "{limit}");
    }
}

#[test]
fn each_file_of_a_series_of_arrays_is_an_array() {
    let d = tempfile::tempdir().unwrap();
    let mut export = Bench::export(&d.path().join("p-%d.json"), "format=coco max-frames=2");
    export.pass_all(0..6);
    export.end();
    for n in 0..3 {
        let read = coco::parse(&fs::read(d.path().join(format!("p-{n}.json"))).unwrap()).unwrap();
        let expected: Vec<_> = [n * 2, n * 2 + 1].into_iter().filter(|n| n % 4 != 3).collect();
        assert_eq!(read.iter().map(|r| r.frame).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn numbers_go_on_after_those_that_are_taken() {
    let d = tempfile::tempdir().unwrap();
    let location = d.path().join("p-%02d.jsonl");
    for _ in 0..2 {
        let mut export = Bench::export(&location, "max-frames=1");
        export.pass_all(0..2);
        export.end();
    }
    assert_eq!(names(d.path()), ["p-00.jsonl", "p-01.jsonl", "p-02.jsonl", "p-03.jsonl"]);
    // What a crash left is not touched.
    fs::write(d.path().join("p-07.jsonl.part"), "mine").unwrap();
    let mut export = Bench::export(&location, "");
    export.pass_all(0..1);
    export.end();
    assert_eq!(fs::read(d.path().join("p-07.jsonl.part")).unwrap(), b"mine");
    assert_eq!(frames(&d.path().join("p-08.jsonl")), [0]);
    let mut export = Bench::export(&location, "existing=overwrite");
    export.pass_all(0..3);
    export.end();
    assert_eq!(frames(&d.path().join("p-00.jsonl")), [0, 1, 2]);
    assert_eq!(frames(&d.path().join("p-01.jsonl")), [1]);
}

#[test]
fn a_file_that_is_there_is_refused_added_to_or_replaced() {
    let d = tempfile::tempdir().unwrap();
    let path = d.path().join("p.jsonl");
    let part = d.path().join("p.jsonl.part");
    let run = |properties: &str, frames: std::ops::Range<u64>| {
        let mut export = Bench::export(&path, properties);
        export.pass_all(frames);
        export.end();
    };
    run("", 0..2);
    let error = Bench::export(&path, "").refusal();
    assert!(error.contains("p.jsonl") && error.contains("existing=overwrite"), "{error}");
    run("existing=append", 5..7);
    assert_eq!(lines(&path).iter().map(|r| r.pts.unwrap() / STEP).collect::<Vec<_>>(), [0, 1, 5, 6]);
    let mut export = Bench::export(&path, "existing=overwrite");
    export.pass_all(0..1);
    assert_eq!(lines(&path).len(), 4, "whole until the new one is");
    export.end();
    assert_eq!(lines(&path), [record(0)]);
    // A crash left a line and a half.
    fs::rename(&path, &part).unwrap();
    let whole = fs::read(&part).unwrap();
    fs::write(&part, [&whole[..], &whole[..whole.len() / 2]].concat()).unwrap();
    let error = Bench::export(&path, "").refusal();
    assert!(error.contains("p.jsonl.part"), "{error}");
    run("existing=append", 1..2);
    let text = fs::read(&path).unwrap();
    let read: Vec<_> = text.split(|&b| b == b'\n').map(|l| jsonl::parse(l).ok().and_then(|r| r.pts)).collect();
    assert_eq!(read, [Some(0), None, Some(STEP), None]);
    fs::write(&part, "").unwrap();
    let error = Bench::export(&path, "existing=append").refusal();
    assert!(error.contains("p.jsonl.part"), "{error}");
}

#[test]
fn settings_that_cannot_work_are_refused_with_a_remedy() {
    let d = tempfile::tempdir().unwrap();
    let there = d.path().join("p.jsonl");
    for (location, properties, expected) in [
        (d.path().join("no/p.jsonl"), "", "does the directory exist?"),
        (d.path().join("no/p-%d.jsonl"), "", "does the directory exist?"),
        (d.path().join("p-%d-%d.jsonl"), "", "%05d"),
        (there.clone(), "max-frames=5", "%05d"),
        (there.clone(), "fields=id,colour", "no field `colour`, but id, score, box, iuv, segmentation"),
        (there.clone(), "format=coco existing=append", "format=jsonl"),
        (there.clone(), "format=detectron2 fields=segmentation", "no field `segmentation`"),
        (there.clone(), "format=detectron2 file-name=%s", "file-name"),
    ] {
        let error = Bench::export(&location, properties).refusal();
        assert!(error.contains(expected), "{properties}: {error}");
    }
    let element = gst::ElementFactory::make("densepose-export").build().unwrap();
    let bench = Bench { bus: gst::Bus::new(), harness: None, element };
    bench.element.set_bus(Some(&bench.bus));
    assert!(bench.refusal().contains("people.jsonl"));
    assert_eq!(names(d.path()), Vec::<String>::new());
}

/// A location whose disk is full.
fn full(directory: &Path) -> PathBuf {
    std::os::unix::fs::symlink("/dev/full", directory.join("p.jsonl.part")).unwrap();
    directory.join("p.jsonl")
}

#[test]
fn a_full_disk_ends_the_stream() {
    let d = tempfile::tempdir().unwrap();
    let mut export = Bench::export(&full(d.path()), "existing=overwrite");
    assert_eq!(export.pass(buffer(0)), Err(gst::FlowError::Error));
    let errors = export.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("p.jsonl.part") && errors[0].contains("make room"), "{errors:?}");
    export.stop();
    assert_eq!(names(d.path()), [""; 0], "an empty .part is of no use");
}

/// Another element of the pipeline fails.
fn fail(bench: &Bench) {
    let message = gst::message::Error::new(gst::StreamError::Failed, "somebody else");
    bench.bus.post(message).unwrap();
}

/// The warnings that a user sees after the failure.
fn told(bench: &Bench) -> String {
    // Looking for one kind of message drops those of other kinds before it.
    let kinds = [gst::MessageType::Error, gst::MessageType::Warning];
    let messages: Vec<_> = std::iter::from_fn(|| bench.bus.pop_filtered(&kinds)).collect();
    assert_eq!(messages.iter().filter(|m| m.type_() == gst::MessageType::Error).count(), 1);
    let text = |m: &gst::Message| match m.view() {
        gst::MessageView::Warning(w) => Some(format!("{} {}", w.error(), w.debug().unwrap_or_default())),
        _ => None,
    };
    messages.iter().filter_map(text).collect()
}

#[test]
fn a_stream_that_fails_before_the_first_frame_leaves_no_trace() {
    let d = tempfile::tempdir().unwrap();
    let precious = d.path().join("p.jsonl");
    fs::write(&precious, "precious").unwrap();
    for (name, properties) in [
        ("p.jsonl", "existing=overwrite"),
        ("p.jsonl", "existing=append"),
        ("new.jsonl", ""),
        ("new.json", "format=coco"),
        ("new.pt", "format=detectron2"),
        ("new-%d.jsonl", ""),
    ] {
        for eos in [false, true] {
            let mut export = Bench::export(&d.path().join(name), properties);
            export.harness();
            fail(&export);
            if eos {
                export.harness().push_event(gst::event::Eos::new());
            }
            assert_eq!(told(&export), "");
            export.stop();
            assert_eq!(names(d.path()), ["p.jsonl"], "{name} {properties}");
            let text = fs::read_to_string(&precious).unwrap();
            assert_eq!(text.trim_end(), "precious", "{name} {properties}");
        }
        // Nor does one that is only started and stopped.
        let mut export = Bench::export(&d.path().join(name), properties);
        export.harness();
        export.stop();
        assert_eq!(names(d.path()), ["p.jsonl"], "{name} {properties}");
    }
}

#[test]
fn what_a_failing_stream_had_is_not_called_complete() {
    let d = tempfile::tempdir().unwrap();
    let (path, part) = (d.path().join("p.jsonl"), d.path().join("p.jsonl.part"));
    fs::write(&path, "precious").unwrap();
    let mut export = Bench::export(&path, "existing=overwrite");
    export.pass_all(0..3);
    fail(&export);
    // As sources do after their error message.
    export.harness().push_event(gst::event::Eos::new());
    let warnings = told(&export);
    assert!(warnings.contains("p.jsonl.part holds what was found"), "{warnings}");
    export.stop();
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    assert_eq!(frames(&part), [0, 1, 2]);
    fs::remove_file(&part).unwrap();
    // The lines of a file are complete, one by one: it keeps its name.
    fs::write(&path, "").unwrap();
    let mut export = Bench::export(&path, "existing=append");
    export.pass_all(0..2);
    fail(&export);
    told(&export);
    export.stop();
    assert_eq!((names(d.path()), frames(&path)), (vec!["p.jsonl".to_owned()], vec![0, 1]));
}

#[test]
fn an_error_anywhere_in_a_pipeline_is_seen() {
    init();
    let d = tempfile::tempdir().unwrap();
    let model = common::tiny_model();
    let dir = model.display();
    for (name, description) in
        [("a", "identity error-after=4 ! EXPORT"), ("b", "bin.( EXPORT ) ! identity error-after=4")]
    {
        let path = d.path().join(format!("{name}.jsonl"));
        let export = format!("densepose-export location={}", path.display());
        let description = description.replace("bin.( EXPORT )", &format!("( {export} )")).replace("EXPORT", &export);
        let pipeline = gst::parse::launch(&format!(
            "filesrc location={dir}/picture.png ! pngdec ! videoconvert ! imagefreeze num-buffers=9 \
             ! densepose model={dir} threads=1 ! {description} ! fakesink"
        ))
        .unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let kinds = [gst::MessageType::Error, gst::MessageType::Eos];
        let message = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(100), &kinds).unwrap();
        assert_eq!(message.type_(), gst::MessageType::Error);
        pipeline.set_state(gst::State::Null).unwrap();
        assert!(!path.exists(), "{name}");
        assert!(!frames(&d.path().join(format!("{name}.jsonl.part"))).is_empty(), "{name}");
    }
}

#[test]
fn symbolic_links_are_followed_and_stay() {
    let d = tempfile::tempdir().unwrap();
    fs::create_dir(d.path().join("real")).unwrap();
    for (name, target) in [("here.jsonl", "real/here.jsonl"), ("new.jsonl", "real/new.jsonl")] {
        let link = d.path().join(name);
        std::os::unix::fs::symlink(target, &link).unwrap();
        if name == "here.jsonl" {
            fs::write(d.path().join(target), "old").unwrap();
        }
        let mut export = Bench::export(&link, "existing=overwrite");
        export.pass_all(0..2);
        export.end();
        assert!(link.is_symlink());
        assert_eq!(frames(&d.path().join(target)), [0, 1]);
    }
    assert_eq!(names(d.path()), ["here.jsonl", "new.jsonl", "real"]);
    assert_eq!(names(&d.path().join("real")), ["here.jsonl", "new.jsonl"]);
}

#[test]
fn what_is_no_file_is_written_through() {
    use std::os::unix::fs::FileTypeExt;
    let d = tempfile::tempdir().unwrap();
    let mut export = Bench::export(Path::new("/dev/null"), "");
    export.pass_all(0..2);
    export.end();
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());

    let fifo = d.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let error = Bench::export(&fifo, "").refusal();
    assert!(error.contains("start its reader first"), "{error}");
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs::read(fifo).unwrap()
    });
    let mut export = loop {
        // Until the reader has opened it.
        let export = Bench::export(&fifo, "");
        if export.element.set_state(gst::State::Paused).is_ok() {
            break export;
        }
        export.element.set_state(gst::State::Null).unwrap();
        std::thread::yield_now();
    };
    export.pass_all(0..5);
    export.end();
    let read = reader.join().unwrap();
    let read: Vec<_> = read.split_inclusive(|&b| b == b'\n').map(|l| jsonl::parse(l).unwrap()).collect();
    assert_eq!(read, (0..5).map(record).collect::<Vec<_>>());
    assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());

    let socket = d.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut export = Bench::export(&socket, "");
    export.pass_all(0..2);
    export.end();
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut listener.accept().unwrap().0, &mut read).unwrap();
    assert_eq!(read.split_inclusive(|&b| b == b'\n').count(), 2);
    assert!(fs::metadata(&socket).unwrap().file_type().is_socket());

    let error = Bench::export(d.path(), "").refusal();
    assert!(error.contains("directory"), "{error}");
    assert_eq!(names(d.path()), ["fifo", "socket"]);
}

#[test]
fn standard_output_takes_lines_through_a_pipe_and_into_a_file() {
    let d = tempfile::tempdir().unwrap();
    let dir = common::tiny_model();
    let dir = dir.display();
    let out = d.path().join("out.jsonl");
    fs::write(&out, "before\n").unwrap();
    let launch = format!(
        "gst-launch-1.0 -q filesrc location={dir}/picture.png ! pngdec ! videoconvert ! imagefreeze num-buffers=3 \
         ! densepose model={dir} threads=1 ! densepose-export location=/dev/stdout fields=id ! fakesink"
    );
    let (mut shell, _plugins) = common::command("bash");
    shell.arg("-c").arg(format!("{launch} | cat && {launch} >>{}", out.display()));
    let piped = common::output(shell);
    assert_eq!(piped.lines().filter(|l| l.starts_with("{\"version\":1")).count(), 3, "{piped}");
    let text = fs::read_to_string(out).unwrap();
    assert!(text.starts_with("before\n{\"version\":1") && text.lines().count() == 4, "{text}");
}

#[test]
fn files_of_a_series_rotate_by_time_though_time_begins_again() {
    let d = tempfile::tempdir().unwrap();
    let mut export = Bench::export(&d.path().join("p-%d.jsonl"), "max-size-time=200000000");
    for clip in 0..4u64 {
        for n in 0..3 {
            let mut buffer = buffer(clip * 3 + n);
            buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_nseconds(n * STEP));
            export.pass(buffer).unwrap();
        }
    }
    export.end();
    // Two steps a clip: a file is full in the third clip.
    assert_eq!(names(d.path()).len(), 2, "{:?}", names(d.path()));
}

/// Passes clips of three frames, one after another, in each of which time begins again; frame `n` shows [`people`]
/// number `n`. What came out.
fn play(bench: &mut Bench, clips: &[&str], frame: impl Fn(u64) -> gst::Buffer) -> Vec<gst::Buffer> {
    let mut out = Vec::new();
    for (clip, id) in (0..).zip(clips) {
        bench.harness().push_event(gst::event::StreamStart::new(id));
        bench.harness().push_event(gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()));
        for n in 0..3 {
            let mut buffer = frame(clip * 3 + n);
            buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_nseconds(n * STEP));
            out.push(bench.pass(buffer).unwrap());
        }
    }
    out
}

#[test]
fn each_clip_of_a_playlist_gets_its_own_people_back() {
    let d = tempfile::tempdir().unwrap();
    let path = d.path().join("p.jsonl");
    let mut export = Bench::export(&path, "");
    play(&mut export, &["a", "b", "c"], buffer);
    export.end();
    assert_eq!(lines(&path).iter().map(|r| r.clip).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 1, 2, 2, 2]);

    let mut import = Bench::import(&path, "");
    for (n, buffer) in (0..).zip(play(&mut import, &["a", "b", "c"], bare)) {
        assert_eq!(meta::read(&buffer), Some(people(n)), "frame {n}");
    }
    assert_eq!(import.warnings(), Vec::<String>::new());
    import.end();
    // A stream that starts once more is the same clip.
    let mut import = Bench::import(&path, "");
    for (n, buffer) in (0..).zip(play(&mut import, &["a", "a"], bare)) {
        assert_eq!(meta::read(&buffer), Some(people(n % 3)), "frame {n}");
    }
    import.end();
}

#[test]
fn a_clip_that_is_not_in_the_file_gets_nobody_and_a_warning() {
    let d = tempfile::tempdir().unwrap();
    let path = d.path().join("p.jsonl");
    let mut export = Bench::export(&path, "");
    play(&mut export, &["a"], buffer);
    export.end();
    let mut import = Bench::import(&path, "");
    for (n, buffer) in (0..).zip(play(&mut import, &["a", "b"], bare)) {
        assert_eq!(meta::read(&buffer), (n < 3).then(|| people(n)), "frame {n}");
    }
    let warnings = import.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("no records of clip 2"), "{warnings:?}");
    import.end();
}

#[test]
fn a_full_disk_lets_the_video_go_on_if_asked_to() {
    let d = tempfile::tempdir().unwrap();
    let mut export = Bench::export(&full(d.path()), "existing=overwrite ignore-errors=true");
    export.pass_all(0..5);
    let warnings = export.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("p.jsonl.part") && warnings[0].contains("the video goes on"), "{warnings:?}");
    export.end();
}

#[test]
fn frames_after_the_end_go_to_the_next_file_of_a_series() {
    let d = tempfile::tempdir().unwrap();
    for name in ["p.jsonl", "p-%d.jsonl"] {
        let mut export = Bench::export(&d.path().join(name), "");
        export.pass_all(0..2);
        let h = export.harness();
        h.push_event(gst::event::Eos::new());
        h.push_event(gst::event::FlushStart::new());
        h.push_event(gst::event::FlushStop::new(true));
        h.push_event(gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()));
        export.pass_all(0..2);
        let warnings = export.warnings();
        assert_eq!(warnings.len(), usize::from(name == "p.jsonl"), "{warnings:?}");
        export.end();
    }
    assert_eq!(names(d.path()), ["p-0.jsonl", "p-1.jsonl", "p.jsonl"]);
    assert_eq!(frames(&d.path().join("p-1.jsonl")), [2, 3]);
}

/// A file of 100 frames.
fn recorded(d: &tempfile::TempDir) -> PathBuf {
    let path = d.path().join("p.jsonl");
    let mut export = Bench::export(&path, "");
    export.pass_all(0..100);
    export.end();
    path
}

#[test]
fn what_was_exported_is_imported() {
    let d = tempfile::tempdir().unwrap();
    let mut import = Bench::import(&recorded(&d), "");
    for n in 0..100 {
        assert_eq!(meta::read(&import.pass(bare(n)).unwrap()), Some(people(n)));
    }
    assert_eq!(meta::read(&import.pass(bare(100)).unwrap()), None);
    assert_eq!(import.warnings(), Vec::<String>::new());
    import.end();
}

#[test]
fn frames_are_not_copied_and_other_branches_see_nothing() {
    let d = tempfile::tempdir().unwrap();
    let mut import = Bench::import(&recorded(&d), "");
    let before = bare(1);
    let after = import.pass(before.clone()).unwrap();
    let pointer = |b: &gst::Buffer| b.map_readable().unwrap().as_ptr();
    assert_eq!(pointer(&before), pointer(&after));
    assert_eq!((meta::read(&before), meta::read(&after)), (None, Some(people(1))));
    // What a frame carries already is replaced.
    let mut other = bare(2);
    meta::attach(other.get_mut().unwrap(), &people(1));
    assert_eq!(meta::read(&import.pass(other).unwrap()), Some(people(2)));
    import.end();
}

#[test]
fn seeks_are_followed() {
    let d = tempfile::tempdir().unwrap();
    let mut import = Bench::import(&recorded(&d), "");
    for start in [0, 90, 40, 3] {
        let h = import.harness();
        h.push_event(gst::event::FlushStart::new());
        h.push_event(gst::event::FlushStop::new(true));
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_start(gst::ClockTime::from_nseconds(start * STEP));
        segment.set_time(gst::ClockTime::from_nseconds(start * STEP));
        h.push_event(gst::event::Segment::new(&segment));
        for n in start..start + 10 {
            assert_eq!(meta::read(&import.pass(bare(n)).unwrap()), Some(people(n)));
        }
    }
    import.end();
}

#[test]
fn tolerance_is_a_setting() {
    let d = tempfile::tempdir().unwrap();
    let mut import = Bench::import(&recorded(&d), "");
    let late = || {
        let mut late = bare(4);
        late.get_mut().unwrap().set_pts(gst::ClockTime::from_nseconds(4 * STEP + 1_000_000));
        late
    };
    assert_eq!(meta::read(&import.pass(late()).unwrap()), Some(people(4)));
    import.element.set_property("tolerance", 999_999u64);
    assert_eq!(meta::read(&import.pass(late()).unwrap()), None);
    import.element.set_property("tolerance", 1_000_000u64);
    assert_eq!(meta::read(&import.pass(late()).unwrap()), Some(people(4)));
    import.end();
}

#[test]
fn bad_lines_are_named_and_do_not_flood() {
    let d = tempfile::tempdir().unwrap();
    let path = d.path().join("p.jsonl");
    let good = fs::read(recorded(&d)).unwrap();
    fs::write(&path, [&b"nonsense\n".repeat(50)[..], &good].concat()).unwrap();
    let mut import = Bench::import(&path, "");
    assert_eq!(meta::read(&import.pass(bare(0)).unwrap()), Some(people(0)));
    let warnings = import.warnings();
    assert_eq!(warnings.len(), 10);
    assert!(warnings[3].contains("p.jsonl, line 4"), "{warnings:?}");
    import.end();
}

#[test]
fn a_missing_file_is_refused_with_a_remedy() {
    let d = tempfile::tempdir().unwrap();
    for (name, expected) in [("p.jsonl", "densepose-export"), ("p-%d.jsonl", "densepose-export"), ("", "regular file")]
    {
        let error = Bench::import(&d.path().join(name), "").refusal();
        assert!(error.contains(expected) && error.contains(d.path().to_str().unwrap()), "{error}");
    }
}

/// Runs a pipeline in which frames get people at `mark`; the times and people of what reaches `sink`.
fn run(description: &str) -> Vec<(Option<gst::ClockTime>, Option<Persons>)> {
    init();
    let pipeline = gst::parse::launch(description).unwrap().downcast::<gst::Pipeline>().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    if let Some(mark) = pipeline.by_name("mark") {
        let count = Mutex::new(0);
        mark.static_pad("src").unwrap().add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let mut count = count.lock().unwrap();
            meta::attach(info.buffer_mut().unwrap().make_mut(), &people(*count));
            *count += 1;
            gst::PadProbeReturn::Ok
        });
    }
    let sink = pipeline.by_name("sink").unwrap().static_pad("sink").unwrap();
    let target = seen.clone();
    sink.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let buffer = info.buffer().unwrap();
        target.lock().unwrap().push((buffer.pts(), meta::read(buffer)));
        gst::PadProbeReturn::Ok
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let end = bus.timed_pop_filtered(None, &[gst::MessageType::Eos, gst::MessageType::Error]).unwrap();
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
    pipeline.set_state(gst::State::Null).unwrap();
    std::mem::take(&mut *seen.lock().unwrap())
}

#[test]
fn a_video_gets_its_people_back() {
    let d = tempfile::tempdir().unwrap();
    let video = "videotestsrc num-buffers=20 ! video/x-raw,width=64,height=48,framerate=25/1 ! identity name=mark";
    for location in ["p.jsonl", "p-%d.jsonl max-frames=7"] {
        let location = d.path().join(location);
        let location = location.display();
        let exported = run(&format!("{video} ! densepose-export location={location} ! fakesink name=sink"));
        let location = location.to_string();
        let location = location.split(' ').next().unwrap();
        let video = video.replace(" name=mark", "");
        let imported = run(&format!("{video} ! densepose-import location={location} ! fakesink name=sink"));
        assert_eq!(imported, exported);
        assert_eq!(imported.len(), 20);
        assert!(imported.iter().enumerate().all(|(n, (_, p))| *p == Some(people(n as u64))));
    }
}

#[test]
fn a_transcoded_video_gets_its_people_back() {
    let d = tempfile::tempdir().unwrap();
    let (lines, video) = (d.path().join("p.jsonl"), d.path().join("v.mp4"));
    let (lines, video) = (lines.display(), video.display());
    // Exported behind an encoder that reorders frames, whose timestamps begin at an hour.
    run(&format!(
        "videotestsrc num-buffers=40 ! video/x-raw,format=I420,width=64,height=48,framerate=25/1 \
         ! identity name=mark ! x264enc bframes=3 b-adapt=false ! densepose-export location={lines} \
         ! mp4mux ! filesink name=sink location={video}"
    ));
    let recorded = fs::read_to_string(d.path().join("p.jsonl")).unwrap();
    let times: Vec<_> = recorded.lines().map(|l| jsonl::header(l.as_bytes()).unwrap().pts.unwrap()).collect();
    assert!(times.len() == 40 && !times.is_sorted(), "{times:?}");
    let imported = run(&format!(
        "filesrc location={video} ! decodebin ! videoscale ! video/x-raw,width=32,height=24 \
         ! densepose-import location={lines} ! fakesink name=sink"
    ));
    assert_eq!(imported.len(), 40);
    for (n, (_, found)) in imported.into_iter().enumerate() {
        assert_eq!(found, Some(people(n as u64)), "frame {n}");
    }
}
