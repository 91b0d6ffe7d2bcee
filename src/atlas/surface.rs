//! The colours of one person's body surface, collected over time.
//!
//! The atlas is the one that [`render::texture`](crate::render) reads: 4 columns and 6 rows of square charts, parts 1 to
//! 6 in the first column from top to bottom, 7 to 12 in the second, and so on. On a chart of `N` by `N` texels the
//! point (U, V) lies at column `U * (N - 1)` and row `(1 - V) * (N - 1)`.

use crate::person::{IuvMap, PARTS};

pub const COLUMNS: usize = 4;
pub const ROWS: usize = 6;
const CHARTS: usize = PARTS as usize;

/// A pixel at the border of its part is often a mix of two surfaces.
const BORDER_WEIGHT: f32 = 0.05;
/// A texel is known from this weight on: a twentieth of one well seen pixel.
const KNOWN: f32 = 0.05;
/// Gaps between seen texels are closed up to this share of a chart's side.
const REACH: f32 = 0.12;

/// What fills texels that were never seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fill {
    /// Nothing: they are transparent.
    None,
    /// Seen texels of the same chart nearby.
    #[default]
    Near,
    /// As `Near`; before it the same place on the body's other side.
    Mirror,
}

/// Weighted sums of the colours seen on each texel.
#[derive(Clone, Debug)]
pub struct Surface {
    /// Texels across and down of a chart.
    side: usize,
    /// Sums of weight times red, green and blue (0..=255), and of the weights; chart after chart, row after row.
    sums: Vec<[f32; 4]>,
}

impl Surface {
    /// Charts of `side` by `side` texels, nothing seen yet.
    pub fn new(side: usize) -> Self {
        Self { side, sums: vec![[0.0; 4]; CHARTS * side * side] }
    }

    /// Adds what a frame shows of the person. `colour` gives the frame's red, green and blue at a column and row of the
    /// map, or `None` outside of the frame; `trust` (0..=1) weighs the whole frame.
    pub fn add(&mut self, map: &IuvMap, trust: f32, colour: impl Fn(usize, usize) -> Option<[u8; 3]>) {
        for y in 0..map.height() {
            for x in 0..map.width() {
                let [part, u, v] = map.pixel(x, y);
                if part == 0 || part > PARTS {
                    continue;
                }
                let Some(rgb) = colour(x, y) else { continue };
                self.splat(part, u, v, rgb, trust * self.clearness(map, x, y));
            }
        }
    }

