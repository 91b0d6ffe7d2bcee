//! The pixels between cells: which part wins, and where on it they lie.
//!
//! Between four cells every channel is bilinear. One that is the highest at all four is so everywhere between them, and
//! one that is nowhere above the highest of a cell is the highest nowhere: few channels are left to be compared, and
//! in most gaps none.

use std::ops::Range;

use super::rivals::{Cell, Places, Rivals};
use super::{Charts, Gap, Grid};
use crate::kernels::simd::{Kernel, Vector, first_of};

/// Paints some rows of gaps.
pub struct Painter<'a> {
    pub charts: &'a Charts<'a>,
    pub rows: &'a [Gap],
    pub columns: &'a [Gap],
    /// The lines of pixels in `rows`, black so far; each has the pixels of all columns.
    pub pixels: &'a mut [u8],
}

impl Kernel for Painter<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { charts, rows, columns, mut pixels } = self;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return };
        let width: usize = columns.iter().map(|gap| gap.parts.len()).sum();
        // SAFETY, here and below: the caller says that the processor has the vectors.
        let winners = unsafe { Winners::new::<V>(charts, first.low..last.high + 1) };
        let mut coarse = Rivals::new(charts.coarse.channels);
        let mut fine = Rivals::new(charts.fine.channels);
        let mut places = PlacesOfPixels::new(rows, columns);
        for row in rows {
            let (lines, behind) = std::mem::take(&mut pixels).split_at_mut(row.parts.len() * width * 3);
            pixels = behind;
            places.enter_row(row);
            let mut start = 0;
            for (index, column) in columns.iter().enumerate() {
                let out = &mut lines[start * 3..];
                start += column.parts.len();
                let corners =
                    [(row.low, column.low), (row.low, column.high), (row.high, column.low), (row.high, column.high)];
                let coarse_winners = winners.of(&winners.coarse, corners);
                let fine_winners = winners.of(&winners.fine, corners);
                if coarse_winners == [0; 4] || fine_winners == [0; 4] {
                    continue;
                }
                // SAFETY: as above.
                unsafe {
                    coarse.find::<V>(&charts.coarse, corners, coarse_winners);
                    fine.find::<V>(&charts.fine, corners, fine_winners);
                    // Background comes first; where it cannot win, nothing else matters.
                    let masked = coarse.channel(0) == 0;
                    if masked {
                        coarse.fetch(0, &charts.coarse, corners, 1.0);
                    }
                    fine.fetch(0, &charts.fine, corners, 1.0);
                    fine.fetch(1, &charts.u, corners, 255.0);
                    fine.fetch(2, &charts.v, corners, 255.0);
                    let painted = places.paint::<V>(index, &fine, masked.then_some(&coarse));
                    let count = column.parts.len();
                    for (line, painted) in out.chunks_mut(width * 3).zip(painted.chunks_exact(count)) {
                        write(painted, line);
                    }
                }
            }
        }
    }
}

/// Where the pixels of the gaps in a row lie, and what they become.
struct PlacesOfPixels {
    /// For each column x of all pixels of a gap, line by line.
    across: Vec<Vec<f32>>,
    /// For each column the index of its width in `down`.
    widths: Vec<usize>,
    /// For each width of a gap y of all its pixels, line by line.
    down: Vec<(usize, Vec<f32>)>,
    lines: usize,
    painted: Vec<f32>,
}

impl PlacesOfPixels {
    fn new(rows: &[Gap], columns: &[Gap]) -> Self {
        let lines = rows.iter().map(|row| row.parts.len()).max().unwrap_or(0);
        let mut down: Vec<(usize, Vec<f32>)> = Vec::new();
        let mut widths = Vec::with_capacity(columns.len());
        for column in columns {
            let width = column.parts.len();
            widths.push(down.iter().position(|(w, _)| *w == width).unwrap_or_else(|| {
                down.push((width, vec![0.0; (width * lines).next_multiple_of(LANES)]));
                down.len() - 1
            }));
        }
        let tiled = |column: &Gap| {
            let mut tiled = column.parts.repeat(lines);
            tiled.resize(tiled.len().next_multiple_of(LANES), 0.0);
            tiled
        };
        let most = down.iter().map(|(_, y)| y.len()).max().unwrap_or(0);
        Self { across: columns.iter().map(tiled).collect(), widths, down, lines: 0, painted: vec![0.0; most] }
    }

    fn enter_row(&mut self, row: &Gap) {
        self.lines = row.parts.len();
        for (width, y) in &mut self.down {
            for (y, part) in y.chunks_exact_mut(*width).zip(&row.parts) {
                y.fill(*part);
            }
        }
    }

    /// Paints the gap in column `index`: I, U and V are in the lower three bytes of each pixel's bits.
    ///
    /// # Safety
    /// The processor has the vectors.
    #[inline(always)]
    unsafe fn paint<V: Vector>(&mut self, index: usize, fine: &Rivals, mask: Option<&Rivals>) -> &[f32] {
        let (width, down) = &self.down[self.widths[index]];
        let count = width * self.lines;
        let places = self.across[index].chunks_exact(V::LANES).zip(down.chunks_exact(V::LANES));
        let places = places.zip(self.painted.chunks_exact_mut(V::LANES)).take(count.div_ceil(V::LANES));
        for ((x, y), out) in places {
            // SAFETY: the caller's promise; the chunks are whole vectors.
            unsafe {
                let (x, y) = (V::load(x.as_ptr()), V::load(y.as_ptr()));
                let places = Places { x, y, xy: x.mul_add(y, V::splat(0.0)) };
                let mut pixels = part_and_place(fine, &places);
                if let Some(coarse) = mask {
                    pixels = foreground(coarse, &places, pixels);
                }
                pixels.store(out.as_mut_ptr());
            }
        }
        &self.painted[..count]
    }
}

