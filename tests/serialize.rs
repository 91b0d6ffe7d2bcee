//! `densepose-serialize`, in a harness and over the loopback address.

mod common;

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{harness_and_bus, init, texts, tiny_model};
use gst::prelude::*;
use gst_check::Harness;
use gstdensepose::meta;
use gstdensepose::person::{IuvMap, Person, Persons};
use gstdensepose::records::{Record, jsonl};

const STEP: u64 = 40_000_000;

fn people(ids: &[u32]) -> Persons {
    let map = |seed: usize| IuvMap::new(4, 3, (0..36).map(|i| ((i + seed) % 25) as u8).collect()).unwrap();
    let persons = ids.iter().map(|&id| Person { id, score: 0.5, x: -1, y: 2, iuv: map(id as usize) }).collect();
    Persons { width: 64, height: 48, age: 0, moved: false, persons }
}

/// Frame `n` with these people, or one that nobody analysed.
fn buffer(n: u64, ids: Option<&[u32]>) -> gst::Buffer {
    init();
    let mut buffer = gst::Buffer::from_slice([0u8; 8]);
    let b = buffer.get_mut().unwrap();
    b.set_pts(gst::ClockTime::from_nseconds(n * STEP));
    b.set_duration(gst::ClockTime::from_nseconds(STEP));
    b.set_flags(gst::BufferFlags::DELTA_UNIT);
    if let Some(ids) = ids {
        meta::attach(b, &people(ids));
    }
    buffer
}

fn harness(description: &str) -> (Harness, gst::Bus) {
    let (mut h, bus) = harness_and_bus(description);
    h.set_src_caps_str("video/x-h264, stream-format=byte-stream, alignment=au");
    (h, bus)
}

#[test]
fn each_frame_becomes_a_line_with_its_time() {
    let (mut h, _bus) = harness("densepose-serialize");
    for n in 0..3 {
        h.push(buffer(n, Some(&[n as u32, 9]))).unwrap();
        let line = h.pull().unwrap();
        assert_eq!(line.pts(), Some(gst::ClockTime::from_nseconds(n * STEP)));
        assert_eq!(line.duration(), Some(gst::ClockTime::from_nseconds(STEP)));
        assert!(!line.flags().contains(gst::BufferFlags::DELTA_UNIT));
        let bytes = line.map_readable().unwrap();
        assert_eq!(bytes.iter().filter(|&&b| b == b'\n').count(), 1);
        let persons = people(&[n as u32, 9]);
        let expected = Record { frame: n, clip: 0, pts: Some(n * STEP), duration: Some(STEP), persons };
        assert_eq!(jsonl::parse(&bytes).unwrap(), expected);
    }
    let caps = h.sinkpad().unwrap().current_caps().unwrap();
    assert_eq!(caps.structure(0).unwrap().name(), "application/json");
}

