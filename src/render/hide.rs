//! Body parts made unrecognisable: blurred, pixelated or filled.
//!
//! All effects work on samples, component by component, so that they know every layout. Blur and pixelate replace
//! what they hide by something made of the means of large blocks alone; the rest of the information is gone.

use std::ops::Range;

use super::ink::{Medium, Packing};
use super::mask::Mask;
use super::parts::Parts;
use super::samples;
use crate::image::{Component, Depth, ImageMut, Layout};
use crate::person::Person;
use crate::simd::vectorised;

/// How parts are hidden.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hiding {
    pub method: Method,
    /// Side of the blocks that are averaged, square as they are shown, as a share of the region: of the side of a square with the area of the
    /// person's chosen parts, but at least of an eighth of the box's longer side. [`Method::Fill`] does not need it.
    pub size: f64,
    /// How far hiding reaches beyond the parts, as a share of the same length, so that an outline that is a little off
    /// gives nothing away. At least two pixels.
    pub margin: f64,
}

/// What hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Blocks' means, and smooth passages between them.
    Blur,
    /// Blocks in the colour of their mean; whole blocks, also where the parts fill only some of them.
    Pixelate,
    /// One colour: alpha, red, green, blue.
    Fill([u8; 4]),
}

impl Mask {
    /// Whether alpha is all there where blocks of this width and height can touch what is covered.
    fn is_opaque(&self, image: &mut ImageMut, block: (usize, usize)) -> bool {
        let wider = |covered: &Range<usize>, block: usize, limit: usize| {
            covered.start.saturating_sub(block)..covered.end.saturating_add(block).min(limit)
        };
        let columns = wider(&self.columns, block.0, image.width());
        wider(&self.rows, block.1, image.height()).all(|y| {
            let opaque = |(row, step): (&mut [u8], usize)| {
                samples::are_all(&row[columns.start * step..=(columns.end - 1) * step], step, u8::MAX)
            };
            image.alpha_row_mut(y).is_none_or(opaque)
        })
    }
}

impl Hiding {
    /// Whether it changes anything.
    pub(super) fn shows(&self) -> bool {
        !matches!(self.method, Method::Fill([0, ..]))
    }
}

/// Blocks begin and end at whole samples of every subsampling that there is.
const GRAIN: usize = 4;
const MIN_MARGIN: usize = 2;

/// Hides parts of people, and keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Hider {
    mask: Mask,
    blocks: Blocks,
    runs: Vec<Range<usize>>,
}

impl Hider {
    pub fn hide(&mut self, image: &mut ImageMut, person: &Person, parts: Parts, hiding: &Hiding) {
        if !hiding.shows() {
            return;
        }
        let area = self.mask.find(person, parts);
        if area == 0 {
            return;
        }
        let (width, height) = (image.width(), image.height());
        // Blocks are square as shown: this many times as high as pixels of their area, and as many times less wide.
        let tall = image.layout().pixel_aspect.sqrt();
        let longer = (person.width() as f64 * tall).max(person.height() as f64 / tall);
        let side = (area as f64).sqrt().max(longer / 8.0);
        let share = |share: f64| share.clamp(0.0, 1.0) * side;
        // Casts and bounds take care of shares that are not numbers and of boxes without measure.
        let margin = (share(hiding.margin) * tall.max(1.0 / tall)).ceil() as usize;
        let margin = margin.clamp(MIN_MARGIN, width.max(height).max(MIN_MARGIN));
        self.mask.cover(person, margin, (width, height));
        if self.mask.is_empty() {
            return;
        }
        let grains = |length: f64| (length.ceil() as usize).clamp(1, width.max(height)).next_multiple_of(GRAIN);
        let block = (grains(share(hiding.size) / tall), grains(share(hiding.size) * tall));
        for target in Target::all(image.layout()) {
            if target.alpha && self.mask.is_opaque(image, block) {
                continue;
            }
            if let Method::Fill(color) = hiding.method {
                fill(image, &target, &mut self.mask, &mut self.runs, color);
                continue;
            }
            self.blocks.measure(image, &target, &self.mask, block);
            match hiding.method {
                Method::Pixelate => self.blocks.pixelate(image, &target, &mut self.mask, &mut self.runs),
                _ => self.blocks.blur(image, &target, &mut self.mask, &mut self.runs),
            }
        }
    }
}

/// Most samples next to each other.
const LANES: usize = 3;

