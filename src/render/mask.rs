//! The pixels of some of a person's parts, and those around them.

use std::ops::Range;

use super::hide::Covered;
use super::parts::Parts;
use crate::person::Person;

/// A part of the picture in which every pixel is covered or not.
#[derive(Debug, Default)]
pub(super) struct Mask {
    columns: Range<usize>,
    rows: Range<usize>,
    bytes: Vec<u8>,
    /// Bytes for samples that cover several pixels.
    reduced: Vec<u8>,
    /// For each column the rows since the last covered pixel.
    since: Vec<usize>,
}

impl Mask {
    /// Covers the pixels of a person's parts and all within `margin` to the sides, above and below, in a picture of
    /// `size`. Parts outside the picture count as far as their margin reaches into it.
    pub fn cover(&mut self, person: &Person, parts: Parts, margin: usize, (width, height): (usize, usize)) {
        let reach = margin as i64;
        let (x, y) = (i64::from(person.x), i64::from(person.y));
        // Where the person may be, seen from `margin` outside of the picture's corner: nothing further out matters.
        let span = |start: i64, length: usize, limit: usize| {
            let end = start.saturating_add(i64::try_from(length).unwrap_or(i64::MAX));
            let cut = |v: i64| (v.saturating_add(reach)).clamp(0, limit as i64 + 2 * reach) as usize;
            cut(start.saturating_sub(reach))..cut(end.saturating_add(reach))
        };
        let (columns, rows) = (span(x, person.width(), width), span(y, person.height(), height));
        let stride = columns.len();
        self.bytes.clear();
        self.bytes.resize(stride * rows.len(), 0);
        if self.bytes.is_empty() {
            (self.columns, self.rows) = (0..0, 0..0);
            return;
        }
        for (row, bytes) in rows.clone().zip(self.bytes.chunks_mut(stride)) {
            let map_y = row as i64 - reach - y;
            let Some(map_y) = usize::try_from(map_y).ok().filter(|&y| y < person.height()) else { continue };
            let pixels = person.iuv.row(map_y).as_chunks::<3>().0;
            let first = columns.start as i64 - reach - x;
            // Either the person begins right of the window's edge, or the window right of the person's.
            let (skip, start) = (usize::try_from(-first).unwrap_or(0), usize::try_from(first).unwrap_or(0));
            for (byte, pixel) in bytes.iter_mut().skip(skip).zip(pixels.iter().skip(start)) {
                *byte = u8::from(parts.contains(pixel[0]));
            }
            widen(bytes, margin);
        }
        self.heighten(stride, margin);
        self.crop(columns, rows, margin, (width, height));
    }

    /// Spreads what is covered up and down.
    fn heighten(&mut self, stride: usize, margin: usize) {
        let rows = self.bytes.len() / stride;
        let Self { bytes, since, .. } = self;
        let mut pass = |order: &mut dyn Iterator<Item = usize>| {
            since.clear();
            since.resize(stride, usize::MAX);
            for row in order {
                for (byte, since) in bytes[row * stride..][..stride].iter_mut().zip(&mut *since) {
                    // 1 is covered from the start or from the side, 2 by the other pass.
                    *since = if *byte == 1 { 0 } else { since.saturating_add(1) };
                    if *byte == 0 && *since <= margin {
                        *byte = 2;
                    }
                }
            }
        };
        pass(&mut (0..rows));
        pass(&mut (0..rows).rev());
    }

    /// Cuts away what lies outside the picture.
    fn crop(&mut self, columns: Range<usize>, rows: Range<usize>, margin: usize, (width, height): (usize, usize)) {
        let inside = |range: &Range<usize>, limit: usize| {
            let cut = |v: usize| v.clamp(margin, limit + margin) - margin;
            cut(range.start)..cut(range.end)
        };
        let stride = columns.len();
        (self.columns, self.rows) = (inside(&columns, width), inside(&rows, height));
        if self.columns.is_empty() || self.rows.is_empty() {
            return self.bytes.clear();
        }
        let (left, top) = (self.columns.start + margin - columns.start, self.rows.start + margin - rows.start);
        let kept = self.columns.len();
        for row in 0..self.rows.len() {
            let start = (top + row) * stride + left;
            self.bytes.copy_within(start..start + kept, row * kept);
        }
        self.bytes.truncate(kept * self.rows.len());
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.iter().all(|&b| b == 0)
    }

