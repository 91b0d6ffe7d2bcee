//! The SEI messages of a NAL unit, without its header and emulation prevention.

/// The byte after the last message: a one and zeros up to the byte's end.
pub const TRAILING: u8 = 0x80;

/// A message of the NAL unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub kind: usize,
    pub payload: &'a [u8],
    /// The message as it stands, its type and size included.
    pub raw: &'a [u8],
}

impl Message<'_> {
    pub fn is_user_data(&self) -> bool {
        self.kind == super::USER_DATA_UNREGISTERED
    }
}

/// The message ends before its size says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A message of a type with a payload.
pub fn write(kind: usize, payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(payload.len() + payload.len() / 255 + 3);
    for number in [kind, payload.len()] {
        message.resize(message.len() + number / 255, 255);
        message.push((number % 255) as u8);
    }
    message.extend(payload);
    message
}

/// All messages; after a malformed one there is no more to be found.
pub fn messages(mut body: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Malformed>> {
    // Zeros may follow the trailing bits; there are streams without any trailing bits.
    let end = body.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    if body[..end].last() == Some(&TRAILING) && complete(&body[..end - 1]) {
        body = &body[..end - 1];
    }
    std::iter::from_fn(move || {
        if body.is_empty() {
            return None;
        }
        let message = read(body).ok_or(Malformed);
        body = match message {
            Ok(m) => &body[m.raw.len()..],
            Err(_) => &[],
        };
        Some(message)
    })
}

/// Whether bytes are messages to the last byte.
fn complete(mut body: &[u8]) -> bool {
    while let Some(message) = read(body) {
        body = &body[message.raw.len()..];
    }
    body.is_empty()
}

fn read(body: &[u8]) -> Option<Message<'_>> {
    let (kind, rest) = number(body)?;
    let (size, rest) = number(rest)?;
    let (payload, rest) = rest.split_at_checked(size)?;
    Some(Message { kind, payload, raw: &body[..body.len() - rest.len()] })
}

/// A number as the sum of bytes up to the first that is not 255.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let full = bytes.iter().position(|&b| b != 255)?;
    Some((full * 255 + usize::from(bytes[full]), &bytes[full + 1..]))
}
