//! People onto pictures, in any pixel layout, without conversion.
//!
//! [`draw`] paints one picture; a [`Renderer`] keeps its buffers from picture to picture. [`Style`] says what is shown.
//! The picture goes by in bands of one or two rows, as high as a chroma sample: people's surfaces turn into *inks*
//! (stored colour and weight per pixel), annotations come on top, and the band is mixed with the picture component by
//! component. A chroma sample takes the mean of the inks of the pixels it covers.
//!
//! Where people overlap, later ones of the slice hide earlier ones, as in detectron2; the estimator's slice begins with
//! the best score. Map pixels whose part is not 1..=24 are background. What is painted
//! becomes opaque as far as it is painted: alpha grows by the same weight, and is all there where parts are hidden or the
//! canvas is a colour. Samples of more than eight bits are mixed in all their bits.
//!
//! A [`Preset`] makes a [`Style`] that draws exactly as another tool does. [`Hiding`] blurs, pixelates or fills parts
//! instead of painting them. A [`Texture`] is laid onto the body.
//!
//! ```
//! use gstdensepose::image::ImageMut;
//! use gstdensepose::person::{IuvMap, Person};
//! use gstdensepose::render::{self, Style, StyleKind};
//!
//! let iuv = IuvMap::new(1, 1, vec![2, 128, 255])?;
//! let person = Person { id: 0, score: 0.9, x: 1, y: 0, iuv };
//! let mut pixels = [100; 2 * 3];
//! let mut image = ImageMut::rgb(2, 1, &mut pixels)?;
//! render::draw(&mut image, &[person], &Style { style: StyleKind::Iuv, opacity: 1.0, ..Style::default() });
//! assert_eq!(pixels, [100, 100, 100, 2, 128, 255]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod annotation;
mod bits;
mod blend;
mod canvas;
mod contour;
mod font;
mod hide;
mod ink;
mod layer;
mod mask;
mod paint;
mod palette;
mod parts;
mod planes;
mod preset;
mod samples;
mod squares;
mod style;
mod texture;
mod wide;

use std::sync::Arc;

pub use hide::{Hiding, Method};
pub use palette::{COLORS, Palette, PaletteError};
pub use parts::{ParsePartsError, Parts};
pub use preset::Preset;
pub use style::{Canvas, Manner, Order, Style, StyleKind};
pub use texture::{Texture, TextureError};

use annotation::Annotation;
use blend::Cut;
use canvas::Background;
use hide::Hider;
use ink::{Ink, Medium, OPAQUE};
use layer::Layer;
use paint::{Paint, Survey};
use texture::TexturePaint;

use crate::image::{ColorModel, Depth, ImageMut};
use crate::person::{IuvMap, Person};

/// Draws people on a picture.
pub fn draw(image: &mut ImageMut, persons: &[Person], style: &Style) {
    Renderer::default().draw(image, persons, style);
}

/// Draws people on pictures, and keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub struct Renderer {
    layer: Layer,
    /// Inks of subsampled rows.
    scratch: Vec<Ink>,
    /// One per person, for the styles that need it.
    surveys: Vec<Survey>,
    hider: Hider,
    /// As the last picture that was drawn in detectron2's manner needed it.
    cut: Option<Cut>,
    texture: Option<Arc<Texture>>,
    /// The texture as the last picture needed it.
    texture_paint: Option<Arc<TexturePaint>>,
}

