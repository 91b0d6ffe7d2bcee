//! Packets in parts, see the [module above](super).

use std::collections::BTreeMap;

use super::Fields;

/// Says that bytes are ours; the UUID of the user_data_unregistered SEI message (version 4, drawn at random).
pub const UUID: [u8; 16] = *b"\x5b\xb9\x94\x91\xff\xb5\x44\x8b\xbd\xb8\x6e\xbf\xe3\x9a\xec\x71";

const VERSION: u8 = 1;
const HEADER: usize = UUID.len() + 13;

/// Why fragments make no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    #[error("fragment of version {0}, this program reads version {VERSION}: a newer one is needed")]
    Version(u8),
    #[error("fragment with a header that makes no sense")]
    Header,
    #[error("only {present} of {count} fragments are there")]
    Incomplete { present: usize, count: usize },
    #[error("the packet's checksum differs: it was damaged on its way")]
    Checksum,
}

/// Cuts a packet into fragments of at most `max_size` bytes, their headers included.
///
/// A `max_size` below 64, or one that would make more than 65535 fragments, is raised.
pub fn split(packet: &[u8], max_size: usize, sequence: u32) -> Vec<Vec<u8>> {
    let most = usize::from(u16::MAX);
    let size = (max_size.max(64) - HEADER).max(packet.len().div_ceil(most));
    let count = packet.len().div_ceil(size) as u16;
    let sum = checksum(packet).to_be_bytes();
    let fragment = |(index, bytes): (usize, &[u8])| {
        let mut fragment = Vec::with_capacity(HEADER + bytes.len());
        fragment.extend(UUID);
        fragment.push(VERSION);
        fragment.extend(sequence.to_be_bytes());
        fragment.extend((index as u16).to_be_bytes());
        fragment.extend(count.to_be_bytes());
        fragment.extend(sum);
        fragment.extend(bytes);
        fragment
    };
    packet.chunks(size).enumerate().map(fragment).collect()
}

/// What the fragments of one packet have in common.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    sequence: u32,
    count: u16,
    checksum: u32,
}

/// Puts the packet of a frame together from all that came with the frame, in any order; what does not begin with
/// [`UUID`] is not ours and is ignored, and so is what came twice. Of several packets the last complete one counts.
/// `None` if there is nothing of ours.
///
/// # Errors
/// Where there is something of ours, but no complete and undamaged packet.
pub fn join<'a>(payloads: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Vec<u8>>, JoinError> {
    let mut error = None;
    let mut packets: BTreeMap<Key, (usize, BTreeMap<u16, &[u8]>)> = BTreeMap::new();
    for (position, payload) in payloads.into_iter().enumerate() {
        let Some(fragment) = payload.strip_prefix(&UUID) else { continue };
        match header(fragment) {
            Ok((key, index, bytes)) => {
                let (last, parts) = packets.entry(key).or_default();
                *last = position;
                parts.entry(index).or_insert(bytes);
            }
            Err(e) => error = Some(e),
        }
    }
    let mut packets: Vec<_> = packets.into_iter().collect();
    packets.sort_unstable_by_key(|(_, (last, _))| std::cmp::Reverse(*last));
    for (key, (_, parts)) in packets {
        let (present, count) = (parts.len(), usize::from(key.count));
        if present < count {
            error.get_or_insert(JoinError::Incomplete { present, count });
            continue;
        }
        let packet = parts.into_values().collect::<Vec<_>>().concat();
        if checksum(&packet) == key.checksum {
            return Ok(Some(packet));
        }
        error.get_or_insert(JoinError::Checksum);
    }
    error.map_or(Ok(None), Err)
}

fn header(fragment: &[u8]) -> Result<(Key, u16, &[u8]), JoinError> {
    let mut input = Fields(fragment);
    match input.take() {
        Some([VERSION]) => {}
        Some([version]) => return Err(JoinError::Version(version)),
        None => return Err(JoinError::Header),
    }
    if fragment.len() < HEADER - UUID.len() {
        return Err(JoinError::Header);
    }
    let sequence = u32::from_be_bytes(input.bytes());
    let [index, count] = std::array::from_fn(|_| u16::from_be_bytes(input.bytes()));
    let checksum = u32::from_be_bytes(input.bytes());
    if index >= count {
        return Err(JoinError::Header);
    }
    Ok((Key { sequence, count, checksum }, index, input.0))
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
