//! A row of squares' corners.

use super::Reached;
use crate::person::IuvMap;
use crate::render::bits;
use crate::render::parts::Parts;
use crate::render::planes::split;
use crate::simd::vectorised;

/// Parts, and for U and V the bytes and the number of levels that they reach.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub part: Vec<u8>,
    pub bytes: [Vec<u8>; 2],
    pub levels: [Vec<u8>; 2],
    /// Corners whose right neighbour is of another part.
    pub borders: Vec<u64>,
    /// Corners whose right neighbour reaches another number of levels.
    pub steps: [Vec<u64>; 2],
}

impl Row {
    pub fn fill(&mut self, map: &IuvMap, y: usize, parts: Parts, reached: &Reached) {
        let Self { part, bytes: [u, v], levels, borders, steps } = self;
        for row in [&mut *part, &mut *u, &mut *v] {
            row.resize(map.width(), 0);
        }
        // detectron2's arrays hold nothing on the background.
        split(map.row(y).as_chunks().0, parts, part, u, v);
        for (levels, bytes) in levels.iter_mut().zip([u, v]) {
            levels.resize(map.width(), 0);
            count(reached, bytes, levels);
        }
        let rows = [&*part, &levels[0], &levels[1]];
        for (row, out) in rows.into_iter().zip(std::iter::once(borders).chain(steps)) {
            out.resize(bits::words(map.width()), 0);
            bits::differ(row, row.get(1..).unwrap_or(&[]), out);
        }
    }

    #[inline(always)]
    pub fn pixel(&self, x: usize) -> [u8; 3] {
        [self.part[x], self.bytes[0][x], self.bytes[1][x]]
    }
}

vectorised! {
    /// Counts the levels that bytes reach.
    fn count(reached: &Reached, bytes: &[u8], levels: &mut [u8]) {
        for (level, byte) in levels.iter_mut().zip(bytes) {
            let mut count = 1;
            for smallest in reached {
                count += u8::from(byte >= smallest);
            }
            *level = count;
        }
    }
}
