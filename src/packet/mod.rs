//! The people of a frame as a compact string of bytes, and that string cut into parts that name what they belong to.
//!
//! A *packet* holds one [`Persons`]; [`split`] cuts it into *fragments* for carriers with a limit per message, such as
//! the SEI messages of H.264 and H.265, and [`join`] puts them together again. All numbers are big endian.
//!
//! ## Packet, version 1
//!
//! | offset | type | meaning |
//! |---|---|---|
//! | 0 | u8 | version, 1 |
//! | 1 | u8 | precision: bits of each U and V, 1 to 8; 8 = exact |
//! | 2 | u16 | n, number of persons |
//! | 4, 8 | u32, u32 | width and height of the frame that the boxes refer to, in pixels |
//! | 12 | u32 | age: frames since the inference that found these people |
//! | 16 + 24 k | u32 | id of person k |
//! | 20 + 24 k | f32 | score, 0 to 1 |
//! | 24 + 24 k | i32, i32 | x and y: top left corner of the box, in pixels |
//! | 32 + 24 k | u32, u32 | w and h: size of the box, in pixels |
//! | 16 + 24 n | | one zlib stream (RFC 1950) to the end: the maps of all persons in turn |
//!
//! Before compression the map of a person is
//!
//! 1. `w * h` bytes, rows top to bottom: the part index I of each pixel (0 background, 1 to 24), exclusive-or that of
//!    the pixel above (0 above the first row);
//! 2. a byte for each pixel that is not background, in the same order: U less its prediction, modulo 256;
//! 3. the same for V. U and V of background pixels are 0.
//!
//! At precision `b`, `m = 2^b - 1`, a coordinate `v` of 0..=255 is coded as `q = round(v * m / 255)` and read as
//! `round(q * 255 / m)`. The prediction of `q` looks at the neighbours that show the same part:
//!
//! | same part | prediction |
//! |---|---|
//! | left, above and above left | left + above - above left, limited to 0..=m |
//! | left and above | their mean, rounded down |
//! | left or above alone | that one |
//! | neither | the last value coded for this part in this map, at first 0 |
//!
//! ## Fragment, version 1
//!
//! | offset | type | meaning |
//! |---|---|---|
//! | 0 | 16 bytes | [`UUID`] |
//! | 16 | u8 | version, 1 |
//! | 17 | u32 | sequence number of the packet, counting up and around |
//! | 21 | u16 | index of this fragment, from 0 |
//! | 23 | u16 | number of fragments of the packet |
//! | 25 | u32 | CRC-32 (that of zlib) of the whole packet |
//! | 29 | | this fragment's bytes of the packet |
//!
//! ## What a reader may have to hold
//!
//! A packet is refused before anything is allocated for its maps where these have more than [`MAX_PIXELS`] pixels
//! together, more than [`MAX_FRAMES`] times the pixels of the frame that it names, or more than 1032 times the packet's
//! bytes, or where a box is more than twice as wide or high as that frame. [`decode_within`] also refuses frames that
//! are larger than the video could be. [`join`] needs no more than a small multiple of what it is given.

mod fragment;
mod maps;

pub use fragment::{JoinError, UUID, join, split};

use std::io::{BufRead, BufReader, Read};

use flate2::Compression;
use flate2::bufread::{ZlibDecoder, ZlibEncoder};

pub use crate::person::{MAX_FRAMES, MAX_PIXELS};
use crate::person::{Person, Persons, most_pixels};
use maps::Map;

/// Version of the packets that this crate writes and reads.
pub const VERSION: u8 = 1;
/// How much larger a side of the frame that a packet names may be than that of the video, which may have been scaled
/// since.
const MAX_SCALE: u32 = 2;
/// [`encode_with`] at this precision is exact.
pub const EXACT: u8 = 8;

/// Bytes before the first person, and of each person before the maps.
const FRAME_HEADER: usize = 16;
const PERSON_HEADER: usize = 24;
/// Half the time of deflate's default for 3 % more bytes.
const LEVEL: Compression = Compression::new(4);
/// Deflate makes no more than so many bytes of one; every pixel is at least one.
const MAX_RATIO: usize = 1032;

