//! From the DensePose head's low-resolution outputs to an IUV map at the size of the box.
//!
//! Logits and chart coordinates are resized bilinearly (cell centres at half, as PyTorch's `align_corners=False`); a
//! pixel's part is the highest fine logit where the highest coarse one is not background, and its U, V are those of
//! that part.

mod paint;
mod rivals;

use self::paint::Painter;
use crate::kernels::simd::Isa;
use crate::person::IuvMap;
use crate::simd::vectorised;
use crate::threads::Threads;

/// One output of the head for one box, (height, width, channels).
#[derive(Clone, Copy)]
pub struct Grid<'a> {
    pub data: &'a [f32],
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl<'a> Grid<'a> {
    /// All channels of a cell.
    #[inline(always)]
    fn cell(&self, y: usize, x: usize) -> &'a [f32] {
        &self.data[(y * self.width + x) * self.channels..][..self.channels]
    }
}

/// All outputs of the head for one box; height and width are the same for all.
#[derive(Clone, Copy)]
pub struct Charts<'a> {
    /// Logits, channel 0 background, all others foreground.
    pub coarse: Grid<'a>,
    /// Logits, channel 0 background, then the body parts.
    pub fine: Grid<'a>,
    /// Chart coordinates 0..=1, one channel for each of `fine`.
    pub u: Grid<'a>,
    pub v: Grid<'a>,
}

impl Charts<'_> {
    /// These charts, each value drawn towards the remembered one by at most the share `keep`; the result is the new memory.
    /// A memory of other sizes, and what is no number in it, does not count.
    pub fn mixed<'m>(&self, memory: &'m mut Vec<f32>, keep: f32) -> Charts<'m> {
        let all = [self.coarse, self.fine, self.u, self.v];
        let size: usize = all.iter().map(|p| p.data.len()).sum();
        let keep = if memory.len() == size { keep } else { 0.0 };
        memory.resize(size, 0.0);
        let mut rest = &mut memory[..];
        for grid in all {
            let (old, behind) = rest.split_at_mut(grid.data.len());
            mix(old, grid.data, keep);
            rest = behind;
        }
        let mut rest = &memory[..];
        let [coarse, fine, u, v] = all.map(|p| {
            let (data, behind) = rest.split_at(p.data.len());
            rest = behind;
            Grid { data, ..p }
        });
        Charts { coarse, fine, u, v }
    }

    /// Mean probability of the part that a cell shows, 0..=1, over every second cell along both sides; 0 where no part is
    /// shown. Maps of what is no person are guesswork.
    pub fn certainty(&self) -> f32 {
        // Of the cells that show a part, the logits of all parts and background below that part's.
        let mut below = Vec::new();
        for y in (0..self.fine.height).step_by(2) {
            for x in (0..self.fine.width).step_by(2) {
                let fine = self.fine.cell(y, x);
                if best_foreground(self.coarse.cell(y, x)).is_some()
                    && let Some(best) = best_foreground(fine)
                    && best > f32::NEG_INFINITY
                {
                    below.extend(fine.iter().map(|logit| logit - best));
                }
            }
        }
        exponentials(&mut below);
        let cells = below.chunks_exact(self.fine.channels);
        let count = cells.len().max(1);
        // The part itself is a term of 1, also where its logit is infinite.
        cells.map(|terms| 1.0 / terms.iter().sum::<f32>().max(1.0)).sum::<f32>() / count as f32
    }

    /// Body part and chart coordinates of every pixel of a box of `width` by `height` pixels, made on `threads`. NaN
    /// logits lose.
    pub fn to_iuv(&self, width: usize, height: usize, threads: &Threads) -> IuvMap {
        self.painted(Isa::best(), width, height, threads)
    }

    fn painted(&self, isa: Isa, width: usize, height: usize, threads: &Threads) -> IuvMap {
        let mut map = vec![0; width * height * 3];
        let (columns, rows) = (gaps(width, self.fine.width), gaps(height, self.fine.height));
        let mut rest = &mut map[..];
        let share = rows.len().div_ceil(threads.shares()).max(1);
        let mut bands: Vec<(&[Gap], &mut [u8])> = Vec::new();
        for rows in rows.chunks(share) {
            let lines: usize = rows.iter().map(|gap| gap.parts.len()).sum();
            let (band, behind) = rest.split_at_mut(lines * width * 3);
            bands.push((rows, band));
            rest = behind;
        }
        threads.each(&mut bands, |(rows, pixels)| isa.run(Painter { charts: self, rows, columns: &columns, pixels }));
        // The buffer was made for this very size.
        IuvMap::new(width, height, map).unwrap_or_else(|_| IuvMap::background(width, height))
    }
}