/// What is hidden in one go: the neighbouring bytes of a pixel's three components, one component, or alpha, which
/// becomes opaque.
struct Target {
    place: Component,
    depth: Depth,
    /// Components in the order of their bytes: three, one, or none for alpha.
    components: Vec<usize>,
    alpha: bool,
    /// Samples across and down.
    size: (usize, usize),
}

impl Target {
    fn all(layout: &Layout) -> Vec<Self> {
        let medium = Medium::of(layout);
        let target = |components: Vec<usize>| {
            let place = layout.components[components[0]];
            let size = place.size(layout.width, layout.height);
            Self { place, depth: layout.depth, components, alpha: false, size }
        };
        let mut all: Vec<_> = match medium.packing {
            Packing::Packed { .. } => vec![target(medium.order.to_vec())],
            Packing::Separate => (0..medium.color.components()).map(|index| target(vec![index])).collect(),
        };
        all.extend(layout.alpha.map(|place| {
            let size = place.size(layout.width, layout.height);
            Self { place, depth: Depth::BYTE, components: Vec::new(), alpha: true, size }
        }));
        all
    }

    fn shifts(&self) -> (u32, u32) {
        (self.place.shift_x, self.place.shift_y)
    }

    fn lanes(&self) -> usize {
        self.components.len().max(1)
    }

    /// The values of a colour here.
    fn values(&self, color: [u8; 3]) -> [u16; LANES] {
        if self.alpha {
            return [u8::MAX.into(); LANES];
        }
        let value = |index: usize| u16::from(color[index]) << self.depth.extra_bits();
        std::array::from_fn(|k| self.components.get(k).map_or(0, |&index| value(index)))
    }

    /// Samples `columns` of row `y`, from the first byte of the first one to the last byte of the last one.
    fn row<'a>(&self, image: &'a mut ImageMut, y: usize, columns: Range<usize>) -> &'a mut [u8] {
        let Component { plane, offset, step, .. } = self.place;
        let plane = image.plane_mut(plane);
        let start = y * plane.stride + offset;
        &mut plane.data
            [start + columns.start * step..start + (columns.end - 1) * step + self.lanes() * self.depth.bytes()]
    }

    fn fill(&self, row: &mut [u8], values: [u16; LANES]) {
        let step = self.place.step;
        match (self.depth, self.lanes()) {
            (Depth::BYTE, 1) => samples::fill(row, step, values[0] as u8),
            (Depth::BYTE, _) => samples::fill_packed(row, step, values.map(|value| value as u8)),
            (words, _) => samples::fill_words(row, step, words, values[0]),
        }
    }
}

fn fill(
    image: &mut ImageMut,
    target: &Target,
    mask: &mut Mask,
    runs: &mut Vec<Range<usize>>,
    [alpha, r, g, b]: [u8; 4],
) {
    let values = target.values(image.layout().color.from_rgb([r, g, b]));
    let alpha = u32::from(alpha);
    let mix = |old: u32, new: u16| (old * (255 - alpha) + u32::from(new) * alpha + 127) / 255;
    // By what was there before.
    let mixed = match target.depth {
        Depth::BYTE => values.map(|new| -> [u8; 256] { std::array::from_fn(|old| mix(old as u32, new) as u8) }),
        _ => [[0; 256]; LANES],
    };
    for y in mask.samples(target.shifts()).1 {
        mask.runs(y, target.shifts(), runs);
        for run in runs.drain(..) {
            let row = target.row(image, y, run);
            if alpha == 255 {
                target.fill(row, values);
                continue;
            }
            if target.depth != Depth::BYTE {
                let words = row.chunks_mut(target.place.step).filter_map(|sample| sample.first_chunk_mut());
                words.for_each(|word| {
                    let new = mix(target.depth.value(*word).into(), values[0]) as u16;
                    *word = target.depth.with_value(*word, new);
                });
                continue;
            }
            for sample in row.chunks_mut(target.place.step) {
                for (byte, mixed) in sample.iter_mut().zip(&mixed[..target.lanes()]) {
                    *byte = mixed[usize::from(*byte)];
                }
            }
        }
    }
}

/// Means of blocks of samples. Blocks lie on a grid that begins in the picture's corner and does not move with people:
/// means over ever other places would tell more from frame to frame.
#[derive(Debug, Default)]
struct Blocks {
    /// Samples across and down of a block.
    size: (usize, usize),
    /// Column and row of the first block, in blocks.
    first: (usize, usize),
    columns: usize,
    /// Means, row after row.
    means: Vec<[u16; LANES]>,
    /// Sums of a row of blocks down, by byte across.
    sums: Vec<u32>,
    touched: Vec<bool>,
    ramps: Vec<Ramp>,
    /// By sample across: how far it lies between the middles of two blocks, in 0..=256.
    shares: Vec<i32>,
    /// Blurred samples of one run, by the number of their bytes.
    bytes: Vec<u8>,
    words: Vec<u16>,
    colors: Vec<u32>,
}

