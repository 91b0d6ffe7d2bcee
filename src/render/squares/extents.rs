//! Where parts lie, and which levels cross them.

use super::grid::Levels;
use super::row::Row;
use super::{LEVELS, level, value};
use crate::person::PARTS;
use crate::render::bits;
use crate::simd::vectorised;

/// By part, with room for every byte's lowest bits.
#[derive(Debug)]
pub(super) struct Extents([Extent; PARTS.next_power_of_two() as usize]);

/// Where a part lies, and its values.
#[derive(Clone, Debug)]
struct Extent {
    /// First and last ones.
    columns: (usize, usize),
    rows: (usize, usize),
    /// Smallest and largest bytes of U and V.
    bytes: [(u8, u8); 2],
    /// Levels that cross U and V.
    levels: [Levels; 2],
}

impl Extent {
    const NONE: Self = Self { columns: (usize::MAX, 0), rows: (usize::MAX, 0), bytes: [(255, 0); 2], levels: [0; 2] };
}

impl Default for Extents {
    fn default() -> Self {
        Self([const { Extent::NONE }; _])
    }
}

impl Extents {
    pub fn clear(&mut self) {
        self.0.fill(Extent::NONE);
    }

    /// Widens them by row `y`.
    pub fn add(&mut self, y: usize, row: &Row) {
        let mut start = 0;
        for end in bits::positions(&row.borders).map(|last| last + 1).chain([row.part.len()]) {
            let run = start..end;
            start = end;
            // Rows have no other parts than those that are shown.
            let part = usize::from(row.part[run.start]);
            if part == 0 {
                continue;
            }
            let extent = &mut self.0[part % self.0.len()];
            extent.columns = (extent.columns.0.min(run.start), extent.columns.1.max(run.end - 1));
            extent.rows = (extent.rows.0.min(y), extent.rows.1.max(y));
            for (bytes, range) in row.bytes.iter().zip(&mut extent.bytes) {
                widen(&bytes[run.clone()], range);
            }
        }
    }

    /// After the last row: finds the levels that cross parts.
    pub fn finish(&mut self) {
        for extent in &mut self.0 {
            let crosses = |k: &usize, (min, max): (u8, u8)| value(min) <= level(*k) && level(*k) <= value(max);
            let levels =
                |range: (u8, u8)| (0..LEVELS).filter(|k| crosses(k, range)).fold(0, |levels, k| levels | 1 << k);
            extent.levels = extent.bytes.map(levels);
        }
    }

    /// The levels of U and of V that are drawn in a square for one of the parts of its corners.
    #[inline(always)]
    pub fn levels(&self, part: u8, [x, y]: [usize; 2]) -> [Levels; 2] {
        let Extent { columns, rows, levels: [u, v], .. } = &self.0[usize::from(part) % self.0.len()];
        // Without branches. No square begins in the last column or row.
        let inside = (columns.0 <= x) & (x < columns.1) & (rows.0 <= y) & (y < rows.1);
        let mask = Levels::from(inside).wrapping_neg();
        [u & mask, v & mask]
    }
}

vectorised! {
    /// Widens a range to hold all bytes.
    fn widen(bytes: &[u8], range: &mut (u8, u8)) {
        let (mut min, mut max) = *range;
        for &byte in bytes {
            (min, max) = (min.min(byte), max.max(byte));
        }
        *range = (min, max);
    }
}
