//! A picture of the body's surface, laid onto people.
//!
//! The atlas is the one of the DensePose tools: 4 columns and 6 rows of square charts, parts 1 to 6 in the first column
//! from top to bottom, 7 to 12 in the second, and so on. On a chart of `N` by `N` texels a point of the surface lies at
//! column `U * (N - 1)` and row `(1 - V) * (N - 1)`.

use super::ink::{Ink, Medium, OPAQUE};
use super::parts::Parts;
use super::wide;
use crate::person::PARTS;
use crate::simd::vectorised;

const COLUMNS: usize = 4;
const ROWS: usize = 6;
/// Most texels across a chart: 25 MB.
const MAX_SIDE: usize = 512;

/// An atlas of 24 charts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texture {
    /// Texels across and down of a chart.
    side: usize,
    /// Red, green, blue, alpha; chart after chart, row after row.
    texels: Vec<[u8; 4]>,
}

/// A picture is no atlas.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextureError {
    #[error("{width}x{height} pixels are no atlas: 4 charts across and 6 down, each square, such as 800x1200")]
    Size { width: usize, height: usize },
    #[error("{width}x{height} pixels are too many: scale it to 2048x3072 or less")]
    TooLarge { width: usize, height: usize },
    #[error("this is no PNG: convert it, for example with ffmpeg -i ATLAS atlas.png")]
    NoPng,
    #[error("the PNG cannot be read: {0}")]
    Png(#[from] png::DecodingError),
}

impl Texture {
    /// From pixels of four bytes, red, green, blue and alpha.
    ///
    /// # Errors
    /// Where the picture is not 4 by 6 square charts of at most 512 by 512 pixels.
    pub fn new(width: usize, height: usize, rgba: &[[u8; 4]]) -> Result<Self, TextureError> {
        check(width, height)?;
        if rgba.len() != width * height {
            return Err(TextureError::Size { width, height });
        }
        let side = width / COLUMNS;
        let chart = |part: usize| (part / ROWS * side, part % ROWS * side);
        let rows = (0..usize::from(PARTS)).map(chart).flat_map(|(x, y)| (y..y + side).map(move |y| y * width + x));
        Ok(Self { side, texels: rows.flat_map(|start| &rgba[start..start + side]).copied().collect() })
    }

    /// From a PNG file's bytes. Where it has no alpha, black is transparent, as in detectron2.
    ///
    /// # Errors
    /// Where it is damaged or no PNG, or no atlas, see [`Texture::new`].
    pub fn from_png(bytes: &[u8]) -> Result<Self, TextureError> {
        if !bytes.starts_with(b"\x89PNG") {
            return Err(TextureError::NoPng);
        }
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info()?;
        let (width, height) = (reader.info().width as usize, reader.info().height as usize);
        // Before there is memory for it.
        check(width, height)?;
        let (color, _) = reader.output_color_type();
        let samples = color.samples();
        let mut data = vec![0; width * height * samples];
        reader.next_frame(&mut data)?;
        let opaque = |rgb: [u8; 3]| if rgb == [0; 3] { 0 } else { 255 };
        let texel = |p: &[u8]| match *p {
            [y] => [y, y, y, opaque([y; 3])],
            [y, a] => [y, y, y, a],
            [r, g, b] => [r, g, b, opaque([r, g, b])],
            [r, g, b, a, ..] => [r, g, b, a],
            [] => [0; 4],
        };
        Self::new(width, height, &data.chunks(samples).map(texel).collect::<Vec<_>>())
    }
}

fn check(width: usize, height: usize) -> Result<(), TextureError> {
    let side = width / COLUMNS;
    if side == 0 || (width, height) != (side * COLUMNS, side * ROWS) {
        return Err(TextureError::Size { width, height });
    }
    if side > MAX_SIDE {
        return Err(TextureError::TooLarge { width, height });
    }
    Ok(())
}

/// A texture made ready for a kind of picture: the colour of every pixel that a map may hold, 6 MB.
#[derive(Debug)]
pub(super) struct TexturePaint {
    /// What the colours are for.
    medium: Medium,
    /// By part, V and U: three components in the order of an ink, and alpha.
    colors: Vec<[u8; 4]>,
}