    /// How well a pixel shows its place, 0..=1: less at the border of its part, and less where the surface turns away
    /// from the camera or is far away, so that one pixel covers many texels.
    fn clearness(&self, map: &IuvMap, x: usize, y: usize) -> f32 {
        let [part, u, v] = map.pixel(x, y);
        if x == 0 || y == 0 || x + 1 == map.width() || y + 1 == map.height() {
            return BORDER_WEIGHT;
        }
        let around = [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)].map(|(x, y)| map.pixel(x, y));
        if around.iter().any(|p| p[0] != part) {
            return BORDER_WEIGHT;
        }
        let step = |p: [u8; 3]| {
            let (du, dv) = (f32::from(p[1]) - f32::from(u), f32::from(p[2]) - f32::from(v));
            (du * du + dv * dv).sqrt() / 255.0 * (self.side - 1) as f32
        };
        // The longest way on the chart to a neighbour, in texels.
        let stretch = around.map(step).into_iter().fold(0.0, f32::max);
        1.0 / (1.0 + stretch * stretch)
    }

    /// Adds a colour to the four texels around a place.
    fn splat(&mut self, part: u8, u: u8, v: u8, rgb: [u8; 3], weight: f32) {
        let last = self.side - 1;
        let place = |value: u8| {
            let at = f32::from(value) / 255.0 * last as f32;
            let texel = (at as usize).min(last.saturating_sub(1));
            (texel, at - texel as f32)
        };
        let ((column, across), (row, down)) = (place(u), place(255 - v));
        let chart = usize::from(part - 1) * self.side * self.side;
        for (dy, wy) in [(0, 1.0 - down), (1, down)] {
            for (dx, wx) in [(0, 1.0 - across), (1, across)] {
                let weight = weight * wx * wy;
                if weight > 0.0 {
                    let sum = &mut self.sums[chart + (row + dy) * self.side + column + dx];
                    for k in 0..3 {
                        sum[k] += weight * f32::from(rgb[k]);
                    }
                    sum[3] += weight;
                }
            }
        }
    }

    /// Share of the texels that were seen, 0..=1.
    pub fn coverage(&self) -> f64 {
        self.sums.iter().filter(|s| s[3] >= KNOWN).count() as f64 / self.sums.len() as f64
    }

    /// The atlas as a picture: width, height, and pixels of red, green, blue and alpha, rows top to bottom. Texels that
    /// nothing is known of have alpha 0.
    pub fn picture(&self, fill: Fill) -> (usize, usize, Vec<[u8; 4]>) {
        let side = self.side;
        let (width, height) = (COLUMNS * side, ROWS * side);
        let mut picture = vec![[0; 4]; width * height];
        for chart in 0..CHARTS {
            let (left, top) = (chart / ROWS * side, chart % ROWS * side);
            for (row, texels) in self.chart(chart, fill).chunks_exact(side).enumerate() {
                let start = (top + row) * width + left;
                picture[start..start + side].copy_from_slice(texels);
            }
        }
        (width, height, picture)
    }

    fn chart(&self, chart: usize, fill: Fill) -> Vec<[u8; 4]> {
        let area = self.side * self.side;
        let mut sums = self.sums[chart * area..][..area].to_vec();
        if fill == Fill::Mirror {
            let (other, flip_u, flip_v) = mirrored(chart);
            let theirs = &self.sums[other * area..][..area];
            let flipped = |at: usize, flip: bool| if flip { self.side - 1 - at } else { at };
            for (at, sum) in sums.iter_mut().enumerate() {
                let (row, column) = (flipped(at / self.side, flip_v), flipped(at % self.side, flip_u));
                let source = theirs[row * self.side + column];
                if sum[3] < KNOWN && source[3] >= KNOWN {
                    *sum = source;
                }
            }
        }
        let mut texels: Vec<Option<[f32; 3]>> = sums.iter().map(|s| (s[3] >= KNOWN).then(|| colour(s))).collect();
        if fill != Fill::None {
            let reach = (REACH * self.side as f32).ceil() as usize;
            (0..reach).for_each(|_| grow(&mut texels, self.side));
        }
        let texel = |t: &Option<[f32; 3]>| match t {
            Some(rgb) => {
                let [r, g, b] = rgb.map(|c| c.round().clamp(0.0, 255.0) as u8);
                [r, g, b, 255]
            }
            None => [0; 4],
        };
        texels.iter().map(texel).collect()
    }
}

fn colour(sum: &[f32; 4]) -> [f32; 3] {
    [sum[0] / sum[3], sum[1] / sum[3], sum[2] / sum[3]]
}

/// The chart of the body's other side, and whether its U and V run the other way: left and right parts come in pairs,
/// the two of the torso are their own mirror images.
fn mirrored(chart: usize) -> (usize, bool, bool) {
    match chart + 1 {
        1 | 2 => (chart, false, true),
        part => {
            let other = if part % 2 == 1 { chart + 1 } else { chart - 1 };
            (other, matches!(part, 3..=6 | 23 | 24), false)
        }
    }
}

