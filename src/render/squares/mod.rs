//! Lines of equal U and of equal V as detectron2's contour visualizer draws them: marching squares over each part,
//! every square's line by itself, from whole pixel to whole pixel.
//!
//! There, all U lines come before all V lines, parts and levels go up, and what is drawn later covers. Each pixel here
//! keeps the line that would come last. Squares at a part's border count with whatever lies beyond, which outlines it.
//!
//! A line runs from side to side of a square, and in nearly every square its ends are the same pixel or neighbours, so
//! that nothing is to be drawn between them: every side is drawn by itself, once for both of its squares.

mod extents;
mod grid;
mod raster;
mod row;
mod uneven;

use extents::Extents;
use grid::{Grid, Levels};
use raster::Raster;
use row::Row;

use super::bits;
use super::ink::{Ink, Medium, OPAQUE};
use super::parts::Parts;
use super::style::Style;
use crate::person::Person;

const LEVELS: usize = 10;
/// Bits of a line's number that are for the level, from 1 on; those above are for the part, and the uppermost for U or V.
const LEVEL_BITS: usize = 4;
const PART_BITS: usize = 5;

/// Value of level `k`, 0..=1.
fn level(k: usize) -> f64 {
    if k == LEVELS - 1 { 1.0 } else { k as f64 * (1.0 / (LEVELS - 1) as f64) }
}

/// What a byte of U or V stands for.
fn value(byte: u8) -> f64 {
    f64::from(byte) / 255.0
}

/// The number of the last of a part's lines of these levels, 0 if there is none; those with higher numbers cover.
#[inline(always)]
fn last(coordinate: usize, part: u8, levels: Levels) -> u16 {
    let line = ((coordinate << PART_BITS | usize::from(part)) << LEVEL_BITS) as u16;
    if levels == 0 { 0 } else { line | (Levels::BITS - levels.leading_zeros()) as u16 }
}

#[derive(Debug)]
pub(super) struct Squares {
    parts: Parts,
    /// By level, from 1 on.
    inks: [Ink; 1 << LEVEL_BITS],
    /// Number of levels that a byte reaches.
    counts: Box<[u8; 256]>,
    reached: Reached,
}

/// For each level above the first, which every byte reaches, the smallest byte that does.
type Reached = [u8; LEVELS - 1];

/// A person's lines: for every pixel of the box, and of one column and row more.
#[derive(Debug, Default)]
pub(super) struct Lines {
    raster: Raster,
    /// Along columns, along rows.
    grids: [Grid; 2],
    above: Row,
    below: Row,
    extents: Extents,
    /// What differs between the two rows: part, levels of U and of V.
    changes: [Vec<u64>; 3],
    /// Squares of the row above whose sides are drawn.
    uniform: Vec<u64>,
    /// The others that lines cross.
    others: Vec<Square>,
}

/// Column, row, and the corners' pixels, counter-clockwise from the top left one.
#[derive(Debug)]
struct Square {
    x: usize,
    y: usize,
    corners: [[u8; 3]; 4],
}

impl Squares {
    pub fn new(style: &Style, medium: &Medium) -> Self {
        let ink = |k: usize| match k.checked_sub(1) {
            Some(k @ 0..LEVELS) => medium.ink(style.palette.color((level(k) * 255.0) as u8), OPAQUE),
            _ => Ink::NONE,
        };
        let count = |byte: usize| (0..LEVELS).filter(|&k| value(byte as u8) >= level(k)).count() as u8;
        let smallest = |k: usize| (0..=255).find(|&byte| value(byte) >= level(k)).unwrap_or(255);
        Self {
            parts: style.parts,
            inks: std::array::from_fn(ink),
            counts: Box::new(std::array::from_fn(count)),
            reached: std::array::from_fn(|k| smallest(k + 1)),
        }
    }

    /// Finds a person's lines.
    pub fn survey(&self, person: &Person, lines: &mut Lines) {
        let map = &person.iuv;
        let (width, height) = (map.width(), map.height());
        lines.raster.reset(width + 1, height + 1);
        if width < 2 || height < 2 {
            return;
        }
        lines.grids[0].fill(person.x, width);
        lines.grids[1].fill(person.y, height);
        lines.extents.clear();
        lines.others.clear();
        lines.uniform.clear();
        lines.uniform.resize(bits::words(width), 0);
        for y in 0..height {
            std::mem::swap(&mut lines.above, &mut lines.below);
            lines.below.fill(map, y, self.parts, &self.reached);
            lines.extents.add(y, &lines.below);
            if let Some(y) = y.checked_sub(1) {
                self.squares(y, lines);
            }
        }
        lines.extents.finish();
        let Lines { raster, grids, extents, others, .. } = lines;
        others.iter().for_each(|square| self.square(square, extents, grids, raster));
    }

