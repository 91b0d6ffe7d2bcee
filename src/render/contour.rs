//! Lines of equal U and of equal V.
//!
//! A pixel's distance from a line is, to first order, the difference between its value and the line's, divided by the
//! gradient's length; what lies within half a line's width is covered, and the pixels at its edges in part.

use super::ink::{Ink, Medium, OPAQUE};
use super::parts::Parts;
use super::planes::split;
use super::style::Style;
use crate::person::IuvMap;
use crate::simd::vectorised;

/// Levels of each coordinate, in equal steps from 0 to 255, as in detectron2. Those at the ends have no line: nothing
/// lies beyond them.
const LEVELS: usize = 10;
const SPACING: f32 = 255.0 / (LEVELS - 1) as f32;

/// Pixels computed together, without branches, so that the compiler does several at once.
const CHUNK: usize = 16;
type Bytes = [u8; CHUNK];
/// Chunks that are looked at in one go.
const BLOCK: usize = 8;
type Block = [Bytes; BLOCK];
type Limits = [i16; SHADES as usize];
/// Shades from none to full at the edges of lines.
const SHADES: i16 = 4;
/// Bits of an ink's index that are for the shade; the others are for the line.
const SHADE_BITS: usize = 3;
const INDICES: usize = LEVELS.next_power_of_two() << SHADE_BITS;

/// Width of lines in a picture whose shorter side has `side` pixels: 1.5 at 720, never below 1.
fn line_width(side: usize) -> f32 {
    (side as f32 * (1.5 / 720.0)).max(1.0)
}

/// Value of level `k`.
fn level(k: usize) -> f32 {
    k as f32 * SPACING
}

#[derive(Debug)]
pub(super) struct Contours {
    /// Ink of each line, in each shade; the first is none.
    inks: Box<[Ink; INDICES]>,
    /// For each shade how far from a line's middle it begins: `difference <= gradient * limit / 65536`, see [`nearest`].
    limits: Limits,
    /// Distance of the neighbours from which the gradient is taken: wider lines allow steadier gradients.
    radius: usize,
    parts: Parts,
}

impl Contours {
    pub fn new(style: &Style, medium: &Medium, (width, height): (usize, usize)) -> Self {
        // Distance from a line's middle to where it has faded.
        let reach = line_width(width.min(height)) / 2.0 + 0.5;
        let radius = (reach * 1.5).ceil() as usize;
        let (weight, shades) = (f32::from(style.weight()), f32::from(SHADES));
        let ink = |k: usize, shade: usize| {
            let weight = (weight * shade as f32 / shades).round().min(f32::from(OPAQUE)) as u16;
            medium.ink(style.palette.color(level(k) as u8), weight)
        };
        let limit = |shade: usize| {
            let distance = reach - (shade as f32 + 0.5) / shades;
            (distance / (2.0 * radius as f32) * DIFFERENCE / GRADIENT * 65536.0) as i16
        };
        Self {
            inks: Box::new(std::array::from_fn(|index| ink(index >> SHADE_BITS, index % (1 << SHADE_BITS)))),
            limits: std::array::from_fn(limit),
            radius,
            parts: style.parts,
        }
    }

    /// Prepares a person's map.
    pub fn survey(&self, map: &IuvMap, planes: &mut Planes) {
        planes.fill(map, self.parts, self.radius);
    }

    /// Draws columns `start..` of row `y` of a surveyed map.
    pub fn row(&self, planes: &Planes, y: usize, start: usize, inks: &mut [Ink]) {
        let mut found = [[0; CHUNK]; BLOCK];
        for (block, inks) in inks.chunks_mut(BLOCK * CHUNK).enumerate() {
            let hood = Neighbourhood { planes, x: start + block * BLOCK * CHUNK, y, radius: self.radius };
            cover(&self.limits, hood.of(&planes.part), hood.of(&planes.u), hood.of(&planes.v), &mut found);
            for (inks, found) in inks.chunks_mut(CHUNK).zip(&found).filter(|(_, found)| **found != [0; CHUNK]) {
                // Without a branch for each pixel: no processor foresees where lines are.
                if Ink::none_in(inks) {
                    for (ink, index) in inks.iter_mut().zip(found) {
                        *ink = self.inks[*index as usize % INDICES];
                    }
                    continue;
                }
                for (ink, index) in inks.iter_mut().zip(found) {
                    let new = self.inks[*index as usize % INDICES];
                    *ink = if *index > 0 { new } else { *ink };
                }
            }
        }
    }
}

