//! COCO results: an array with one object per person, for evaluators of DensePose.
//!
//! ```json
//! {"image_id":12,"category_id":1,"bbox":[10,20,100,200],"score":0.98,"track_id":7,
//!  "densepose":{"shape_chw":[3,200,100],"labels_uv_str":"iVBORw0..."},
//!  "uv_shape":[3,200,100],"uv_data":"iVBORw0...","segmentation":{"size":[360,640],"counts":"..."}}
//! ```
//! The map is a base64 PNG whose red is I, green U and blue V. `densepose` has the names of detectron2's
//! `DensePoseChartResultCompressed`, `uv_shape` and `uv_data` are those of the COCO DensePose challenges and their
//! evaluator; `image_id` is the number of the frame.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::rle::{self, Rle};
use super::{
    Encoder, Error, Field, Fields, MAX_PERSONS, MAX_PIXELS, Record, claimed_size, coordinate, finite, integer, png,
};
use crate::person::{IuvMap, Person};

/// The fields that a result can have beside its image.
pub const FIELDS: [Field; 6] = [Field::Id, Field::Score, Field::Box, Field::Iuv, Field::UvData, Field::Segmentation];
/// COCO's category of persons.
const PERSON: u32 = 1;

/// Writes the array.
#[derive(Clone, Copy, Debug)]
pub struct Writer {
    fields: Fields,
    /// Whether a result came before.
    any: bool,
}

impl Writer {
    pub fn new(fields: Fields) -> Self {
        Self { fields, any: false }
    }
}

#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    image_id: u64,
    category_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    bbox: Option<[f64; 4]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    track_id: Option<u32>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    densepose: Option<Compressed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uv_shape: Option<[usize; 3]>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    uv_data: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    segmentation: Option<Rle<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Compressed<'a> {
    shape_chw: [usize; 3],
    #[serde(borrow)]
    labels_uv_str: Cow<'a, str>,
}

impl Encoder for Writer {
    fn start(&mut self, out: &mut Vec<u8>) {
        self.any = false;
        out.push(b'[');
    }

    fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        for person in &record.persons.persons {
            out.extend_from_slice(if self.any { b",\n" } else { b"\n" });
            self.any = true;
            // Plain data cannot fail to be written to memory.
            let _ = serde_json::to_writer(&mut *out, &self.entry(record, person));
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\n]\n");
    }
}

impl Writer {
    fn entry(&self, record: &Record, person: &Person) -> Entry<'static> {
        let has = |field| self.fields.has(field);
        let shape = [3, person.height(), person.width()];
        let wanted = has(Field::Iuv) || has(Field::UvData);
        let png = wanted.then(|| png::encode(&person.iuv)).flatten().map(|png| BASE64.encode(png));
        let (x, y, w, h) = (person.x.into(), person.y.into(), person.width() as f64, person.height() as f64);
        Entry {
            image_id: record.frame,
            category_id: PERSON,
            bbox: has(Field::Box).then_some([x, y, w, h]),
            score: has(Field::Score).then(|| finite(person.score)),
            track_id: has(Field::Id).then_some(person.id),
            densepose: png
                .clone()
                .filter(|_| has(Field::Iuv))
                .map(|png| Compressed { shape_chw: shape, labels_uv_str: png.into() }),
            uv_shape: png.as_ref().filter(|_| has(Field::UvData)).map(|_| shape),
            uv_data: png.filter(|_| has(Field::UvData)).map(Cow::from),
            segmentation: has(Field::Segmentation)
                .then(|| rle::of_person(person, record.persons.width, record.persons.height)),
        }
    }
}

/// Reads an array; one record per image that has results, in order of their ids. Times are not in the format, the
/// frame's size is that of the segmentation, or 0.
pub fn parse(text: &[u8]) -> Result<Vec<Record>, Error> {
    let mut records: BTreeMap<u64, (Record, usize)> = BTreeMap::new();
    for entry in serde_json::from_slice::<Vec<Entry>>(text)? {
        let (record, budget) = records
            .entry(entry.image_id)
            .or_insert_with(|| (Record { frame: entry.image_id, ..Record::default() }, MAX_PIXELS));
        if let Some(Rle { size: [height, width], .. }) = entry.segmentation {
            let side = |n| u32::try_from(n).map_err(|_| Error::Value("the size of a segmentation"));
            (record.persons.width, record.persons.height) = (side(width)?, side(height)?);
        }
        if record.persons.persons.len() == MAX_PERSONS {
            return Err(Error::TooManyPersons);
        }
        record.persons.persons.push(entry.person(budget)?);
    }
    Ok(records.into_values().map(|(record, _)| record).collect())
}

