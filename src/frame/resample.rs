//! Resizing by the antialiased triangle filter of Pillow's `BILINEAR`, with the same fixed-point arithmetic and rounding:
//! first along rows, then along columns, each rounded to bytes. Rows are filtered along themselves when the first row of
//! the result needs them, and forgotten after the last one that does.

use std::ops::Range;

use super::InputSize;
use super::across::{Across, PIXEL, ROWS};
use super::colours::{Bytes, Colours};
use super::down::Rows;
use super::filter::{Filter, Resize};
use super::order::{interleave, interleave_words, lane};
use crate::image::{Component, Depth, Image, Layout, Plane};

/// How components of a picture that are resized together are.
pub struct Axes {
    source: Source,
    across: Across,
    down: Filter,
}

/// What is resized together.
#[derive(Clone, Copy)]
enum Source {
    /// All components, side by side in pixels, the first byte of which is at this offset in a row.
    Pixels(usize),
    /// The component of this index.
    Samples(usize),
}

impl Axes {
    /// Those for all components of a picture, which become the network's channels in the order that `colours` say.
    pub fn of(layout: &Layout, size: InputSize, colours: &Colours) -> Vec<Self> {
        let new = |component: &Component, source: Source, step: usize, lanes: &[usize]| Self {
            source,
            across: Across::new(Resize::new(layout.width, component.shift_x, size.width), step, lanes),
            down: Filter::new(Resize::new(layout.height, component.shift_y, size.height)),
        };
        let components = &layout.components;
        match lanes(components).filter(|_| layout.depth == Depth::BYTE) {
            Some((start, lanes)) => {
                let lanes = colours.order().map(|component| lanes[component]);
                vec![new(&components[0], Source::Pixels(start), components[0].step, &lanes)]
            }
            None => {
                // Four rows make one of pixels.
                let each = components.iter().enumerate();
                each.map(|(i, component)| new(component, Source::Samples(i), PIXEL, &[0, 1, 2, 3])).collect()
            }
        }
    }

    /// Bytes in a row of the result.
    fn width(&self) -> usize {
        match self.source {
            Source::Pixels(_) => 3 * self.across.wanted(),
            Source::Samples(_) => self.across.wanted(),
        }
    }
}

/// Where the three components of a picture lie in its pixels: their first byte, and from there on each component.
fn lanes(components: &[Component]) -> Option<(usize, [usize; 3])> {
    let [a, b, c] = components else { return None };
    let alike = |other: &Component| {
        (other.plane, other.step, other.shift_x, other.shift_y) == (a.plane, a.step, a.shift_x, a.shift_y)
    };
    let offsets = [a.offset, b.offset, c.offset];
    let start = *offsets.iter().min()?;
    let lanes = offsets.map(|o| o - start);
    let packed = alike(b) && alike(c) && matches!(a.step, 3 | PIXEL) && lanes.iter().all(|&l| l < PIXEL);
    packed.then_some((start, lanes))
}

/// Makes rows of the result, one after the other.
pub struct Resampler {
    windows: Vec<Window>,
    row: Bytes,
    scratch: Scratch,
}

impl Resampler {
    /// One that makes the rows `rows` of the result.
    pub fn new(axes: &[Axes], rows: Range<usize>) -> Self {
        let window = |axes: &Axes| match axes.source {
            Source::Pixels(_) => Window::new(&axes.down, rows.clone(), axes.across.stride(), ROWS),
            Source::Samples(_) => Window::new(&axes.down, rows.clone(), axes.width(), ROWS * PIXEL),
        };
        let width = axes.first().map_or(0, Axes::width);
        let row = match axes.first().map(|axes| axes.source) {
            Some(Source::Pixels(_)) => Bytes::Pixels(vec![0; width]),
            _ => Bytes::Components([(); 3].map(|()| vec![0; width])),
        };
        Self { windows: axes.iter().map(window).collect(), row, scratch: Scratch::default() }
    }

    /// Forgets the last picture.
    pub fn restart(&mut self) {
        self.windows.iter_mut().for_each(|window| window.filled = window.first);
    }

    /// Makes row `y`; rows must come in order.
    pub fn row(&mut self, image: &Image, axes: &[Axes], y: usize) -> &Bytes {
        let Self { windows, row, scratch } = self;
        for (axes, window) in axes.iter().zip(windows) {
            let (first, weights) = axes.down.used(y);
            while window.filled < first + weights.len() {
                let (y, batch) = window.next_batch();
                match axes.source {
                    Source::Pixels(start) => scratch.pixels(image, y, start, &axes.across, batch),
                    Source::Samples(index) => scratch.samples(image, y, index, &axes.across, batch),
                }
            }
            let out = match (&mut *row, axes.source) {
                (Bytes::Pixels(row), _) => row,
                (Bytes::Components(rows), Source::Samples(index)) => &mut rows[index],
                (Bytes::Components(rows), Source::Pixels(_)) => &mut rows[0],
            };
            window.mix(first, weights, out);
        }
        row
    }
}

