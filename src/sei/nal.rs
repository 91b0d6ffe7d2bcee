//! Where the NAL units of an access unit begin and end.

use std::ops::Range;

use super::{Framing, SeiError};

/// A NAL unit, as ranges of the access unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nal {
    /// With start code or length; the NAL units of an access unit follow each other without gaps.
    pub whole: Range<usize>,
    /// From its header on, without the zeros that may follow it in a byte stream.
    pub content: Range<usize>,
}

/// The NAL units of an access unit; after an error there are no more.
pub fn nals(framing: Framing, unit: &[u8]) -> impl Iterator<Item = Result<Nal, SeiError>> {
    let mut position = 0;
    std::iter::from_fn(move || {
        if position >= unit.len() {
            return None;
        }
        let nal = match framing {
            Framing::ByteStream => after_start_code(unit, position),
            Framing::Length(size) => after_length(unit, position, size),
        };
        position = nal.as_ref().map_or(unit.len(), |n| n.whole.end);
        Some(nal)
    })
}

fn after_length(unit: &[u8], start: usize, size: usize) -> Result<Nal, SeiError> {
    let content = start + size;
    let length = unit.get(start..content).ok_or(SeiError::Length { offset: start })?;
    let length = length.iter().fold(0usize, |n, &byte| n << 8 | usize::from(byte));
    match content.checked_add(length) {
        Some(end) if end <= unit.len() => Ok(Nal { whole: start..end, content: content..end }),
        _ => Err(SeiError::Length { offset: start }),
    }
}

fn after_start_code(unit: &[u8], start: usize) -> Result<Nal, SeiError> {
    let code = start_code(&unit[start..]).ok_or(SeiError::NoStartCode)?;
    if unit[start..start + code].iter().any(|&b| b != 0) {
        return Err(SeiError::NoStartCode);
    }
    let content = start + code + 3;
    let next = start_code(&unit[content..]).map_or(unit.len(), |n| content + n);
    let end = unit[content..next].iter().rposition(|&b| b != 0).map_or(content, |last| content + last + 1);
    // A zero before the next start code is the first byte of a long one.
    let whole_end = if next < unit.len() && end < next { next - 1 } else { next };
    Ok(Nal { whole: start..whole_end, content: content..end })
}

/// Offset of the next 0, 0, 1.
fn start_code(bytes: &[u8]) -> Option<usize> {
    let mut i = 2;
    while let Some(&byte) = bytes.get(i) {
        match byte {
            0 => i += 1,
            1 if bytes[i - 2..i] == [0, 0] => return Some(i - 2),
            _ => i += 3,
        }
    }
    None
}
