//! Lines of equal U and of equal V as detectron2's contour visualizer draws them: marching squares over each part,
//! every square's line by itself, from whole pixel to whole pixel.
//!
//! There, all U lines come before all V lines, parts and levels go up, and what is drawn later covers. Each pixel here
//! keeps the line that would come last. Squares at a part's border count with whatever lies beyond, which outlines it.

use std::ops::Range;

use super::bits;
use super::ink::{Ink, Medium, OPAQUE};
use super::parts::Parts;
use super::planes::split;
use super::style::Style;
use crate::person::{IuvMap, PARTS, Person};
use crate::simd::vectorised;

const LEVELS: usize = 10;

/// Value of level `k`, 0..=1.
fn level(k: usize) -> f64 {
    if k == LEVELS - 1 { 1.0 } else { k as f64 * (1.0 / (LEVELS - 1) as f64) }
}

/// What a byte of U or V stands for.
fn value(byte: u8) -> f64 {
    f64::from(byte) / 255.0
}

#[derive(Debug)]
pub(super) struct Squares {
    parts: Parts,
    inks: [Ink; LEVELS],
    levels: [f64; LEVELS],
    values: Box<[f64; 256]>,
    /// Levels that a byte reaches.
    reached: Reached,
}

/// For each level above the first, which every byte reaches, the smallest byte that does.
type Reached = [u8; LEVELS - 1];

/// A person's lines: for every pixel of the box, and of one column and row more, which line shows, 0 for none.
#[derive(Debug, Default)]
pub(super) struct Raster {
    width: usize,
    height: usize,
    lines: Vec<u16>,
    /// Along columns, along rows.
    grids: [Grid; 2],
    above: Corners,
    below: Corners,
    /// For each square of a row whether there is a line of U, of V.
    crossed: [Vec<u64>; 2],
}

/// A row of squares' corners: its parts, and for U and V the bytes and the number of levels that they reach.
#[derive(Debug, Default)]
struct Corners {
    part: Vec<u8>,
    bytes: [Vec<u8>; 2],
    levels: [Vec<u8>; 2],
}

/// The corners of squares along one side of the box.
#[derive(Debug, Default)]
struct Grid {
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
}

impl Grid {
    fn fill(&mut self, start: i32, side: usize) {
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
                1 => self.flip(square, first),
                _ => f64::NAN,
            });
        }
        (self.pixels, self.flips) = (pixels, flips);
    }

    /// The pixel of the box at a share of a square, cut to whole pixels of the picture.
    fn pixel(&self, square: usize, share: f64) -> i32 {
        let share = square as f64 / (self.side - 1.0) + share * self.length;
        ((self.start + share * self.side) as i64 - self.start as i64) as i32
    }

    /// The smallest share of a square, to the last bit, that is not in its first pixel.
    fn flip(&self, square: usize, first: i32) -> f64 {
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

    /// The same as [`Self::pixel`].
    #[inline(always)]
    fn looked_up(&self, square: usize, share: f64) -> i32 {
        let flip = self.flips[square];
        if flip.is_nan() {
            return self.pixel(square, share);
        }
        self.pixels[square][0] + i32::from(share >= flip)
    }
}

/// Where a part lies, and which levels its values of U and V reach.
#[derive(Clone)]
struct Extent {
    columns: Range<usize>,
    rows: Range<usize>,
    levels: [Range<usize>; 2],
}

type Extents = [Option<Extent>; PARTS as usize + 1];

impl Squares {
    pub fn new(style: &Style, medium: &Medium) -> Self {
        let ink = |k: usize| medium.ink(style.palette.color((level(k) * 255.0) as u8), OPAQUE);
        let smallest = |k: usize| (0..=255).find(|&byte| value(byte) >= level(k)).unwrap_or(255);
        Self {
            parts: style.parts,
            inks: std::array::from_fn(ink),
            levels: std::array::from_fn(level),
            values: Box::new(std::array::from_fn(|byte| value(byte as u8))),
            reached: std::array::from_fn(|k| smallest(k + 1)),
        }
    }