/// Writes the bytes of painted pixels.
#[inline(always)]
fn write(painted: &[f32], out: &mut [u8]) {
    for (out, pixel) in out.as_chunks_mut::<3>().0.iter_mut().zip(painted) {
        let [_, part, u, v] = pixel.to_bits().to_be_bytes();
        *out = [part & PART, u, v];
    }
}

/// Channels with the highest logits of cells.
struct Winners {
    first: usize,
    width: usize,
    coarse: Vec<u8>,
    fine: Vec<u8>,
}

impl Winners {
    /// Those of some rows of cells.
    ///
    /// # Safety
    /// The processor has the vectors.
    #[inline(always)]
    unsafe fn new<V: Vector>(charts: &Charts, rows: Range<usize>) -> Self {
        // SAFETY: the caller's promise.
        let (coarse, fine) = unsafe { (winners::<V>(&charts.coarse, &rows), winners::<V>(&charts.fine, &rows)) };
        Self { first: rows.start, width: charts.fine.width, coarse, fine }
    }

    #[inline(always)]
    fn of(&self, winners: &[u8], [a, b, c, d]: [Cell; 4]) -> [u8; 4] {
        let (upper, lower) = ((a.0 - self.first) * self.width, (c.0 - self.first) * self.width);
        [winners[upper + a.1], winners[upper + b.1], winners[lower + c.1], winners[lower + d.1]]
    }
}

/// # Safety
/// The processor has the vectors.
#[inline(always)]
unsafe fn winners<V: Vector>(grid: &Grid, rows: &Range<usize>) -> Vec<u8> {
    let cells = &grid.data[rows.start * grid.width * grid.channels..rows.end * grid.width * grid.channels];
    let mut winners = vec![0; rows.len() * grid.width];
    for (winner, cell) in winners.iter_mut().zip(cells.chunks_exact(grid.channels)) {
        // SAFETY: the caller's promise.
        *winner = unsafe { highest::<V>(cell) };
    }
    winners
}

/// Most lanes of a vector.
const LANES: usize = 16;

/// Index of the highest value, the first one of equals; 0 if none is a number.
///
/// # Safety
/// The processor has the vectors.
#[inline(always)]
unsafe fn highest<V: Vector>(values: &[f32]) -> u8 {
    let (mut highest, mut winner) = (f32::NEG_INFINITY, 0.0);
    if values.len() < V::LANES {
        for (i, &value) in values.iter().enumerate() {
            let better = value > highest;
            highest = if better { value } else { highest };
            winner = if better { i as f32 } else { winner };
        }
        return winner as u8;
    }
    // SAFETY: the caller's promise, and no vector is read past the end of a slice.
    unsafe {
        let (mut best, mut first) = (V::splat(highest), V::splat(0.0));
        for vector in 0..values.len().div_ceil(V::LANES) {
            let at = first_of(vector, V::LANES, values.len());
            let block = V::load(values.as_ptr().add(at));
            first = block.where_above(best, V::splat(at as f32), first);
            best = block.where_above(best, block, best);
        }
        let index = first.add(V::load(NUMBERS.as_ptr()));
        V::splat(best.greatest()).where_above(best, V::splat(f32::INFINITY), index).least() as u8
    }
}

/// Numbers of lanes.
const NUMBERS: [f32; LANES] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0];

/// What is added to a number from 0 to 2^23 to have it rounded and in the lowest bits ...
const UNITS: f32 = 8_388_608.0;
/// ... of which the third byte has these for the number.
const PART: u8 = 0x7F;

/// I, U and V in the lower three bytes of each lane.
///
/// # Safety
/// The processor has the vectors.
#[inline(always)]
unsafe fn part_and_place<V: Vector>(rivals: &Rivals, places: &Places<V>) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let zero = V::splat(0.0);
        let mut part = V::splat(f32::from(rivals.channel(0)));
        let (mut u, mut v) = (rivals.at(1, 0, places), rivals.at(2, 0, places));
        if rivals.count() > 1 {
            let mut best = V::splat(f32::NEG_INFINITY);
            part = zero;
            for i in 0..rivals.count() {
                let value = rivals.at(0, i, places);
                part = value.where_above(best, V::splat(f32::from(rivals.channel(i))), part);
                u = value.where_above(best, rivals.at(1, i, places), u);
                v = value.where_above(best, rivals.at(2, i, places), v);
                best = value.where_above(best, value, best);
            }
        }
        let place = byte(u).mul_add(V::splat(256.0), byte(v));
        let pixel = part.mul_add(V::splat(65_536.0), place).add(V::splat(UNITS));
        // Background has no place.
        part.where_above(zero, pixel, V::splat(UNITS))
    }
}

/// `pixels` where a channel is above that of the background, and black elsewhere.
///
/// # Safety
/// The processor has the vectors.
#[inline(always)]
unsafe fn foreground<V: Vector>(rivals: &Rivals, places: &Places<V>, pixels: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let mut best = V::splat(f32::NEG_INFINITY);
        for i in 1..rivals.count() {
            let value = rivals.at(0, i, places);
            best = value.where_above(best, value, best);
        }
        best.where_above(rivals.at(0, 0, places), pixels, V::splat(UNITS))
    }
}

/// A number in 0..=255, rounded; 0 for what is no number.
///
/// # Safety
/// The processor has the vectors.
#[inline(always)]
unsafe fn byte<V: Vector>(value: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let (zero, units) = (V::splat(0.0), V::splat(UNITS));
        value.where_above(zero, value, zero).min(V::splat(255.0)).add(units).sub(units)
    }
}