impl TexturePaint {
    pub fn new(texture: &Texture, medium: &Medium) -> Self {
        let side = texture.side;
        let weight = |alpha: u8| ((u32::from(alpha) * u32::from(OPAQUE) + 127) / 255) as u16;
        let texels: Vec<Ink> = texture.texels.iter().map(|&[r, g, b, a]| medium.ink([r, g, b], weight(a))).collect();
        // By U or 255 - V: the texel before, and the share of the next one, in 0..=256.
        let place = |value: usize| {
            let at = value * (side - 1);
            let texel = (at / 255).min(side.saturating_sub(2));
            (texel, ((at - texel * 255) * 256 / 255) as u32)
        };
        let places: [(usize, u32); 256] = std::array::from_fn(place);
        let next = usize::from(side > 1);
        // Nothing for the background.
        let mut mixed = Vec::with_capacity(side);
        let mut colors = Vec::with_capacity((usize::from(PARTS) + 1) << 16);
        colors.resize(1 << 16, [0; 4]);
        for chart in texels.chunks_exact(side * side) {
            for (row, down) in places.into_iter().rev() {
                let (above, below) = (&chart[row * side..][..side], &chart[(row + next) * side..][..side]);
                // The texels' row at this V, times 256.
                let mix = |(above, below): (&Ink, &Ink)| -> [u32; 4] {
                    std::array::from_fn(|k| u32::from(above.0[k]) * (256 - down) + u32::from(below.0[k]) * down)
                };
                mixed.clear();
                mixed.extend(std::iter::zip(above, below).map(mix));
                for (column, across) in places {
                    let (left, right) = (mixed[column], mixed[column + next]);
                    let mean = std::array::from_fn(|k| (left[k] * (256 - across) + right[k] * across) >> 16);
                    colors.push(color(mean));
                }
            }
        }
        Self { medium: *medium, colors }
    }

    pub fn is_for(&self, medium: &Medium) -> bool {
        self.medium == *medium
    }

    /// Draws pixels I, U, V that show one of the parts with `weight` as opacity; inks stay where there is none.
    pub fn row(&self, pixels: &[[u8; 3]], parts: Parts, weight: u16, inks: &mut [Ink]) {
        let (mut places, mut colors) = ([0; CHUNK], [[0; 4]; CHUNK]);
        for (pixels, inks) in pixels.chunks(CHUNK).zip(inks.chunks_mut(CHUNK)) {
            // Apart, so that the processor fetches many colours at once: they come from all over the memory.
            find(pixels, parts, &mut places);
            for (color, &place) in colors.iter_mut().zip(&places[..pixels.len()]) {
                *color = self.colors[place as usize];
            }
            if Ink::none_in(inks) {
                lay(&colors[..pixels.len().min(inks.len())], weight, inks);
                continue;
            }
            // Holes of the texture show what is behind, other people included.
            let mut above = [Ink::NONE; CHUNK];
            lay(&colors, weight, &mut above);
            for (ink, above) in inks.iter_mut().zip(&above[..pixels.len()]) {
                *ink = above.above(*ink);
            }
        }
    }
}

/// Inks of these colours, with `weight` as opacity.
fn lay(colors: &[[u8; 4]], weight: u16, inks: &mut [Ink]) {
    let done = wide::lay(colors, weight, inks);
    for (ink, &[a, b, c, alpha]) in inks[done..].iter_mut().zip(&colors[done..]) {
        // 255 is opaque.
        let alpha = u32::from(alpha) + u32::from(alpha >> 7);
        *ink = Ink::new([a, b, c], ((u32::from(weight) * alpha + 0x80) >> 8) as u16);
    }
}

const CHUNK: usize = 64;

vectorised! {
    /// Where the colours of pixels I, U, V are; 0 is nothing.
    fn find(pixels: &[[u8; 3]], parts: Parts, places: &mut [u32; CHUNK]) {
        for (place, &[part, u, v]) in places.iter_mut().zip(pixels) {
            let shown = u32::from(parts.contains(part)).wrapping_neg();
            *place = (u32::from(part) << 16 | u32::from(v) << 8 | u32::from(u)) & shown;
        }
    }
}

