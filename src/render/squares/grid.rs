//! Where squares lie along one side of the box, and into which pixels lines' ends fall.

use super::{level, value};
use crate::render::bits;

/// The corners of squares along one side of the box.
#[derive(Debug, Default)]
pub(super) struct Grid {
    /// Where the box begins in the picture, and how many pixels it has.
    start: f64,
    side: f64,
    /// A square's length as a share of the box.
    length: f64,
    /// By square: pixels of the box in which it begins and ends.
    pixels: Vec<[i32; 2]>,
    /// By plain square: the share of it at which its second pixel begins, but for the last bits of a number.
    borders: Vec<f64>,
    /// What last bits may make of a border, in levels.
    tolerance: f64,
    /// The squares that are not plain.
    uneven: Vec<u64>,
}

/// Added to numbers of up to 51 bits, this leaves whole ones.
const WHOLE: f64 = 3.0 * (1_u64 << 51) as f64;

/// Levels, one bit for each.
pub(super) type Levels = u16;

impl Grid {
    pub fn fill(&mut self, start: i32, side: usize) {
        let squares = side.saturating_sub(1);
        (self.start, self.side, self.length) = (f64::from(start), side as f64, 1.0 / squares as f64);
        self.tolerance = 1e-13 * (self.start.abs() + self.side);
        let mut pixels = std::mem::take(&mut self.pixels);
        pixels.clear();
        pixels.extend((0..squares).map(|square| [0.0, 1.0].map(|share| self.pixel(square, share))));
        self.borders.clear();
        self.uneven.clear();
        self.uneven.resize(bits::words(side), 0);
        for (square, &[first, last]) in pixels.iter().enumerate() {
            let next = pixels.get(square + 1).map(|ends| ends[0]);
            if last - first > 1 || next != Some(last) {
                self.uneven[square / 64] |= 1 << (square % 64);
            }
            // Cut off means down from 0 on, and up below.
            let border = f64::from(first) + if self.start + f64::from(first) < 0.0 { 0.0 } else { 1.0 };
            self.borders.push((border / self.side - square as f64 * self.length) / self.length);
        }
        self.pixels = pixels;
    }

    /// The pixel of the box at a share of a square, cut to whole pixels of the picture.
    pub fn pixel(&self, square: usize, share: f64) -> i32 {
        let share = square as f64 / (self.side - 1.0) + share * self.length;
        ((self.start + share * self.side) as i64 - self.start as i64) as i32
    }

    /// Pixels of the box in which a square begins and ends.
    #[inline(always)]
    pub fn ends(&self, square: usize) -> [usize; 2] {
        let [first, last] = self.pixels[square];
        [first as usize, last as usize]
    }

    /// The squares, one bit for each, that are not plain: they end more than one pixel further on than they begin, or
    /// elsewhere than the next one begins, as does the last one, after which none comes.
    pub fn uneven(&self) -> &[u64] {
        &self.uneven
    }

    pub fn is_plain(&self, square: usize) -> bool {
        self.uneven[square / 64] >> (square % 64) & 1 == 0
    }

    /// The levels that cross a side of a plain square in the pixel in which it begins, and those in the pixel in which
    /// it ends. Given are the bytes at the side's ends, and how many levels these reach.
    #[inline(always)]
    pub fn crossings(&self, square: usize, (a, reached_a): (u8, u8), (b, reached_b): (u8, u8)) -> [Levels; 2] {
        let crossing = (1_u32 << reached_a).abs_diff(1 << reached_b) as Levels;
        // In levels, of which one is as much as 255 / 9.
        let (from, by) = (f64::from(a), f64::from(i32::from(b) - i32::from(a)));
        let border = (from + self.borders[square] * by) * (9.0 / 255.0);
        // The nearest level, as the lowest bits of a number that has none for fractions.
        let shifted = border + WHOLE;
        let (nearest, k) = (shifted - WHOLE, shifted.to_bits() as u32 & 15);
        if crossing >> k & 1 == 1 && (border - nearest).abs() <= self.tolerance {
            return self.close_crossings(square, [a, b], crossing);
        }
        let lower = crossing & ((1_u32 << (k + u32::from(nearest < border))) - 1) as Levels;
        let higher = crossing ^ lower;
        if a < b { [lower, higher] } else { [higher, lower] }
    }

    /// The same where last bits decide.
    #[cold]
    fn close_crossings(&self, square: usize, [a, b]: [u8; 2], crossing: Levels) -> [Levels; 2] {
        let first = self.pixels[square][0];
        let share = |k: usize| (level(k) - value(a)) / (value(b) - value(a));
        let beyond = |k: &usize| crossing >> k & 1 == 1 && self.pixel(square, share(*k)) > first;
        let beyond = (0..super::LEVELS).filter(beyond).fold(0, |levels, k| levels | 1 << k);
        [crossing & !beyond, beyond]
    }
}
