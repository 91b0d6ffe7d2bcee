//! Resizing by the antialiased triangle filter of Pillow's `BILINEAR`, with the same fixed-point arithmetic and rounding:
//! first along rows, then along columns, each rounded to bytes. Rows are filtered along themselves when the first row of
//! the result needs them, and forgotten after the last one that does.

use std::ops::Range;

use super::InputSize;
use super::filter::{Filter, Resize};
use super::mix::{PIXEL, ROWS, interleave, lane, mix_pixels, mix_rows, needed};
use crate::image::{Component, Image, Layout, Plane};

/// How one component of a picture is resized.
pub struct Axes {
    across: Filter,
    down: Filter,
}

impl Axes {
    /// One for each component of a picture.
    pub fn of(layout: &Layout, size: InputSize) -> Vec<Self> {
        let axes =
            wanted(layout, size).map(|[across, down]| Self { across: Filter::new(across), down: Filter::new(down) });
        axes.collect()
    }

    /// Whether `axes` are those of such pictures.
    pub fn fit(axes: &[Self], layout: &Layout, size: InputSize) -> bool {
        axes.iter().map(|axes| [axes.across.resize, axes.down.resize]).eq(wanted(layout, size))
    }
}

fn wanted(layout: &Layout, size: InputSize) -> impl Iterator<Item = [Resize; 2]> + '_ {
    layout.components.iter().map(move |c| {
        [Resize::new(layout.width, c.shift_x, size.width), Resize::new(layout.height, c.shift_y, size.height)]
    })
}

/// Makes rows of the result, one after the other.
pub struct Resampler {
    source: Source,
    window: Window,
    /// A row of the result, if it is one of pixels.
    mixed: Vec<u8>,
    scratch: Scratch,
}

/// What is resized together.
#[derive(Clone, Copy)]
enum Source {
    /// Components side by side in pixels of `step` bytes, the first of which is at `start` in a row: the components are
    /// those at `lanes`.
    Pixels { step: usize, start: usize, lanes: [usize; 3] },
    /// The component of this index.
    Samples(usize),
}

impl Resampler {
    /// Those that make all components of the rows `rows` of the result.
    pub fn all(layout: &Layout, axes: &[Axes], rows: Range<usize>) -> Vec<Self> {
        let new = |source: Source, axes: &Axes| {
            let width = axes.across.resize.wanted;
            let (stride, batch, mixed) = match source {
                Source::Pixels { .. } => (width.next_multiple_of(2) * PIXEL, ROWS, width * PIXEL),
                Source::Samples(_) => (width, ROWS * PIXEL, 0),
            };
            let window = Window::new(&axes.down, rows.clone(), stride, batch);
            Self { source, window, mixed: vec![0; mixed], scratch: Scratch::default() }
        };
        match pixel(&layout.components) {
            Some(source) => vec![new(source, &axes[0])],
            None => axes.iter().enumerate().map(|(i, axes)| new(Source::Samples(i), axes)).collect(),
        }
    }

    /// Forgets the last picture.
    pub fn restart(&mut self) {
        self.window.filled = self.window.first;
    }

    /// Makes row `y` of those components that are resized here; rows must come in order.
    pub fn row(&mut self, image: &Image, axes: &[Axes], y: usize, rows: &mut [Vec<u8>; 3]) {
        let Self { source, window, mixed, scratch } = self;
        let index = if let Source::Samples(index) = *source { index } else { 0 };
        let Axes { across, down } = &axes[index];
        let (first, weights) = down.used(y);
        while window.filled < first + weights.len() {
            let (y, batch) = window.next_batch();
            match *source {
                Source::Pixels { step, start, .. } => scratch.pixels(image, y, (start, step), across, batch),
                Source::Samples(index) => scratch.samples(image, y, index, across, batch),
            }
        }
        window.find(first..first + weights.len());
        match *source {
            Source::Pixels { lanes, .. } => {
                mix_rows(&window.data, &window.starts, weights, mixed);
                for (row, i) in rows.iter_mut().zip(lanes) {
                    lane(mixed, i, row);
                }
            }
            Source::Samples(index) => mix_rows(&window.data, &window.starts, weights, &mut rows[index]),
        }
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
    /// Where the rows in use begin in `data`.
    starts: Vec<usize>,
}

impl Window {
    fn new(down: &Filter, rows: Range<usize>, stride: usize, batch: usize) -> Self {
        let first = down.sources(rows).start;
        let slots = (down.taps + batch).next_multiple_of(batch);
        Self { first, filled: first, batch, slots, stride, data: vec![0; slots * stride], starts: Vec::new() }
    }

    fn slot(&self, row: usize) -> usize {
        (row - self.first) % self.slots
    }

    /// Makes `starts` those of `rows`, which must be in here.
    fn find(&mut self, rows: Range<usize>) {
        let mut starts = std::mem::take(&mut self.starts);
        starts.clear();
        starts.extend(rows.map(|row| self.slot(row) * self.stride));
        self.starts = starts;
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
    fn pixels(&mut self, image: &Image, y: usize, (start, step): (usize, usize), filter: &Filter, out: &mut [u8]) {
        let (plane, last) = (image.plane_of(0), image.height() - 1);
        let mut index = 0..;
        let rows = self.padded.each_mut().map(|copy| {
            let y = y + index.next().unwrap_or_default();
            padded(plane, y.min(last), start, needed(filter, step), copy)
        });
        let mut out = out.chunks_exact_mut(out.len() / ROWS);
        mix_pixels(rows, step, filter, [(); ROWS].map(|()| out.next().unwrap_or_default()));
    }

    /// Filters rows of a component from row `y` on along themselves into those of `out`: four rows make one of pixels.
    fn samples(&mut self, image: &Image, y: usize, index: usize, filter: &Filter, out: &mut [u8]) {
        let Component { offset, step, .. } = image.layout().components[index];
        let plane = image.plane_of(index);
        let last = image.layout().components[index].size(image.width(), image.height()).1 - 1;
        for (i, before) in self.before.iter_mut().enumerate() {
            let mut row = y + i * PIXEL..;
            let rows = self.padded.each_mut().map(|copy| {
                let y = row.next().unwrap_or_default();
                padded(plane, y.min(last), offset, filter.reach() * step, copy)
            });
            before.resize(needed(filter, PIXEL), 0);
            interleave(rows, step, &mut before[..filter.reach() * PIXEL]);
        }
        for after in &mut self.after {
            after.resize(filter.resize.wanted.next_multiple_of(2) * PIXEL, 0);
        }
        let after = self.after.each_mut().map(|row| &mut row[..]);
        mix_pixels(self.before.each_ref().map(|row| &row[..]), PIXEL, filter, after);
        for (i, out) in out.chunks_exact_mut(filter.resize.wanted).enumerate() {
            lane(&self.after[i / PIXEL], i % PIXEL, out);
        }
    }
}

/// What to resize together if the three components lie side by side.
fn pixel(components: &[Component]) -> Option<Source> {
    let [a, b, c] = components else { return None };
    let alike = |other: &Component| {
        (other.plane, other.step, other.shift_x, other.shift_y) == (a.plane, a.step, a.shift_x, a.shift_y)
    };
    let offsets = [a.offset, b.offset, c.offset];
    let start = *offsets.iter().min()?;
    let lanes = offsets.map(|o| o - start);
    let packed = alike(b) && alike(c) && matches!(a.step, 3 | PIXEL) && lanes.iter().all(|&l| l < PIXEL);
    packed.then_some(Source::Pixels { step: a.step, start, lanes })
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
