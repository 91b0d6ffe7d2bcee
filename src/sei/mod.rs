//! User data in H.264 and H.265 access units: SEI messages of type user_data_unregistered, put in, found, taken out.
//!
//! It works on the bytes of whole access units, as a byte stream with start codes (Annex B of both standards) or with a
//! length before each NAL unit (ISO/IEC 14496-15), and knows no more of video than where a NAL unit begins and what
//! type it is of. [`insert`] and [`remove`] return [`Edit`]s, so that whoever holds the access unit can share the bytes
//! that stay. Nothing else in the access unit is touched, other SEI messages included.
//!
//! References: ITU-T H.264 7.3.1, 7.3.2.3, 7.4.1.2.3, Annex B, D.1.7; ITU-T H.265 7.3.1, 7.3.2.4, 7.4.2.4.4, D.2.1.

mod escape;
mod message;
mod nal;

use std::fmt;
use std::ops::Range;

use message::Message;
use nal::{Nal, nals};

/// Payload type of user_data_unregistered, whose first 16 bytes are a UUID.
const USER_DATA_UNREGISTERED: usize = 5;

/// The standard that a stream follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    H264,
    H265,
}

/// How the NAL units of an access unit are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By start codes.
    ByteStream,
    /// By their length, in so many bytes (1, 2 or 4), before each.
    Length(usize),
}

/// What has to be known of a stream to read its access units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    pub codec: Codec,
    pub framing: Framing,
}

/// Why bytes are no access unit or no decoder configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeiError {
    /// There are bytes, but no start code, or something else before the first one.
    NoStartCode,
    /// At this offset begins a NAL unit that is said to be longer than what is left.
    Length { offset: usize },
    /// A NAL unit of so many bytes does not fit the stream's length field.
    TooLong { bytes: usize },
    /// The decoder configuration record (avcC, hvcC) is too short, of another version, or names an impossible length.
    Configuration,
}

impl fmt::Display for SeiError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::NoStartCode => write!(f, "the access unit does not begin with a start code"),
            Self::Length { offset } => write!(f, "the NAL unit at byte {offset} is longer than the access unit"),
            Self::TooLong { bytes } => write!(f, "a NAL unit of {bytes} bytes does not fit the stream's length field"),
            Self::Configuration => write!(f, "the decoder configuration record (codec_data) is damaged"),
        }
    }
}

impl std::error::Error for SeiError {}

impl Framing {
    /// That of streams whose decoder configuration record (avcC or hvcC) this is.
    pub fn from_configuration(codec: Codec, record: &[u8]) -> Result<Self, SeiError> {
        // Shortest record and where the length of lengths is: ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1.
        let (shortest, offset) = match codec {
            Codec::H264 => (7, 4),
            Codec::H265 => (23, 21),
        };
        // Version 0 of hvcC was written by early muxers, its layout is the same.
        let known = |version| version == 1 || (version == 0 && codec == Codec::H265);
        match (record.get(offset).map(|b| b & 3), record.first()) {
            (Some(size @ (0 | 1 | 3)), Some(&version)) if record.len() >= shortest && known(version) => {
                Ok(Self::Length(usize::from(size) + 1))
            }
            _ => Err(SeiError::Configuration),
        }
    }

    /// Longest NAL unit that the framing can express.
    fn longest(self) -> usize {
        match self {
            Self::ByteStream => usize::MAX,
            Self::Length(size) => 1usize.checked_shl(8 * size as u32).map_or(usize::MAX, |n| n - 1),
        }
    }

    /// Longest payload whose SEI NAL unit fits the framing for certain: escaping can make three bytes of two.
    pub fn longest_payload(self) -> usize {
        let headers = |bytes: usize| 8 + bytes / 255;
        let bytes = self.longest() / 3 * 2;
        bytes - headers(bytes)
    }
}

/// Bytes of an access unit and what is to stand in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub at: Range<usize>,
    pub with: Vec<u8>,
}

/// The access unit after edits, which must be in order and must not overlap.
pub fn apply(unit: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut out = Vec::with_capacity(unit.len() + edits.iter().map(|e| e.with.len()).sum::<usize>());
    let mut position = 0;
    for edit in edits {
        out.extend(&unit[position..edit.at.start]);
        out.extend(&edit.with);
        position = edit.at.end;
    }
    out.extend(&unit[position..]);
    out
}

/// Puts payloads, each with its UUID in front, before the picture of an access unit: one SEI NAL unit each, after
/// delimiter, parameter sets and other SEI. `None` if there is no picture.
///
/// # Errors
/// Where the access unit is malformed or a payload too long for its framing, see [`Framing::longest_payload`].
pub fn insert(format: Format, unit: &[u8], payloads: &[Vec<u8>]) -> Result<Option<Edit>, SeiError> {
    for nal in nals(format.framing, unit) {
        let nal = nal?;
        let Some(header) = sei_header(format.codec, &unit[nal.content]) else { continue };
        let mut with = Vec::new();
        for payload in payloads {
            append_nal(format.framing, &header, &message::write(USER_DATA_UNREGISTERED, payload), &mut with)?;
        }
        return Ok(Some(Edit { at: nal.whole.start..nal.whole.start, with }));
    }
    Ok(None)
}

