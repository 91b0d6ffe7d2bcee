//! A ZIP archive written front to back, with the ZIP64 records that large ones need.

use std::io::Write;

use flate2::Crc;
use flate2::write::DeflateEncoder;

const VERSION: u16 = 45;
const UTF8_NAMES: u16 = 0x0800;
/// The first of January 1980: files do not depend on when they were written.
const DATE: u16 = 0x21;

/// Data that is compressed as it comes.
pub struct Deflated {
    encoder: DeflateEncoder<Vec<u8>>,
    crc: Crc,
    size: u64,
}

impl Default for Deflated {
    fn default() -> Self {
        Self { encoder: DeflateEncoder::new(Vec::new(), flate2::Compression::fast()), crc: Crc::new(), size: 0 }
    }
}

impl Deflated {
    pub fn push(&mut self, data: &[u8]) {
        self.crc.update(data);
        self.size += data.len() as u64;
        // Writing to memory does not fail.
        let _ = self.encoder.write_all(data);
    }
}

/// The archive's directory so far.
#[derive(Default)]
pub struct Zip {
    offset: u64,
    directory: Vec<u8>,
    entries: u64,
}

/// A number in the 32 bits that ZIP had first; all ones say that the ZIP64 field has it.
fn narrow(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The ZIP64 field with the numbers that did not fit, if any.
fn wide(numbers: &[u64]) -> Vec<u8> {
    let large: Vec<u8> = numbers.iter().filter(|n| narrow(**n) == u32::MAX).flat_map(|n| n.to_le_bytes()).collect();
    if large.is_empty() {
        return large;
    }
    [&1u16.to_le_bytes()[..], &(large.len() as u16).to_le_bytes(), &large].concat()
}

/// Compression methods.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Where stored data may begin: programs map it into memory as numbers.
const ALIGNMENT: u64 = 64;
/// The header of a local file without its name and extra field.
const LOCAL_HEADER: u64 = 30;

/// An extra field that nobody reads, after which data that would begin at `place` is aligned.
fn padding(place: u64) -> Vec<u8> {
    const ID: [u8; 2] = *b"FB";
    let length = (ALIGNMENT - (place + 4) % ALIGNMENT) % ALIGNMENT;
    let mut field = ID.to_vec();
    field.extend((length as u16).to_le_bytes());
    field.resize(4 + length as usize, 0);
    field
}

impl Zip {
    /// Appends a file, compressed.
    pub fn add(&mut self, name: &str, data: Deflated, out: &mut Vec<u8>) {
        let (size, crc) = (data.size, data.crc.sum());
        let packed = data.encoder.finish().unwrap_or_default();
        self.append(name, DEFLATED, size, crc, &packed, out);
    }

    /// Appends a file as it is.
    pub fn store(&mut self, name: &str, data: &[u8], out: &mut Vec<u8>) {
        let mut crc = Crc::new();
        crc.update(data);
        self.append(name, STORED, data.len() as u64, crc.sum(), data, out);
    }

    fn append(&mut self, name: &str, method: u16, size: u64, crc: u32, packed: &[u8], out: &mut Vec<u8>) {
        let packed_size = packed.len() as u64;
        let start = out.len();
        let common = |extra: &[u8]| {
            let mut header = Vec::new();
            for n in [VERSION, UTF8_NAMES, method, 0, DATE] {
                header.extend(n.to_le_bytes());
            }
            for n in [crc, narrow(packed_size), narrow(size)] {
                header.extend(n.to_le_bytes());
            }
            for n in [name.len(), extra.len()] {
                header.extend((n as u16).to_le_bytes());
            }
            header
        };
        let mut extra = wide(&[size, packed_size]);
        if method == STORED {
            extra.extend(padding(self.offset + LOCAL_HEADER + (name.len() + extra.len()) as u64));
        }
        for bytes in [b"PK\x03\x04", &common(&extra)[..], name.as_bytes(), &extra, packed] {
            out.extend_from_slice(bytes);
        }
        let extra = wide(&[size, packed_size, self.offset]);
        let (made_by, rest) = (VERSION.to_le_bytes(), [0; 10]);
        let offset = narrow(self.offset).to_le_bytes();
        for bytes in [b"PK\x01\x02", &made_by[..], &common(&extra), &rest, &offset, name.as_bytes(), &extra] {
            self.directory.extend_from_slice(bytes);
        }
        self.offset += (out.len() - start) as u64;
        self.entries += 1;
    }

    /// Appends the directory, which ends the archive.
    pub fn finish(self, out: &mut Vec<u8>) {
        let (entries, size, offset) = (self.entries, self.directory.len() as u64, self.offset);
        out.extend(self.directory);
        out.extend(b"PK\x06\x06");
        out.extend(44u64.to_le_bytes());
        out.extend([VERSION.to_le_bytes(); 2].concat());
        out.extend([0; 8]);
        for n in [entries, entries, size, offset] {
            out.extend(n.to_le_bytes());
        }
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend((offset + size).to_le_bytes());
        out.extend(1u32.to_le_bytes());
        out.extend(b"PK\x05\x06\0\0\0\0");
        let entries = u16::try_from(entries).unwrap_or(u16::MAX);
        out.extend([entries.to_le_bytes(); 2].concat());
        out.extend(narrow(size).to_le_bytes());
        out.extend(narrow(offset).to_le_bytes());
        out.extend([0; 2]);
    }
}
