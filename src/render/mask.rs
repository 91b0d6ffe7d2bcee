//! The pixels of some of a person's parts, and those around them.

use std::ops::Range;

use super::bits;
use super::parts::Parts;
use crate::person::Person;

/// A part of the picture in which every pixel is covered or not.
#[derive(Debug, Default)]
pub(super) struct Mask {
    /// Of the picture.
    pub columns: Range<usize>,
    pub rows: Range<usize>,
    /// What of the picture and of the margin around it is looked at, counted from the margin's corner on.
    window: (Range<usize>, Range<usize>),
    margin: usize,
    /// The window's rows.
    bits: Vec<u64>,
    /// The rows of the person's map.
    map: Vec<u64>,
    /// The rows of one sample.
    row: Vec<u64>,
}

impl Mask {
    /// Looks for the pixels of a person's parts, and counts them.
    pub fn find(&mut self, person: &Person, parts: Parts) -> usize {
        let stride = bits::words(person.width());
        self.map.resize(stride * person.height(), 0);
        for (y, row) in self.map.chunks_mut(stride.max(1)).enumerate() {
            bits::pack(person.iuv.row(y).as_chunks().0, parts, row);
        }
        self.map.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Covers the pixels that were found and all within `margin` to the sides, above and below, in a picture of `size`.
    /// Parts outside the picture count as far as their margin reaches into it.
    pub fn cover(&mut self, person: &Person, margin: usize, (width, height): (usize, usize)) {
        let reach = margin as i64;
        let (x, y) = (i64::from(person.x), i64::from(person.y));
        // Where the person may be, seen from `margin` outside of the picture's corner: nothing further out matters.
        let span = |start: i64, length: usize, limit: usize| {
            let end = start.saturating_add(i64::try_from(length).unwrap_or(i64::MAX));
            let cut = |v: i64| (v.saturating_add(reach)).clamp(0, limit as i64 + 2 * reach) as usize;
            cut(start.saturating_sub(reach))..cut(end.saturating_add(reach))
        };
        let inside = |range: &Range<usize>, limit: usize| {
            let cut = |v: usize| v.clamp(margin, limit + margin) - margin;
            cut(range.start)..cut(range.end)
        };
        let (columns, rows) = (span(x, person.width(), width), span(y, person.height(), height));
        let stride = bits::words(columns.len());
        self.bits.clear();
        self.bits.resize(stride * rows.len(), 0);
        let map_stride = bits::words(person.width());
        let first = columns.start as i64 - reach - x;
        // Either the person begins right of the window's edge, or the window right of the person's.
        let (to, from) = (usize::try_from(-first).unwrap_or(0), usize::try_from(first).unwrap_or(0));
        for (row, bits) in rows.clone().zip(self.bits.chunks_mut(stride.max(1))) {
            let map_y = row as i64 - reach - y;
            let Some(map_y) = usize::try_from(map_y).ok().filter(|&y| y < person.height()) else { continue };
            bits::copy(&self.map[map_y * map_stride..][..map_stride], from, bits, to);
            bits::widen(bits, margin);
        }
        bits::heighten(&mut self.bits, stride, margin);
        (self.columns, self.rows) = (inside(&columns, width), inside(&rows, height));
        self.window = (columns, rows);
        self.margin = margin;
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty() || self.rows.is_empty() || self.bits.iter().all(|&word| word == 0)
    }

    /// Columns and rows of the samples that may have a covered pixel, where one sample is for `1 << shift` pixels
    /// across and down.
    pub fn samples(&self, (shift_x, shift_y): (u32, u32)) -> (Range<usize>, Range<usize>) {
        let samples = |range: &Range<usize>, shift: u32| range.start >> shift..range.end.div_ceil(1 << shift);
        (samples(&self.columns, shift_x), samples(&self.rows, shift_y))
    }

    /// The samples of row `y` that have a covered pixel, as ranges that do not touch each other, into `out`.
    pub fn runs(&mut self, y: usize, (shift_x, shift_y): (u32, u32), out: &mut Vec<Range<usize>>) {
        let stride = bits::words(self.window.0.len());
        let rows = (y << shift_y).max(self.rows.start)..((y + 1) << shift_y).min(self.rows.end);
        self.row.clear();
        self.row.resize(stride, 0);
        for row in rows {
            let start = (row + self.margin - self.window.1.start) * stride;
            self.row.iter_mut().zip(&self.bits[start..]).for_each(|(all, word)| *all |= *word);
        }
        out.clear();
        for run in bits::runs(&self.row) {
            let column = |bit: usize| {
                (bit + self.window.0.start).saturating_sub(self.margin).clamp(self.columns.start, self.columns.end)
            };
            let (start, end) = (column(run.start), column(run.end));
            if start == end {
                continue;
            }
            let (start, end) = (start >> shift_x, end.div_ceil(1 << shift_x));
            match out.last_mut() {
                Some(last) if start <= last.end => last.end = end,
                _ => out.push(start..end),
            }
        }
    }
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
                let area = (0..w * h).filter(|i| person.iuv.pixel(i % w, i / w)[0] == 23).count();
                assert_eq!(mask.find(&person, parts), area);
                mask.cover(&person, margin, (width, height));
                let near = |px: usize, py: usize| {
                    (0..w * h).any(|i| {
                        let (cx, cy) = (x + (i % w) as i32, y + (i / w) as i32);
                        let reach = (cx - px as i32).abs().max((cy - py as i32).abs());
                        person.iuv.pixel(i % w, i / w)[0] == 23 && reach <= margin as i32
                    })
                };
                for shift in [(0, 0), (1, 0), (1, 1), (2, 2)] {
                    let (columns, rows) = mask.samples(shift);
                    let mut runs = Vec::new();
                    for sy in 0..height.div_ceil(1 << shift.1) {
                        let inside = rows.contains(&sy);
                        runs.clear();
                        if inside {
                            mask.runs(sy, shift, &mut runs);
                        }
                        assert!(runs.windows(2).all(|r| r[0].end < r[1].start));
                        for sx in 0..width.div_ceil(1 << shift.0) {
                            let pixels = |s: usize, shift: u32, limit: usize| s << shift..((s + 1) << shift).min(limit);
                            let expected =
                                pixels(sy, shift.1, height).any(|py| pixels(sx, shift.0, width).any(|px| near(px, py)));
                            let got = runs.iter().any(|r| r.contains(&sx));
                            assert_eq!(got, expected, "{sx}, {sy} of box {x}, {y}, margin {margin}, {shift:?}");
                            assert!(!got || columns.contains(&sx));
                        }
                    }
                }
            }
        }
    }
}
