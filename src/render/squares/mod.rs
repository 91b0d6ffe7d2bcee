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
use grid::Grid;
use raster::Raster;
use row::Row;

use super::bits;
use super::ink::{Ink, Medium, OPAQUE};
use super::parts::Parts;
use super::style::Style;
use crate::person::{IuvMap, Person};

const LEVELS: usize = 10;
/// Bits of a line's number that are for the level; those above are for the part, and the uppermost for U or V.
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

/// The number of a part's line: the higher one covers.
#[inline(always)]
fn line(coordinate: usize, part: u8, k: usize) -> u16 {
    ((coordinate << PART_BITS | usize::from(part)) << LEVEL_BITS | k) as u16
}

#[derive(Debug)]
pub(super) struct Squares {
    parts: Parts,
    /// By level, with room for every number of its bits.
    inks: [Ink; 1 << LEVEL_BITS],
    levels: [f64; LEVELS],
    values: Box<[f64; 256]>,
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
    /// The others that lines cross: U or V, column, row.
    others: Vec<(usize, usize, usize)>,
}

impl Squares {
    pub fn new(style: &Style, medium: &Medium) -> Self {
        let ink = |k: usize| medium.ink(style.palette.color((level(k.min(LEVELS - 1)) * 255.0) as u8), OPAQUE);
        let count = |byte: usize| (0..LEVELS).filter(|&k| value(byte as u8) >= level(k)).count() as u8;
        let smallest = |k: usize| (0..=255).find(|&byte| value(byte) >= level(k)).unwrap_or(255);
        Self {
            parts: style.parts,
            inks: std::array::from_fn(ink),
            levels: std::array::from_fn(level),
            values: Box::new(std::array::from_fn(|byte| value(byte as u8))),
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
        lines.extents.finish(&self.levels);
        let Lines { raster, grids, extents, others, .. } = lines;
        for &(coordinate, x, y) in &*others {
            self.square(coordinate, [x, y], map, (extents, grids), raster);
        }
    }

    /// Between two rows: draws the sides of uniform squares, and notes the others that lines cross.
    fn squares(&self, y: usize, lines: &mut Lines) {
        let Lines { raster, grids: [columns, rows], above, below, changes, uniform: uniform_above, others, .. } = lines;
        let (above, below) = (&*above, &*below);
        let squares = above.part.len() - 1;
        let pairs = [(&above.part, &below.part), (&above.levels[0], &below.levels[0]), (&above.levels[1], &below.levels[1])];
        for (out, (above, below)) in changes.iter_mut().zip(pairs) {
            out.resize(uniform_above.len(), 0);
            bits::differ(above, below, out);
        }
        let uneven_row = if rows.is_plain(y) { 0 } else { u64::MAX };
        let mut carried = 0;
        for (k, uniform_above) in uniform_above.iter_mut().enumerate() {
            let either = |bits: &[u64]| bits[k] | bits[k] >> 1 | bits.get(k + 1).map_or(0, |next| next << 63);
            let all = bits::first(squares, k);
            let mixed = above.borders[k] | below.borders[k] | either(&changes[0]);
            let uniform = all & !(mixed | columns.uneven()[k] | uneven_row);
            let (sides, tops) = (uniform | uniform << 1 | carried, uniform | *uniform_above);
            for coordinate in 0..2 {
                let (bytes, levels) = ([above, below].map(|row| &row.bytes[coordinate][..]), [above, below].map(|row| &row.levels[coordinate][..]));
                let (steps, changes) = (above.steps[coordinate][k], &changes[1 + coordinate]);
                let crossed = steps | below.steps[coordinate][k] | either(changes);
                others.extend(bits::ones(crossed & all & !uniform).map(|bit| (coordinate, 64 * k + bit, y)));
                for x in bits::ones(steps & tops).map(|bit| 64 * k + bit) {
                    let ends = [x, x + 1];
                    let (bytes, levels) = (ends.map(|x| bytes[0][x]), ends.map(|x| levels[0][x]));
                    let (left, flip) = (columns.first(x), columns.flip(x));
                    self.side(bytes, levels, flip, |k, second| {
                        raster.set(left + usize::from(second), rows.first(y), line(coordinate, above.part[x], k));
                    });
                }
                for x in bits::ones(changes[k] & sides).map(|bit| 64 * k + bit) {
                    let (bytes, levels) = (bytes.map(|row| row[x]), levels.map(|row| row[x]));
                    self.side(bytes, levels, rows.flip(y), |k, second| {
                        raster.set(columns.first(x), rows.first(y) + usize::from(second), line(coordinate, above.part[x], k));
                    });
                }
            }
            carried = uniform >> 63;
            *uniform_above = uniform;
        }
    }

    /// Calls `draw` with the levels that cross a side of a square, and whether in the second of the side's pixels; from
    /// `flip` on, as a share of the side, points lie there.
    #[inline(always)]
    fn side(&self, bytes: [u8; 2], levels: [u8; 2], flip: f64, mut draw: impl FnMut(usize, bool)) {
        let [a, b] = bytes.map(|byte| self.values[usize::from(byte)]);
        for k in usize::from(levels[0].min(levels[1]))..usize::from(levels[0].max(levels[1])) {
            draw(k, (self.levels[k] - a) / (b - a) >= flip);
        }
    }

    /// Draws the lines through any square.
    fn square(&self, coordinate: usize, square: [usize; 2], map: &IuvMap, (extents, grids): (&Extents, &[Grid; 2]), raster: &mut Raster) {
        let [x, y] = square;
        let row = |y: usize| map.row(y).as_chunks::<3>().0;
        let (above, below) = (&row(y)[x..x + 2], &row(y + 1)[x..x + 2]);
        // Counter-clockwise from the top left corner.
        let corners = [above[0], below[0], below[1], above[1]];
        let corners = corners.map(|corner| if self.parts.contains(corner[0]) { corner } else { [0; 3] });
        let bytes = corners.map(|corner| corner[1 + coordinate]);
        let levels = bytes.map(|byte| self.counts[usize::from(byte)]);
        let lines = extents.lines(coordinate, (x, y), corners.map(|corner| corner[0]));
        if !(grids[0].is_plain(x) && grids[1].is_plain(y)) {
            let values = bytes.map(|byte| self.values[usize::from(byte)]);
            for (k, &line) in lines.iter().enumerate().filter(|(_, line)| **line > 0) {
                let reach = levels.map(|count| usize::from(count) > k);
                uneven::draw(raster, grids, square, (&values, reach), self.levels[k], line);
            }
            return;
        }
        // The last line by pixel, counter-clockwise.
        let mut last = [0; 4];
        let (across, down) = (grids[0].flip(x), grids[1].flip(y));
        for (first, second, flip) in [(0, 1, down), (1, 2, across), (3, 2, down), (0, 3, across)] {
            let of = |corners: &[u8; 4]| [corners[first], corners[second]];
            self.side(of(&bytes), of(&levels), flip, |k, beyond| {
                let pixel = &mut last[if beyond { second } else { first }];
                *pixel = lines[k].max(*pixel);
            });
        }
        let ([left, right], [top, bottom]) = (grids[0].ends(x), grids[1].ends(y));
        for ((x, y), line) in [(left, top), (left, bottom), (right, bottom), (right, top)].into_iter().zip(last) {
            raster.set(x as usize, y as usize, line);
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
                if line > 0 {
                    *ink = self.inks[usize::from(line) % self.inks.len()];
                }
            }
        }
    }
}