vectorised! {
    /// The inks, as indices, of the lines that cover a block's pixels; 0 is none. Given are parts, U and V there, to the
    /// left, to the right, above and below. A function of its own without anything that can fail, or the compiler gives
    /// up on vectors.
    fn cover(limits: &Limits, part: [&Block; 5], u: [&Block; 5], v: [&Block; 5], found: &mut [Lanes; BLOCK]) {
        for (k, found) in found.iter_mut().enumerate() {
            let here = &part[0][k];
            if *here == [0; CHUNK] {
                *found = [0; CHUNK];
                continue;
            }
            let (left, right, above, below) = (&part[1][k], &part[2][k], &part[3][k], &part[4][k]);
            let (left, right) = (lanes(|k| ones(left[k] == here[k])), lanes(|k| ones(right[k] == here[k])));
            let (above, below) = (lanes(|k| ones(above[k] == here[k])), lanes(|k| ones(below[k] == here[k])));
            let (across, down) = (Sides::new(left, right), Sides::new(above, below));
            let u = nearest(limits, [&u[0][k], &u[1][k], &u[2][k], &u[3][k], &u[4][k]], &across, &down);
            let v = nearest(limits, [&v[0][k], &v[1][k], &v[2][k], &v[3][k], &v[4][k]], &across, &down);
            let body = lanes(|k| ones(here[k] > 0));
            // The darker one.
            let index_u = lanes(|k| u.line[k] << SHADE_BITS | u.shade[k]);
            let index_v = lanes(|k| v.line[k] << SHADE_BITS | v.shade[k]);
            let index = lanes(|k| if u.shade[k] >= v.shade[k] { index_u[k] } else { index_v[k] });
            *found = lanes(|k| index[k] & body[k] & ones(u.shade[k].max(v.shade[k]) > 0));
        }
    }
}

/// The lines of one coordinate nearest to a chunk's pixels. All in whole numbers of 16 bits, of which most fit into a register.
#[inline(always)]
fn nearest(limits: &Limits, [here, left, right, above, below]: [&Bytes; 5], across: &Sides, down: &Sides) -> Lines {
    let (across, down) = (across.changes(here, left, right), down.changes(here, above, below));
    // The gradient's length within 4 %: Euclid's norm as a mix of the larger and the smaller component.
    let gradient = lanes(|k| {
        let (a, b) = (across.slope[k], down.slope[k]);
        a.max(b) * 31 + a.min(b) * 13
    });
    // Bytes are coarse where the gradient is small: the mean of five is finer.
    let five = lanes(|k| 5 * i16::from(here[k]) + across.around[k] + down.around[k]);
    // `round(five / (5 * SPACING))`: 65536 / 463 is 5 * SPACING, and 71 its half.
    let line = lanes(|k| high(five[k] + 71, 463).min(LEVELS as i16 - 2).max(1));
    // 1133 for `8 * 5 * SPACING`, 1133.3: off by less than a tenth of a value.
    let difference = lanes(|k| (8 * five[k] - 1133 * line[k]).abs());
    let mut shade = [0; CHUNK];
    for limit in *limits {
        let shaded = lanes(|k| ones(difference[k] <= high(gradient[k], limit)));
        shade = lanes(|k| shade[k] - shaded[k]);
    }
    // Where nothing changes is no line.
    Lines { shade: lanes(|k| shade[k] & ones(gradient[k] > 0)), line }
}

/// Units of `difference` in [`nearest`] per unit of a value: eight sums of five.
const DIFFERENCE: f32 = 8.0 * 5.0;
/// Units of `gradient` per unit of change over twice the radius: 31 and 13 for 0.96 and 0.40.
const GRADIENT: f32 = 32.0;