/// Colour and alpha of an ink.
#[inline(always)]
fn color([a, b, c, weight]: [u32; 4]) -> [u8; 4] {
    if weight == u32::from(OPAQUE) {
        let [a, b, c] = [a, b, c].map(|lane| ((lane + 0x80) >> 8) as u8);
        return [a, b, c, 255];
    }
    let [a, b, c] = [a, b, c].map(|lane| (lane + weight / 2).checked_div(weight).unwrap_or(0).min(255) as u8);
    [a, b, c, (weight - u32::from(weight > 127)) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Layout;

    /// Texels whose colour tells part, column and row.
    fn atlas(side: usize) -> Texture {
        let (width, height) = (COLUMNS * side, ROWS * side);
        let texel = |i: usize| {
            let (x, y) = (i % width, i / width);
            [(x / side * ROWS + y / side + 1) as u8, (x % side * 10) as u8, (y % side * 10) as u8, 255]
        };
        Texture::new(width, height, &(0..width * height).map(texel).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn charts_are_read_between_texels_and_never_beside_the_chart() {
        let medium = Medium::of(&Layout::packed_rgb(1, 1, 3, [0, 1, 2]));
        for side in [1, 2, 7, 20] {
            let paint = TexturePaint::new(&atlas(side), &medium);
            for part in 1..=PARTS {
                for (u, v) in (0..=255).step_by(5).flat_map(|u| (0..=255).step_by(15).map(move |v| (u, v))) {
                    let mut ink = [Ink::NONE];
                    paint.row(&[[part, u, v]], Parts::ALL, OPAQUE, &mut ink);
                    let got = [0, 1, 2].map(|k| f64::from(ink[0].over(0, k)));
                    let place = |share: u8| f64::from(share) / 255.0 * (side - 1) as f64 * 10.0;
                    let expected = [f64::from(part), place(u), place(255 - v)];
                    let near = std::iter::zip(got, expected).all(|(g, e)| (g - e).abs() <= 1.0);
                    assert!(near, "{got:?} for {expected:?}, part {part} at {u}, {v} of {side}");
                    assert_eq!(got[0], f64::from(part), "colour of another chart");
                }
            }
        }
    }

    #[test]
    fn opacity_and_alpha_let_through() {
        let medium = Medium::of(&Layout::packed_rgb(1, 1, 3, [0, 1, 2]));
        let white = |alpha| Texture::new(4, 6, &[[255, 255, 255, alpha]; 24]).unwrap();
        for (alpha, weight, expected) in [(255, OPAQUE, 255), (255, 128, 178), (128, OPAQUE, 178), (0, OPAQUE, 100)] {
            let mut ink = [Ink::NONE];
            TexturePaint::new(&white(alpha), &medium).row(&[[3, 99, 7]], Parts::ALL, weight, &mut ink);
            assert!(ink[0].over(100, 1).abs_diff(expected) <= 1, "{alpha} {weight}: {}", ink[0].over(100, 1));
        }
    }

    fn png(width: u32, height: u32, color: png::ColorType, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(color);
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    #[test]
    fn png_files_of_every_kind_are_read() {
        use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
        for (color, pixel, expected) in [
            (Grayscale, &[9][..], [9, 9, 9, 255]),
            (Grayscale, &[0], [0; 4]),
            (GrayscaleAlpha, &[9, 77], [9, 9, 9, 77]),
            (Rgb, &[1, 2, 3], [1, 2, 3, 255]),
            (Rgb, &[0, 0, 0], [0; 4]),
            (Rgba, &[0, 0, 0, 255], [0, 0, 0, 255]),
        ] {
            let texture = Texture::from_png(&png(4, 6, color, &pixel.repeat(24))).unwrap();
            assert!(texture.texels.iter().all(|t| *t == expected), "{color:?}");
        }
    }

    #[test]
    fn what_is_no_atlas_is_told_apart() {
        let error = |bytes: &[u8]| Texture::from_png(bytes).unwrap_err().to_string();
        assert!(error(&[0xff, 0xd8, 0xff, 0xe0]).contains("no PNG"));
        assert!(error(&[]).contains("no PNG"));
        let gray = |w: u32, h: u32| png(w, h, png::ColorType::Grayscale, &vec![1; (w * h) as usize]);
        assert!(error(&gray(6, 4)).contains("6x4"));
        assert!(error(&gray(2052, 3078)).contains("too many"));
        let whole = gray(40, 60);
        assert!(error(&whole[..whole.len() / 2]).contains("cannot be read"));
        // A header that promises more than there is.
        let mut liar = whole.clone();
        liar[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        assert!(Texture::from_png(&liar).is_err());
    }
}