/// The highest logit but for channel 0, background, where it is higher than that; NaN loses.
fn best_foreground(logits: &[f32]) -> Option<f32> {
    let best = logits[1..].iter().copied().fold(f32::NEG_INFINITY, f32::max);
    (logits[0].is_nan() || best > logits[0]).then_some(best)
}

vectorised! {
    /// e^x of each x <= 0, to within some 1e-6 of it; about 0 for what is no number. Powers of 2 by the exponent's bits times
    /// the series of 2^f for what is left, -0.5..=0.5.
    fn exponentials(values: &mut [f32]) {
        const TO_WHOLE: f32 = (3 << 22) as f32; // so large that its last bit counts ones
        for value in values {
            let power = value.max(-80.0) * std::f32::consts::LOG2_E;
            let whole = power + TO_WHOLE;
            let f = power - (whole - TO_WHOLE);
            let series = [0.009_618_129, 0.055_504_11, 0.240_226_5, std::f32::consts::LN_2, 1.0];
            let series = series.iter().fold(0.000_154_035_3 * f + 0.001_333_355_8, |sum, term| sum * f + term);
            *value = f32::from_bits(series.to_bits().wrapping_add(whole.to_bits() << 23));
        }
    }
}

/// A difference of logits from one picture to the next that is more change than noise.
const SURE: f32 = 4.0;

vectorised! {
    /// Draws `old` towards `new`, keeping the share `keep` of small differences and little of those beyond [`SURE`]: where
    /// a limb comes or goes, the logits of before say surely what is no longer true. What then is no number is taken from
    /// `new`.
    fn mix(old: &mut [f32], new: &[f32], keep: f32) {
        for (old, &new) in old.iter_mut().zip(new) {
            let difference = *old - new;
            let mixed = new + keep * difference / (1.0 + difference * difference * (1.0 / (SURE * SURE)));
            *old = if keep > 0.0 && mixed.is_finite() { mixed } else { new };
        }
    }
}

/// The gap between two neighbouring cells along one axis, and the pixels in it.
struct Gap {
    low: usize,
    high: usize,
    /// Weight of `high` at each pixel.
    parts: Vec<f32>,
}

