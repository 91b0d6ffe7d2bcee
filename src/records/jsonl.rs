//! JSON Lines: one object per frame, one frame per line.
//!
//! ```json
//! {"version":1,"frame":12,"pts":480000000,"duration":40000000,"width":640,"height":360,"age":0,"persons":[
//!  {"id":7,"score":0.98,"box":[10,20,100,200],"iuv":"iVBORw0...","segmentation":{"size":[360,640],"counts":"..."}}]}
//! ```
//! (without the line break). Where one video follows another in the same file, the lines of the second have `"clip":1`,
//! and so on; `pts` counts from the start of each. `box` is left, top, width and height in pixels; `iuv` a base64 PNG of the box whose red
//! is I, green U and blue V. In place of `iuv` there may be `parts`, a [mask](super::rle) of the box for each part
//! that is in it: `{"2":{"size":[200,100],"counts":"..."}}`. `segmentation` is the mask in the frame. Every field of
//! a person may be missing; a reader ignores fields that it does not know. After `age` there is `"moved":true` where people
//! were moved with the picture since the inference.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::rle::{self, Rle};
use super::{Encoder, Error, Field, Fields, MAX_PERSONS, Record, claimed_size, coordinate, finite, integer, png};
use crate::person::{IuvMap, PARTS, Person, Persons, most_pixels};

/// Version that is written and read.
pub const VERSION: u32 = 1;
/// Most bytes of a line that is read.
pub const MAX_LINE: usize = 64 << 20;
/// The fields that a person can have.
pub const FIELDS: [Field; 5] = [Field::Id, Field::Score, Field::Box, Field::Iuv, Field::Segmentation];

/// How the map of the body surface is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IuvEncoding {
    /// As a PNG, nothing lost.
    #[default]
    Png,
    /// As a run-length mask for each part, without U and V.
    Rle,
    /// Not at all.
    None,
}

/// Writes lines.
#[derive(Clone, Copy, Debug)]
pub struct Writer {
    pub fields: Fields,
    pub iuv: IuvEncoding,
}

impl Default for Writer {
    fn default() -> Self {
        Self { fields: Fields::of(&FIELDS), iuv: IuvEncoding::default() }
    }
}

#[derive(Serialize)]
struct LineOut<'a> {
    version: u32,
    frame: u64,
    #[serde(skip_serializing_if = "first")]
    clip: u32,
    pts: Option<u64>,
    duration: Option<u64>,
    width: u32,
    height: u32,
    age: u32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    moved: bool,
    persons: Vec<PersonOut<'a>>,
}

#[derive(Serialize)]
struct PersonOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#box: Option<[i64; 4]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iuv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<BTreeMap<u8, Rle<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segmentation: Option<Rle<'a>>,
}

impl Writer {
    fn person(&self, person: &Person, frame: &Persons) -> PersonOut<'static> {
        let has = |field| self.fields.has(field);
        let iuv = |encoding| has(Field::Iuv) && self.iuv == encoding;
        PersonOut {
            id: has(Field::Id).then_some(person.id),
            score: has(Field::Score).then(|| finite(person.score)),
            r#box: has(Field::Box)
                .then(|| [person.x.into(), person.y.into(), person.width() as i64, person.height() as i64]),
            iuv: iuv(IuvEncoding::Png).then(|| png::encode(&person.iuv)).flatten().map(|png| BASE64.encode(png)),
            parts: iuv(IuvEncoding::Rle).then(|| parts(&person.iuv)),
            segmentation: has(Field::Segmentation).then(|| rle::of_person(person, frame.width, frame.height)),
        }
    }
}

/// Whether this is the first clip, of which nothing is said.
fn first(clip: &u32) -> bool {
    *clip == 0
}

/// A mask for each part that is in the map.
fn parts(map: &IuvMap) -> BTreeMap<u8, Rle<'static>> {
    let mut there = [false; PARTS as usize + 1];
    map.data().chunks_exact(3).for_each(|p| there[usize::from(p[0].min(PARTS))] = true);
    (1..=PARTS).filter(|&p| there[usize::from(p)]).map(|p| (p, rle::of_map(map, Some(p)))).collect()
}

impl Encoder for Writer {
    fn start(&mut self, _out: &mut Vec<u8>) {}

    fn record(&mut self, record: &Record, out: &mut Vec<u8>) {
        let Record { frame, clip, pts, duration, persons } = record;
        let line = LineOut {
            version: VERSION,
            frame: *frame,
            clip: *clip,
            pts: *pts,
            duration: *duration,
            width: persons.width,
            height: persons.height,
            age: persons.age,
            moved: persons.moved,
            persons: persons.persons.iter().map(|p| self.person(p, persons)).collect(),
        };
        // Plain data cannot fail to be written to memory.
        if serde_json::to_writer(&mut *out, &line).is_ok() {
            out.push(b'\n');
        }
    }

    fn finish(&mut self, _out: &mut Vec<u8>) {}
}

/// Which frame a line is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub frame: u64,
    pub clip: u32,
    pub pts: Option<u64>,
    pub duration: Option<u64>,
}

/// Reads which frame a line is of. The whole line is checked to be JSON, but its people are not looked at.
pub fn header(line: &[u8]) -> Result<Header, Error> {
    #[derive(Deserialize)]
    struct HeaderIn {
        version: u64,
        frame: Option<u64>,
        #[serde(default)]
        clip: u32,
        pts: Option<u64>,
        duration: Option<u64>,
    }
    let HeaderIn { version, frame, clip, pts, duration } = serde_json::from_slice(line)?;
    known(version)?;
    Ok(Header { frame: frame.ok_or(Error::Value("a line without `frame`"))?, clip, pts, duration })
}

