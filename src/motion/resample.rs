//! Maps at new places.

use super::field::Field;
use crate::person::IuvMap;
use crate::simd::vectorised;

/// How a map becomes that of another box.
pub struct Resampling<'a> {
    /// Corner of the map's box, in pixels of the frame.
    pub from: (i32, i32),
    /// Corner of the new box.
    pub to: (i32, i32),
    /// From places of the new box, the first node being its first pixel, to those in the map, in pixels of a level.
    pub back: &'a Field,
    /// Pixels of the frame in one of that level.
    pub scale: usize,
    /// Whether the map goes on beyond its left, right, upper and lower edge, as it is there.
    pub cut: [bool; 4],
}

/// Places are whole numbers of this part of a pixel.
const FINE: u32 = 12;
const ONE: f32 = (1 << FINE) as f32;
/// A place outside of the map.
const NOWHERE: u32 = u32::MAX;

/// Places along a line, from the first on, and what the map holds.
#[derive(Clone, Copy)]
struct Line {
    first: [i32; 2],
    step: [i32; 2],
    /// Whether places before the map, and behind it, count as its rim: across, then down.
    cut: [bool; 4],
    width: i32,
    height: i32,
}

vectorised! {
    /// Index of the pixel at each place.
    fn indices(line: Line, out: &mut [u32]) {
        let Line { first, step, cut, width, height } = line;
        let low = |cut: bool| if cut { 0 } else { i32::MIN };
        let high = |cut: bool, length: i32| if cut { length - 1 } else { i32::MAX };
        let (low_x, high_x, low_y, high_y) = (low(cut[0]), high(cut[1], width), low(cut[2]), high(cut[3], height));
        for (i, out) in out.iter_mut().enumerate() {
            let i = i as i32;
            let x = ((first[0] + step[0] * i) >> FINE).max(low_x).min(high_x);
            let y = ((first[1] + step[1] * i) >> FINE).max(low_y).min(high_y);
            let inside = (x as u32) < width as u32 && (y as u32) < height as u32;
            let index = y.wrapping_mul(width).wrapping_add(x) as u32;
            *out = if inside { index } else { NOWHERE };
        }
    }
}

impl Resampling<'_> {
    /// The map of a box of `width` by `height` pixels: nearest neighbours, since mixed parts would be others.
    pub fn apply(&self, iuv: &IuvMap, width: usize, height: usize) -> IuvMap {
        let Self { back, scale, cut, .. } = *self;
        let (columns, rows) = (back.grid.columns, back.grid.rows);
        let cell = back.grid.spacing * scale as f32;
        let offset = [self.to.0 as f32 - self.from.0 as f32 + 0.5, self.to.1 as f32 - self.from.1 as f32 + 0.5];
        let source = iuv.data().as_chunks::<3>().0;
        let size = (iuv.width() as i32, iuv.height() as i32);
        let mut data = Vec::with_capacity(width * height * 3);
        let mut nodes = vec![[0.0f32; 2]; columns];
        let mut line = vec![0; width];
        for y in 0..height {
            let row = ((y as f32 / cell) as usize).min(rows - 1);
            let share = y as f32 / cell - row as f32;
            let above = &back.by[row * columns..][..columns];
            let below = &back.by[(row + 1).min(rows - 1) * columns..][..columns];
            for (node, (a, b)) in nodes.iter_mut().zip(above.iter().zip(below)) {
                *node = [0, 1].map(|k| (a[k] + (b[k] - a[k]) * share) * scale as f32);
            }
            for (column, a) in nodes.iter().enumerate() {
                let b = nodes[(column + 1).min(columns - 1)];
                // From the first pixel that lies right of a node to the first that lies right of the next.
                let start = ((column as f32 * cell).ceil() as usize).min(width);
                let end = (((column + 1) as f32 * cell).ceil() as usize).min(width);
                let from = [start as f32, y as f32];
                let into = start as f32 - column as f32 * cell;
                let place = |k: usize| from[k] + offset[k] + a[k] + (b[k] - a[k]) * into / cell;
                let step = [cell + b[0] - a[0], b[1] - a[1]].map(|d| (d / cell * ONE) as i32);
                let first = [0, 1].map(|k| (place(k) * ONE).floor() as i32);
                indices(Line { first, step, cut, width: size.0, height: size.1 }, &mut line[start..end]);
            }
            for &index in &line {
                data.extend_from_slice(source.get(index as usize).unwrap_or(&[0; 3]));
            }
        }
        IuvMap::new(width, height, data).unwrap_or_else(|_| IuvMap::background(width, height))
    }
}