/// The upper half of a product.
#[inline(always)]
fn high(a: i16, b: i16) -> i16 {
    ((i32::from(a) * i32::from(b)) >> 16) as i16
}

/// One number per pixel of a chunk.
type Lanes = [i16; CHUNK];

/// A loop over whole arrays that the compiler does several elements at a time; it does not with `array::from_fn`.
#[inline(always)]
fn lanes(number: impl Fn(usize) -> i16) -> Lanes {
    let mut lanes = [0; CHUNK];
    for (k, lane) in lanes.iter_mut().enumerate() {
        *lane = number(k);
    }
    lanes
}

/// A mask: all bits set, or none.
#[inline(always)]
fn ones(set: bool) -> i16 {
    -i16::from(set)
}

struct Lines {
    /// How dark, in 0..=SHADES.
    shade: Lanes,
    /// Which line.
    line: Lanes,
}

/// Masks of the pixels whose neighbours on the two sides belong to the same part as they.
struct Sides {
    before: Lanes,
    after: Lanes,
    both: Lanes,
}

/// How values change along a row or a column.
struct Changes {
    /// Absolute slope per twice the radius.
    slope: Lanes,
    /// Sum of the differences to both neighbours, 0 where one is missing.
    around: Lanes,
}

impl Sides {
    #[inline(always)]
    fn new(before: Lanes, after: Lanes) -> Self {
        Self { both: lanes(|k| before[k] & after[k]), before, after }
    }

    #[inline(always)]
    fn changes(&self, here: &Bytes, before: &Bytes, after: &Bytes) -> Changes {
        let before = lanes(|k| (i16::from(before[k]) - i16::from(here[k])) & self.before[k]);
        let after = lanes(|k| (i16::from(after[k]) - i16::from(here[k])) & self.after[k]);
        Changes {
            // Where one neighbour is missing the other counts twice.
            slope: lanes(|k| ((after[k] - before[k]) * (2 + self.both[k])).abs()),
            around: lanes(|k| (before[k] + after[k]) & self.both[k]),
        }
    }
}

/// A map's bytes one kind at a time, with a margin of background all around. What is no part is background.
#[derive(Debug, Default)]
pub(super) struct Planes {
    stride: usize,
    part: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl Planes {
    fn fill(&mut self, map: &IuvMap, parts: Parts, margin: usize) {
        // Room for a block that begins in the last column.
        self.stride = margin + map.width() + margin + BLOCK * CHUNK;
        let size = self.stride * (map.height() + 2 * margin);
        for plane in [&mut self.part, &mut self.u, &mut self.v] {
            plane.clear();
            plane.resize(size, 0);
        }
        for y in 0..map.height() {
            let start = (y + margin) * self.stride + margin;
            let row = start..start + map.width();
            let (part, u, v) = (&mut self.part[row.clone()], &mut self.u[row.clone()], &mut self.v[row]);
            split(map.row(y).as_chunks().0, parts, part, u, v);
        }
    }
}

/// A block of pixels from column `x` of row `y` on, and those at a distance of `radius` in four directions.
struct Neighbourhood<'a> {
    planes: &'a Planes,
    x: usize,
    y: usize,
    radius: usize,
}

impl Neighbourhood<'_> {
    /// Of a plane's bytes: the block, and those to its left, to its right, above and below.
    #[inline(always)]
    fn of<'a>(&self, plane: &'a [u8]) -> [&'a Block; 5] {
        let Self { x, y, radius: r, .. } = *self;
        let chunks = |x: usize, y: usize| plane[y * self.planes.stride + x..].as_chunks().0;
        let at = |x: usize, y: usize| chunks(x, y).first_chunk().unwrap_or(&[[0; CHUNK]; BLOCK]);
        [at(x + r, y + r), at(x, y + r), at(x + 2 * r, y + r), at(x + r, y), at(x + r, y + 2 * r)]
    }
}
