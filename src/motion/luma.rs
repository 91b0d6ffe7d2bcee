//! Small pictures of luma at several sizes, from pictures of any layout.

use std::ops::Range;

use crate::image::{ColorModel, Depth, Image};
use crate::simd::vectorised;

/// The longer side of the largest level has at most so many pixels.
const LONGEST: usize = 480;
/// Most levels; each is half as wide and high as the one before.
const LEVELS: usize = 5;
/// No level is smaller.
const LEAST: usize = 8;
/// Pixels around each level that repeat its edge.
pub const BORDER: usize = 12;

/// Luma of a picture, or of as many pixels as a level has, with a border that repeats the edge.
#[derive(Clone, Debug, Default)]
pub struct Level {
    pub width: usize,
    pub height: usize,
    stride: usize,
    data: Vec<u8>,
}

impl Level {
    fn reset(&mut self, width: usize, height: usize) {
        (self.width, self.height, self.stride) = (width, height, width + 2 * BORDER);
        self.data.resize(self.stride * (height + 2 * BORDER), 0);
    }

    /// `N` pixels of row `y` from column `x` on; both count from [`BORDER`] pixels outside the picture.
    #[inline(always)]
    pub fn row<const N: usize>(&self, x: usize, y: usize) -> &[u8; N] {
        self.data[y * self.stride + x..].first_chunk().unwrap_or(&[0; N])
    }

    fn inner(&self, y: usize) -> &[u8] {
        &self.data[(y + BORDER) * self.stride + BORDER..][..self.width]
    }

    fn inner_mut(&mut self, y: usize) -> &mut [u8] {
        let Self { width, stride, .. } = *self;
        &mut self.data[(y + BORDER) * stride + BORDER..][..width]
    }

    /// Fills the border.
    fn extend(&mut self) {
        let Self { width, height, stride, .. } = *self;
        for row in self.data[BORDER * stride..][..height * stride].chunks_exact_mut(stride) {
            let (first, last) = (row[BORDER], row[BORDER + width - 1]);
            row[..BORDER].fill(first);
            row[BORDER + width..].fill(last);
        }
        for y in 0..BORDER {
            self.data.copy_within(BORDER * stride..(BORDER + 1) * stride, y * stride);
            let last = BORDER + height - 1;
            self.data.copy_within(last * stride..(last + 1) * stride, (last + 1 + y) * stride);
        }
    }

    /// Means of two by two pixels.
    fn halve(&self, half: &mut Self) {
        half.reset(self.width / 2, self.height / 2);
        for y in 0..half.height {
            let (a, b) = (self.inner(2 * y), self.inner(2 * y + 1));
            halve(a, b, half.inner_mut(y));
        }
        half.extend();
    }
}

vectorised! {
    fn halve(a: &[u8], b: &[u8], out: &mut [u8]) {
        let pairs = a.as_chunks::<2>().0.iter().zip(b.as_chunks::<2>().0);
        for (out, (a, b)) in out.iter_mut().zip(pairs) {
            let sum = u16::from(a[0]) + u16::from(a[1]) + u16::from(b[0]) + u16::from(b[1]);
            *out = ((sum + 2) / 4) as u8;
        }
    }
}

vectorised! {
    fn add(sums: &mut [u16], bytes: &[u8]) {
        for (sum, byte) in sums.iter_mut().zip(bytes) {
            *sum += u16::from(*byte);
        }
    }
}

vectorised! {
    /// Sums divided by how many they are of.
    fn mean(sums: &[u32], out: &mut [u8], count: u32) {
        // A sum is at most 255 times `count`.
        let share = (1 << 23) / count;
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = ((*sum * share + (1 << 22)) >> 23) as u8;
        }
    }
}

vectorised! {
    fn gather1(line: &mut [u32], pixels: &[u16], weight: u32) {
        gather::<1>(line, pixels, weight);
    }
}

vectorised! {
    fn gather2(line: &mut [u32], pixels: &[u16], weight: u32) {
        gather::<2>(line, pixels, weight);
    }
}

vectorised! {
    fn gather3(line: &mut [u32], pixels: &[u16], weight: u32) {
        gather::<3>(line, pixels, weight);
    }
}

vectorised! {
    fn gather4(line: &mut [u32], pixels: &[u16], weight: u32) {
        gather::<4>(line, pixels, weight);
    }
}

