//! NumPy's archive of arrays, at the frame's size: `numpy.load("people.npz")`.
//!
//! | key | type and shape | value |
//! |---|---|---|
//! | `iuv` | uint8 `[H, W, 3]` | part I (0 background, 1 to 24), U and V times 255, of the whole frame |
//! | `person` | uint16 `[H, W]` | 0 nobody, k = person k - 1 of the lists below |
//! | `boxes` | int32 `[N, 4]` | left, top, right, bottom in pixels, right and bottom exclusive; may reach out of the frame |
//! | `ids` | int64 `[N]` | numbers of the persons |
//! | `scores` | float32 `[N]` | 0 to 1 |
//! | `frame` | int64 `[]` | number of the frame |
//! | `pts` | int64 `[]` | stream time in nanoseconds, -1 where there is none |
//!
//! Where a pixel shows several people it belongs to the one with the best score. A file of several frames has these
//! keys once for each frame, with the frame's number after them, `iuv_000012`, and at its end `frames`, int64 `[F]`:
//! the numbers of its frames.

use super::zip::{Deflated, Zip};
use super::{Encoder, Field, Fields, Record, finite};
use crate::person::Persons;

/// The fields that a frame can have beside its number and time.
pub const FIELDS: [Field; 5] = [Field::Id, Field::Score, Field::Box, Field::Iuv, Field::Person];

/// Writes the archive.
pub struct Writer {
    fields: Fields,
    /// One frame per file: keys without a number.
    single: bool,
    zip: Zip,
    frames: Vec<i64>,
}

impl Writer {
    /// `single`: every file holds one frame only.
    pub fn new(fields: Fields, single: bool) -> Self {
        Self { fields, single, zip: Zip::default(), frames: Vec::new() }
    }

    fn array<const N: usize>(
        &mut self,
        name: &str,
        kind: &str,
        shape: &[usize],
        values: impl Iterator<Item = [u8; N]>,
        out: &mut Vec<u8>,
    ) {
        let mut data = Deflated::default();
        data.push(&header(kind, shape));
        let bytes: Vec<u8> = values.flatten().collect();
        data.push(&bytes);
        self.zip.add(&format!("{name}.npy"), data, out);
    }
}

/// The header of NumPy's format 1.0: `kind` as NumPy writes it, such as `<f4`.
fn header(kind: &str, shape: &[usize]) -> Vec<u8> {
    let sides: String = shape.iter().map(|n| format!("{n},")).collect();
    let mut text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sides}), }}");
    // Together with the ten bytes before it a multiple of 64, the last one a line break.
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    [&b"\x93NUMPY\x01\x00"[..], &(text.len() as u16).to_le_bytes(), text.as_bytes()].concat()
}

/// The frame's I, U, V, and whose each pixel is.
fn painted(found: &Persons) -> (Vec<u8>, Vec<u16>) {
    let (width, height) = (found.width as usize, found.height as usize);
    let (mut iuv, mut whose) = (vec![0; width * height * 3], vec![0; width * height]);
    for (number, person) in (1u16..).zip(&found.persons) {
        let (left, top) = (i64::from(person.x), i64::from(person.y));
        let inside = |start: i64, length: usize, limit: usize| {
            let first = (-start).clamp(0, length as i64) as usize;
            let end = (limit as i64 - start).clamp(first as i64, length as i64) as usize;
            first..end
        };
        let columns = inside(left, person.width(), width);
        for row in inside(top, person.height(), height) {
            let start = (top + row as i64) as usize * width;
            let pixels = person.iuv.row(row);
            for column in columns.clone() {
                let at = start + (left + column as i64) as usize;
                let pixel = &pixels[column * 3..column * 3 + 3];
                if pixel[0] != 0 && whose[at] == 0 {
                    whose[at] = number;
                    iuv[at * 3..at * 3 + 3].copy_from_slice(pixel);
                }
            }
        }
    }
    (iuv, whose)
}

impl Encoder for Writer {
    fn start(&mut self, _out: &mut Vec<u8>) {
        (self.zip, self.frames) = Default::default();
    }

    fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        let found = &record.persons;
        let (n, fields, single) = (found.persons.len(), self.fields, self.single);
        let key = |name: &str| if single { name.to_owned() } else { format!("{name}_{:06}", record.frame) };
        let (height, width) = (found.height as usize, found.width as usize);
        let has = |field| fields.has(field);
        if has(Field::Iuv) || has(Field::Person) {
            let (iuv, whose) = painted(found);
            if has(Field::Iuv) {
                self.array(&key("iuv"), "|u1", &[height, width, 3], iuv.into_iter().map(|b| [b]), out);
            }
            if has(Field::Person) {
                self.array(&key("person"), "<u2", &[height, width], whose.into_iter().map(u16::to_le_bytes), out);
            }
        }
        if has(Field::Box) {
            let sides = found.persons.iter().flat_map(|p| {
                let end = |start: i32, length: usize| start.saturating_add(i32::try_from(length).unwrap_or(i32::MAX));
                [p.x, p.y, end(p.x, p.width()), end(p.y, p.height())].map(i32::to_le_bytes)
            });
            self.array(&key("boxes"), "<i4", &[n, 4], sides, out);
        }
        if has(Field::Id) {
            self.array(&key("ids"), "<i8", &[n], found.persons.iter().map(|p| i64::from(p.id).to_le_bytes()), out);
        }
        if has(Field::Score) {
            let scores = found.persons.iter().map(|p| finite(p.score).to_le_bytes());
            self.array(&key("scores"), "<f4", &[n], scores, out);
        }
        let number = |n: Option<u64>| n.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1);
        for (name, value) in [("frame", number(Some(record.frame))), ("pts", number(record.pts))] {
            self.array(&key(name), "<i8", &[], [value.to_le_bytes()].into_iter(), out);
        }
        self.frames.push(number(Some(record.frame)));
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.single {
            let frames = std::mem::take(&mut self.frames);
            self.array("frames", "<i8", &[frames.len()], frames.into_iter().map(i64::to_le_bytes), out);
        }
        std::mem::take(&mut self.zip).finish(out);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use npyz::npz::NpzArchive;

    use super::*;
    use crate::records::samples;

    fn written(fields: Fields, single: bool, records: &[Record]) -> Vec<u8> {
        let mut writer = Writer::new(fields, single);
        let mut out = Vec::new();
        writer.start(&mut out);
        records.iter().for_each(|r| writer.record(r, &mut out));
        writer.finish(&mut out);
        out
    }

    fn array<T: npyz::Deserialize>(archive: &[u8], name: &str) -> (Vec<u64>, Vec<T>) {
        let mut archive = NpzArchive::new(Cursor::new(archive)).unwrap();
        let npy = archive.by_name(name).unwrap().unwrap_or_else(|| panic!("no {name}"));
        (npy.shape().to_vec(), npy.into_vec().unwrap())
    }

    #[test]
    fn a_frame_holds_what_was_found_at_its_size() {
        let record = samples::record(1);
        let bytes = written(Fields::of(&FIELDS), true, std::slice::from_ref(&record));
        let (shape, iuv) = array::<u8>(&bytes, "iuv");
        assert_eq!(shape, [12, 20, 3]);
        let (shape, whose) = array::<u16>(&bytes, "person");
        assert_eq!(shape, [12, 20]);
        for (y, x) in (0..12i32).flat_map(|y| (0..20i32).map(move |x| (y, x))) {
            // The first person who shows a part there.
            let shown = record.persons.persons.iter().enumerate().find_map(|(n, p)| {
                let (u, v) = (usize::try_from(x - p.x).ok()?, usize::try_from(y - p.y).ok()?);
                let inside = u < p.width() && v < p.height();
                inside.then(|| p.iuv.pixel(u, v)).filter(|pixel| pixel[0] > 0).map(|pixel| (n as u16 + 1, pixel))
            });
            let at = (y * 20 + x) as usize;
            let got = (whose[at], [iuv[at * 3], iuv[at * 3 + 1], iuv[at * 3 + 2]]);
            assert_eq!(got, shown.unwrap_or_default(), "at {x}, {y}");
        }
        let boxes = array::<i32>(&bytes, "boxes");
        assert_eq!(boxes, (vec![3, 4], vec![3, 2, 12, 8, -2, 5, 3, 12, 30, 20, 34, 24]));
        assert_eq!(array::<i64>(&bytes, "ids").1, [7, 8, 4_000_000_000]);
        assert_eq!(array::<f32>(&bytes, "scores").1, [0.987_654_3, 0.1, 1.0]);
        assert_eq!((array::<i64>(&bytes, "frame").1, array::<i64>(&bytes, "pts").1), (vec![1], vec![40_000_000]));
    }

    #[test]
    fn frames_of_a_video_are_numbered() {
        let records = [0, 1, 2].map(samples::record);
        let bytes = written(Fields::of(&[Field::Id]), false, &records);
        assert_eq!(array::<i64>(&bytes, "frames"), (vec![3], vec![0, 1, 2]));
        assert_eq!(array::<i64>(&bytes, "ids_000002").1, [7, 8, 4_000_000_000]);
        let names = NpzArchive::new(Cursor::new(&bytes)).unwrap().array_names().map(str::to_owned).collect::<Vec<_>>();
        assert!(!names.iter().any(|n| n.starts_with("iuv") || n.starts_with("boxes")), "{names:?}");
    }

    #[test]
    fn nobody_and_nothing_are_arrays_of_no_length() {
        let mut record = samples::record(0);
        record.persons.persons.clear();
        record.pts = None;
        let bytes = written(Fields::of(&FIELDS), true, std::slice::from_ref(&record));
        assert_eq!(array::<i32>(&bytes, "boxes"), (vec![0, 4], vec![]));
        assert_eq!(array::<i64>(&bytes, "pts").1, [-1]);
        assert!(array::<u8>(&bytes, "iuv").1.iter().all(|&b| b == 0));
        let bytes = written(Fields::of(&FIELDS), false, &[]);
        assert_eq!(array::<i64>(&bytes, "frames"), (vec![0], vec![]));
    }
}