/// The samples between the middles of two blocks.
#[derive(Debug)]
struct Ramp {
    columns: Range<usize>,
    left: usize,
    right: usize,
}

impl Blocks {
    /// Takes the means of all blocks that touch or neighbour what is covered; `block` is how many
    /// pixels they are wide and high.
    fn measure(&mut self, image: &mut ImageMut, target: &Target, mask: &Mask, block: (usize, usize)) {
        let (width, height) = target.size;
        let (covered_columns, covered_rows) = mask.samples(target.shifts());
        let size @ (bw, bh) = (block.0 >> target.place.shift_x, block.1 >> target.place.shift_y);
        let range = |covered: Range<usize>, size: usize, limit: usize| {
            (covered.start / size).saturating_sub(1)..((covered.end - 1) / size + 2).min(limit.div_ceil(size))
        };
        let across = range(covered_columns, bw, width);
        let down = range(covered_rows, bh, height);
        self.size = size;
        self.first = (across.start, down.start);
        self.columns = across.len();
        self.means.clear();
        if target.alpha {
            self.means.resize(across.len() * down.len(), target.values([0; 3]));
            return;
        }
        let columns = across.start * bw..(across.end * bw).min(width);
        let step = target.place.step;
        for row in down {
            let rows = row * bh..((row + 1) * bh).min(height);
            self.sums.clear();
            self.sums.resize((columns.len() - 1) * step + target.lanes(), 0);
            for y in rows.clone() {
                let row = target.row(image, y, columns.clone());
                match target.depth {
                    Depth::BYTE => add(&mut self.sums, row),
                    words => add_words(&mut self.sums, row, step, words),
                }
            }
            for sums in self.sums.chunks(bw * step) {
                // A block of 4105 by 4105 bytes may sum up to more than 32 bits hold.
                let count = sums.len().div_ceil(step) as u64 * rows.len() as u64;
                let sum = |lane: usize| sums.iter().skip(lane).step_by(step).map(|&sum| u64::from(sum)).sum::<u64>();
                let mean = |lane: usize| ((sum(lane) + count / 2) / count) as u16;
                self.means.push(std::array::from_fn(|lane| if lane < target.lanes() { mean(lane) } else { 0 }));
            }
        }
    }

    /// Fills every block that touches what is covered.
    fn pixelate(&mut self, image: &mut ImageMut, target: &Target, mask: &mut Mask, runs: &mut Vec<Range<usize>>) {
        let (width, height) = target.size;
        let (bw, bh) = self.size;
        self.touched.clear();
        self.touched.resize(self.means.len(), false);
        let covered = mask.samples(target.shifts()).1;
        for y in covered.clone() {
            mask.runs(y, target.shifts(), runs);
            let first = (y / bh - self.first.1) * self.columns;
            for run in runs.drain(..) {
                let blocks = run.start / bw - self.first.0..=(run.end - 1) / bw - self.first.0;
                self.touched[first..][blocks].fill(true);
            }
        }
        for y in self.first.1 * bh..covered.end.next_multiple_of(bh).min(height) {
            let first = (y / bh - self.first.1) * self.columns;
            for column in (0..self.columns).filter(|column| self.touched[first + column]) {
                let start = (self.first.0 + column) * bw;
                let row = target.row(image, y, start..(start + bw).min(width));
                target.fill(row, self.means[first + column]);
            }
        }
    }