    /// Finds a person's lines.
    pub fn survey(&self, person: &Person, raster: &mut Raster) {
        let map = &person.iuv;
        let (width, height) = (map.width(), map.height());
        (raster.width, raster.height) = (width + 1, height + 1);
        raster.lines.clear();
        raster.lines.resize(raster.width * raster.height, 0);
        if width < 2 || height < 2 {
            return;
        }
        raster.grids[0].fill(person.x, width);
        raster.grids[1].fill(person.y, height);
        let extents = self.extents(map);
        raster.below.fill(map, 0, self);
        for y in 0..height - 1 {
            std::mem::swap(&mut raster.above, &mut raster.below);
            raster.below.fill(map, y + 1, self);
            for coordinate in 0..2 {
                let levels = [&raster.above, &raster.below].map(|row| &row.levels[coordinate][..]);
                let mut crossed = std::mem::take(&mut raster.crossed[coordinate]);
                crossed.resize(bits::words(width - 1), 0);
                differ(levels[0], levels[1], &mut crossed);
                for x in bits::positions(&crossed) {
                    self.square(coordinate, (x, y), &extents, raster);
                }
                raster.crossed[coordinate] = crossed;
            }
        }
    }

    /// Draws the lines through a square.
    fn square(&self, coordinate: usize, (x, y): (usize, usize), extents: &Extents, raster: &mut Raster) {
        let (above, below) = (&raster.above, &raster.below);
        // Counter-clockwise from the top left corner.
        let corners = |of: fn(&Corners, usize) -> &[u8]| {
            let (above, below) = (&of(above, coordinate)[x..x + 2], &of(below, coordinate)[x..x + 2]);
            [above[0], below[0], below[1], above[1]]
        };
        let parts = corners(|row, _| &row.part);
        let levels = corners(|row, coordinate| &row.levels[coordinate]).map(usize::from);
        let values = corners(|row, coordinate| &row.bytes[coordinate]).map(|byte| self.values[usize::from(byte)]);
        let low = levels[0].min(levels[1]).min(levels[2]).min(levels[3]);
        let high = levels[0].max(levels[1]).max(levels[2]).max(levels[3]);
        let uniform = parts == [parts[0]; 4];
        for k in low..high {
            // The highest part comes last.
            let part = if uniform {
                // Its extent holds all corners.
                Some(parts[0])
            } else {
                let reaches = |part: &u8| {
                    extents.get(usize::from(*part)).and_then(Option::as_ref).is_some_and(|e| {
                        e.levels[coordinate].contains(&k) && e.columns.contains(&x) && e.rows.contains(&y)
                    })
                };
                parts.into_iter().filter(reaches).max()
            };
            if let Some(part) = part {
                let line = ((coordinate * 32 + usize::from(part)) * LEVELS + k) as u16;
                let inside = levels.iter().enumerate().fold(0, |code, (c, &l)| code | usize::from(l > k) << c);
                for &[from, to] in ENDS[inside] {
                    let end = |edge| end(edge, &values, self.levels[k], [x, y], &raster.grids);
                    let (from, to) = (end(from), end(to));
                    raster.line(from, to, line);
                }
            }
        }
    }