impl Entry<'_> {
    fn person(&self, budget: &mut usize) -> Result<Person, Error> {
        let [x, y, width, height] = self.bbox.ok_or(Error::Value("a result without `bbox`"))?.map(integer);
        let (width, height) = claimed_size(width?, height?, budget)?;
        let map = match (&self.densepose, &self.uv_data, self.uv_shape) {
            (Some(map), _, _) => Some((&map.labels_uv_str, map.shape_chw)),
            (None, Some(data), Some(shape)) => Some((data, shape)),
            _ => None,
        };
        let iuv = match map {
            Some((_, shape)) if shape != [3, height, width] => {
                return Err(Error::Value("the shape of a map beside its box"));
            }
            // Python's base64 breaks lines.
            Some((data, _)) => png::decode(
                &BASE64.decode(data.bytes().filter(|b| !b.is_ascii_whitespace()).collect::<Vec<_>>())?,
                width,
                height,
            )?,
            None => IuvMap::background(width, height),
        };
        let (id, score) = (self.track_id.unwrap_or(0), self.score.unwrap_or(0.0));
        if !score.is_finite() {
            return Err(Error::Value("a score"));
        }
        Ok(Person { id, score, x: coordinate(x?)?, y: coordinate(y?)?, iuv })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::Persons;
    use crate::records::samples::record;

    fn file(fields: &[Field], records: &[Record]) -> Vec<u8> {
        let (mut writer, mut out) = (Writer::new(Fields::of(fields)), Vec::new());
        writer.start(&mut out);
        records.iter().for_each(|r| writer.record(r, &mut out));
        writer.finish(&mut out);
        out
    }

    /// What the format keeps of a record.
    fn kept(record: Record) -> Record {
        Record { pts: None, duration: None, persons: Persons { age: 0, ..record.persons }, ..record }
    }

    #[test]
    fn records_come_back() {
        let records: Vec<_> = (0..4).map(record).collect();
        let expected: Vec<_> = (0..4).map(|n| kept(record(n))).collect();
        assert_eq!(parse(&file(&FIELDS, &records)).unwrap(), expected);
        let challenge: Vec<_> = FIELDS.into_iter().filter(|&f| f != Field::Iuv).collect();
        assert_eq!(parse(&file(&challenge, &records)).unwrap(), expected);
        assert_eq!(parse(&file(&FIELDS, &[])).unwrap(), []);
        assert_eq!(parse(&file(&FIELDS, &[Record::default()])).unwrap(), [], "nobody, no result");
    }

    #[test]
    fn entries_are_what_evaluators_read() {
        let value: serde_json::Value = serde_json::from_slice(&file(&FIELDS, &[record(12)])).unwrap();
        let entry = &value[0];
        let keys: Vec<_> = entry.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = [
            "bbox",
            "category_id",
            "densepose",
            "image_id",
            "score",
            "segmentation",
            "track_id",
            "uv_data",
            "uv_shape",
        ];
        assert_eq!(keys, expected);
        assert_eq!((&entry["image_id"], &entry["category_id"]), (&12.into(), &1.into()));
        assert_eq!(entry["bbox"], serde_json::json!([3.0, 2.0, 9.0, 6.0]));
        assert_eq!(entry["uv_shape"], serde_json::json!([3, 6, 9]));
        assert_eq!(entry["segmentation"]["size"], serde_json::json!([12, 20]));
        assert_eq!(entry["densepose"]["labels_uv_str"], entry["uv_data"]);
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_and_damage_no_panic() {
        let file = file(&FIELDS, &[record(0)]);
        for end in 0..file.len() - 2 {
            assert!(parse(&file[..end]).is_err(), "cut to {end} bytes");
        }
        for at in 0..file.len() {
            for byte in [b'0', b'9', b'"', b']', 0xff] {
                let mut damaged = file.clone();
                damaged[at] = byte;
                let _ = parse(&damaged);
            }
        }
    }

    #[test]
    fn hostile_entries_are_refused() {
        let error = |entry: &str| {
            let text = format!(r#"[{{"image_id":0,"category_id":1,{entry}}}]"#);
            parse(text.as_bytes()).unwrap_err().to_string()
        };
        assert!(error(r#""score":1"#).contains("without `bbox`"));
        assert!(error(r#""bbox":[0,0,1e9,1e9]"#).contains("pixels"));
        assert!(error(r#""bbox":[0,0,2,2],"uv_shape":[3,1,1],"uv_data":"AAAA""#).contains("shape"));
        assert!(error(r#""bbox":[0,0,2,2],"uv_shape":[3,2,2],"uv_data":"AAAA""#).contains("no PNG"));
        assert!(error(r#""bbox":[0,0,2,2],"segmentation":{"size":[99999999999,1],"counts":""}"#).contains("size"));
        let crowd = vec![r#"{"image_id":0,"category_id":1,"bbox":[0,0,0,0]}"#; MAX_PERSONS + 1].join(",");
        assert!(parse(format!("[{crowd}]").as_bytes()).unwrap_err().to_string().contains("more than 1000"));
    }
}