#[test]
fn fields_and_encoding_are_as_in_files() {
    let (mut h, _bus) = harness("densepose-serialize fields=id,box");
    h.push(buffer(0, Some(&[5]))).unwrap();
    let line = String::from_utf8(h.pull().unwrap().map_readable().unwrap().to_vec()).unwrap();
    assert!(line.contains(r#""persons":[{"id":5,"box":[-1,2,4,3]}]"#), "{line}");
    let (mut h, _bus) = harness("densepose-serialize iuv-encoding=rle");
    h.push(buffer(0, Some(&[5]))).unwrap();
    let line = String::from_utf8(h.pull().unwrap().map_readable().unwrap().to_vec()).unwrap();
    assert!(line.contains(r#""parts":{"#) && !line.contains(r#""iuv":"#), "{line}");
}

#[test]
fn a_frame_that_nobody_analysed_gives_a_gap_but_counts() {
    let (mut h, _bus) = harness("densepose-serialize");
    h.push(buffer(0, None)).unwrap();
    h.push(buffer(1, Some(&[]))).unwrap();
    let bytes = h.pull().unwrap();
    let record = jsonl::parse(&bytes.map_readable().unwrap()).unwrap();
    assert_eq!((record.frame, record.persons.persons.len()), (1, 0));
    assert!(h.try_pull().is_none());
    let gaps: Vec<_> = std::iter::from_fn(|| h.try_pull_event()).filter(|e| e.type_() == gst::EventType::Gap).collect();
    let gst::EventView::Gap(gap) = gaps[0].view() else { panic!("not a gap") };
    assert_eq!(gap.get(), (gst::ClockTime::ZERO, Some(gst::ClockTime::from_nseconds(STEP))));
    assert_eq!(gaps.len(), 1);
}

#[test]
fn an_unknown_field_is_refused_and_the_known_ones_are_named() {
    init();
    let element = gst::ElementFactory::make("densepose-serialize").property("fields", "id,shoes").build().unwrap();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    assert!(element.set_state(gst::State::Paused).is_err());
    let errors = texts(&bus, gst::MessageType::Error).concat();
    assert!(errors.contains("shoes") && errors.contains("id, score, box, iuv"), "{errors}");
    element.set_state(gst::State::Null).unwrap();
}

#[test]
fn messages_tell_who_appears_and_who_leaves() {
    let (mut h, bus) = harness("densepose-serialize messages=true absence=50000000");
    for (n, ids) in [&[1, 2][..], &[1], &[1], &[1, 3]].iter().enumerate() {
        h.push(buffer(n as u64, Some(ids))).unwrap();
    }
    h.push_event(gst::event::Eos::new());
    let told: Vec<_> = std::iter::from_fn(|| bus.pop_filtered(&[gst::MessageType::Element]))
        .map(|m| {
            let s = m.structure().unwrap().to_owned();
            assert_eq!(s.name(), "densepose-person");
            let time = s.get::<u64>("running-time").unwrap() / STEP;
            (s.get::<String>("event").unwrap(), s.get::<u32>("id").unwrap(), time)
        })
        .collect();
    let expected =
        [("appeared", 1, 0), ("appeared", 2, 0), ("left", 2, 0), ("appeared", 3, 3), ("left", 1, 3), ("left", 3, 3)];
    assert_eq!(told, expected.map(|(event, id, n)| (event.to_owned(), id, n)));
}

#[test]
fn without_being_asked_nothing_is_posted() {
    let (mut h, bus) = harness("densepose-serialize");
    h.push(buffer(0, Some(&[1]))).unwrap();
    assert!(bus.pop_filtered(&[gst::MessageType::Element]).is_none());
}

/// What a program reads that connects while the pipeline plays.
#[test]
fn a_client_reads_lines_over_tcp() {
    init();
    let model = tiny_model();
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc is-live=true ! video/x-raw,width=96,height=96,framerate=25/1 ! densepose model={} \
         ! densepose-serialize fields=id,score,box ! tcpserversink name=sink host=127.0.0.1 port=0",
        model.display()
    ))
    .unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let sink = pipeline.downcast_ref::<gst::Bin>().unwrap().by_name("sink").unwrap();
    let started = Instant::now();
    let port = loop {
        let port = sink.property::<i32>("current-port");
        if port > 0 {
            break port as u16;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "the server does not start");
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut received = Vec::new();
    let mut bytes = [0; 4096];
    while received.iter().filter(|&&b| b == b'\n').count() < 3 {
        let n = client.read(&mut bytes).unwrap();
        assert!(n > 0, "the server closed the connection");
        received.extend_from_slice(&bytes[..n]);
    }
    pipeline.set_state(gst::State::Null).unwrap();
    let lines: Vec<_> = received.split_inclusive(|&b| b == b'\n').filter(|l| l.ends_with(b"\n")).collect();
    let frames: Vec<_> = lines.iter().map(|l| jsonl::parse(l).unwrap().frame).collect();
    assert!(frames.windows(2).all(|w| w[1] == w[0] + 1), "{frames:?}");
}