impl Renderer {
    /// What [`StyleKind::Texture`] shows.
    pub fn set_texture(&mut self, texture: Option<Arc<Texture>>) {
        let same = match (&self.texture, &texture) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.texture_paint = None;
        }
        self.texture = texture;
    }

    /// Hides the whole picture, as it would hide a person who fills it.
    pub fn hide_all(&mut self, image: &mut ImageMut, hiding: &Hiding) {
        let (width, height) = (image.width(), image.height());
        let everything = IuvMap::new(width, height, [1, 0, 0].repeat(width * height));
        if let Ok(iuv) = everything {
            let person = Person { id: 0, score: 1.0, x: 0, y: 0, iuv };
            self.hider.hide(image, &person, Parts::ALL, hiding);
        }
    }

    /// Draws people on a picture.
    pub fn draw(&mut self, image: &mut ImageMut, persons: &[Person], style: &Style) {
        if style.draws_nothing(persons.len()) {
            return;
        }
        let size @ (width, height) = (image.width(), image.height());
        let medium = Medium::of(image.layout());
        let medium = if style.style.is_raw() { medium.raw() } else { medium };
        let mixing = Mixing::of(style, &medium);
        let texture = if style.style == StyleKind::Texture { self.texture_for(&medium) } else { None };
        let paint = Paint::new(style, mixing.ink_weight(style), &medium, size, texture);
        let mut background = Background::of(style, &medium);
        let shown = shown(persons, style);
        let annotations: Vec<_> = shown.iter().filter_map(|p| Annotation::new(p, style, &medium, size)).collect();
        let paints = style.hiding.is_none() && style.weight() > 0;
        let painted = if paints { &shown[..] } else { &[] };
        self.surveys.resize_with(self.surveys.len().max(painted.len()), Survey::default);
        std::iter::zip(painted, &mut self.surveys).for_each(|(person, survey)| paint.survey(person, survey));

        let band = image.layout().components.iter().map(|c| 1 << c.shift_y).max().unwrap_or(1);
        if let Some(hiding) = &style.hiding {
            // Hiding looks at more than a band.
            (0..height).step_by(band).for_each(|top| background.apply(image, &medium, top, band.min(height - top)));
            background = Background::Keep;
            shown.iter().for_each(|person| self.hider.hide(image, person, style.parts, hiding));
        }
        let cut = match mixing {
            Mixing::Cut(opacity) if self.cut.as_ref().is_none_or(|cut| !cut.is_for(opacity)) => {
                Some(&*self.cut.insert(Cut::new(opacity)))
            }
            Mixing::Cut(_) => self.cut.as_ref(),
            _ => None,
        };
        self.layer.reset(width, band);
        for top in (0..height).step_by(band) {
            let rows = band.min(height - top);
            self.layer.clear();
            background.apply(image, &medium, top, rows);
            for (person, survey) in std::iter::zip(painted, &self.surveys) {
                for row in 0..rows {
                    paint_row(&paint, person, survey, (top + row) as i64, &mut self.layer, row);
                }
                if mixing != Mixing::Together {
                    match cut {
                        Some(cut) => cut.blend(image, &medium, top, rows, &self.layer),
                        None => blend::blend(image, &medium, top, rows, &self.layer, &mut self.scratch),
                    }
                    self.layer.clear();
                }
            }
            for row in 0..rows {
                annotations.iter().for_each(|a| a.draw((top + row) as i64, &mut self.layer, row));
            }
            blend::blend(image, &medium, top, rows, &self.layer, &mut self.scratch);
        }
    }

    fn texture_for(&mut self, medium: &Medium) -> Option<Arc<TexturePaint>> {
        let texture = self.texture.as_ref()?;
        if !self.texture_paint.as_ref().is_some_and(|p| p.is_for(medium)) {
            self.texture_paint = Some(Arc::new(TexturePaint::new(texture, medium)));
        }
        self.texture_paint.clone()
    }
}

/// How people come onto the canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mixing {
    /// The topmost person of each pixel.
    Together,
    /// One person after the other.
    Successive,
    /// The same with this opacity and fractions cut off.
    Cut(f64),
}

impl Mixing {
    fn of(style: &Style, medium: &Medium) -> Self {
        match (style.manner, medium.color.model) {
            (Manner::Own, _) => Self::Together,
            (Manner::Detectron2, ColorModel::Yuv { .. }) => Self::Successive,
            // Where nothing shines through there are no fractions.
            (Manner::Detectron2, _) if style.opacity >= 1.0 => Self::Successive,
            // Of what has more than eight bits no other tool has an example.
            (Manner::Detectron2, _) if medium.depth != Depth::BYTE => Self::Successive,
            (Manner::Detectron2, _) => Self::Cut(style.opacity.clamp(0.0, 1.0)),
        }
    }

    fn ink_weight(self, style: &Style) -> u16 {
        if matches!(self, Self::Cut(_)) { OPAQUE } else { style.weight() }
    }
}

/// The people to be drawn, in the order of drawing.
fn shown<'a>(persons: &'a [Person], style: &Style) -> Vec<&'a Person> {
    let mut shown: Vec<_> = persons.iter().filter(|p| style.min_score.is_none_or(|min| p.score > min)).collect();
    if style.order == Order::BestFirst {
        shown.sort_by(|a, b| b.score.total_cmp(&a.score));
    }
    shown
}

/// Paints what of a person falls on row `y` of the picture, on row `row` of the layer.
fn paint_row(paint: &Paint, person: &Person, survey: &Survey, y: i64, layer: &mut Layer, row: usize) {
    if person.width() == 0 || person.height() == 0 {
        return;
    }
    let map_y = y - i64::from(person.y);
    let height = person.height() + paint.overhang();
    let Some(map_y) = usize::try_from(map_y).ok().filter(|&y| y < height) else { return };
    let left = i64::from(person.x);
    let inks = layer.columns(row, left..left.saturating_add((person.width() + paint.overhang()) as i64));
    if !inks.is_empty() {
        let start = usize::try_from(-left).unwrap_or(0);
        paint.row(&person.iuv, survey, map_y, start, inks);
    }
}

#[cfg(test)]
mod alpha_tests;
#[cfg(test)]
mod deep_tests;
#[cfg(test)]
mod hide_tests;
#[cfg(test)]
mod preset_tests;
#[cfg(test)]
mod tests;
