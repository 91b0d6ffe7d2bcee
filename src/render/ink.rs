//! Paint for one pixel, and which bytes of a picture it goes to.

use crate::image::{Color, ColorModel, Depth, Layout};

/// Three colour components as the picture stores them, each multiplied by a weight, and that weight in 0..=256:
/// 0 leaves the pixel alone, 256 hides it. What is premultiplied is mixed and averaged without a division.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Ink(pub [u16; 4]);

/// Weight of an ink that hides what is below.
pub(super) const OPAQUE: u16 = 256;
const ROUND: u16 = OPAQUE / 2;

impl Ink {
    pub const NONE: Self = Self([0; 4]);

    /// # Panics
    /// May do so where `weight` is above [`OPAQUE`].
    pub const fn new([a, b, c]: [u8; 3], weight: u16) -> Self {
        Self([a as u16 * weight, b as u16 * weight, c as u16 * weight, weight])
    }

    /// Component `index` of the ink over `old`.
    #[inline(always)]
    pub const fn over(&self, old: u8, index: usize) -> u8 {
        ((old as u16 * (OPAQUE - self.0[3]) + self.0[index] + ROUND) >> 8) as u8
    }

    /// Component `index` of the ink over a word's value of `extra` bits more than a byte.
    #[inline(always)]
    pub const fn over_value(&self, old: u16, index: usize, extra: u32) -> u16 {
        let new = (self.0[index] as u32) << extra;
        ((old as u32 * (OPAQUE - self.0[3]) as u32 + new + ROUND as u32) >> 8) as u16
    }

    /// Alpha where the ink has been laid: as far as its weight goes, the pixel is opaque.
    #[inline(always)]
    pub const fn over_alpha(&self, old: u8) -> u8 {
        let weight = self.0[3];
        ((old as u16 * (OPAQUE - weight) + 255 * weight + ROUND) >> 8) as u8
    }

    /// The ink over the first three bytes of a pixel; the fourth stays.
    #[inline(always)]
    pub const fn over_pixel(&self, old: [u8; 4]) -> [u8; 4] {
        let old = u32::from_le_bytes(old);
        let Self([a, b, c, weight]) = *self;
        let keep = (OPAQUE - weight) as u32;
        // The first and the third byte share a multiplication.
        let outer = (old & 0x00ff_00ff) * keep + (a as u32 | (c as u32) << 16) + (ROUND as u32 | (ROUND as u32) << 16);
        let middle = ((old >> 8) & 0xff) * keep + b as u32 + ROUND as u32;
        ((outer >> 8) & 0x00ff_00ff | middle & 0xff00 | old & 0xff00_0000).to_le_bytes()
    }

    /// The mean of two. Rounding up, the components never outgrow the weight.
    #[inline(always)]
    pub fn mean(self, other: Self) -> Self {
        let mut mean = [0; 4];
        for (k, lane) in mean.iter_mut().enumerate() {
            *lane = ((u32::from(self.0[k]) + u32::from(other.0[k]) + 1) >> 1) as u16;
        }
        Self(mean)
    }

    /// With its weight, and so its effect, multiplied by `weight`. The weight is rounded up, as in [`Self::mean`].
    #[inline(always)]
    pub fn times(self, weight: u16) -> Self {
        let [a, b, c, w] = self.0.map(|lane| u32::from(lane) * u32::from(weight));
        Self([a >> 8, b >> 8, c >> 8, (w + 0xff) >> 8].map(|lane| lane as u16))
    }

    /// Over another: both on a pixel are this one on what the other one makes of it.
    #[inline(always)]
    pub fn above(self, below: Self) -> Self {
        let below = below.times(OPAQUE - self.0[3]);
        Self(std::array::from_fn(|k| self.0[k] + below.0[k]))
    }

    /// Whether there is no ink in any of these.
    pub fn none_in(inks: &[Self]) -> bool {
        let mut all = [0; 4];
        for ink in inks {
            all = std::array::from_fn(|k| all[k] | ink.0[k]);
        }
        all == [0; 4]
    }

    /// The mean of any number.
    pub fn mean_of(inks: impl Iterator<Item = Self>) -> Self {
        let (mut sum, mut n) = ([0; 4], 0);
        for ink in inks {
            n += 1;
            sum.iter_mut().zip(ink.0).for_each(|(s, v)| *s += u32::from(v));
        }
        Self(sum.map(|s| s.checked_div(n).unwrap_or(0) as u16))
    }
}