/// Why bytes are no packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    #[error("packet of version {0}, this program reads version {VERSION}: a newer one is needed")]
    Version(u8),
    #[error("packet ends after {bytes} bytes, before its headers do")]
    Truncated { bytes: usize },
    #[error("precision of {0} bits; 1 to 8 are possible")]
    Precision(u8),
    #[error("the score of person {id} is not from 0 to 1")]
    Score { id: u32 },
    #[error("maps of {pixels} pixels together; a packet of this length and frame has {limit} at most")]
    TooLarge { pixels: u64, limit: usize },
    #[error("a box of {w}x{h} pixels in a frame of {width}x{height}")]
    Box { w: u32, h: u32, width: u32, height: u32 },
    #[error("people of a frame of {width}x{height} in a video of {video_width}x{video_height}")]
    Frame { width: u32, height: u32, video_width: u32, video_height: u32 },
    #[error("damaged maps: {0}")]
    Maps(String),
}

/// The packet of a frame's people, exact; see [`encode_with`].
pub fn encode(persons: &Persons) -> Vec<u8> {
    encode_with(persons, EXACT)
}

/// The packet of a frame's people with U and V at `precision` bits, limited to 1..=8. Boxes, ids, scores and part
/// indices are always exact; U and V of background, which mean nothing, become 0.
///
/// What cannot be read back is not written: parts above 24 become background, scores are limited to 0..=1, persons
/// whose box is more than twice as wide or high as the frame are left out, and so are those from the first one on that
/// would exceed [`MAX_PIXELS`], [`MAX_FRAMES`] or 65535 persons.
pub fn encode_with(persons: &Persons, precision: u8) -> Vec<u8> {
    let precision = precision.clamp(1, EXACT);
    let mut pixels = 0usize;
    let most = most_pixels(persons.width, persons.height);
    let sides = |p: &Person| Some((u32::try_from(p.width()).ok()?, u32::try_from(p.height()).ok()?));
    let possible = |p: &&Person| sides(p).is_some_and(|(w, h)| is_box(w, h, persons.width, persons.height));
    let fits = |p: &&Person| {
        pixels = pixels.saturating_add(p.width().saturating_mul(p.height()));
        pixels <= most
    };
    let written: Vec<&Person> =
        persons.persons.iter().filter(possible).take(usize::from(u16::MAX)).take_while(fits).collect();

    let mut packet = vec![VERSION, precision];
    packet.extend((written.len() as u16).to_be_bytes());
    for number in [persons.width, persons.height, persons.age] {
        packet.extend(number.to_be_bytes());
    }
    let mut raw = Vec::new();
    for person in written {
        packet.extend(person.id.to_be_bytes());
        let score = if person.score.is_nan() { 0.0 } else { person.score.clamp(0.0, 1.0) };
        packet.extend(score.to_be_bytes());
        packet.extend(person.x.to_be_bytes());
        packet.extend(person.y.to_be_bytes());
        packet.extend((person.width() as u32).to_be_bytes());
        packet.extend((person.height() as u32).to_be_bytes());
        maps::write(&person.iuv, precision, &mut raw);
    }
    // Reading from memory into memory cannot fail.
    let _ = ZlibEncoder::new(raw.as_slice(), LEVEL).read_to_end(&mut packet);
    packet
}

/// Whether a box may be that of somebody in a frame. Boxes reach beyond the frame by the model's margin, and after a
/// crop by more.
fn is_box(w: u32, h: u32, width: u32, height: u32) -> bool {
    w <= width.saturating_mul(2) && h <= height.saturating_mul(2)
}

