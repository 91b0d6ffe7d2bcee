//! The styles: from the body surface to inks.

use std::sync::Arc;

use super::contour::{Contours, Planes};
use super::ink::{Ink, Medium};
use super::parts::Parts;
use super::squares::{Lines, Squares};
use super::style::{Manner, Style, StyleKind};
use super::texture::TexturePaint;
use crate::person::{IuvMap, Person};

/// A style made ready for a kind of picture.
#[derive(Debug)]
pub(super) enum Paint {
    /// The ink is chosen by one byte of the map's pixel.
    Key(KeyPaint),
    /// The bytes of the map's pixel are the colour.
    Raw(RawPaint),
    Contour(Box<Contours>),
    Squares(Box<Squares>),
    Texture(Arc<TexturePaint>, u16, Parts),
    Nothing,
}

/// What a style has found out about a person's map as a whole.
#[derive(Debug, Default)]
pub(super) struct Survey {
    planes: Planes,
    lines: Lines,
}

impl Paint {
    /// `weight`: how much of the canvas the style hides.
    pub fn new(
        style: &Style,
        weight: u16,
        medium: &Medium,
        size: (usize, usize),
        texture: Option<Arc<TexturePaint>>,
    ) -> Self {
        let key = |channel, color: &dyn Fn(u8) -> [u8; 3]| {
            Self::Key(KeyPaint {
                channel,
                parts: style.parts,
                inks: Box::new(std::array::from_fn(|k| medium.ink(color(k as u8), weight))),
            })
        };
        let palette = style.palette;
        match style.style {
            StyleKind::Parts => key(0, &|i| palette.part(i)),
            StyleKind::Index => key(0, &|i| [i; 3]),
            StyleKind::U => key(1, &|u| palette.color(u)),
            StyleKind::V => key(2, &|v| palette.color(v)),
            StyleKind::Iuv => Self::Raw(RawPaint::new(medium, [0, 1, 2], weight, style.parts)),
            StyleKind::IuvLegacy => Self::Raw(RawPaint::new(medium, [2, 1, 0], weight, style.parts)),
            StyleKind::Contour if style.manner == Manner::Detectron2 => {
                Self::Squares(Box::new(Squares::new(style, medium)))
            }
            StyleKind::Contour => Self::Contour(Box::new(Contours::new(style, medium, size))),
            StyleKind::Texture => texture.map_or(Self::Nothing, |texture| Self::Texture(texture, weight, style.parts)),
        }
    }

    /// Looks at a person's map as a whole, where the style needs it.
    pub fn survey(&self, person: &Person, survey: &mut Survey) {
        match self {
            Self::Contour(paint) => paint.survey(&person.iuv, &mut survey.planes),
            Self::Squares(paint) => paint.survey(person, &mut survey.lines),
            _ => {}
        }
    }

    /// Columns right of a map, and rows below, that a style paints, too.
    pub fn overhang(&self) -> usize {
        usize::from(matches!(self, Self::Squares(_)))
    }

    /// Paints columns `start..` of row `y` of a surveyed map; inks stay where there is no body.
    pub fn row(&self, map: &IuvMap, survey: &Survey, y: usize, start: usize, inks: &mut [Ink]) {
        if let Self::Squares(paint) = self {
            return paint.row(&survey.lines, y, start, inks);
        }
        let pixels = &map.row(y).as_chunks::<3>().0[start..];
        match self {
            Self::Key(paint) => match paint.channel {
                0 => paint.row::<0>(pixels, inks),
                1 => paint.row::<1>(pixels, inks),
                _ => paint.row::<2>(pixels, inks),
            },
            Self::Raw(paint) => paint.row(pixels, inks),
            Self::Contour(paint) => paint.row(&survey.planes, y, start, inks),
            Self::Texture(paint, weight, parts) => paint.row(pixels, *parts, *weight, inks),
            Self::Squares(_) | Self::Nothing => {}
        }
    }
}

#[derive(Debug)]
pub(super) struct KeyPaint {
    channel: usize,
    parts: Parts,
    inks: Box<[Ink; 256]>,
}

impl KeyPaint {
    fn row<const CHANNEL: usize>(&self, pixels: &[[u8; 3]], inks: &mut [Ink]) {
        for (ink, pixel) in inks.iter_mut().zip(pixels) {
            if self.parts.contains(pixel[0]) {
                *ink = self.inks[usize::from(pixel[CHANNEL])];
            }
        }
    }
}

/// Converts any colour, pixel by pixel: the lanes of an ink are sums of what red, green and blue add to them.
#[derive(Debug)]
pub(super) struct RawPaint {
    /// By byte of the map's pixel. Entries may be negative, sums of three are not.
    tables: Box<[[i64; 256]; 3]>,
    parts: Parts,
}

impl RawPaint {
    /// `channels`: which of I, U, V is red, green and blue.
    fn new(medium: &Medium, channels: [usize; 3], weight: u16, parts: Parts) -> Self {
        let (matrix, offset) = medium.color.from_rgb_matrix();
        let weighted = |v: f32| (v * f32::from(weight)).round() as i64;
        let mut tables = Box::new([[0; 256]; 3]);
        for (rgb, &channel) in channels.iter().enumerate() {
            for (value, entry) in tables[channel].iter_mut().enumerate() {
                for (lane, &component) in medium.order.iter().enumerate() {
                    *entry += weighted(matrix[component][rgb] * value as f32) << (16 * lane);
                }
            }
        }
        // What does not depend on the pixel goes into one of the tables only.
        for entry in &mut tables[0] {
            for (lane, &component) in medium.order.iter().enumerate() {
                // Pure blue and red are 255.5 in full-range chroma; a hair less, and they do not round to 256.
                *entry += (weighted(offset[component]) - 1).max(0) << (16 * lane);
            }
            *entry += i64::from(weight) << 48;
        }
        Self { tables, parts }
    }

    #[inline(always)]
    fn ink(&self, [i, u, v]: [u8; 3]) -> Ink {
        let [ti, tu, tv] = &*self.tables;
        let sum = ti[usize::from(i)] + tu[usize::from(u)] + tv[usize::from(v)];
        Ink([0, 16, 32, 48].map(|shift| (sum >> shift) as u16))
    }

    fn row(&self, pixels: &[[u8; 3]], inks: &mut [Ink]) {
        for (ink, pixel) in inks.iter_mut().zip(pixels) {
            let new = self.ink(*pixel);
            *ink = if self.parts.contains(pixel[0]) { new } else { *ink };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Color, Layout};
    use crate::render::ink::OPAQUE;

    #[test]
    fn raw_colours_are_converted_like_any_other() {
        let full_yuv = Color { full_range: true, ..Color::BT709 };
        for color in [Color::RGB, Color::BT601, Color::BT709, full_yuv, Color::GRAY] {
            let medium = Medium::of(&Layout { color, ..Layout::packed_rgb(1, 1, 3, [2, 1, 0]) });
            let paint = RawPaint::new(&medium, [0, 1, 2], OPAQUE, Parts::ALL);
            for pixel in [[0; 3], [24, 0, 255], [1, 255, 0], [12, 34, 56], [255; 3], [0, 0, 255], [255, 0, 0]] {
                let (got, expected) = ([0, 1, 2].map(|k| paint.ink(pixel).over(77, k)), medium.bytes(pixel));
                let exact = color == Color::RGB || color == Color::GRAY;
                let tolerance = if exact { 0 } else { 1 };
                assert!(std::iter::zip(got, expected).all(|(g, e)| g.abs_diff(e) <= tolerance), "{color:?} {pixel:?}");
            }
        }
    }
}