    /// Between two rows: draws the sides of uniform squares, and notes the others that lines cross.
    fn squares(&self, y: usize, lines: &mut Lines) {
        let Lines { raster, grids: [columns, rows], above, below, changes, uniform: uniform_above, others, .. } = lines;
        let (above, below) = (&*above, &*below);
        let squares = above.part.len() - 1;
        let pairs =
            [(&above.part, &below.part), (&above.levels[0], &below.levels[0]), (&above.levels[1], &below.levels[1])];
        for (out, (above, below)) in changes.iter_mut().zip(pairs) {
            out.resize(uniform_above.len(), 0);
            bits::differ(above, below, out);
        }
        let uneven_row = if rows.is_plain(y) { 0 } else { u64::MAX };
        let [top, bottom] = rows.ends(y);
        let mut carried = 0;
        for (k, uniform_above) in uniform_above.iter_mut().enumerate() {
            let either = |bits: &[u64]| bits[k] | bits[k] >> 1 | bits.get(k + 1).map_or(0, |next| next << 63);
            let all = bits::first(squares, k);
            let mixed = above.borders[k] | below.borders[k] | either(&changes[0]);
            let uniform = all & !(mixed | columns.uneven()[k] | uneven_row);
            let (sides, tops) = (uniform | uniform << 1 | carried, uniform | *uniform_above);
            let crossed = |coordinate: usize| {
                above.steps[coordinate][k] | below.steps[coordinate][k] | either(&changes[1 + coordinate])
            };
            others.extend(bits::ones((crossed(0) | crossed(1)) & all & !uniform).map(|bit| {
                let x = 64 * k + bit;
                Square { x, y, corners: [above.pixel(x), below.pixel(x), below.pixel(x + 1), above.pixel(x + 1)] }
            }));
            for coordinate in 0..2 {
                let (bytes, levels) = (&above.bytes[coordinate], &above.levels[coordinate]);
                let (bytes_below, levels_below) = (&below.bytes[coordinate], &below.levels[coordinate]);
                let (steps, changes) = (above.steps[coordinate][k], &changes[1 + coordinate]);
                for x in bits::ones(steps & tops).map(|bit| 64 * k + bit) {
                    let [first, second] = columns.crossings(x, (bytes[x], levels[x]), (bytes[x + 1], levels[x + 1]));
                    let ([left, right], part) = (columns.ends(x), above.part[x]);
                    raster.set(left, top, last(coordinate, part, first));
                    raster.set(right, top, last(coordinate, part, second));
                }
                for x in bits::ones(changes[k] & sides).map(|bit| 64 * k + bit) {
                    let [first, second] = rows.crossings(y, (bytes[x], levels[x]), (bytes_below[x], levels_below[x]));
                    let ([left, _], part) = (columns.ends(x), above.part[x]);
                    raster.set(left, top, last(coordinate, part, first));
                    raster.set(left, bottom, last(coordinate, part, second));
                }
            }
            carried = uniform >> 63;
            *uniform_above = uniform;
        }
    }

    /// Draws the lines through any square.
    fn square(&self, square: &Square, extents: &Extents, grids: &[Grid; 2], raster: &mut Raster) {
        let &Square { x, y, corners } = square;
        let own = |corner: usize| extents.levels(corners[corner][0], [x, y]);
        let own = [own(0), own(1), own(2), own(3)];
        let plain = grids[0].is_plain(x) && grids[1].is_plain(y);
        for coordinate in 0..2 {
            let of = |corner: [u8; 3]| (corner[1 + coordinate], self.counts[usize::from(corner[1 + coordinate])]);
            let [a, b, c, d] = [of(corners[0]), of(corners[1]), of(corners[2]), of(corners[3])];
            if [b.1, c.1, d.1] == [a.1; 3] {
                continue;
            }
            let last = |levels: Levels| {
                let last = |corner: usize| last(coordinate, corners[corner][0], own[corner][coordinate] & levels);
                last(0).max(last(1)).max(last(2).max(last(3)))
            };
            if !plain {
                for k in 0..LEVELS {
                    let corners = [a, b, c, d].map(|(byte, reached)| (value(byte), usize::from(reached) > k));
                    uneven::draw(raster, grids, [x, y], corners, level(k), last(1 << k));
                }
                continue;
            }
            let (west, east) = (grids[1].crossings(y, a, b), grids[1].crossings(y, d, c));
            let (south, north) = (grids[0].crossings(x, b, c), grids[0].crossings(x, a, d));
            let ([left, right], [top, bottom]) = (grids[0].ends(x), grids[1].ends(y));
            raster.set(left, top, last(west[0] | north[0]));
            raster.set(left, bottom, last(west[1] | south[0]));
            raster.set(right, bottom, last(south[1] | east[1]));
            raster.set(right, top, last(north[1] | east[0]));
        }
    }

    /// Draws columns `start..` of row `y` of a surveyed map.
    pub fn row(&self, lines: &Lines, y: usize, start: usize, inks: &mut [Ink]) {
        let lines = lines.raster.row(y);
        let lines = &lines[start.min(lines.len())..];
        for (inks, lines) in inks.chunks_mut(8).zip(lines.chunks(8)) {
            if lines == [0; 8] {
                continue;
            }
            for (ink, &line) in inks.iter_mut().zip(lines) {
                // Without a branch for each pixel: no processor foresees where lines are.
                let new = self.inks[usize::from(line) % self.inks.len()];
                *ink = if line > 0 { new } else { *ink };
            }
        }
    }
}

#[cfg(test)]
mod tests;
