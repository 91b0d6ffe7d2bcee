use std::fmt::Write as _;

use super::*;
use crate::person::Persons;
use crate::records::samples::record;
use crate::records::{Encoder, jsonl::Writer};

/// Lines of records.
fn lines(records: impl Iterator<Item = Record>) -> Vec<u8> {
    let mut out = Vec::new();
    records.for_each(|r| Writer::default().record(&r, &mut out));
    out
}

fn open(directory: &tempfile::TempDir, name: &str) -> Source {
    Source::open(&Location::parse(directory.path().join(name).to_str().unwrap()).unwrap()).unwrap()
}

fn source(lines: &[u8]) -> (Source, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("p.jsonl"), lines).unwrap();
    (open(&directory, "p.jsonl"), directory)
}

fn at(time: u64) -> Wanted {
    Wanted { clip: 0, time: Some(time), frame: 0, tolerance: None, duration: None }
}

fn frame(source: &mut Source, wanted: &Wanted) -> Option<u64> {
    source.find(wanted, &|| false).unwrap().map(|r| r.frame)
}

const STEP: u64 = 40_000_000;

#[test]
fn the_nearest_record_within_half_a_frame_is_found() {
    let (mut s, _d) = source(&lines((0..100).map(record)));
    assert_eq!(*s.find(&at(5 * STEP), &|| false).unwrap().unwrap(), record(5));
    assert_eq!(frame(&mut s, &at(5 * STEP + STEP / 2 - 1)), Some(5));
    assert_eq!(frame(&mut s, &at(5 * STEP + STEP / 2 + 1)), Some(6));
    assert_eq!(frame(&mut s, &at(99 * STEP + STEP / 2)), Some(99));
    assert_eq!(frame(&mut s, &at(99 * STEP + STEP / 2 + 1)), None);
    assert_eq!(frame(&mut s, &Wanted { duration: Some(2 * STEP), ..at(100 * STEP) }), Some(99));
    assert_eq!(frame(&mut s, &Wanted { tolerance: Some(3), ..at(7 * STEP + 4) }), None);
    assert_eq!(frame(&mut s, &Wanted { tolerance: Some(4), ..at(7 * STEP + 4) }), Some(7));
    assert_eq!(frame(&mut s, &at(u64::MAX)), None);
    assert!(s.problems().is_empty());
}

#[test]
fn any_order_of_frames_and_records_is_found() {
    // As an encoder sends them: every third frame before the two that are shown before it.
    let sent: Vec<u64> = (0..30).flat_map(|n| [n * 3 + 2, n * 3, n * 3 + 1]).collect();
    let (mut s, _d) = source(&lines(sent.iter().map(|&n| record(n))));
    for n in (0..90).chain((0..90).rev()).chain(sent) {
        assert_eq!(frame(&mut s, &at(n * STEP)), Some(n));
    }
}

#[test]
fn a_file_is_not_read_further_than_needed() {
    let (mut s, _d) = source(&lines((0..1000).map(record)));
    frame(&mut s, &at(0));
    assert_eq!(s.by_time.len(), LOOKAHEAD + 1);
    frame(&mut s, &at(40 * STEP));
    assert_eq!(s.by_time.len(), 41 + LOOKAHEAD);
    frame(&mut s, &at(3 * STEP));
    assert_eq!(s.by_time.len(), 41 + LOOKAHEAD);
}

/// Records that take 300 bytes and more, whatever is in them.
fn long(records: impl Iterator<Item = Record>) -> Vec<u8> {
    lines(records.map(|r| Record { persons: Persons::default(), ..r })).iter().fold(Vec::new(), |mut all, &byte| {
        if byte == b'\n' {
            all.extend([b' '; 300]);
        }
        all.push(byte);
        all
    })
}

