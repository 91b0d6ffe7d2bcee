//! Where squares lie in the box, along one of its sides.

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
    /// By square: from which share of it on points lie in the pixel in which it ends; not a number where there are more
    /// than two pixels.
    flips: Vec<f64>,
    /// The squares that are not plain.
    uneven: Vec<u64>,
}

impl Grid {
    pub fn fill(&mut self, start: i32, side: usize) {
        let squares = side.saturating_sub(1);
        (self.start, self.side, self.length) = (f64::from(start), side as f64, 1.0 / squares as f64);
        let (mut pixels, mut flips) = (std::mem::take(&mut self.pixels), std::mem::take(&mut self.flips));
        pixels.clear();
        flips.clear();
        for square in 0..squares {
            let ends @ [first, last] = [0.0, 1.0].map(|share| self.pixel(square, share));
            pixels.push(ends);
            flips.push(match last - first {
                0 => f64::INFINITY,
                1 => self.find_flip(square, first),
                _ => f64::NAN,
            });
        }
        self.uneven.clear();
        self.uneven.resize(bits::words(side), 0);
        for square in 0..squares {
            let next = pixels.get(square + 1).map(|ends| ends[0]);
            if flips[square].is_nan() || next != Some(pixels[square][1]) {
                self.uneven[square / 64] |= 1 << (square % 64);
            }
        }
        (self.pixels, self.flips) = (pixels, flips);
    }

    /// The pixel of the box at a share of a square, cut to whole pixels of the picture.
    pub fn pixel(&self, square: usize, share: f64) -> i32 {
        let share = square as f64 / (self.side - 1.0) + share * self.length;
        ((self.start + share * self.side) as i64 - self.start as i64) as i32
    }

    /// The smallest share of a square, to the last bit, that is not in its first pixel.
    fn find_flip(&self, square: usize, first: i32) -> f64 {
        let beyond = |share: f64| self.pixel(square, share) > first;
        let guess = (f64::from(first + 1) / self.side - square as f64 / (self.side - 1.0)) / self.length;
        let (low, high) = (guess - 1e-10, guess + 1e-10);
        let near = low > 0.0 && high < 1.0 && !beyond(low) && beyond(high);
        let (low, high) = if near { (low, high) } else { (0.0, 1.0) };
        let (mut low, mut high) = (low.to_bits(), high.to_bits());
        while high - low > 1 {
            let middle = low.midpoint(high);
            *(if beyond(f64::from_bits(middle)) { &mut high } else { &mut low }) = middle;
        }
        f64::from_bits(high)
    }

    /// Pixels of the box in which a square begins and ends.
    pub fn ends(&self, square: usize) -> [i32; 2] {
        self.pixels[square]
    }

    /// From which share of a plain square on points lie in the pixel in which it ends.
    #[inline(always)]
    pub fn flip(&self, square: usize) -> f64 {
        self.flips[square]
    }

    /// Where a plain square begins.
    #[inline(always)]
    pub fn first(&self, square: usize) -> usize {
        self.pixels[square][0] as usize
    }

    /// The squares, one bit for each, that are not plain: they end more than one pixel further on than they begin, or
    /// elsewhere than the next one begins, as does the last one, after which none comes.
    pub fn uneven(&self) -> &[u64] {
        &self.uneven
    }

    /// Whether a square is plain.
    pub fn is_plain(&self, square: usize) -> bool {
        self.uneven[square / 64] >> (square % 64) & 1 == 0
    }
}
