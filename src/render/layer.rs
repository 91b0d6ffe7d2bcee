//! The inks of a few rows, before they meet the picture.

use std::ops::Range;

use super::ink::Ink;

/// As many rows as one chroma sample is high.
#[derive(Debug, Default)]
pub(super) struct Layer {
    width: usize,
    inks: Vec<Ink>,
    /// Columns that may hold ink, in any of the rows.
    touched: Range<usize>,
}

impl Layer {
    /// Makes room for `rows` rows of `width` pixels, all without ink.
    pub fn reset(&mut self, width: usize, rows: usize) {
        self.width = width;
        self.inks.clear();
        self.inks.resize(width * rows, Ink::NONE);
        self.touched = 0..0;
    }

    /// Takes all ink off.
    pub fn clear(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        for row in self.inks.chunks_mut(self.width) {
            row[touched.clone()].fill(Ink::NONE);
        }
    }

    /// Columns that may hold ink.
    pub fn touched(&self) -> Range<usize> {
        self.touched.clone()
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn row(&self, row: usize) -> &[Ink] {
        &self.inks[row * self.width..][..self.width]
    }

    /// The inks to draw on in `columns` of a row; what reaches beyond the picture is cut off.
    pub fn columns(&mut self, row: usize, columns: Range<i64>) -> &mut [Ink] {
        let Range { start, end } = clip(columns, self.width);
        if start < end {
            self.touched = if self.touched.is_empty() {
                start..end
            } else {
                self.touched.start.min(start)..self.touched.end.max(end)
            };
        }
        &mut self.inks[row * self.width..][start..end]
    }
}

/// The part of `range` inside `0..size`; empty, but valid, if there is none.
pub(super) fn clip(range: Range<i64>, size: usize) -> Range<usize> {
    let inside = |v: i64| v.clamp(0, size as i64) as usize;
    let start = inside(range.start);
    start..inside(range.end).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_picture() {
        assert_eq!(clip(-5..3, 10), 0..3);
        assert_eq!(clip(8..30, 10), 8..10);
        assert_eq!(clip(20..30, 10), 10..10);
        assert_eq!(clip(-9..-3, 10), 0..0);
        assert_eq!(clip(i64::MIN..i64::MAX, 10), 0..10);
    }

    #[test]
    fn clearing_takes_all_ink_off() {
        let mut layer = Layer::default();
        layer.reset(8, 2);
        layer.columns(1, 2..4).fill(Ink::new([1, 2, 3], 9));
        layer.columns(0, 6..99).fill(Ink::new([1, 2, 3], 9));
        assert_eq!(layer.touched(), 2..8);
        layer.clear();
        assert!(layer.touched().is_empty());
        assert!((0..2).all(|row| layer.row(row).iter().all(|&i| i == Ink::NONE)));
    }
}
