//! Body parts made unrecognisable: blurred, pixelated or filled.
//!
//! All effects work on samples, component by component, so that they know every layout. Blur and pixelate replace
//! what they hide by something made of the means of large blocks alone; the rest of the information is gone.

use super::mask::Mask;
use super::parts::Parts;
use crate::image::{Component, ImageMut};
use crate::person::Person;

/// How parts are hidden.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hiding {
    pub method: Method,
    /// Side of the blocks that are averaged, as a share of the region: of the side of a square with the area of the
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
}

impl Hider {
    pub fn hide(&mut self, image: &mut ImageMut, person: &Person, parts: Parts, hiding: &Hiding) {
        let area = person.iuv.data().as_chunks::<3>().0.iter().filter(|p| parts.contains(p[0])).count();
        if area == 0 || !hiding.shows() {
            return;
        }
        let (width, height) = (image.width(), image.height());
        let side = (area as f64).sqrt().max(person.width().max(person.height()) as f64 / 8.0);
        let share = |share: f64| (share.clamp(0.0, 1.0) * side).ceil() as usize;
        // Casts and bounds take care of shares that are not numbers and of boxes without measure.
        let margin = share(hiding.margin).clamp(MIN_MARGIN, width.max(height).max(MIN_MARGIN));
        self.mask.cover(person, parts, margin, (width, height));
        if self.mask.is_empty() {
            return;
        }
        if let Method::Fill(color) = hiding.method {
            return fill(image, &mut self.mask, color);
        }
        let block = share(hiding.size).max(1).next_multiple_of(GRAIN);
        for index in 0..image.layout().color.components() {
            let component = image.layout().components[index];
            let covered = self.mask.samples((component.shift_x, component.shift_y));
            self.blocks.measure(image, index, &covered, block);
            match hiding.method {
                Method::Pixelate => self.blocks.pixelate(image, index, &covered),
                _ => self.blocks.blur(image, index, &covered),
            }
        }
    }
}

/// Which samples of a component are hidden.
pub(super) struct Covered<'a> {
    /// Column and row of the first one that is looked at.
    pub left: usize,
    pub top: usize,
    pub width: usize,
    /// Not 0 where hidden, row after row.
    pub bytes: &'a [u8],
}

impl Covered<'_> {
    fn rows(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.bytes.chunks(self.width.max(1)).enumerate().map(|(y, row)| (self.top + y, row))
    }

    fn height(&self) -> usize {
        self.bytes.len() / self.width.max(1)
    }
}

fn fill(image: &mut ImageMut, mask: &mut Mask, [alpha, r, g, b]: [u8; 4]) {
    let color = image.layout().color.from_rgb([r, g, b]);
    let alpha = u32::from(alpha);
    let count = image.layout().color.components();
    for (index, color) in color.into_iter().enumerate().take(count) {
        let Component { step, shift_x, shift_y, .. } = image.layout().components[index];
        let covered = mask.samples((shift_x, shift_y));
        let new = u32::from(color) * alpha + 127;
        for (y, row) in covered.rows() {
            let samples = image.row_mut(index, y)[covered.left * step..].iter_mut().step_by(step);
            for (sample, _) in samples.zip(row).filter(|(_, covered)| **covered != 0) {
                *sample = ((u32::from(*sample) * (255 - alpha) + new) / 255) as u8;
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
    means: Vec<u8>,
    touched: Vec<bool>,
    sums: Vec<(u32, u32)>,
}

impl Blocks {
    /// Takes the means of all blocks that touch or neighbour what is covered; `block` is their side in pixels.
    fn measure(&mut self, image: &mut ImageMut, index: usize, covered: &Covered, block: usize) {
        let c = image.layout().components[index];
        let (width, height) = c.size(image.width(), image.height());
        let size @ (bw, bh) = (block >> c.shift_x, block >> c.shift_y);
        let range = |start: usize, length: usize, size: usize, limit: usize| {
            (start / size).saturating_sub(1)..((start + length - 1) / size + 2).min(limit.div_ceil(size))
        };
        let across = range(covered.left, covered.width, bw, width);
        let down = range(covered.top, covered.height(), bh, height);
        self.size = size;
        self.first = (across.start, down.start);
        self.columns = across.len();
        self.means.clear();
        for row in down.clone() {
            self.sums.clear();
            self.sums.resize(across.len(), (0, 0));
            for y in row * bh..((row + 1) * bh).min(height) {
                let samples = &image.row_mut(index, y)[across.start * bw * c.step..];
                let end = (across.end * bw).min(width) - across.start * bw;
                let samples = &samples[..(end - 1) * c.step + 1];
                for (chunk, (sum, count)) in samples.chunks(bw * c.step).zip(&mut self.sums) {
                    *sum += chunk.iter().step_by(c.step).map(|&v| u32::from(v)).sum::<u32>();
                    *count += chunk.len().div_ceil(c.step) as u32;
                }
            }
            self.means.extend(self.sums.iter().map(|&(sum, n)| ((sum + n / 2) / n.max(1)) as u8));
        }
        self.touched.clear();
        self.touched.resize(across.len() * down.len(), false);
        for (y, row) in covered.rows() {
            let first = (y / bh - self.first.1) * self.columns;
            for (x, _) in row.iter().enumerate().filter(|(_, c)| **c != 0) {
                self.touched[first + (covered.left + x) / bw - self.first.0] = true;
            }
        }
    }

    /// Fills every block that touches what is covered.
    fn pixelate(&self, image: &mut ImageMut, index: usize, covered: &Covered) {
        let c = image.layout().components[index];
        let (width, height) = c.size(image.width(), image.height());
        let (bw, bh) = self.size;
        let rows = self.first.1 * bh..(covered.top + covered.height()).next_multiple_of(bh).min(height);
        for y in rows {
            let first = (y / bh - self.first.1) * self.columns;
            let row = image.row_mut(index, y);
            for column in (0..self.columns).filter(|column| self.touched[first + column]) {
                let start = (self.first.0 + column) * bw;
                let samples = &mut row[start * c.step..=((start + bw).min(width) - 1) * c.step];
                samples.iter_mut().step_by(c.step).for_each(|s| *s = self.means[first + column]);
            }
        }
    }

    /// Means between the middles of four blocks, on what is covered.
    fn blur(&mut self, image: &mut ImageMut, index: usize, covered: &Covered) {
        let c = image.layout().components[index];
        let (bw, bh) = self.size;
        let rows = self.means.len() / self.columns;
        for (y, hidden) in covered.rows() {
            let (upper, lower, down) = between(y, bh, self.first.1, rows);
            let row = |k: usize| &self.means[k * self.columns..][..self.columns];
            // One row of means, times 256.
            let mix = |(&a, &b): (&u8, &u8)| (u32::from(a) * (256 - down) + u32::from(b) * down, 0);
            self.sums.clear();
            self.sums.extend(row(upper).iter().zip(row(lower)).map(mix));
            let samples = image.row_mut(index, y)[covered.left * c.step..].iter_mut().step_by(c.step);
            for ((x, sample), _) in samples.enumerate().zip(hidden).filter(|(_, covered)| **covered != 0) {
                let (left, right, across) = between(covered.left + x, bw, self.first.0, self.columns);
                let value = self.sums[left].0 * (256 - across) + self.sums[right].0 * across;
                *sample = ((value + (1 << 15)) >> 16) as u8;
            }
        }
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
