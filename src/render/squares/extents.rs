//! Where parts lie, and which levels cross them.

use std::ops::Range;

use super::row::Row;
use super::{LEVELS, line, value};
use crate::person::PARTS;
use crate::render::bits;
use crate::simd::vectorised;

/// By part; those that do not show have none.
#[derive(Debug, Default)]
pub(super) struct Extents([Option<Extent>; PARTS as usize + 1]);

/// Where squares of a part may begin, and its values. A part of one row or one column has no squares.
#[derive(Clone, Debug)]
struct Extent {
    columns: Range<usize>,
    rows: Range<usize>,
    /// Smallest and largest bytes of U and V.
    bytes: [(u8, u8); 2],
    /// Levels that cross them.
    levels: [Range<usize>; 2],
}

impl Extents {
    pub fn clear(&mut self) {
        self.0.fill(None);
    }

    /// Widens them by row `y`, after those above it.
    pub fn add(&mut self, y: usize, row: &Row) {
        let mut start = 0;
        for end in bits::positions(&row.borders).map(|last| last + 1).chain([row.part.len()]) {
            let run = start..end;
            start = end;
            let part = row.part[run.start];
            // Rows have no other parts than those that are shown.
            let Some(extent) = self.0.get_mut(usize::from(part)).filter(|_| part > 0) else { continue };
            let columns = run.start..run.end - 1;
            let new = Extent { columns: columns.clone(), rows: y..y, bytes: [(255, 0); 2], levels: [0..0, 0..0] };
            let extent = extent.get_or_insert(new);
            extent.columns = extent.columns.start.min(columns.start)..extent.columns.end.max(columns.end);
            extent.rows.end = y;
            for (bytes, range) in row.bytes.iter().zip(&mut extent.bytes) {
                widen(&bytes[run.clone()], range);
            }
        }
    }

    /// After the last row: finds the levels that cross parts.
    pub fn finish(&mut self, levels: &[f64; LEVELS]) {
        for extent in self.0.iter_mut().flatten() {
            let below = |byte: u8| levels.iter().filter(|&&level| level < value(byte)).count();
            let reached = |byte: u8| levels.iter().filter(|&&level| level <= value(byte)).count();
            extent.levels = extent.bytes.map(|(min, max)| below(min)..reached(max));
        }
    }

    /// By level, the line that comes last in a square whose corners are of these parts, 0 where none may.
    #[inline(always)]
    pub fn lines(&self, coordinate: usize, (x, y): (usize, usize), parts: [u8; 4]) -> [u16; LEVELS] {
        let mut lines = [0; LEVELS];
        for (k, part) in parts.into_iter().enumerate() {
            if k > 0 && part == parts[k - 1] {
                continue;
            }
            if let Some(Some(extent)) = self.0.get(usize::from(part))
                && extent.columns.contains(&x)
                && extent.rows.contains(&y)
            {
                let levels = &extent.levels[coordinate];
                for (k, last) in lines.iter_mut().enumerate() {
                    let own = if levels.contains(&k) { line(coordinate, part, k) } else { 0 };
                    *last = own.max(*last);
                }
            }
        }
        lines
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
