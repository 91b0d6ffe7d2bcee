use super::*;
use crate::records::samples::{person, record};

fn line(writer: Writer, record: &Record) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = writer;
    writer.start(&mut out);
    writer.record(record, &mut out);
    writer.finish(&mut out);
    out
}

fn error(line: &str) -> String {
    parse(line.as_bytes()).unwrap_err().to_string()
}

/// A line with one person whose fields are given.
fn with(person: &str) -> String {
    format!(r#"{{"version":1,"frame":0,"width":9,"height":9,"persons":[{{{person}}}]}}"#)
}

#[test]
fn records_come_back() {
    for frame in 0..5 {
        let record = record(frame);
        let line = line(Writer::default(), &record);
        assert_eq!(line.iter().filter(|&&b| b == b'\n').count(), 1);
        assert_eq!(parse(&line).unwrap(), record);
        assert_eq!(
            header(&line).unwrap(),
            Header { frame, clip: record.clip, pts: record.pts, duration: record.duration }
        );
    }
    let nobody = Record { frame: u64::MAX, pts: Some(u64::MAX), ..Record::default() };
    assert_eq!(parse(&line(Writer::default(), &nobody)).unwrap(), nobody);
    let empty = person(1, 0.5, i32::MIN, i32::MAX, IuvMap::background(0, 7));
    let empty = Record { persons: Persons { persons: vec![empty], ..Persons::default() }, ..Record::default() };
    assert_eq!(parse(&line(Writer::default(), &empty)).unwrap(), empty);
}

#[test]
fn scores_come_back_to_the_last_bit() {
    for i in 0..2000u32 {
        let score = f32::from_bits(0x3a83_126f + i * 25_321).min(1.0);
        let iuv = IuvMap::background(1, 1);
        let persons = Persons { width: 9, height: 9, age: 0, moved: false, persons: vec![person(1, score, 0, 0, iuv)] };
        let back = parse(&line(Writer::default(), &Record { persons, ..Record::default() })).unwrap();
        assert_eq!(back.persons.persons[0].score.to_bits(), score.to_bits());
    }
}

#[test]
fn masks_keep_parts_and_lose_coordinates() {
    let record = record(1);
    let writer = Writer { iuv: IuvEncoding::Rle, ..Writer::default() };
    let back = parse(&line(writer, &record)).unwrap();
    for (read, written) in back.persons.persons.iter().zip(&record.persons.persons) {
        let parts: Vec<u8> = written.iuv.data().chunks(3).flat_map(|p| [p[0], 0, 0]).collect();
        assert_eq!(read.iuv.data(), parts);
        assert_eq!((read.id, read.score, read.x, read.y), (written.id, written.score, written.x, written.y));
    }
}

#[test]
fn only_the_fields_asked_for_are_written() {
    let record = record(2);
    let keys = |fields: &[Field], iuv| {
        let line = line(Writer { fields: Fields::of(fields), iuv }, &record);
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        value["persons"][0].as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(",")
    };
    assert_eq!(keys(&FIELDS, IuvEncoding::Png), "box,id,iuv,score,segmentation");
    assert_eq!(keys(&FIELDS, IuvEncoding::Rle), "box,id,parts,score,segmentation");
    assert_eq!(keys(&FIELDS, IuvEncoding::None), "box,id,score,segmentation");
    assert_eq!(keys(&[Field::Id], IuvEncoding::Png), "id");
    assert_eq!(keys(&[], IuvEncoding::Rle), "");
    let boxes = Writer { fields: Fields::of(&[Field::Box]), iuv: IuvEncoding::Png };
    let back = parse(&line(boxes, &record)).unwrap().persons.persons;
    assert_eq!(back[0], person(0, 0.0, 3, 2, IuvMap::background(9, 6)));
}

#[test]
fn a_score_that_is_no_number_is_written_as_one() {
    let persons = vec![person(1, f32::NAN, 0, 0, IuvMap::background(1, 1))];
    let record =
        Record { persons: Persons { width: 9, height: 9, age: 0, moved: false, persons }, ..Record::default() };
    assert_eq!(parse(&line(Writer::default(), &record)).unwrap().persons.persons[0].score, 0.0);
}

#[test]
fn a_line_cut_anywhere_is_an_error() {
    let line = line(Writer::default(), &record(3));
    let text = &line[..line.len() - 1];
    assert!(parse(text).is_ok());
    for end in 0..text.len() {
        assert!(parse(&text[..end]).is_err(), "cut to {end} bytes");
        assert!(header(&text[..end]).is_err(), "cut to {end} bytes");
    }
}

#[test]
fn a_line_damaged_anywhere_does_not_panic() {
    let line = line(Writer::default(), &record(3));
    for at in 0..line.len() {
        for byte in [b'0', b'9', b'"', b'{', b'-', 0xff, line[at] ^ 1] {
            let mut damaged = line.clone();
            damaged[at] = byte;
            let _ = (parse(&damaged), header(&damaged));
        }
    }
}

#[test]
fn hostile_lines_are_refused() {
    assert!(error(r#"{"version":2,"frame":0,"width":1,"height":1,"persons":[]}"#).contains("version 2 is not known"));
    assert!(header(br#"{"version":2,"shape":"other"}"#).unwrap_err().to_string().contains("version 2 is not known"));
    let huge = r#""box":[0,0,4000000000,4000000000]"#;
    assert!(error(&with(huge)).contains("does not make sense"));
    assert!(error(&with(r#""box":[0,0,2000000000,2000000000]"#)).contains("more than 67108864 pixels"));
    assert!(error(&with(r#""box":[0,0,2000000000,0]"#)).contains("pixels"));
    assert!(error(&with(r#""box":[0,0,-1,5]"#)).contains("size of a box"));
    assert!(error(&with(r#""box":[5000000000,0,1,1]"#)).contains("number of a box"));
    assert!(error(&with(r#""box":[NaN,0,1,1]"#)).contains("expected value"));
    assert!(error(&with(r#""box":[1e999,0,1,1]"#)).contains("number out of range"));
    assert!(error(&with(r#""box":[0,0,1]"#)).contains("invalid length 3"));
    assert!(error(&with(r#""id":1"#)).contains("without `box`"));
    assert!(error(&with(r#""score":1e200,"box":[0,0,1,1]"#)).contains("a score"));
    assert!(error(&with(r#""id":-1,"box":[0,0,1,1]"#)).contains("-1"));
    assert!(error(&with(r#""box":[0,0,1,1],"iuv":"%%%%""#)).contains("not base64"));
    assert!(error(&with(r#""box":[0,0,1,1],"iuv":"AAAA""#)).contains("no PNG"));
    assert!(error(&with(r#""box":[0,0,1,1],"parts":{"25":{"size":[1,1],"counts":"01"}}"#)).contains("part"));
    assert!(error(&with(r#""box":[0,0,1,1],"parts":{"3":{"size":[9,9],"counts":"01"}}"#)).contains("9x9"));
    // Nests deeper than any stack.
    assert!(error(&"[".repeat(1 << 20)).contains("invalid type"));
    assert!(error(&with(&format!(r#""x":{}"#, "[".repeat(1 << 20)))).contains("expected value"));
    let crowd = |n| {
        format!(
            r#"{{"version":1,"frame":0,"width":9,"height":9,"persons":[{}]}}"#,
            vec![r#"{"box":[0,0,0,0]}"#; n].join(",")
        )
    };
    assert_eq!(parse(crowd(MAX_PERSONS).as_bytes()).unwrap().persons.persons.len(), MAX_PERSONS);
    assert!(error(&crowd(MAX_PERSONS + 1)).contains("more than 1000 persons"));
    // Many boxes share the frame's room.
    let boxes = [r#"{"box":[0,0,8192,8192]}"#; 2].join(",");
    assert!(
        error(&format!(r#"{{"version":1,"frame":0,"width":9,"height":9,"persons":[{boxes}]}}"#)).contains("pixels")
    );
}

#[test]
fn a_png_that_lies_about_its_size_is_not_unpacked() {
    let mut bomb = Vec::new();
    {
        let mut encoder = ::png::Encoder::new(&mut bomb, 20_000, 20_000);
        encoder.set_color(::png::ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        let mut stream = writer.stream_writer().unwrap();
        for _ in 0..1000 {
            std::io::Write::write_all(&mut stream, &[0; 60_000]).unwrap();
        }
    }
    let bomb = BASE64.encode(bomb);
    assert!(error(&with(&format!(r#""box":[0,0,9,9],"iuv":"{bomb}""#))).contains("20000x20000"));
}

#[test]
fn lines_are_found_with_their_places() {
    let text = b"one\n\nthree\nfour";
    let mut lines = Lines::new(std::io::BufReader::with_capacity(2, &text[..]));
    let mut line = Vec::new();
    let mut found = Vec::new();
    loop {
        let offset = lines.offset;
        if lines.next(&mut line).unwrap() == Line::End {
            break;
        }
        found.push((lines.number, offset, String::from_utf8(line.clone()).unwrap()));
    }
    let expected = [(1, 0, "one"), (2, 4, ""), (3, 5, "three"), (4, 11, "four")];
    assert_eq!(found, expected.map(|(n, o, t)| (n, o, t.to_owned())));
}

#[test]
fn endless_lines_are_passed_over() {
    use std::io::Read;
    let endless = std::io::repeat(b'x').take(MAX_LINE as u64 * 2).chain(&b"\nshort\n"[..]);
    let mut lines = Lines::new(std::io::BufReader::new(endless));
    let mut line = Vec::new();
    assert_eq!(lines.next(&mut line).unwrap(), Line::TooLong);
    assert!(line.capacity() <= 2 * MAX_LINE + 2);
    assert_eq!((lines.next(&mut line).unwrap(), line.as_slice()), (Line::Read, &b"short"[..]));
    assert_eq!(lines.next(&mut line).unwrap(), Line::End);
}

/// A short line must not claim memory that no frame of its size could need.
#[test]
fn boxes_far_larger_than_the_frame_are_refused() {
    let line = |w, h| {
        let person = format!(r#"{{"box":[0,0,{w},{h}]}}"#);
        let text = format!(r#"{{"version":1,"frame":0,"width":64,"height":48,"persons":[{person},{person}]}}"#);
        parse(text.as_bytes())
    };
    assert!(line(128, 96).is_ok(), "eight frames");
    assert!(matches!(line(128, 97), Err(Error::TooManyPixels)));
    assert!(matches!(line(8192, 8192), Err(Error::TooManyPixels)));
}