/// Reads a packet of a video whose frames have this width and height, in pixels: one that names a frame more than twice
/// as wide or high is refused.
///
/// # Errors
/// As [`decode`].
pub fn decode_within(packet: &[u8], (video_width, video_height): (u32, u32)) -> Result<Persons, PacketError> {
    if let Some(frame) = packet.get(4..12) {
        let side = |at: usize| u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
        let (width, height) = (side(0), side(4));
        let known = packet[0] == VERSION;
        if known && (width > video_width.saturating_mul(MAX_SCALE) || height > video_height.saturating_mul(MAX_SCALE)) {
            return Err(PacketError::Frame { width, height, video_width, video_height });
        }
    }
    decode(packet)
}

/// Reads a packet as [`encode_with`] writes it.
///
/// # Errors
/// Where the packet is of another version, cut off, damaged or larger than the module's limits.
pub fn decode(packet: &[u8]) -> Result<Persons, PacketError> {
    let mut input = Fields(packet);
    let truncated = PacketError::Truncated { bytes: packet.len() };
    let [version] = input.take().ok_or(truncated.clone())?;
    if version != VERSION {
        return Err(PacketError::Version(version));
    }
    if packet.len() < FRAME_HEADER {
        return Err(truncated);
    }
    let ([precision], count) = (input.bytes(), u16::from_be_bytes(input.bytes()));
    if !(1..=EXACT).contains(&precision) {
        return Err(PacketError::Precision(precision));
    }
    let [width, height, age] = std::array::from_fn(|_| u32::from_be_bytes(input.bytes()));
    if input.0.len() < usize::from(count) * PERSON_HEADER {
        return Err(truncated);
    }
    let boxes: Vec<Header> = (0..count).map(|_| Header::read(&mut input)).collect::<Result<_, _>>()?;

    if let Some(&Header { w, h, .. }) = boxes.iter().find(|b| !is_box(b.w, b.h, width, height)) {
        return Err(PacketError::Box { w, h, width, height });
    }
    let limit = input.0.len().saturating_mul(MAX_RATIO).min(most_pixels(width, height));
    let pixels = boxes.iter().fold(0u64, |n, b| n.saturating_add(u64::from(b.w) * u64::from(b.h)));
    if pixels > limit as u64 {
        return Err(PacketError::TooLarge { pixels, limit });
    }
    let mut stream = BufReader::new(ZlibDecoder::new(input.0));
    let persons = boxes.into_iter().map(|b| b.person(precision, &mut stream)).collect::<Result<_, _>>()?;
    // Reading to the end also makes the decoder check the stream's sum.
    let damaged = |e: std::io::Error| PacketError::Maps(e.to_string());
    if !stream.fill_buf().map_err(damaged)?.is_empty() || !stream.into_inner().into_inner().is_empty() {
        return Err(PacketError::Maps("more bytes than the boxes have pixels".into()));
    }
    Ok(Persons { width, height, age, moved: false, persons })
}

/// A person without their map.
struct Header {
    id: u32,
    score: f32,
    x: i32,
    y: i32,
    w: u32,
    h: u32,
}

impl Header {
    fn read(input: &mut Fields) -> Result<Self, PacketError> {
        let id = u32::from_be_bytes(input.bytes());
        let score = f32::from_be_bytes(input.bytes());
        let [x, y] = std::array::from_fn(|_| i32::from_be_bytes(input.bytes()));
        let [w, h] = std::array::from_fn(|_| u32::from_be_bytes(input.bytes()));
        match (0.0..=1.0).contains(&score) {
            true => Ok(Self { id, score, x, y, w, h }),
            false => Err(PacketError::Score { id }),
        }
    }

    fn person(self, precision: u8, stream: &mut impl Read) -> Result<Person, PacketError> {
        let Self { id, score, x, y, w, h } = self;
        let iuv = Map::read(w as usize, h as usize, precision, stream).map_err(|e| PacketError::Maps(e.to_string()))?;
        Ok(Person { id, score, x, y, iuv })
    }
}

/// Bytes taken from the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (&first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(first)
    }

    /// Where the length has been checked before.
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        self.take().unwrap_or([0; N])
    }
}

#[cfg(test)]
mod tests;