    /// By part: where squares of it may begin, and its levels. Parts of one row or one column have none.
    fn extents(&self, map: &IuvMap) -> Extents {
        let mut extents = [const { None::<Extent> }; PARTS as usize + 1];
        let mut ranges = [[(255, 0); 2]; PARTS as usize + 1];
        let mut borders = vec![0; bits::words(map.width())];
        for y in 0..map.height() {
            let row = map.row(y).as_chunks::<3>().0;
            change(row, &mut borders);
            let mut start = 0;
            for end in bits::positions(&borders).map(|last| last + 1).chain([row.len()]) {
                let run = &row[start..end];
                let part = run[0][0];
                if self.parts.contains(part) {
                    let new = Extent { columns: start..end - 1, rows: y..y, levels: [0..0, 0..0] };
                    let e = extents[usize::from(part)].get_or_insert(new);
                    e.columns = e.columns.start.min(start)..e.columns.end.max(end - 1);
                    e.rows.end = y;
                    range(run, &mut ranges[usize::from(part)]);
                }
                start = end;
            }
        }
        for (extent, ranges) in extents.iter_mut().zip(ranges) {
            let below = |byte: u8| self.levels.iter().filter(|&&level| level < value(byte)).count();
            let reached = |byte: u8| self.levels.iter().filter(|&&level| level <= value(byte)).count();
            if let Some(extent) = extent {
                extent.levels = ranges.map(|(min, max)| below(min)..reached(max));
            }
        }
        extents
    }

    /// Draws columns `start..` of row `y` of a surveyed map.
    pub fn row(&self, raster: &Raster, y: usize, start: usize, inks: &mut [Ink]) {
        let lines = &raster.lines[y * raster.width..][..raster.width];
        let lines = &lines[start.min(lines.len())..];
        for (inks, lines) in inks.chunks_mut(8).zip(lines.chunks(8)) {
            if lines == [0; 8] {
                continue;
            }
            for (ink, &line) in inks.iter_mut().zip(lines) {
                if line > 0 {
                    *ink = self.inks[usize::from(line) % LEVELS];
                }
            }
        }
    }
}

