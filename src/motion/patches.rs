//! Small squares of a picture found again in another one: inverse compositional alignment (Baker and Matthews,
//! *Lucas-Kanade 20 Years On*, IJCV 2004, section 3.2) of translations, as in dense inverse search (Kroeger et al., *Fast
//! Optical Flow using Dense Inverse Search*, ECCV 2016, section 2.1).

use super::luma::{BORDER, Level};
use crate::simd::vectorised;

/// Pixels across and down.
pub const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE;
/// Steps towards the best place, at most.
const STEPS: usize = 6;
/// A step shorter than this, in pixels, is the last.
const SHORT: f32 = 0.03;
/// How far a patch may get from where it is expected, in pixels.
const REACH: f32 = 6.0;
/// The flatter a patch is the less its place is worth; the sum of squared slopes that halves it.
const FLAT: f32 = 400.0;

/// A square of the picture where people were found.
#[derive(Clone, Debug)]
pub struct Patch {
    /// Which node of the grid it stands for.
    pub node: usize,
    /// Column and row of its first pixel; both count from outside the border.
    at: (usize, usize),
    values: [f32; PIXELS],
    /// Slopes across and down, less their mean, so that sums with them leave brightness out.
    slopes: [[f32; PIXELS]; 2],
    /// Sum of `slopes` times `values`.
    own: [f32; 2],
    /// Sums of squares of slopes: across, mixed, down.
    pub squares: [f32; 3],
}

/// Where a patch is.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Displacement in pixels.
    pub by: [f32; 2],
    /// Mean squared difference that is left, brightness apart.
    pub residual: f32,
}

fn sum(values: impl Iterator<Item = f32>) -> f32 {
    values.sum()
}

impl Patch {
    /// The patch around column `x`, row `y` of `level`; `None` where it reaches out of the border.
    pub fn new(level: &Level, node: usize, (x, y): (i32, i32)) -> Option<Self> {
        let first = |at: i32, limit: usize| {
            let at = usize::try_from(at - (SIDE / 2) as i32 + BORDER as i32).ok()?;
            (at >= 1 && at + SIDE < limit + 2 * BORDER).then_some(at)
        };
        let at = (first(x, level.width)?, first(y, level.height)?);
        let (mut values, mut slopes) = ([0.0; PIXELS], [[0.0; PIXELS]; 2]);
        for j in 0..SIDE {
            let [above, here, below] = [0, 1, 2].map(|k| level.row::<{ SIDE + 2 }>(at.0 - 1, at.1 + j + k - 1));
            for i in 0..SIDE {
                let k = j * SIDE + i;
                values[k] = f32::from(here[i + 1]);
                slopes[0][k] = (f32::from(here[i + 2]) - f32::from(here[i])) / 2.0;
                slopes[1][k] = (f32::from(below[i + 1]) - f32::from(above[i + 1])) / 2.0;
            }
        }
        for slopes in &mut slopes {
            let mean = sum(slopes.iter().copied()) / PIXELS as f32;
            slopes.iter_mut().for_each(|s| *s -= mean);
        }
        let product = |a: &[f32; PIXELS], b: &[f32; PIXELS]| sum(std::iter::zip(a, b).map(|(a, b)| a * b));
        let squares = [(0, 0), (0, 1), (1, 1)].map(|(a, b)| product(&slopes[a], &slopes[b]));
        let own = [0, 1].map(|k| product(&slopes[k], &values));
        Some(Self { node, at, values, slopes, own, squares })
    }

