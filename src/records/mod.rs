//! People on disk: the formats that `densepose-export` writes and `densepose-import` reads.
//!
//! | module | format | written | read |
//! |---|---|---|---|
//! | [`jsonl`] | JSON Lines, one object per frame; the one that loses nothing | yes | yes |
//! | [`coco`] | an array of COCO results, for DensePose evaluators | yes | yes |
//! | [`detectron2`] | what detectron2's `apply_net.py dump` writes, for `torch.load` | yes | by Python |
//! | [`npz`] | arrays at the frame's size, for `numpy.load` | yes | by Python |
//!
//! An [`Encoder`] turns [`Record`]s into bytes one by one and keeps none of them; who calls it decides where the
//! bytes go. Readers bound what they allocate by [`MAX_PERSONS`] and [`MAX_PIXELS`], whatever a file claims.

pub mod coco;
pub mod detectron2;
mod fields;
pub mod jsonl;
pub mod location;
pub mod npz;
mod pickle;
pub mod png;
pub mod rle;
mod zip;

pub use fields::{Field, Fields, FieldsError};

use crate::person::MAX_FRAMES;
pub use crate::person::MAX_PIXELS;
use crate::person::Persons;

/// Most persons that a reader takes from one frame.
pub const MAX_PERSONS: usize = 1000;

/// The people of one frame, and which frame it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Number of the frame, from 0.
    pub frame: u64,
    /// Number of the clip, from 0, where one stream follows another and times begin again.
    pub clip: u32,
    /// Stream time of the frame in nanoseconds, counted from the start of its clip.
    pub pts: Option<u64>,
    /// How long the frame is shown, in nanoseconds.
    pub duration: Option<u64>,
    pub persons: Persons,
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("version {0} is not known to this plugin, which reads version {known}", known = jsonl::VERSION)]
    Version(u64),
    #[error("{0} does not make sense")]
    Value(&'static str),
    #[error("more than {MAX_PERSONS} persons in one frame")]
    TooManyPersons,
    #[error("the maps of one frame have more than {MAX_PIXELS} pixels, or more than {MAX_FRAMES} times the frame's")]
    TooManyPixels,
    #[error("a map is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    #[error("a map is no PNG of its box: {0}")]
    Png(#[from] png::Error),
    #[error("a mask is no run-length code of its box: {0}")]
    Rle(#[from] rle::Error),
}

/// Turns records into the bytes of a file, in memory.
pub trait Encoder: Send {
    /// Appends what a file begins with.
    fn start(&mut self, out: &mut Vec<u8>);
    /// Appends a record; what is written up to here stays readable should nothing follow.
    fn record(&mut self, record: &Record, out: &mut Vec<u8>);
    /// Appends what a file ends with.
    fn finish(&mut self, out: &mut Vec<u8>);
}

/// The size of a map that a file claims, if the frame has room for it; takes it from `budget`, in pixels.
fn claimed_size(width: i64, height: i64, budget: &mut usize) -> Result<(usize, usize), Error> {
    let side = |n: i64| usize::try_from(n).map_err(|_| Error::Value("the size of a box"));
    let (width, height) = (side(width)?, side(height)?);
    let left = width.checked_mul(height).and_then(|n| budget.checked_sub(n));
    // A side of an empty box is bounded, too.
    if width.max(height) > MAX_PIXELS {
        return Err(Error::TooManyPixels);
    }
    *budget = left.ok_or(Error::TooManyPixels)?;
    Ok((width, height))
}

/// A coordinate or side that a file gives as a number.
fn integer(n: f64) -> Result<i64, Error> {
    let whole = n.round();
    if !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&whole) {
        return Err(Error::Value("a number of a box"));
    }
    Ok(whole as i64)
}

fn coordinate(n: i64) -> Result<i32, Error> {
    i32::try_from(n).map_err(|_| Error::Value("the position of a box"))
}

/// A score as JSON can hold it.
fn finite(score: f32) -> f32 {
    if score.is_finite() { score } else { 0.0 }
}

/// Some people for tests: overlapping, reaching out of the frame, one with an empty map.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::person::{IuvMap, Person};

    pub fn map(width: usize, height: usize, seed: usize) -> IuvMap {
        let pixel = |i: usize| match (i / 3 + seed) % 4 {
            0 => [0; 3],
            _ => [(1 + (i / 5 + seed) % 24) as u8, (i * 7 + seed) as u8, (i * 13) as u8],
        };
        IuvMap::new(width, height, (0..width * height).flat_map(pixel).collect()).unwrap()
    }

    pub fn person(id: u32, score: f32, x: i32, y: i32, iuv: IuvMap) -> Person {
        Person { id, score, x, y, iuv }
    }

    pub fn record(frame: u64) -> Record {
        let persons = vec![
            person(7, 0.987_654_3, 3, 2, map(9, 6, frame as usize)),
            person(8, 0.1, -2, 5, map(5, 7, 1)),
            person(4_000_000_000, 1.0, 30, 20, map(4, 4, 2)),
        ];
        let persons = Persons { width: 20, height: 12, age: (frame % 3) as u32, moved: false, persons };
        Record { frame, clip: 0, pts: Some(frame * 40_000_000), duration: Some(40_000_000), persons }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fixture; to write it anew after a change of the format, delete it and run the test.
    fn fixture(name: &str, write: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
        let path = format!("{}/tests/fixtures/records/{name}", env!("CARGO_MANIFEST_DIR"));
        if !std::path::Path::new(&path).exists() {
            std::fs::write(&path, write()).unwrap();
        }
        std::fs::read(path).unwrap()
    }

    fn written(mut encoder: impl Encoder) -> Vec<u8> {
        let mut out = Vec::new();
        encoder.start(&mut out);
        (0..3).for_each(|n| encoder.record(&samples::record(n), &mut out));
        encoder.finish(&mut out);
        out
    }

    #[test]
    fn files_of_this_version_stay_readable() {
        let lines = fixture("people.jsonl", || written(jsonl::Writer::default()));
        let read: Vec<_> = lines.split_inclusive(|&b| b == b'\n').map(|l| jsonl::parse(l).unwrap()).collect();
        assert_eq!(read, [0, 1, 2].map(samples::record));
        let masks = jsonl::Writer { iuv: jsonl::IuvEncoding::Rle, ..jsonl::Writer::default() };
        let lines = fixture("parts.jsonl", || written(masks));
        for (n, line) in lines.split_inclusive(|&b| b == b'\n').enumerate() {
            let (read, expected) = (jsonl::parse(line).unwrap(), samples::record(n as u64));
            let parts =
                |r: &Record, p: usize| r.persons.persons[p].iuv.data().iter().step_by(3).copied().collect::<Vec<_>>();
            (0..3).for_each(|p| assert_eq!(parts(&read, p), parts(&expected, p)));
        }
        let results = fixture("people.json", || written(coco::Writer::new(Fields::of(&coco::FIELDS))));
        let read: Vec<_> = coco::parse(&results).unwrap().into_iter().map(|r| r.persons.persons).collect();
        assert_eq!(read, [0, 1, 2].map(|n| samples::record(n).persons.persons));
    }
}