#[test]
fn a_record_far_away_is_found_without_reading_what_lies_between() {
    const N: u64 = 20_000;
    let (mut s, _d) = source(&long((0..N).map(record)));
    for n in [0, N - 1, N / 2, 3, N - 17, 70, 15_000, 14_000, 14_100, 0] {
        let reads = std::cell::Cell::new(0);
        let counted = || {
            reads.set(reads.get() + 1);
            false
        };
        assert_eq!(s.find(&at(n * STEP), &counted).unwrap().map(|r| r.frame), Some(n));
        assert!(reads.get() < 1000, "{} reads for record {n}", reads.get());
    }
    assert_eq!(frame(&mut s, &at(N * STEP + STEP)), None);
    assert_eq!(frame(&mut s, &at(9_999 * STEP)), Some(9_999));
    // Nothing is jumped over in playing on.
    for n in 9_990..11_000 {
        assert_eq!(frame(&mut s, &at(n * STEP)), Some(n));
    }
    let by_number = Wanted { clip: 0, time: None, frame: 12_345, tolerance: None, duration: None };
    assert_eq!(frame(&mut s, &by_number), Some(12_345));
    assert!(s.problems().is_empty());
}

#[test]
fn records_far_away_may_come_in_any_order_of_a_few() {
    let sent: Vec<u64> = (0..3000).flat_map(|n| [n * 3 + 2, n * 3, n * 3 + 1]).collect();
    let (mut s, _d) = source(&long(sent.iter().map(|&n| record(n))));
    for n in (0..9000).step_by(487).chain((0..9000).rev().step_by(731)) {
        assert_eq!(frame(&mut s, &at(n * STEP)), Some(n));
    }
}

#[test]
fn a_search_ends_when_it_is_told_to() {
    let (mut s, _d) = source(&long((0..5000).map(record)));
    let asked = std::cell::Cell::new(0);
    let stopped = || {
        asked.set(asked.get() + 1);
        asked.get() > 3
    };
    assert_eq!(s.find(&at(4000 * STEP), &stopped).map(|r| r.map(|r| r.frame)), Err(Interrupted));
    assert_eq!(asked.get(), 4);
    assert_eq!(frame(&mut s, &at(4000 * STEP)), Some(4000));
}

#[test]
fn a_series_is_searched_over_its_files() {
    let directory = tempfile::tempdir().unwrap();
    for n in 0..40 {
        let name = format!("p-{n}.jsonl");
        std::fs::write(directory.path().join(name), long((n * 100..n * 100 + 100).map(record))).unwrap();
    }
    let mut s = open(&directory, "p-%d.jsonl");
    for n in [3999, 0, 2500, 2599, 100, 99, 3000, 2999] {
        assert_eq!(frame(&mut s, &at(n * STEP)), Some(n));
    }
    assert!(s.by_time.len() < 1000, "{}", s.by_time.len());
    for n in 2990..3400 {
        assert_eq!(frame(&mut s, &at(n * STEP)), Some(n));
    }
}

#[test]
fn lines_after_a_jump_are_named_by_their_bytes() {
    let mut text = long((0..2000).map(record));
    let bad = text.len();
    text.extend(b"nonsense\n");
    text.extend(long((2000..4000).map(record)));
    let (mut s, _d) = source(&text);
    assert_eq!(frame(&mut s, &at(2001 * STEP)), Some(2001));
    let problems = s.problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].to_string().contains(&format!("byte {bad}: expected")), "{}", problems[0]);
}

#[test]
fn each_clip_has_its_own_records() {
    let number = |clip: u32, n: u64| 500 * u64::from(clip) + n;
    let clip = |clip: u32| (0..500).map(move |n| Record { clip, frame: number(clip, n), ..record(n) });
    let (mut s, _d) = source(&long((0..3).flat_map(clip)));
    for (clip, n) in [(0, 3), (1, 3), (2, 499), (1, 499), (0, 0), (2, 0)] {
        assert_eq!(frame(&mut s, &Wanted { clip, ..at(n * STEP) }), Some(number(clip, n)));
        assert!(!s.lacks(clip));
    }
    assert_eq!(frame(&mut s, &Wanted { clip: 3, ..at(0) }), None);
    assert!(s.lacks(3) && s.problems().is_empty());
}

#[test]
fn times_that_are_there_twice_are_told_once() {
    let (mut s, _d) = source(&lines((0..40).chain(0..40).map(record)));
    for n in 0..40 {
        assert_eq!(frame(&mut s, &at(n * STEP)), Some(n));
    }
    let problems = s.problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].to_string().contains("line 41: this time was there before"), "{}", problems[0]);
}