    /// Finds it again, `by` pixels from where it was or not far from there.
    #[inline(always)]
    fn find(&self, level: &Level, start: [f32; 2]) -> Found {
        let [xx, xy, yy] = self.squares;
        // Damped, so that what a flat patch says does not lead far away.
        let (xx, yy) = (xx + FLAT, yy + FLAT);
        let determinant = (xx * yy - xy * xy).max(f32::MIN_POSITIVE);
        let mut by = start;
        let mut pixels = self.sample(level, by);
        for _ in 0..STEPS {
            let [mut a, mut b] = self.own.map(|own| -own);
            let (mut sums_a, mut sums_b) = ([0.0f32; SIDE], [0.0f32; SIDE]);
            for k in (0..PIXELS).step_by(SIDE) {
                for i in 0..SIDE {
                    sums_a[i] += self.slopes[0][k + i] * pixels[k + i];
                    sums_b[i] += self.slopes[1][k + i] * pixels[k + i];
                }
            }
            a += sums_a.iter().sum::<f32>();
            b += sums_b.iter().sum::<f32>();
            let step = [(yy * a - xy * b) / determinant, (xx * b - xy * a) / determinant];
            let step = step.map(|s| s.clamp(-2.0, 2.0));
            by = [by[0] - step[0], by[1] - step[1]];
            let far = (by[0] - start[0]).abs().max((by[1] - start[1]).abs());
            if far > REACH {
                by = start;
            }
            pixels = self.sample(level, by);
            if far > REACH || step[0].abs().max(step[1].abs()) < SHORT {
                break;
            }
        }
        Found { by, residual: self.residual(&pixels) }
    }

    #[inline(always)]
    fn residual(&self, pixels: &[f32; PIXELS]) -> f32 {
        let (mut sums, mut squares) = ([0.0f32; SIDE], [0.0f32; SIDE]);
        for k in (0..PIXELS).step_by(SIDE) {
            for i in 0..SIDE {
                let difference = pixels[k + i] - self.values[k + i];
                sums[i] += difference;
                squares[i] += difference * difference;
            }
        }
        let mean = sums.iter().sum::<f32>() / PIXELS as f32;
        (squares.iter().sum::<f32>() / PIXELS as f32 - mean * mean).max(0.0)
    }

    /// The pixels `by` from where the patch was, mixed of the four nearest; beyond the border those at its rim.
    #[inline(always)]
    fn sample(&self, level: &Level, by: [f32; 2]) -> [f32; PIXELS] {
        let place = |at: usize, by: f32, length: usize| {
            let most = (length + 2 * BORDER - SIDE - 2) as f32;
            let place = (at as f32 + by).clamp(0.0, most);
            (place as usize, place - place.floor())
        };
        let (x, fx) = place(self.at.0, by[0], level.width);
        let (y, fy) = place(self.at.1, by[1], level.height);
        let across = |row: usize| {
            let row = level.row::<{ SIDE + 1 }>(x, row);
            let mut out = [0.0f32; SIDE];
            for i in 0..SIDE {
                out[i] = f32::from(row[i]) * (1.0 - fx) + f32::from(row[i + 1]) * fx;
            }
            out
        };
        let mut pixels = [0.0; PIXELS];
        let mut above = across(y);
        for j in 0..SIDE {
            let below = across(y + j + 1);
            for i in 0..SIDE {
                pixels[j * SIDE + i] = above[i] * (1.0 - fy) + below[i] * fy;
            }
            above = below;
        }
        pixels
    }
}

vectorised! {
    /// Finds patches again, each near where `starts` expects it.
    pub fn find(level: &Level, patches: &[Patch], starts: &[[f32; 2]], found: &mut Vec<Found>) {
        found.clear();
        for (patch, start) in patches.iter().zip(starts) {
            found.push(patch.find(level, *start));
        }
    }
}

vectorised! {
    /// How well patches fit where they are expected together: the mean of absolute differences, brightness included.
    pub fn misfit(level: &Level, patches: &[Patch], by: [f32; 2], out: &mut f32) {
        let mut sum = 0.0;
        for patch in patches {
            let pixels = patch.sample(level, by);
            let mut sums = [0.0f32; SIDE];
            for k in (0..PIXELS).step_by(SIDE) {
                for i in 0..SIDE {
                    sums[i] += (pixels[k + i] - patch.values[k + i]).abs();
                }
            }
            sum += sums.iter().sum::<f32>();
        }
        *out = sum / (patches.len() * PIXELS).max(1) as f32;
    }
}
