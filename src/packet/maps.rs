//! The map of a person as the bytes that are then compressed, see the [module above](super).

use std::io::{self, Read};

use crate::person::{IuvMap, PARTS};

/// Appends a map.
pub fn write(iuv: &IuvMap, precision: u8, out: &mut Vec<u8>) {
    let mut map = Map::quantised(iuv, precision);
    let pixels = map.data.len() / 3;
    out.reserve(pixels * 2);
    for i in 0..pixels {
        let above = if i < map.width { 0 } else { map.data[(i - map.width) * 3] };
        out.push(map.data[i * 3] ^ above);
    }
    for channel in [1, 2] {
        // Writing into memory cannot fail.
        let _ = map.predict(channel, |value, prediction| {
            out.push(value.wrapping_sub(prediction));
            io::Result::Ok(*value)
        });
    }
}

/// A map with U and V at a precision; 0 in background.
pub struct Map {
    width: usize,
    /// Interleaved I, U, V.
    data: Vec<u8>,
    /// Largest value of U and V.
    max: u8,
}

impl Map {
    fn quantised(iuv: &IuvMap, precision: u8) -> Self {
        let max = largest(precision);
        let table: [u8; 256] = std::array::from_fn(|v| ((v * usize::from(max) * 2 + 255) / 510) as u8);
        let mut data = iuv.data().to_vec();
        for pixel in data.as_chunks_mut().0 {
            *pixel = match *pixel {
                [part @ 1..=PARTS, u, v] => [part, table[usize::from(u)], table[usize::from(v)]],
                _ => [0; 3],
            }
        }
        Self { width: iuv.width(), data, max }
    }

    /// Reads what [`write`] wrote.
    pub fn read(width: usize, height: usize, precision: u8, stream: &mut impl Read) -> io::Result<IuvMap> {
        let max = largest(precision);
        let mut parts = vec![0; width * height];
        stream.read_exact(&mut parts)?;
        for i in width..parts.len() {
            parts[i] ^= parts[i - width];
        }
        if parts.iter().any(|&part| part > PARTS) {
            return Err(invalid("a body part above 24"));
        }
        let data = parts.iter().flat_map(|&part| [part, 0, 0]).collect();
        let mut map = Self { width, data, max };
        let coded = parts.iter().filter(|&&part| part != 0).count();
        drop(parts);
        let mut residuals = vec![0; coded];
        for channel in [1, 2] {
            stream.read_exact(&mut residuals)?;
            let mut next = residuals.iter();
            map.predict(channel, |_, prediction| {
                let value = next.next().map_or(0, |r| prediction.wrapping_add(*r));
                if value <= max { Ok(value) } else { Err(invalid("a coordinate beyond the precision")) }
            })?;
        }
        let max = usize::from(max);
        let table: [u8; 256] = std::array::from_fn(|q| ((q * 510 + max) / (2 * max)).min(255) as u8);
        for [_, u, v] in map.data.as_chunks_mut().0 {
            (*u, *v) = (table[usize::from(*u)], table[usize::from(*v)]);
        }
        IuvMap::new(width, height, map.data).map_err(|e| invalid(&e.to_string()))
    }

    /// Calls `code` with each coordinate of the body and its prediction, and sets the coordinate to what it returns.
    fn predict(&mut self, channel: usize, mut code: impl FnMut(&u8, u8) -> io::Result<u8>) -> io::Result<()> {
        if self.width == 0 {
            return Ok(());
        }
        let row = self.width * 3;
        let mut last = [0; PARTS as usize + 1];
        for start in (0..self.data.len()).step_by(row) {
            for i in (start..start + row).step_by(3) {
                let part = self.data[i];
                if part == 0 {
                    continue;
                }
                let same = |exists: bool, back: usize| {
                    (exists && self.data[i - back] == part).then(|| i16::from(self.data[i - back + channel]))
                };
                let (left, above) = (same(i > start, 3), same(start > 0, row));
                let prediction = match (left, above) {
                    (Some(left), Some(above)) => match same(true, row + 3) {
                        Some(corner) => (left + above - corner).clamp(0, i16::from(self.max)) as u8,
                        None => ((left + above) / 2) as u8,
                    },
                    (Some(one), None) | (None, Some(one)) => one as u8,
                    (None, None) => last[usize::from(part)],
                };
                let value = code(&self.data[i + channel], prediction)?;
                self.data[i + channel] = value;
                last[usize::from(part)] = value;
            }
        }
        Ok(())
    }
}

fn largest(precision: u8) -> u8 {
    u8::MAX >> (8 - precision)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
