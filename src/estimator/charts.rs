//! From the DensePose head's low-resolution outputs to an IUV map at the size of the box.
//!
//! Logits and chart coordinates are resized bilinearly (cell centres at half, as PyTorch's `align_corners=False`); a
//! pixel's part is the highest fine logit where the highest coarse one is not background, and its U, V are those of
//! that part. A channel that is highest at the four cells around a pixel is so everywhere between them, and one that is
//! highest at both ends of a line is so all along it: most pixels of a large box need no comparison at all.

use crate::person::IuvMap;
use crate::simd::vectorised;

/// One output of the head for one box, (channels, height, width).
#[derive(Clone, Copy)]
pub struct Planes<'a> {
    pub data: &'a [f32],
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

/// All outputs of the head for one box; height and width are the same for all.
#[derive(Clone, Copy)]
pub struct Charts<'a> {
    /// Logits, channel 0 background, all others foreground.
    pub coarse: Planes<'a>,
    /// Logits, channel 0 background, then the body parts.
    pub fine: Planes<'a>,
    /// Chart coordinates 0..=1, one channel for each of `fine`.
    pub u: Planes<'a>,
    pub v: Planes<'a>,
}

impl Charts<'_> {
    /// These charts, each value drawn towards the remembered one by the share `keep`; the result is the new memory.
    /// A memory of other sizes, and what is no number in it, does not count.
    pub fn mixed<'m>(&self, memory: &'m mut Vec<f32>, keep: f32) -> Charts<'m> {
        let all = [self.coarse, self.fine, self.u, self.v];
        let size: usize = all.iter().map(|p| p.data.len()).sum();
        let keep = if memory.len() == size { keep } else { 0.0 };
        memory.resize(size, 0.0);
        let mut rest = &mut memory[..];
        for planes in all {
            let (old, behind) = rest.split_at_mut(planes.data.len());
            mix(old, planes.data, keep);
            rest = behind;
        }
        let mut rest = &memory[..];
        let [coarse, fine, u, v] = all.map(|p| {
            let (data, behind) = rest.split_at(p.data.len());
            rest = behind;
            Planes { data, ..p }
        });
        Charts { coarse, fine, u, v }
    }

    /// Body part and chart coordinates of every pixel of a box of `width` by `height` pixels. NaN logits lose.
    pub fn to_iuv(&self, width: usize, height: usize) -> IuvMap {
        let mut map = IuvMap::background(width, height).into_data();
        let columns = gaps(width, self.fine.width);
        let [mut coarse, mut fine] = [self.coarse, self.fine].map(Contest::new);
        for row in &gaps(height, self.fine.height) {
            for column in &columns {
                // Wherever only background wins, nothing is to be painted.
                let corners = self.fine.corners(row, column);
                if coarse.enter_gap(corners) && fine.enter_gap(corners) {
                    let mut painter = Painter::new(self, corners);
                    for (y, &fy) in (row.start..).zip(&row.parts) {
                        let pixels = &mut map[(y * width + column.start) * 3..][..column.parts.len() * 3];
                        let pixels = pixels.as_chunks_mut().0.iter_mut().zip(&column.parts);
                        painter.enter_line(fy);
                        coarse.enter_line(fy);
                        fine.enter_line(fy);
                        match (coarse.settled, fine.settled) {
                            (Some(0), _) | (_, Some(0)) => {}
                            (Some(_), Some(part)) => {
                                painter.select(part);
                                pixels.for_each(|(pixel, &fx)| *pixel = painter.pixel(fx));
                            }
                            _ => {
                                for (pixel, &fx) in pixels {
                                    let part = if coarse.winner(fx) > 0 { fine.winner(fx) } else { 0 };
                                    if part > 0 {
                                        painter.select(part);
                                        *pixel = painter.pixel(fx);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        // The buffer was made for this very size.
        IuvMap::new(width, height, map).unwrap_or_else(|_| IuvMap::background(width, height))
    }
}

vectorised! {
    /// Draws `old` towards `new`, keeping the share `keep`; what then is no number is taken from `new`.
    fn mix(old: &mut [f32], new: &[f32], keep: f32) {
        for (old, &new) in old.iter_mut().zip(new) {
            let mixed = new + keep * (*old - new);
            *old = if keep > 0.0 && mixed.is_finite() { mixed } else { new };
        }
    }
}

/// The gap between two neighbouring cells along one axis, and the pixels in it.
struct Gap {
    low: usize,
    high: usize,
    /// First pixel.
    start: usize,
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
            _ => gaps.push(Gap { low, high: (low + 1).min(cells - 1), start: i, parts: vec![part] }),
        }
    }
    gaps
}

/// Four cells around some pixels, as offsets into a plane: upper left, upper right, lower left, lower right.
type Corners = [usize; 4];

impl Planes<'_> {
    fn corners(&self, row: &Gap, column: &Gap) -> Corners {
        let [upper, lower] = [row.low, row.high].map(|y| y * self.width);
        [upper + column.low, upper + column.high, lower + column.low, lower + column.high]
    }

    /// A channel's values at four cells.
    fn at(&self, channel: usize, corners: Corners) -> [f32; 4] {
        let plane = &self.data[channel * self.height * self.width..][..self.height * self.width];
        corners.map(|offset| plane[offset])
    }
}

/// Values at the left and right end of a line between corners; `fy` is the weight of the lower two.
#[inline(always)]
fn ends([a, b, c, d]: [f32; 4], fy: f32) -> [f32; 2] {
    [(1.0 - fy) * a + fy * c, (1.0 - fy) * b + fy * d]
}

/// The value between two ends; `fx` is the weight of the right one.
#[inline(always)]
fn between([left, right]: [f32; 2], fx: f32) -> f32 {
    left + fx * (right - left)
}

/// A channel that may win, with its values at the corners of a gap and at the ends of a line.
struct Rival {
    channel: usize,
    corners: [f32; 4],
    ends: [f32; 2],
}

/// Which of some channels is the highest.
struct Contest<'a> {
    planes: Planes<'a>,
    /// The winner at each cell.
    winners: Vec<u32>,
    /// Those that may win in this gap, if it is not clear.
    rivals: Vec<Rival>,
    /// The one that wins all over the gap or along the line.
    settled: Option<usize>,
}

impl<'a> Contest<'a> {
    fn new(planes: Planes<'a>) -> Self {
        let cells = planes.height * planes.width;
        let (mut highest, mut winners) = (planes.data[..cells].to_vec(), vec![0; cells]);
        find_winners(&planes.data[cells..], &mut highest, &mut winners);
        Self { planes, winners, rivals: Vec::new(), settled: None }
    }

    /// Whether anything but channel 0 may win in a gap.
    fn enter_gap(&mut self, corners: Corners) -> bool {
        self.rivals.clear();
        let winners = corners.map(|offset| self.winners[offset] as usize);
        if winners.iter().all(|&winner| winner == winners[0]) {
            self.settled = Some(winners[0]);
            return winners[0] > 0;
        }
        // Whoever is nowhere above one of the winners cannot win anywhere.
        let bars = winners.map(|winner| self.planes.at(winner, corners));
        for channel in 0..self.planes.channels {
            let values = self.planes.at(channel, corners);
            let above = |bar: &[f32; 4]| values.iter().zip(bar).any(|(value, bar)| value > bar);
            if winners.contains(&channel) || bars.iter().all(above) {
                self.rivals.push(Rival { channel, corners: values, ends: [0.0; 2] });
            }
        }
        true
    }

    /// Goes to a line of pixels in the gap.
    fn enter_line(&mut self, fy: f32) {
        if self.rivals.is_empty() {
            return;
        }
        for rival in &mut self.rivals {
            rival.ends = ends(rival.corners, fy);
        }
        let (left, right) = (self.highest(|rival| rival.ends[0]), self.highest(|rival| rival.ends[1]));
        self.settled = (left == right).then_some(left);
    }

    /// The channel that is highest at a place on the line, the first one of equals.
    #[inline(always)]
    fn winner(&self, fx: f32) -> usize {
        self.settled.unwrap_or_else(|| self.highest(|rival| between(rival.ends, fx)))
    }

    #[inline(always)]
    fn highest(&self, value: impl Fn(&Rival) -> f32) -> usize {
        let mut best = (0, f32::NEG_INFINITY);
        for rival in &self.rivals {
            let value = value(rival);
            if value > best.1 {
                best = (rival.channel, value);
            }
        }
        best.0
    }
}

vectorised! {
    /// Finds the channel that is highest at each cell, the first one of equals. `highest` are the values of channel 0,
    /// `channels` those of the others.
    fn find_winners(channels: &[f32], highest: &mut [f32], winners: &mut [u32]) {
        for (channel, plane) in (1..).zip(channels.chunks_exact(highest.len())) {
            for ((value, highest), winner) in plane.iter().zip(&mut *highest).zip(&mut *winners) {
                let higher = value > highest;
                *highest = if higher { *value } else { *highest };
                *winner = if higher { channel } else { *winner };
            }
        }
    }
}

/// Makes pixels between four cells, line by line and part by part.
struct Painter<'a> {
    charts: &'a Charts<'a>,
    corners: Corners,
    fy: f32,
    part: usize,
    /// Corners and ends of U and V, times 255.
    u: ([f32; 4], [f32; 2]),
    v: ([f32; 4], [f32; 2]),
}

impl<'a> Painter<'a> {
    fn new(charts: &'a Charts<'a>, corners: Corners) -> Self {
        let nothing = ([0.0; 4], [0.0; 2]);
        Self { charts, corners, fy: 0.0, part: 0, u: nothing, v: nothing }
    }

    fn enter_line(&mut self, fy: f32) {
        self.fy = fy;
        for (corners, line) in [&mut self.u, &mut self.v] {
            *line = ends(*corners, fy);
        }
    }

    #[inline(always)]
    fn select(&mut self, part: usize) {
        if part != self.part {
            self.part = part;
            self.u.0 = self.charts.u.at(part, self.corners).map(|u| u * 255.0);
            self.v.0 = self.charts.v.at(part, self.corners).map(|v| v * 255.0);
            self.enter_line(self.fy);
        }
    }

    #[inline(always)]
    fn pixel(&self, fx: f32) -> [u8; 3] {
        [self.part as u8, byte(between(self.u.1, fx)), byte(between(self.v.1, fx))]
    }
}

/// `value` rounded; 0 for what is no number.
#[inline(always)]
fn byte(value: f32) -> u8 {
    // Behind 2^23 a float's last bits are its units.
    (value.clamp(0.0, 255.0) + 8_388_608.0).to_bits() as u8
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
        (0..channels).flat_map(|c| places.clone().map(move |(y, x)| value(c, y, x))).collect()
    }

    /// Every channel at every pixel, by the definition.
    fn by_definition(charts: &Charts, width: usize, height: usize) -> Vec<[u8; 3]> {
        let resized = |planes: &Planes, c: usize, y: usize, x: usize| {
            let place = |i: usize, n: usize, cells: usize| {
                let p = ((cells as f32 / n as f32) * (i as f32 + 0.5) - 0.5).max(0.0);
                let low = (p as usize).min(cells - 1);
                (low, (low + 1).min(cells - 1), p - low as f32)
            };
            let ((ya, yb, fy), (xa, xb, fx)) = (place(y, height, planes.height), place(x, width, planes.width));
            let at = |y: usize, x: usize| planes.data[(c * planes.height + y) * planes.width + x];
            between(ends([at(ya, xa), at(ya, xb), at(yb, xa), at(yb, xb)], fy), fx)
        };
        let highest = |planes: &Planes, y: usize, x: usize| {
            let values: Vec<f32> = (0..planes.channels).map(|c| resized(planes, c, y, x)).collect();
            (0..planes.channels).rev().max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap()
        };
        let mut pixels = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let part = if highest(&charts.coarse, y, x) > 0 { highest(&charts.fine, y, x) } else { 0 };
                let byte = |planes: &Planes| (resized(planes, part, y, x).clamp(0.0, 1.0) * 255.0).round() as u8;
                pixels.push(if part > 0 { [part as u8, byte(&charts.u), byte(&charts.v)] } else { [0; 3] });
            }
        }
        pixels
    }

    #[test]
    fn maps_equal_the_definition_at_any_size() {
        let (h, w) = (14, 14);
        let data = [noise(2, h, w, 1), noise(25, h, w, 2), noise(25, h, w, 3), noise(25, h, w, 4), noise(15, h, w, 5)];
        let planes = |data, channels| Planes { data, channels, height: h, width: w };
        for coarse in [planes(&data[0], 2), planes(&data[4], 15)] {
            let (fine, u, v) = (planes(&data[1], 25), planes(&data[2], 25), planes(&data[3], 25));
            let charts = Charts { coarse, fine, u, v };
            for (width, height) in [(1, 1), (14, 14), (97, 61), (5, 40), (3, 2)] {
                let map = charts.to_iuv(width, height);
                let expected = by_definition(&charts, width, height);
                assert!(expected.iter().any(|p| p[0] > 0) || width < 5);
                for (i, want) in expected.iter().enumerate() {
                    assert_eq!(map.pixel(i % width, i / width), *want, "{width}x{height} pixel {i}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_is_background() {
        let (h, w) = (4, 4);
        let nan = vec![f32::NAN; 25 * h * w];
        let high = vec![9.0; 25 * h * w];
        let planes = |data, channels| Planes { data, channels, height: h, width: w };
        let mut foreground = vec![0.0; 2 * h * w];
        foreground[h * w..].fill(1.0);
        let all_nan =
            Charts { coarse: planes(&nan, 2), fine: planes(&nan, 25), u: planes(&nan, 25), v: planes(&nan, 25) };
        assert_eq!(all_nan.to_iuv(9, 7), IuvMap::background(9, 7));
        let nan_parts = Charts { coarse: planes(&foreground, 2), u: planes(&high, 25), ..all_nan };
        assert_eq!(nan_parts.to_iuv(9, 7), IuvMap::background(9, 7));
        let mut part = vec![0.0; 25 * h * w];
        part[3 * h * w..4 * h * w].fill(1.0);
        let nan_coordinates = Charts { fine: planes(&part, 25), ..nan_parts };
        assert!(nan_coordinates.to_iuv(9, 7).data().chunks(3).all(|p| p == [3, 255, 0]));
    }
}