#[test]
fn frames_are_counted_where_there_are_no_times() {
    let (mut s, _d) = source(&lines((0..50).map(|n| Record { pts: None, ..record(n) })));
    for n in [0, 1, 40, 2] {
        assert_eq!(frame(&mut s, &Wanted { frame: n, ..at(77) }), Some(n));
    }
    assert_eq!(frame(&mut s, &Wanted { frame: 50, ..at(77) }), None);
    let (mut s, _d) = source(&lines((0..50).map(record)));
    assert_eq!(frame(&mut s, &Wanted { clip: 0, time: None, frame: 7, tolerance: None, duration: None }), Some(7));
}

#[test]
fn a_series_is_read_in_its_order() {
    let directory = tempfile::tempdir().unwrap();
    for n in 0..12 {
        let name = format!("p-{}.jsonl", n + 3);
        std::fs::write(directory.path().join(name), lines((n * 10..n * 10 + 10).map(record))).unwrap();
    }
    let mut s = open(&directory, "p-%d.jsonl");
    for n in (0..120).chain([3, 119, 60]) {
        assert_eq!(frame(&mut s, &at(n * STEP)), Some(n));
    }
    std::fs::remove_file(directory.path().join("p-4.jsonl")).unwrap();
    let mut s = open(&directory, "p-%d.jsonl");
    assert_eq!((frame(&mut s, &at(15 * STEP)), frame(&mut s, &at(20 * STEP))), (None, Some(20)));
}

#[test]
fn lines_that_make_no_sense_are_left_out_and_named() {
    let mut text = lines([record(0)].into_iter());
    let good = lines([record(1)].into_iter());
    text.extend(b"nonsense\n\n{\"version\":9,\"frame\":1}\n");
    text.extend(b"{\"version\":1,\"frame\":2,\"pts\":80000000,\"persons\":[]}\n\xff\xfe\0\n");
    text.extend(&good);
    text.extend(&good[..good.len() / 2]);
    let (mut s, d) = source(&text);
    assert_eq!((frame(&mut s, &at(0)), frame(&mut s, &at(STEP))), (Some(0), Some(1)));
    assert_eq!(frame(&mut s, &at(2 * STEP)), None, "a header without people");
    assert_eq!(frame(&mut s, &at(2 * STEP)), None);
    let mut said = String::new();
    for p in s.problems() {
        writeln!(said, "{p}").unwrap();
    }
    let said = said.replace(d.path().to_str().unwrap(), "");
    let expected = [
        "/p.jsonl, line 2: expected",
        "/p.jsonl, line 4: version 9 is not known",
        "/p.jsonl, line 6: expected",
        "/p.jsonl, line 8: EOF",
        "/p.jsonl, line 5: missing field `width`",
    ];
    assert_eq!(said.lines().count(), expected.len(), "{said}");
    assert!(said.lines().zip(expected).all(|(l, e)| l.starts_with(e)), "{said}");
}

#[test]
fn a_file_cut_at_any_byte_gives_the_whole_lines() {
    let text = lines((0..3).map(record));
    let ends: Vec<usize> = text.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i).collect();
    for end in 0..text.len() {
        let (mut s, _d) = source(&text[..end]);
        for n in 0..3 {
            let whole = end >= ends[n as usize];
            assert_eq!(
                s.find(&at(n * STEP), &|| false).unwrap().cloned(),
                whole.then(|| record(n)),
                "cut to {end} bytes"
            );
        }
        let starts_line = end == 0 || text[end - 1] == b'\n';
        assert_eq!(s.problems().is_empty(), starts_line || ends.contains(&end));
    }
}

#[test]
fn what_is_no_file_is_an_error_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let error = |name: &str| {
        let location = Location::parse(directory.path().join(name).to_str().unwrap()).unwrap();
        Source::open(&location).err().unwrap().to_string()
    };
    assert!(error("no.jsonl").contains("No such file"));
    assert!(error("p-%d.jsonl").contains("no file is named like"));
    assert!(error("no/p-%d.jsonl").contains("No such file"));
    std::fs::create_dir(directory.path().join("d")).unwrap();
    assert!(error("d").contains("not a regular file"));
}