/// Adds `weight` times the sum of each `N` pixels, of which the last ones may be fewer.
#[inline(always)]
fn gather<const N: usize>(line: &mut [u32], pixels: &[u16], weight: u32) {
    let (whole, rest) = pixels.as_chunks::<N>();
    for (out, pixels) in line.iter_mut().zip(whole) {
        let mut sum = 0;
        for pixel in pixels {
            sum += u32::from(*pixel);
        }
        *out += weight * sum;
    }
    if let Some(out) = line.get_mut(whole.len()) {
        *out += weight * rest.iter().map(|&s| u32::from(s)).sum::<u32>();
    }
}

/// Levels of one picture, largest first.
#[derive(Clone, Debug, Default)]
pub struct Pyramid {
    /// Width and height of the picture.
    pub size: (usize, usize),
    /// Pixels of the picture across and down that make one of the largest level.
    pub scale: usize,
    pub levels: Vec<Level>,
    sums: Vec<u16>,
    line: Vec<u32>,
}

impl Pyramid {
    /// Makes it that of `image`.
    pub fn fill(&mut self, image: &Image) {
        let (width, height) = (image.width(), image.height());
        self.size = (width, height);
        self.scale = width.max(height).div_ceil(LONGEST);
        let scale = self.scale;
        let small = (width.div_ceil(scale), height.div_ceil(scale));
        let (mut count, mut least) = (1, small.0.min(small.1));
        while count < LEVELS && least / 2 >= LEAST {
            (count, least) = (count + 1, least / 2);
        }
        self.levels.resize_with(count, Level::default);
        let mut first = std::mem::take(&mut self.levels[0]);
        first.reset(small.0, small.1);
        for y in 0..small.1 {
            self.read(image, y * scale..((y + 1) * scale).min(height), first.inner_mut(y));
        }
        first.extend();
        self.levels[0] = first;
        for i in 1..count {
            let (large, small) = self.levels.split_at_mut(i);
            large[i - 1].halve(&mut small[0]);
        }
    }

    /// Means of luma over `rows` and as many columns as a pixel of the largest level has.
    fn read(&mut self, image: &Image, rows: Range<usize>, out: &mut [u8]) {
        let layout = image.layout();
        // Green counts twice: near enough to luma, and motion does not need it exact.
        let weights: &[u32] = match layout.color.model {
            ColorModel::Rgb => &[1, 2, 1],
            ColorModel::Gray | ColorModel::Yuv { .. } => &[4],
        };
        let Self { scale, sums, line, .. } = self;
        line.clear();
        line.resize(out.len(), 0);
        let mut summed = None;
        for (index, (component, weight)) in layout.components.iter().zip(weights).enumerate() {
            let plane = image.plane_of(index);
            if summed != Some(component.plane) {
                summed = Some(component.plane);
                let first = layout.components.iter().filter(|c| c.plane == component.plane).map(|c| c.offset).min();
                let ends = layout.components.iter().take(weights.len()).filter(|c| c.plane == component.plane);
                let last = ends.map(|c| c.offset + (layout.width - 1) * c.step + layout.depth.bytes()).max();
                let span = first.unwrap_or(0)..last.unwrap_or(0);
                sums.clear();
                sums.resize(span.end, 0);
                for y in rows.clone() {
                    let row = &plane.data[y * plane.stride..];
                    match layout.depth {
                        Depth::BYTE => add(&mut sums[span.clone()], &row[span.clone()]),
                        words => {
                            let mut at = component.offset;
                            for _ in 0..layout.width {
                                sums[at] += words.value([row[at], row[at + 1]]) >> words.extra_bits();
                                at += component.step;
                            }
                        }
                    }
                }
                // Words of several components in one plane are summed for each.
                if layout.depth != Depth::BYTE {
                    summed = None;
                }
            }
            let pixels = &sums[component.offset..];
            match (component.step, *scale) {
                (1, 1) => gather1(line, pixels, *weight),
                (1, 2) => gather2(line, pixels, *weight),
                (1, 3) => gather3(line, pixels, *weight),
                (1, 4) => gather4(line, pixels, *weight),
                (step, scale) => {
                    for (out, pixels) in line.iter_mut().zip(pixels.chunks(scale * step)) {
                        *out += weight * pixels.iter().step_by(step).map(|&s| u32::from(s)).sum::<u32>();
                    }
                }
            }
        }
        let last = layout.width - (out.len() - 1) * *scale;
        mean(line, out, (4 * *scale * rows.len()) as u32);
        let end = out.len() - 1;
        mean(&line[end..], &mut out[end..], (4 * last * rows.len()) as u32);
    }
}
