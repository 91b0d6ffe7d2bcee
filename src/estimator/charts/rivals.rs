//! Channels that may be the highest in a gap between four cells.

use super::Grid;
use crate::kernels::simd::{Vector, first_of};

/// A cell, by row and column.
pub type Cell = (usize, usize);

/// Most quantities of a channel.
const MOST: usize = 3;

/// A bilinear quantity: what it is at the upper left corner, how much it grows to the right, downwards, and both ways
/// at once.
type Terms = [f32; 4];

/// Some channels, and quantities of each in a gap.
pub struct Rivals {
    count: usize,
    channels: Vec<u8>,
    /// Above 0 for each channel that is in.
    flags: Vec<f32>,
    /// Of each rival the terms of its quantities.
    terms: Vec<[Terms; MOST]>,
}

impl Rivals {
    /// Of at most `channels`.
    pub fn new(channels: usize) -> Self {
        Self {
            count: 0,
            channels: vec![0; channels],
            flags: vec![0.0; channels],
            terms: vec![[[0.0; 4]; MOST]; channels],
        }
    }

    #[inline(always)]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The channel of a rival; they are in order.
    #[inline(always)]
    pub fn channel(&self, index: usize) -> u8 {
        self.channels[index]
    }

    /// Finds the channels of `grid` that may win between `corners`, where `winners` do.
    ///
    /// # Safety
    /// The processor has the vectors.
    #[inline(always)]
    pub unsafe fn find<V: Vector>(&mut self, grid: &Grid, corners: [Cell; 4], winners: [u8; 4]) {
        if winners == [winners[0]; 4] {
            (self.count, self.channels[0]) = (1, winners[0]);
            return;
        }
        let cells = cells(grid, corners);
        let count = grid.channels;
        // SAFETY: the caller's promise; vectors end with the last channel at most.
        unsafe {
            if count >= V::LANES {
                for vector in 0..count.div_ceil(V::LANES) {
                    self.flag::<V>(cells, winners, first_of(vector, V::LANES, count));
                }
            } else {
                for at in 0..count {
                    self.flag::<f32>(cells, winners, at);
                }
            }
        }
        for winner in winners {
            self.flags[usize::from(winner)] = 1.0;
        }
        self.count = 0;
        for channel in 0..count {
            self.channels[self.count] = channel as u8;
            self.count += usize::from(self.flags[channel] > 0.0);
        }
    }

    /// Flags those channels from `at` on that are somewhere above each winner: the others cannot win.
    ///
    /// # Safety
    /// The processor has the vectors; each cell and `flags` have a vector from `at` on.
    #[inline(always)]
    unsafe fn flag<V: Vector>(&mut self, cells: [&[f32]; 4], winners: [u8; 4], at: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let (zero, one) = (V::splat(0.0), V::splat(1.0));
            let mut flags = one;
            for (i, winner) in winners.into_iter().enumerate() {
                if winners[..i].contains(&winner) {
                    continue;
                }
                let mut above = zero;
                for cell in cells {
                    let values = V::load(cell.as_ptr().add(at));
                    above = values.where_above(V::splat(cell[usize::from(winner)]), one, above);
                }
                flags = flags.min(above);
            }
            flags.store(self.flags.as_mut_ptr().add(at));
        }
    }

    /// Fetches a quantity of each rival: what `grid` has for it at the corners, times `scale`.
    #[inline(always)]
    pub fn fetch(&mut self, quantity: usize, grid: &Grid, corners: [Cell; 4], scale: f32) {
        let cells = cells(grid, corners);
        for (terms, channel) in self.terms.iter_mut().zip(&self.channels[..self.count]) {
            let channel = usize::from(*channel);
            let [a, b, c, d] = [
                cells[0][channel] * scale,
                cells[1][channel] * scale,
                cells[2][channel] * scale,
                cells[3][channel] * scale,
            ];
            terms[quantity] = [a, b - a, c - a, (d - c) - (b - a)];
        }
    }

    /// A quantity of a rival at some places.
    ///
    /// # Safety
    /// The processor has the vectors.
    #[inline(always)]
    pub unsafe fn at<V: Vector>(&self, quantity: usize, index: usize, places: &Places<V>) -> V {
        let [corner, right, down, both] = self.terms[index][quantity];
        // SAFETY: the caller's promise.
        unsafe {
            let value = places.x.mul_add(V::splat(right), V::splat(corner));
            let value = places.y.mul_add(V::splat(down), value);
            places.xy.mul_add(V::splat(both), value)
        }
    }
}

#[inline(always)]
fn cells<'a>(grid: &Grid<'a>, [a, b, c, d]: [Cell; 4]) -> [&'a [f32]; 4] {
    [grid.cell(a.0, a.1), grid.cell(b.0, b.1), grid.cell(c.0, c.1), grid.cell(d.0, d.1)]
}

/// Places in a gap: 0..1 from left to right and downwards, and the product of both.
pub struct Places<V> {
    pub x: V,
    pub y: V,
    pub xy: V,
}
