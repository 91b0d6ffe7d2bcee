//! People onto pictures, in any pixel layout, without conversion.
//!
//! [`draw`] paints one picture; a [`Renderer`] keeps its buffers from picture to picture. [`Style`] says what is shown.
//! The picture goes by in bands of one or two rows, as high as a chroma sample: people's surfaces turn into *inks*
//! (stored colour and weight per pixel), annotations come on top, and the band is mixed with the picture component by
//! component. A chroma sample takes the mean of the inks of the pixels it covers.
//!
//! Where people overlap, later ones of the slice hide earlier ones, as in detectron2; the estimator's slice begins with
//! the best score. Map pixels whose part is not 1..=24 are background. Alpha is left as it is.
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
mod blend;
mod canvas;
mod contour;
mod font;
mod ink;
mod layer;
mod paint;
mod palette;
mod style;

pub use palette::Palette;
pub use style::{Canvas, Style, StyleKind};

use annotation::Annotation;
use canvas::Background;
use contour::Planes;
use ink::{Ink, Medium};
use layer::Layer;
use paint::Paint;

use crate::image::ImageMut;
use crate::person::Person;

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
    planes: Vec<Planes>,
}

impl Renderer {
    /// Draws people on a picture.
    pub fn draw(&mut self, image: &mut ImageMut, persons: &[Person], style: &Style) {
        if style.draws_nothing(persons.len()) {
            return;
        }
        let size @ (width, height) = (image.width(), image.height());
        let medium = Medium::of(image.layout());
        let paint = Paint::new(style, &medium, size);
        let background = Background::of(style, &medium);
        let annotations: Vec<_> = persons.iter().filter_map(|p| Annotation::new(p, style, &medium, size)).collect();
        let painted = if style.weight() == 0 { &[] } else { persons };
        self.planes.resize_with(self.planes.len().max(painted.len()), Planes::default);
        std::iter::zip(painted, &mut self.planes).for_each(|(person, planes)| paint.survey(&person.iuv, planes));

        let band = image.layout().components.iter().map(|c| 1 << c.shift_y).max().unwrap_or(1);
        self.layer.reset(width, band);
        for top in (0..height).step_by(band) {
            let rows = band.min(height - top);
            self.layer.clear();
            for row in 0..rows {
                let y = (top + row) as i64;
                for (person, planes) in std::iter::zip(painted, &self.planes) {
                    paint_row(&paint, person, planes, y, &mut self.layer, row);
                }
                annotations.iter().for_each(|a| a.draw(y, &mut self.layer, row));
            }
            background.apply(image, &medium, top, rows);
            blend::blend(image, &medium, top, rows, &self.layer, &mut self.scratch);
        }
    }
}

/// Paints what of a person falls on row `y` of the picture, on row `row` of the layer.
fn paint_row(paint: &Paint, person: &Person, planes: &Planes, y: i64, layer: &mut Layer, row: usize) {
    let map_y = y - i64::from(person.y);
    let Some(map_y) = usize::try_from(map_y).ok().filter(|&y| y < person.height()) else { return };
    let left = i64::from(person.x);
    let inks = layer.columns(row, left..left.saturating_add(person.width() as i64));
    if !inks.is_empty() {
        let start = usize::try_from(-left).unwrap_or(0);
        paint.row(&person.iuv, planes, map_y, start, inks);
    }
}

#[cfg(test)]
mod tests;