impl Corners {
    fn fill(&mut self, map: &IuvMap, y: usize, squares: &Squares) {
        let Self { part, bytes: [u, v], levels } = self;
        for row in [&mut *part, &mut *u, &mut *v] {
            row.resize(map.width(), 0);
        }
        // detectron2's arrays hold nothing on the background.
        split(map.row(y).as_chunks().0, squares.parts, part, u, v);
        for (levels, bytes) in levels.iter_mut().zip([u, v]) {
            levels.resize(map.width(), 0);
            count(&squares.reached, bytes, levels);
        }
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

vectorised! {
    /// Sets the bits of the squares whose corners are not all alike.
    fn differ(above: &[u8], below: &[u8], out: &mut [u64]) {
        let squares = above.len() - 1;
        for (k, word) in out.iter_mut().enumerate() {
            let start = 64 * k;
            let count = (squares - start).min(64);
            let mut differ = [0; 64];
            let right = above[start + 1..].iter().zip(&below[start + 1..]);
            let corners = above[start..].iter().zip(&below[start..]).zip(right);
            for (((a, b), (d, c)), differ) in corners.zip(&mut differ[..count]) {
                *differ = u8::from((a ^ b) | (a ^ c) | (a ^ d) != 0);
            }
            *word = bits::word(&differ);
        }
    }
}

vectorised! {
    /// Sets the bits of the pixels whose next one shows another part.
    fn change(pixels: &[[u8; 3]], out: &mut [u64]) {
        for (k, word) in out.iter_mut().enumerate() {
            let mut change = [0; 64];
            for ((change, pixel), next) in change.iter_mut().zip(&pixels[64 * k..]).zip(&pixels[64 * k + 1..]) {
                *change = u8::from(pixel[0] != next[0]);
            }
            *word = bits::word(&change);
        }
    }
}

vectorised! {
    /// Widens the ranges of U and V.
    fn range(pixels: &[[u8; 3]], ranges: &mut [(u8, u8); 2]) {
        let [(mut min_u, mut max_u), (mut min_v, mut max_v)] = *ranges;
        for &[_, u, v] in pixels {
            (min_u, max_u) = (min_u.min(u), max_u.max(u));
            (min_v, max_v) = (min_v.min(v), max_v.max(v));
        }
        *ranges = [(min_u, max_u), (min_v, max_v)];
    }
}

/// One side of a square.
#[derive(Clone, Copy)]
struct Edge {
    /// The corners at its ends, counter-clockwise from the top left one; and back from south to north, from east to west.
    corners: (u8, u8),
    /// 0 along columns, 1 along rows.
    axis: u8,
    /// 1 where it is the right or the lower one of its kind.
    far: u8,
}

const WEST: Edge = Edge { corners: (0, 1), axis: 1, far: 0 };
const SOUTH: Edge = Edge { corners: (1, 2), axis: 0, far: 1 };
const EAST: Edge = Edge { corners: (3, 2), axis: 1, far: 1 };
const NORTH: Edge = Edge { corners: (0, 3), axis: 0, far: 0 };

/// The edges between which lines run, by the corners that reach the level, counter-clockwise from the top left one.
static ENDS: [&[[Edge; 2]]; 16] = [
    &[],
    &[[WEST, NORTH]],
    &[[WEST, SOUTH]],
    &[[NORTH, SOUTH]],
    &[[SOUTH, EAST]],
    &[[WEST, SOUTH], [NORTH, EAST]],
    &[[WEST, EAST]],
    &[[NORTH, EAST]],
    &[[NORTH, EAST]],
    &[[WEST, EAST]],
    &[[NORTH, WEST], [SOUTH, EAST]],
    &[[SOUTH, EAST]],
    &[[NORTH, SOUTH]],
    &[[WEST, SOUTH]],
    &[[WEST, NORTH]],
    &[],
];

/// Column and row of the box's pixel in which a line ends on an edge of a square, whose corners have `values`. Without
/// branches, for no processor foresees where lines go.
#[inline(always)]
fn end(edge: Edge, values: &[f64; 4], level: f64, square: [usize; 2], grids: &[Grid; 2]) -> [i32; 2] {
    let (a, b) = (values[usize::from(edge.corners.0 & 3)], values[usize::from(edge.corners.1 & 3)]);
    let (along, across) = (usize::from(edge.axis & 1), usize::from(!edge.axis & 1));
    let moving = grids[along].looked_up(square[along], (level - a) / (b - a));
    let fixed = grids[across].pixels[square[across]][usize::from(edge.far & 1)];
    // Exchanged along rows.
    let exchange = (moving ^ fixed) & -(along as i32);
    [moving ^ exchange, fixed ^ exchange]
}

impl Raster {
    #[inline(always)]
    fn set(&mut self, [x, y]: [i32; 2], line: u16) {
        if let (Ok(column), Ok(row)) = (usize::try_from(x), usize::try_from(y))
            && column < self.width
            && row < self.height
        {
            let pixel = &mut self.lines[row * self.width + column];
            *pixel = line.max(*pixel);
        }
    }

    /// OpenCV's line of thickness 1: from the left end to the right one, to all eight neighbours.
    #[inline(always)]
    fn line(&mut self, from: [i32; 2], to: [i32; 2], line: u16) {
        if (to[0] - from[0]).abs() <= 1 && (to[1] - from[1]).abs() <= 1 {
            self.set(from, line);
            self.set(to, line);
        } else {
            self.long_line(from, to, line);
        }
    }

    fn long_line(&mut self, from: [i32; 2], to: [i32; 2], line: u16) {
        let ([mut x, mut y], [to_x, to_y]) = if to[0] < from[0] { (to, from) } else { (from, to) };
        let (dx, dy) = (to_x - x, (to_y - y).abs());
        let down = (to_y - y).signum();
        let steep = dy > dx;
        let (long, short) = if steep { (dy, dx) } else { (dx, dy) };
        let mut error = long - 2 * short;
        for _ in 0..=long {
            self.set([x, y], line);
            let aside = error < 0;
            error += if aside { 2 * long } else { 0 } - 2 * short;
            if steep || aside {
                y += down;
            }
            if !steep || aside {
                x += 1;
            }
        }
    }
}