    /// The samples that have a covered pixel, where one sample is for `1 << shift` pixels across and down.
    pub fn samples(&mut self, (shift_x, shift_y): (u32, u32)) -> Covered<'_> {
        let (left, top) = (self.columns.start >> shift_x, self.rows.start >> shift_y);
        let width = ((self.columns.end - 1) >> shift_x) + 1 - left;
        if (shift_x, shift_y) == (0, 0) {
            return Covered { left, top, width, bytes: &self.bytes };
        }
        let height = ((self.rows.end - 1) >> shift_y) + 1 - top;
        self.reduced.clear();
        self.reduced.resize(width * height, 0);
        for (y, row) in self.rows.clone().zip(self.bytes.chunks(self.columns.len())) {
            let samples = &mut self.reduced[((y >> shift_y) - top) * width..][..width];
            for (x, &byte) in self.columns.clone().zip(row) {
                samples[(x >> shift_x) - left] |= byte;
            }
        }
        Covered { left, top, width, bytes: &self.reduced }
    }
}

/// Spreads what is covered left and right.
fn widen(row: &mut [u8], margin: usize) {
    let pass = |bytes: &mut dyn Iterator<Item = &mut u8>| {
        let mut since = usize::MAX;
        for byte in bytes {
            since = if *byte == 1 { 0 } else { since.saturating_add(1) };
            if *byte == 0 && since <= margin {
                *byte = 2;
            }
        }
    };
    pass(&mut row.iter_mut());
    pass(&mut row.iter_mut().rev());
    row.iter_mut().for_each(|b| *b = u8::from(*b != 0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::IuvMap;

    #[test]
    fn a_mask_is_all_within_the_margin() {
        let (width, height) = (23, 17);
        // Parts strewn over a box that reaches out of the picture on all sides in turn.
        for (x, y, w, h) in
            [(3, 4, 9, 8), (-7, -5, 12, 9), (15, 11, 20, 20), (-30, 3, 100, 4), (-9, -9, 8, 8), (60, 0, 4, 4)]
        {
            for margin in [2, 3, 7] {
                let pixel = |i: usize| [if i * 7919 % 31 == 3 { 23 } else { (i % 22) as u8 }, 0, 0];
                let data = (0..w * h).flat_map(pixel).collect();
                let person = Person { id: 0, score: 1.0, x, y, iuv: IuvMap::new(w, h, data).unwrap() };
                let parts: Parts = "23".parse().unwrap();
                let mut mask = Mask::default();
                mask.cover(&person, parts, margin, (width, height));
                let near = |px: usize, py: usize| {
                    (0..w * h).any(|i| {
                        let (cx, cy) = (x + (i % w) as i32, y + (i / w) as i32);
                        let reach = (cx - px as i32).abs().max((cy - py as i32).abs());
                        person.iuv.pixel(i % w, i / w)[0] == 23 && reach <= margin as i32
                    })
                };
                let (columns, rows) = (mask.columns.clone(), mask.rows.clone());
                for (px, py) in (0..height).flat_map(|py| (0..width).map(move |px| (px, py))) {
                    let inside = columns.contains(&px) && rows.contains(&py);
                    let got = inside && mask.bytes[(py - rows.start) * columns.len() + px - columns.start] != 0;
                    assert_eq!(got, near(px, py), "{px}, {py} of box {x}, {y}, margin {margin}");
                }
                if !mask.is_empty() {
                    let covered = mask.samples((1, 1));
                    for (px, py) in (0..height).flat_map(|py| (0..width).map(move |px| (px, py))) {
                        if near(px, py) {
                            let at = (py / 2 - covered.top) * covered.width + px / 2 - covered.left;
                            assert_ne!(covered.bytes[at], 0, "{px}, {py}");
                        }
                    }
                }
            }
        }
    }
}
