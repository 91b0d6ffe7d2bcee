//! From the DensePose head's low-resolution outputs to an IUV map at the size of the box.
//!
//! Logits and chart coordinates are resized bilinearly (cell centres at half, as PyTorch's `align_corners=False`); a
//! pixel's part is the highest fine logit where the highest coarse one is not background, and its U, V are those of
//! that part. Interpolation cannot lift a channel over one that is higher at all four corners, so between four cells
//! that agree nothing needs to be compared, and between others only the channels that may win: most pixels of a large
//! box cost next to nothing.

use crate::person::IuvMap;

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
    /// Body part and chart coordinates of every pixel of a box of `width` by `height` pixels. NaN logits lose.
    pub fn to_iuv(&self, width: usize, height: usize) -> IuvMap {
        let mut map = vec![0; width * height * 3];
        let columns = gaps(width, self.fine.width);
        let rows = gaps(height, self.fine.height);
        let (coarse, fine) = (winners(&self.coarse), winners(&self.fine));
        let (mut coarse_rivals, mut fine_rivals) = (Rivals::default(), Rivals::default());
        for row in &rows {
            for column in &columns {
                let corners = Corners::new(self.fine.width, row, column);
                if coarse_rivals.find(&self.coarse, &coarse, &corners) == Some(0) {
                    continue;
                }
                if fine_rivals.find(&self.fine, &fine, &corners) == Some(0) {
                    continue;
                }
                let mut painter = Painter { charts: self, corners: &corners, part: 0, u: [0.0; 4], v: [0.0; 4] };
                for &(y, fy) in &row.places {
                    let line = &mut map[y * width * 3..][..width * 3];
                    for &(x, fx) in &column.places {
                        if coarse_rivals.winner(fx, fy) > 0 {
                            let part = fine_rivals.winner(fx, fy);
                            line[x * 3..][..3].copy_from_slice(&painter.pixel(part, fx, fy));
                        }
                    }
                }
            }
        }
        // The buffer was made for this very size.
        IuvMap::new(width, height, map).unwrap_or_else(|_| IuvMap::background(width, height))
    }
}

/// The gap between two neighbouring cells along one axis, and the pixels in it.
struct Gap {
    low: usize,
    high: usize,
    /// Index of each pixel, and the weight of `high` there.
    places: Vec<(usize, f32)>,
}

/// Where `pixels` pixels lie among `cells` cells.
fn gaps(pixels: usize, cells: usize) -> Vec<Gap> {
    let scale = cells as f32 / pixels as f32;
    let mut gaps: Vec<Gap> = Vec::new();
    for i in 0..pixels {
        let place = (scale * (i as f32 + 0.5) - 0.5).max(0.0);
        let low = (place as usize).min(cells - 1);
        let here = (i, place - low as f32);
        match gaps.last_mut() {
            Some(gap) if gap.low == low => gap.places.push(here),
            _ => gaps.push(Gap { low, high: (low + 1).min(cells - 1), places: vec![here] }),
        }
    }
    gaps
}

/// Four cells around some pixels, as offsets into a plane: upper left, upper right, lower left, lower right.
struct Corners([usize; 4]);

impl Corners {
    fn new(width: usize, row: &Gap, column: &Gap) -> Self {
        let at = |y: usize, x: usize| y * width + x;
        Self([at(row.low, column.low), at(row.low, column.high), at(row.high, column.low), at(row.high, column.high)])
    }

    /// A channel's values.
    fn of(&self, planes: &Planes, channel: usize) -> [f32; 4] {
        let plane = &planes.data[channel * planes.height * planes.width..];
        self.0.map(|offset| plane[offset])
    }
}

fn bilinear([a, b, c, d]: [f32; 4], fx: f32, fy: f32) -> f32 {
    (1.0 - fy) * ((1.0 - fx) * a + fx * b) + fy * ((1.0 - fx) * c + fx * d)
}

/// The channel that is highest at each cell; the first one of equals.
fn winners(planes: &Planes) -> Vec<u32> {
    let mut channels = planes.data.chunks_exact(planes.height * planes.width);
    let mut highest = channels.next().unwrap_or_default().to_vec();
    let mut winners = vec![0; highest.len()];
    for (channel, plane) in (1..).zip(channels) {
        for ((value, highest), winner) in plane.iter().zip(&mut highest).zip(&mut winners) {
            if value > highest {
                (*highest, *winner) = (*value, channel);
            }
        }
    }
    winners
}

/// The channels that may be highest somewhere between four cells, with their values there.
#[derive(Default)]
struct Rivals(Vec<(usize, [f32; 4])>);

impl Rivals {
    /// Finds them. If it is just one, returns it.
    fn find(&mut self, planes: &Planes, winners: &[u32], corners: &Corners) -> Option<usize> {
        self.0.clear();
        let [first, rest @ ..] = corners.0.map(|offset| winners[offset]);
        if rest.iter().all(|&winner| winner == first) {
            self.0.push((first as usize, [0.0; 4]));
            return Some(first as usize);
        }
        let channels = (0..planes.channels).map(|channel| (channel, corners.of(planes, channel)));
        self.0.extend(channels);
        // Nothing in between exceeds the highest corner or falls below the lowest.
        let bar = self.0.iter().map(|(_, v)| v[0].min(v[1]).min(v[2]).min(v[3])).fold(f32::NEG_INFINITY, f32::max);
        // Background stays, so that it wins where the others are no numbers.
        self.0.retain(|&(channel, v)| channel == 0 || v.iter().any(|v| *v >= bar));
        None
    }

    /// The channel that is highest at a place between the cells.
    fn winner(&self, fx: f32, fy: f32) -> usize {
        let [(first, corners), rest @ ..] = &self.0[..] else { return 0 };
        if rest.is_empty() {
            return *first;
        }
        let mut best = (*first, bilinear(*corners, fx, fy));
        for (channel, corners) in rest {
            let value = bilinear(*corners, fx, fy);
            if value > best.1 {
                best = (*channel, value);
            }
        }
        best.0
    }
}

/// Makes pixels between four cells, remembering the last part.
struct Painter<'a> {
    charts: &'a Charts<'a>,
    corners: &'a Corners,
    part: usize,
    u: [f32; 4],
    v: [f32; 4],
}

impl Painter<'_> {
    fn pixel(&mut self, part: usize, fx: f32, fy: f32) -> [u8; 3] {
        if part == 0 {
            return [0; 3];
        }
        if part != self.part {
            self.part = part;
            self.u = self.corners.of(&self.charts.u, part);
            self.v = self.corners.of(&self.charts.v, part);
        }
        // The cast takes NaN to 0.
        let byte = |corners| (bilinear(corners, fx, fy).clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
        [part as u8, byte(self.u), byte(self.v)]
    }
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
            bilinear([at(ya, xa), at(ya, xb), at(yb, xa), at(yb, xb)], fx, fy)
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