    /// Means between the middles of four blocks, on what is covered.
    fn blur(&mut self, image: &mut ImageMut, target: &Target, mask: &mut Mask, runs: &mut Vec<Range<usize>>) {
        let (bw, bh) = self.size;
        let (columns, covered) = mask.samples(target.shifts());
        self.ramps.clear();
        self.shares.clear();
        for x in columns.clone() {
            let (left, right, share) = between(x, bw, self.first.0, self.columns);
            self.shares.push(share as i32);
            match self.ramps.last_mut() {
                Some(ramp) if (ramp.left, ramp.right) == (left, right) => ramp.columns.end = x + 1,
                _ => self.ramps.push(Ramp { columns: x..x + 1, left, right }),
            }
        }
        let rows = self.means.len() / self.columns;
        for y in covered {
            mask.runs(y, target.shifts(), runs);
            let (upper, lower, down) = between(y, bh, self.first.1, rows);
            // A mean of two rows, times 256.
            let mean = |column: usize| -> [i32; LANES] {
                let [above, below] = [upper, lower].map(|row| self.means[row * self.columns + column]);
                std::array::from_fn(|k| (u32::from(above[k]) * (256 - down) + u32::from(below[k]) * down) as i32)
            };
            for run in runs.drain(..) {
                self.bytes.clear();
                self.words.clear();
                self.colors.clear();
                for ramp in &self.ramps {
                    let part = ramp.columns.start.max(run.start)..ramp.columns.end.min(run.end);
                    if part.is_empty() {
                        continue;
                    }
                    let shares = &self.shares[part.start - columns.start..part.end - columns.start];
                    let (from, to) = (mean(ramp.left), mean(ramp.right));
                    let rise = std::array::from_fn(|k| to[k] - from[k]);
                    match (target.depth, target.lanes()) {
                        (Depth::BYTE, 1) => rise_bytes(from[0], rise[0], shares, &mut self.bytes),
                        (Depth::BYTE, _) => rise_colors(from, rise, shares, &mut self.colors),
                        _ => rise_words(from[0], rise[0], shares, &mut self.words),
                    }
                }
                let row = target.row(image, y, run);
                match (target.depth, target.lanes()) {
                    (Depth::BYTE, 1) => samples::set(row, target.place.step, &self.bytes),
                    (Depth::BYTE, _) => samples::set_packed(row, target.place.step, &self.colors),
                    (words, _) => samples::set_words(row, target.place.step, words, &self.words),
                }
            }
        }
    }
}

/// Half of what [`rise_bytes`], [`rise_words`] and [`rise_colors`] cut off.
const ROUND: i32 = 1 << 15;

vectorised! {
    /// Appends `from + rise * share / 256` for each share; `from` and `rise` are bytes times 256.
    fn rise_bytes(from: i32, rise: i32, shares: &[i32], out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + shares.len(), 0);
        for (byte, share) in out[start..].iter_mut().zip(shares) {
            *byte = ((256 * from + rise * share + ROUND) >> 16) as u8;
        }
    }
}

vectorised! {
    /// The same for values of up to 16 bits.
    fn rise_words(from: i32, rise: i32, shares: &[i32], out: &mut Vec<u16>) {
        let start = out.len();
        out.resize(start + shares.len(), 0);
        for (word, share) in out[start..].iter_mut().zip(shares) {
            *word = ((256 * i64::from(from) + i64::from(rise) * i64::from(*share) + i64::from(ROUND)) >> 16) as u16;
        }
    }
}

vectorised! {
    /// The same for three bytes, the lower ones of a number.
    fn rise_colors(from: [i32; LANES], rise: [i32; LANES], shares: &[i32], out: &mut Vec<u32>) {
        let start = out.len();
        out.resize(start + shares.len(), 0);
        for (color, share) in out[start..].iter_mut().zip(shares) {
            let [a, b, c] = [0, 1, 2].map(|k| (256 * from[k] + rise[k] * share + ROUND) as u32 >> 16);
            *color = a | b << 8 | c << 16;
        }
    }
}

vectorised! {
    /// Adds bytes to sums.
    fn add(sums: &mut [u32], bytes: &[u8]) {
        for (sum, byte) in sums.iter_mut().zip(bytes) {
            *sum += u32::from(*byte);
        }
    }
}

/// The same for words at every `step`-th byte.
fn add_words(sums: &mut [u32], row: &[u8], step: usize, depth: Depth) {
    let words = row.chunks(step).filter_map(|sample| sample.first_chunk());
    for (sum, word) in sums.iter_mut().step_by(step).zip(words) {
        *sum += u32::from(depth.value(*word));
    }
}

/// The two blocks, counted from `first` on, between whose middles sample `at` lies, and how far, in 0..=256.
#[inline(always)]
fn between(at: usize, size: usize, first: usize, count: usize) -> (usize, usize, u32) {
    // In halves of samples, from the middle of the block before the first.
    let place = 2 * at + 1 + size - 2 * first * size;
    let (block, rest) = (place / (2 * size), place % (2 * size));
    let inside = |b: usize| b.saturating_sub(1).min(count - 1);
    (inside(block), inside(block + 1), (rest * 256 / (2 * size)) as u32)
}