/// Gives unknown texels the mean of their known neighbours.
fn grow(texels: &mut [Option<[f32; 3]>], side: usize) {
    let before = texels.to_vec();
    for row in 0..side {
        for column in 0..side {
            if before[row * side + column].is_some() {
                continue;
            }
            let rows = row.saturating_sub(1)..(row + 2).min(side);
            let near = rows.flat_map(|r| (column.saturating_sub(1)..(column + 2).min(side)).map(move |c| r * side + c));
            let (mut sum, mut count) = ([0.0; 3], 0.0);
            for rgb in near.filter_map(|at| before[at]) {
                (0..3).for_each(|k| sum[k] += rgb[k]);
                count += 1.0;
            }
            if count > 0.0 {
                texels[row * side + column] = Some(sum.map(|s| s / count));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colour that a test's body has at a place.
    fn painted(part: u8, u: u8, v: u8) -> [u8; 3] {
        [part * 10, u / 2 + 60, v / 2 + 60]
    }

    /// A map that shows one part's whole chart, `zoom` pixels a step of U and V.
    fn whole(part: u8, pixels: usize) -> IuvMap {
        let value = |at: usize| (at * 255 / (pixels - 1)) as u8;
        let data = (0..pixels * pixels).flat_map(|i| [part, value(i % pixels), 255 - value(i / pixels)]).collect();
        IuvMap::new(pixels, pixels, data).unwrap()
    }

    fn show(surface: &mut Surface, map: &IuvMap) {
        surface.add(map, 1.0, |x, y| {
            let [part, u, v] = map.pixel(x, y);
            Some(painted(part, u, v))
        });
    }

    /// The pixel of a picture at a place of the surface.
    fn texel(surface: &Surface, fill: Fill, part: usize, column: usize, row: usize) -> [u8; 4] {
        let (width, height, picture) = surface.picture(fill);
        assert_eq!((width, height), (4 * surface.side, 6 * surface.side));
        let (left, top) = ((part - 1) / 6 * surface.side, (part - 1) % 6 * surface.side);
        picture[(top + row) * width + left + column]
    }

    #[test]
    fn a_chart_that_was_seen_is_rebuilt() {
        let mut surface = Surface::new(32);
        for part in [1, 13, 24] {
            show(&mut surface, &whole(part, 96));
        }
        for part in [1u8, 13, 24] {
            for (column, row) in [(3, 4), (16, 16), (29, 9)] {
                let place = |at: usize| (at * 255 / 31) as u8;
                let expected = painted(part, place(column), 255 - place(row));
                let got = texel(&surface, Fill::None, part.into(), column, row);
                assert_eq!(got[3], 255);
                let near = (0..3).all(|k| got[k].abs_diff(expected[k]) <= 4);
                assert!(near, "part {part} at {column}, {row}: {got:?}, not {expected:?}");
            }
        }
        assert_eq!(texel(&surface, Fill::None, 2, 16, 16), [0; 4]);
        assert!((surface.coverage() - 3.0 / 24.0).abs() < 0.002, "{}", surface.coverage());
    }

    #[test]
    fn what_is_seen_clearly_counts_more_than_what_is_far_away() {
        let mut surface = Surface::new(32);
        let (near, far) = (whole(2, 96), whole(2, 8));
        surface.add(&near, 1.0, |_, _| Some([200; 3]));
        surface.add(&far, 1.0, |_, _| Some([0; 3]));
        assert!(texel(&surface, Fill::None, 2, 14, 15)[0] > 190);
    }

    #[test]
    fn a_body_s_border_hardly_counts_and_pixels_outside_of_the_frame_do_not() {
        let mut surface = Surface::new(8);
        let map = whole(2, 64);
        surface.add(&map, 1.0, |x, y| {
            let border = x == 0 || y == 0 || x == 63 || y == 63;
            Some(if border { [255; 3] } else { [100; 3] })
        });
        assert!(texel(&surface, Fill::None, 2, 0, 4)[0] <= 105);
        let mut surface = Surface::new(8);
        surface.add(&map, 1.0, |_, _| None);
        assert_eq!(surface.coverage(), 0.0);
    }

    #[test]
    fn gaps_are_closed_from_nearby_or_from_the_other_side() {
        let mut surface = Surface::new(32);
        // The right half of the left hand (part 4).
        let map = whole(4, 96);
        surface.add(&map, 1.0, |x, y| (x >= 48).then(|| painted(4, map.pixel(x, y)[1], 0)));
        assert_eq!(texel(&surface, Fill::None, 4, 14, 16), [0; 4]);
        assert_eq!(texel(&surface, Fill::Near, 4, 14, 16)[3], 255);
        assert_eq!(texel(&surface, Fill::Near, 4, 2, 16), [0; 4]);
        // The right hand (part 3) mirrors it: U runs the other way there.
        assert_eq!(texel(&surface, Fill::Near, 3, 2, 16), [0; 4]);
        let (mine, theirs) = (texel(&surface, Fill::Mirror, 3, 2, 16), texel(&surface, Fill::None, 4, 29, 16));
        assert_eq!((mine, mine[3]), (theirs, 255));
        assert_eq!(texel(&surface, Fill::Mirror, 3, 29, 16), [0; 4]);
    }

    #[test]
    fn sides_are_told_as_the_charts_lie() {
        let pairs =
            [(3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16), (17, 18), (19, 20), (21, 22), (23, 24)];
        for (a, b) in pairs {
            assert_eq!((mirrored(a - 1).0, mirrored(b - 1).0), (b - 1, a - 1));
        }
        assert_eq!([mirrored(0), mirrored(1)], [(0, false, true), (1, false, true)]);
        assert_eq!([5, 7, 23].map(|part: usize| mirrored(part - 1).1), [true, false, true]);
    }

    #[test]
    fn hostile_maps_do_no_harm() {
        let mut surface = Surface::new(1);
        surface.add(&IuvMap::background(0, 0), 1.0, |_, _| None);
        let odd = IuvMap::new(3, 1, vec![25, 1, 1, 255, 9, 9, 24, 255, 255]).unwrap();
        surface.add(&odd, 1.0, |_, _| Some([9; 3]));
        assert_eq!(surface.picture(Fill::Mirror).2.len(), 24);
    }
}