fn known(version: u64) -> Result<(), Error> {
    if version == u64::from(VERSION) { Ok(()) } else { Err(Error::Version(version)) }
}

#[derive(Deserialize)]
struct LineIn<'a> {
    version: u64,
    frame: u64,
    #[serde(default)]
    clip: u32,
    pts: Option<u64>,
    duration: Option<u64>,
    width: u32,
    height: u32,
    #[serde(default)]
    age: u32,
    #[serde(default)]
    moved: bool,
    #[serde(borrow, deserialize_with = "few")]
    persons: Vec<PersonIn<'a>>,
}

#[derive(Deserialize)]
struct PersonIn<'a> {
    #[serde(default)]
    id: u32,
    #[serde(default)]
    score: f32,
    r#box: Option<[f64; 4]>,
    #[serde(borrow)]
    iuv: Option<Cow<'a, str>>,
    #[serde(borrow)]
    parts: Option<BTreeMap<u8, Rle<'a>>>,
}

/// A list of persons that ends with an error where it becomes too long.
fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PersonIn<'de>>, D::Error> {
    struct Few;
    impl<'de> Visitor<'de> for Few {
        type Value = Vec<PersonIn<'de>>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "at most {MAX_PERSONS} persons")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut persons = Vec::new();
            while let Some(person) = list.next_element()? {
                if persons.len() == MAX_PERSONS {
                    return Err(serde::de::Error::custom(Error::TooManyPersons));
                }
                persons.push(person);
            }
            Ok(persons)
        }
    }
    deserializer.deserialize_seq(Few)
}

/// Reads a line. What it does not hold of a person is 0, a map that it does not hold is background.
pub fn parse(line: &[u8]) -> Result<Record, Error> {
    let line: LineIn = serde_json::from_slice(line)?;
    known(line.version)?;
    let mut budget = most_pixels(line.width, line.height);
    let persons = line.persons.into_iter().map(|p| p.read(&mut budget)).collect::<Result<_, _>>()?;
    let persons = Persons { width: line.width, height: line.height, age: line.age, moved: line.moved, persons };
    Ok(Record { frame: line.frame, clip: line.clip, pts: line.pts, duration: line.duration, persons })
}

impl PersonIn<'_> {
    fn read(self, budget: &mut usize) -> Result<Person, Error> {
        let [x, y, width, height] = self.r#box.ok_or(Error::Value("a person without `box`"))?.map(integer);
        let (width, height) = claimed_size(width?, height?, budget)?;
        let iuv = match (&self.iuv, &self.parts) {
            _ if width * height == 0 => IuvMap::background(width, height),
            (Some(iuv), _) => png::decode(&BASE64.decode(iuv.as_bytes())?, width, height)?,
            (None, Some(parts)) => of_parts(parts, width, height)?,
            (None, None) => IuvMap::background(width, height),
        };
        if !self.score.is_finite() {
            return Err(Error::Value("a score"));
        }
        Ok(Person { id: self.id, score: self.score, x: coordinate(x?)?, y: coordinate(y?)?, iuv })
    }
}

fn of_parts(parts: &BTreeMap<u8, Rle>, width: usize, height: usize) -> Result<IuvMap, Error> {
    let mut data = vec![0; width * height * 3];
    for (&part, mask) in parts {
        if !(1..=PARTS).contains(&part) {
            return Err(Error::Value("the number of a part"));
        }
        for (pixel, set) in data.chunks_exact_mut(3).zip(mask.decode(width, height)?) {
            if set {
                pixel[0] = part;
            }
        }
    }
    IuvMap::new(width, height, data).map_err(|_| Error::Value("the size of a box"))
}

/// What [`Lines::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line, now in the buffer without its end.
    Read,
    /// A line of more than [`MAX_LINE`] bytes, passed over.
    TooLong,
    /// No line any more.
    End,
}

/// Reads line by line without ever holding more than [`MAX_LINE`] bytes.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    /// Bytes before the next line.
    pub offset: u64,
    /// Number of the last line, from 1.
    pub number: u64,
}

impl<R: BufRead> Lines<R> {
    pub fn new(input: R) -> Self {
        Self::from(input, 0)
    }

    /// Lines of an input that is already `offset` bytes behind its start.
    pub fn from(input: R, offset: u64) -> Self {
        Self { input, offset, number: 0 }
    }

    /// Reads the next line into `line`.
    pub fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Line> {
        line.clear();
        let (mut read, mut ended) = (0u64, false);
        while !ended {
            let bytes = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if bytes.is_empty() {
                break;
            }
            let end = bytes.iter().position(|&b| b == b'\n');
            let taken = end.map_or(bytes.len(), |n| n + 1);
            let room = (MAX_LINE + 1).saturating_sub(line.len());
            line.extend_from_slice(&bytes[..end.unwrap_or(taken).min(room)]);
            self.input.consume(taken);
            read += taken as u64;
            ended = end.is_some();
        }
        if read == 0 {
            return Ok(Line::End);
        }
        self.offset += read;
        self.number += 1;
        if line.len() <= MAX_LINE {
            return Ok(Line::Read);
        }
        line.clear();
        Ok(Line::TooLong)
    }
}

#[cfg(test)]
mod tests;