/// Where the bytes of an ink go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// The three components are neighbours: pixel after pixel, `offset` bytes into the plane's rows, `step` apart.
    Packed { plane: usize, offset: usize, step: usize },
    /// Each component is on its own.
    Separate,
}

/// What a picture's pixels are made of: turns colours into inks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Medium {
    pub color: Color,
    pub depth: Depth,
    pub packing: Packing,
    /// Component that each byte of an ink belongs to.
    pub order: [usize; 3],
}

impl Medium {
    pub fn of(layout: &Layout) -> Self {
        let color = layout.color;
        let depth = layout.depth;
        let separate = Self { color, depth, packing: Packing::Separate, order: [0, 1, 2] };
        let [a, b, c] = layout.components[..] else { return separate };
        let alike = |x: crate::image::Component| (x.plane, x.step, x.shift_x, x.shift_y) == (a.plane, a.step, 0, 0);
        let mut order = [0, 1, 2];
        order.sort_by_key(|&i| layout.components[i].offset);
        let offsets = order.map(|i| layout.components[i].offset);
        let offset = offsets[0];
        let bytes = depth == Depth::BYTE;
        if bytes
            && alike(a)
            && alike(b)
            && alike(c)
            && offsets == [offset, offset + 1, offset + 2]
            && matches!(a.step, 3 | 4)
        {
            return Self { color, depth, packing: Packing::Packed { plane: a.plane, offset, step: a.step }, order };
        }
        separate
    }

    /// For raw values: what the picture's bytes stand for does not count where they are RGB or gray.
    pub fn raw(mut self) -> Self {
        self.color.full_range |= !matches!(self.color.model, ColorModel::Yuv { .. });
        self
    }

    /// The bytes, in an ink's order, of an RGB colour.
    pub fn bytes(&self, rgb: [u8; 3]) -> [u8; 3] {
        let stored = self.color.from_rgb(rgb);
        self.order.map(|i| stored[i])
    }

    pub fn ink(&self, rgb: [u8; 3], weight: u16) -> Ink {
        Ink::new(self.bytes(rgb), weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inks_mix_by_weight_and_exactly_at_both_ends() {
        for old in [0, 1, 100, 254, 255] {
            for new in [0, 7, 128, 255] {
                for weight in 0..=OPAQUE {
                    let ink = Ink::new([new, 255 - new, 3], weight);
                    let share = f64::from(weight) / f64::from(OPAQUE);
                    let exact = f64::from(old) + (f64::from(new) - f64::from(old)) * share;
                    assert!((f64::from(ink.over(old, 0)) - exact).abs() <= 0.5);
                    let expected = [0, 1, 2].map(|k| ink.over(old, k));
                    let [pixel @ .., alpha] = ink.over_pixel([old, old, old, 99]);
                    assert_eq!((pixel, alpha), (expected, 99));
                }
                assert_eq!(Ink::NONE.over(old, 0), old);
                assert_eq!(Ink::new([new; 3], OPAQUE).over(old, 0), new);
            }
        }
    }

    #[test]
    fn inks_on_inks_are_one_after_the_other() {
        for (w1, w2) in [(0, 0), (0, 90), (77, 0), (128, 128), (256, 3), (9, 256), (256, 256)] {
            let (first, second) = (Ink::new([255, 3, 0], w1), Ink::new([255, 200, 9], w2));
            for old in [0, 100, 255] {
                let both = second.above(first);
                for k in 0..3 {
                    let expected = second.over(first.over(old, k), k);
                    assert!(both.over(old, k).abs_diff(expected) <= 1, "{w1} {w2} {old}");
                }
            }
            assert_eq!(first.times(OPAQUE), first);
            assert_eq!(first.times(0), Ink::NONE);
        }
    }

    #[test]
    fn a_mean_counts_what_is_covered() {
        let (red, blue) = (Ink::new([200, 0, 0], 256), Ink::new([0, 0, 100], 128));
        assert_eq!(red.mean(Ink::NONE), Ink::new([200, 0, 0], 128));
        assert_eq!(red.mean(blue), Ink([200 * 128, 0, 100 * 64, 192]));
        assert_eq!(blue.mean(blue), blue);
        assert_eq!(Ink::mean_of([red, Ink::NONE, Ink::NONE, Ink::NONE].into_iter()), Ink::new([200, 0, 0], 64));
        assert_eq!(Ink::mean_of([blue; 3].into_iter()), blue);
        assert_eq!(Ink::mean_of([].into_iter()), Ink::NONE);
    }
}