/// The user_data_unregistered payloads of an access unit, UUID included. What follows a malformed SEI message in its
/// NAL unit is not read.
pub fn user_data(format: Format, unit: &[u8]) -> Result<Vec<Vec<u8>>, SeiError> {
    let mut found = Vec::new();
    for nal in nals(format.framing, unit) {
        if let Some(sei) = Sei::read(format.codec, unit, &nal?) {
            found.extend(sei.messages().filter(Message::is_user_data).map(|m| m.payload.to_vec()));
        }
    }
    Ok(found)
}

/// Takes the user_data_unregistered messages with a UUID out. Other messages in the same NAL unit stay; a NAL unit
/// with a malformed message stays as it is.
pub fn remove(format: Format, unit: &[u8], uuid: &[u8; 16]) -> Result<Vec<Edit>, SeiError> {
    let mut edits: Vec<Edit> = Vec::new();
    for nal in nals(format.framing, unit) {
        let nal = nal?;
        let ours = |m: &Message| m.is_user_data() && m.payload.starts_with(uuid);
        let with = match Sei::read(format.codec, unit, &nal) {
            Some(sei) if sei.is_well_formed() && sei.messages().any(|m| ours(&m)) => {
                let kept: Vec<u8> = sei.messages().filter(|m| !ours(m)).flat_map(|m| m.raw.to_vec()).collect();
                let mut with = Vec::new();
                if !kept.is_empty() {
                    append_nal(format.framing, sei.header, &kept, &mut with)?;
                }
                with
            }
            _ => {
                // What becomes the first NAL unit must begin with the long start code.
                if let Some(last) = edits.last_mut().filter(|e| e.with.is_empty() && e.at == (0..nal.whole.start))
                    && format.framing == Framing::ByteStream
                    && nal.content.start - nal.whole.start == 3
                {
                    last.with.push(0);
                }
                continue;
            }
        };
        match edits.last_mut() {
            Some(last) if last.at.end == nal.whole.start => {
                last.at.end = nal.whole.end;
                last.with.extend(with);
            }
            _ => edits.push(Edit { at: nal.whole, with }),
        }
    }
    Ok(edits)
}

/// An SEI NAL unit.
struct Sei<'a> {
    header: &'a [u8],
    /// Without emulation prevention.
    body: Vec<u8>,
}

impl<'a> Sei<'a> {
    /// `None` where the NAL unit is of another type.
    fn read(codec: Codec, unit: &'a [u8], nal: &Nal) -> Option<Self> {
        let nal = &unit[nal.content.clone()];
        let (size, sei) = match codec {
            Codec::H264 => (1, nal.first().is_some_and(|b| b & 31 == 6)),
            // Before and after the picture.
            Codec::H265 => (2, nal.first().is_some_and(|b| matches!(b >> 1 & 63, 39 | 40))),
        };
        let (header, body) = nal.split_at_checked(size).filter(|_| sei)?;
        Some(Self { header, body: escape::removed(body) })
    }

    /// Up to the first malformed one.
    fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        message::messages(&self.body).map_while(Result::ok)
    }

    fn is_well_formed(&self) -> bool {
        message::messages(&self.body).all(|m| m.is_ok())
    }
}

/// The header of the SEI NAL unit that goes before a NAL unit, if that is the first one of a picture.
fn sei_header(codec: Codec, nal: &[u8]) -> Option<Vec<u8>> {
    match (codec, nal) {
        // Slices, and the prefix NAL unit that belongs to the slice after it.
        (Codec::H264, [first, ..]) => matches!(first & 31, 1..=5 | 14 | 20 | 21).then(|| vec![6]),
        // The same layer and temporal layer as the picture.
        (Codec::H265, [first, second, ..]) => ((first >> 1 & 63) < 32).then(|| vec![39 << 1 | first & 1, *second]),
        _ => None,
    }
}

/// Appends a NAL unit of SEI messages.
fn append_nal(framing: Framing, header: &[u8], messages: &[u8], out: &mut Vec<u8>) -> Result<(), SeiError> {
    let mut nal = header.to_vec();
    escape::append(messages, &mut nal);
    nal.push(message::TRAILING);
    if nal.len() > framing.longest() {
        return Err(SeiError::TooLong { bytes: nal.len() });
    }
    match framing {
        Framing::ByteStream => out.extend([0, 0, 0, 1]),
        Framing::Length(size) => out.extend(&(nal.len() as u64).to_be_bytes()[8 - size..]),
    }
    out.extend(nal);
    Ok(())
}

#[cfg(test)]
mod tests;
