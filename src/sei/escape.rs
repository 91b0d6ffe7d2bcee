//! Emulation prevention: inside a NAL unit no three bytes may look like a start code.

/// Appends bytes with a 3 before each byte of 0..=3 that follows two zeros, those at the end of `out` counted.
///
/// A NAL unit must not end with a zero: something else must follow bytes that do.
pub fn append(bytes: &[u8], out: &mut Vec<u8>) {
    let mut zeros = out.iter().rev().take_while(|&&b| b == 0).count();
    out.reserve(bytes.len());
    for &byte in bytes {
        if zeros >= 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        out.push(byte);
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
}

/// The bytes as they were before [`append`].
pub fn removed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut zeros = 0;
    for &byte in bytes {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        out.push(byte);
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
    out
}