/// The last rows that were filtered along themselves, in a ring of slots.
struct Window {
    /// The first row of all.
    first: usize,
    /// The row after the last one in here.
    filled: usize,
    /// Rows filtered at once.
    batch: usize,
    slots: usize,
    stride: usize,
    data: Vec<u8>,
    /// Those in use.
    rows: Rows,
}

impl Window {
    fn new(down: &Filter, rows: Range<usize>, stride: usize, batch: usize) -> Self {
        let first = down.sources(rows).start;
        let slots = (down.taps + batch).next_multiple_of(batch);
        Self { first, filled: first, batch, slots, stride, data: vec![0; slots * stride], rows: Rows::default() }
    }

    fn slot(&self, row: usize) -> usize {
        (row - self.first) % self.slots
    }

    /// Sums rows from `first` on, which must be in here, each times its weight.
    fn mix(&mut self, first: usize, weights: &[i32], out: &mut [u8]) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.set((first..first + weights.len()).map(|row| self.slot(row) * self.stride), weights);
        rows.mix(&self.data, out);
        self.rows = rows;
    }

    /// The next row to be filled in, and the slots of as many rows from there on as are filtered at once.
    fn next_batch(&mut self) -> (usize, &mut [u8]) {
        let (row, slot) = (self.filled, self.slot(self.filled));
        self.filled += self.batch;
        (row, &mut self.data[slot * self.stride..][..self.batch * self.stride])
    }
}

/// Buffers of some rows.
#[derive(Default)]
struct Scratch {
    padded: [Vec<u8>; ROWS],
    /// Rows of pixels before and after filtering.
    before: [Vec<u8>; ROWS],
    after: [Vec<u8>; ROWS],
}

impl Scratch {
    /// Filters rows of pixels from row `y` on along themselves into those of `out`.
    fn pixels(&mut self, image: &Image, y: usize, start: usize, across: &Across, out: &mut [u8]) {
        let (plane, last) = (image.plane_of(0), image.height() - 1);
        let mut index = 0..;
        let rows = self.padded.each_mut().map(|copy| {
            let y = y + index.next().unwrap_or_default();
            padded(plane, y.min(last), start, across.needed(), copy)
        });
        let mut out = out.chunks_exact_mut(out.len() / ROWS);
        across.mix(rows, ROWS * plane.stride, [(); ROWS].map(|()| out.next().unwrap_or_default()));
    }

    /// Filters rows of a component from row `y` on along themselves into those of `out`: four rows make one of pixels.
    fn samples(&mut self, image: &Image, y: usize, index: usize, across: &Across, out: &mut [u8]) {
        let Component { offset, step, .. } = image.layout().components[index];
        let (plane, depth) = (image.plane_of(index), image.layout().depth);
        let last = image.layout().components[index].size(image.width(), image.height()).1 - 1;
        for (i, before) in self.before.iter_mut().enumerate() {
            let mut row = y + i * PIXEL..;
            let rows = self.padded.each_mut().map(|copy| {
                let y = row.next().unwrap_or_default();
                padded(plane, y.min(last), offset, across.reach() * step, copy)
            });
            before.resize(across.needed(), 0);
            let before = &mut before[..across.reach() * PIXEL];
            match depth {
                Depth::BYTE => interleave(rows, step, before),
                words => interleave_words(rows, step, words, before),
            }
        }
        for after in &mut self.after {
            after.resize(across.stride(), 0);
        }
        let after = self.after.each_mut().map(|row| &mut row[..]);
        across.mix(self.before.each_ref().map(|row| &row[..]), 0, after);
        for (i, out) in out.chunks_exact_mut(across.wanted()).enumerate() {
            lane(&self.after[i / PIXEL], i % PIXEL, out);
        }
    }
}

/// `needed` bytes of row `y` from `offset` on. What follows the row weighs nothing, so it is only made up where the
/// plane ends.
fn padded<'a>(plane: Plane<'a>, y: usize, offset: usize, needed: usize, copy: &'a mut Vec<u8>) -> &'a [u8] {
    let source = &plane.data[y * plane.stride + offset..];
    if source.len() >= needed {
        return &source[..needed];
    }
    copy.clear();
    copy.extend_from_slice(source);
    copy.resize(needed, 0);
    copy
}