/// Where `pixels` pixels lie among `cells` cells.
fn gaps(pixels: usize, cells: usize) -> Vec<Gap> {
    let scale = cells as f32 / pixels as f32;
    let mut gaps: Vec<Gap> = Vec::new();
    for i in 0..pixels {
        let place = (scale * (i as f32 + 0.5) - 0.5).max(0.0);
        let low = (place as usize).min(cells - 1);
        let part = place - low as f32;
        match gaps.last_mut() {
            Some(gap) if gap.low == low => gap.parts.push(part),
            _ => gaps.push(Gap { low, high: (low + 1).min(cells - 1), parts: vec![part] }),
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise that is the same everywhere, smooth enough to leave areas without contest.
    fn noise(channels: usize, height: usize, width: usize, seed: usize) -> Vec<f32> {
        let value = |c: usize, y: usize, x: usize| {
            let hash = (c * 73856093) ^ ((y / 3) * 19349663) ^ ((x / 3) * 83492791) ^ (seed * 2654435761);
            (hash % 1009) as f32 / 1009.0 + ((c + y * x) % 7) as f32 * 0.01
        };
        let places = (0..height).flat_map(move |y| (0..width).map(move |x| (y, x)));
        places.flat_map(|(y, x)| (0..channels).map(move |c| value(c, y, x))).collect()
    }

    /// Every channel at every pixel, by the definition.
    fn by_definition(charts: &Charts, width: usize, height: usize) -> Vec<[u8; 3]> {
        let resized = |grid: &Grid, c: usize, y: usize, x: usize| {
            let place = |i: usize, n: usize, cells: usize| {
                let p = ((cells as f32 / n as f32) * (i as f32 + 0.5) - 0.5).max(0.0);
                let low = (p as usize).min(cells - 1);
                (low, (low + 1).min(cells - 1), p - low as f32)
            };
            let ((ya, yb, fy), (xa, xb, fx)) = (place(y, height, grid.height), place(x, width, grid.width));
            let at = |y: usize, x: usize| grid.cell(y, x)[c];
            let left = (1.0 - fy) * at(ya, xa) + fy * at(yb, xa);
            let right = (1.0 - fy) * at(ya, xb) + fy * at(yb, xb);
            left + fx * (right - left)
        };
        let highest = |grid: &Grid, y: usize, x: usize| {
            let values: Vec<f32> = (0..grid.channels).map(|c| resized(grid, c, y, x)).collect();
            (0..grid.channels).rev().max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap()
        };
        let mut pixels = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let part = if highest(&charts.coarse, y, x) > 0 { highest(&charts.fine, y, x) } else { 0 };
                let byte = |grid: &Grid| (resized(grid, part, y, x).clamp(0.0, 1.0) * 255.0).round() as u8;
                pixels.push(if part > 0 { [part as u8, byte(&charts.u), byte(&charts.v)] } else { [0; 3] });
            }
        }
        pixels
    }

    #[test]
    fn maps_equal_the_definition_at_any_size() {
        let (h, w) = (14, 14);
        let data = [noise(2, h, w, 1), noise(25, h, w, 2), noise(25, h, w, 3), noise(25, h, w, 4), noise(15, h, w, 5)];
        let grid = |data, channels| Grid { data, channels, height: h, width: w };
        for coarse in [grid(&data[0], 2), grid(&data[4], 15)] {
            let (fine, u, v) = (grid(&data[1], 25), grid(&data[2], 25), grid(&data[3], 25));
            let charts = Charts { coarse, fine, u, v };
            for (width, height) in [(1, 1), (14, 14), (97, 61), (5, 40), (3, 2)] {
                let expected = by_definition(&charts, width, height);
                assert!(expected.iter().any(|p| p[0] > 0) || width < 5);
                for (isa, threads) in Isa::available().zip([1, 2, 3, 40].into_iter().cycle()) {
                    let map = charts.painted(isa, width, height, &Threads::new(threads).unwrap());
                    for (i, want) in expected.iter().enumerate() {
                        let got = map.pixel(i % width, i / width);
                        assert_eq!(got, *want, "{isa:?} {threads} {width}x{height} pixel {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn certainty_is_the_mean_probability_of_the_parts_shown() {
        let (h, w) = (4, 6);
        let flat = vec![0.0; 25 * h * w];
        // Of the cells that count (even rows and columns), (0, 0) shows a part of probability a half, (2, 2) one of a quarter,
        // (0, 2) shows none, and at (2, 4) the coarse logits say background.
        let (mut fine, mut coarse) = (vec![0.0; 25 * h * w], [0.0, 1.0].repeat(h * w));
        for (y, x, logit) in [(0, 0, 24f32.ln()), (2, 2, 8f32.ln()), (2, 4, 9.0), (1, 1, 9.0)] {
            fine[(y * w + x) * 25 + 7] = logit;
        }
        coarse[(2 * w + 4) * 2] = 2.0;
        let certainty = |fine: &[f32]| {
            let grid = |data, channels| Grid { data, channels, height: h, width: w };
            let (coarse, flat) = (grid(&coarse, 2), grid(&flat, 25));
            Charts { coarse, fine: grid(fine, 25), u: flat, v: flat }.certainty()
        };
        assert!((certainty(&fine) - 0.375).abs() < 1e-6, "{}", certainty(&fine));
        assert_eq!(certainty(&flat), 0.0, "nothing shown");
        for strange in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(certainty(&vec![strange; 25 * h * w]), 0.0);
            fine[7] = strange;
            assert!((0.0..=1.0).contains(&certainty(&fine)), "{}", certainty(&fine));
        }
    }

    #[test]
    fn exponentials_are_those_of_the_library() {
        let mut values: Vec<f32> = (0..=8000).map(|i| -0.01 * i as f32).collect();
        let expected: Vec<f32> = values.iter().map(|x| x.exp()).collect();
        exponentials(&mut values);
        for (i, (got, want)) in values.iter().zip(&expected).enumerate() {
            assert!((got - want).abs() <= 5e-6 * want, "e^{}: {got}, not {want}", -0.01 * i as f32);
        }
        let mut strange = [f32::NAN, f32::NEG_INFINITY, -1e30];
        exponentials(&mut strange);
        assert!(strange.iter().all(|e| (0.0..1e-30).contains(e)), "{strange:?}");
    }

    #[test]
    fn what_is_no_number_is_background() {
        let (h, w) = (4, 4);
        let nan = vec![f32::NAN; 25 * h * w];
        let high = vec![9.0; 25 * h * w];
        let grid = |data, channels| Grid { data, channels, height: h, width: w };
        let foreground = [0.0, 1.0].repeat(h * w);
        let all_nan = Charts { coarse: grid(&nan, 2), fine: grid(&nan, 25), u: grid(&nan, 25), v: grid(&nan, 25) };
        assert_eq!(all_nan.to_iuv(9, 7, &Threads::one()), IuvMap::background(9, 7));
        let nan_parts = Charts { coarse: grid(&foreground, 2), u: grid(&high, 25), ..all_nan };
        assert_eq!(nan_parts.to_iuv(9, 7, &Threads::one()), IuvMap::background(9, 7));
        let mut part = vec![0.0; 25 * h * w];
        part.chunks_exact_mut(25).for_each(|cell| cell[3] = 1.0);
        let nan_coordinates = Charts { fine: grid(&part, 25), ..nan_parts };
        assert!(nan_coordinates.to_iuv(9, 7, &Threads::one()).data().chunks(3).all(|p| p == [3, 255, 0]));
    }
}
