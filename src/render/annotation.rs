//! Boxes and labels.

use std::ops::Range;

use super::font;
use super::ink::{Ink, Medium, OPAQUE};
use super::layer::Layer;
use super::style::Style;
use crate::person::Person;

const BACKING: [u8; 3] = [24, 24, 28];

/// A person's box and label, in pixels of the picture.
#[derive(Debug)]
pub(super) struct Annotation {
    columns: Range<i64>,
    rows: Range<i64>,
    line: i64,
    ink: Ink,
    framed: bool,
    label: Option<Label>,
}

#[derive(Debug)]
struct Label {
    text: String,
    left: i64,
    top: i64,
    /// Pixels per pixel of the font.
    scale: i64,
    backing: Ink,
}

impl Annotation {
    /// What `style` wants shown of a person in a picture of `size`; `None` if that is nothing.
    pub fn new(person: &Person, style: &Style, medium: &Medium, (width, height): (usize, usize)) -> Option<Self> {
        if person.width() == 0 || person.height() == 0 || !(style.boxes || style.labels) {
            return None;
        }
        let (x, y) = (i64::from(person.x), i64::from(person.y));
        let span = |start: i64, length: usize| start..start.saturating_add(i64::try_from(length).unwrap_or(i64::MAX));
        let side = width.min(height) as i64;
        Some(Self {
            columns: span(x, person.width()),
            rows: span(y, person.height()),
            line: rounded(side, 360),
            ink: medium.ink(id_color(person.id), OPAQUE),
            framed: style.boxes,
            label: style.labels.then(|| Label::new(person, rounded(side, 300), medium, width as i64)),
        })
    }

    /// Draws what falls on row `y` of the picture on row `row` of the layer.
    pub fn draw(&self, y: i64, layer: &mut Layer, row: usize) {
        if self.framed && self.rows.contains(&y) {
            let Range { start, end } = self.columns;
            let line = self.line.min(end - start);
            if y < self.rows.start + self.line || y >= self.rows.end - self.line {
                layer.columns(row, start..end).fill(self.ink);
            } else {
                layer.columns(row, start..start + line).fill(self.ink);
                layer.columns(row, end - line..end).fill(self.ink);
            }
        }
        if let Some(label) = &self.label {
            label.draw(y, self.ink, layer, row);
        }
    }
}

impl Label {
    /// Free space around the text, and between characters, in pixels of the font.
    const MARGIN: i64 = 2;
    const ADVANCE: i64 = font::WIDTH as i64 + 1;

    /// Above the box, or inside where there is no room above.
    fn new(person: &Person, scale: i64, medium: &Medium, width: i64) -> Self {
        let text = format!("#{} {:.2}", person.id, person.score);
        let mut label = Self { text, left: 0, top: 0, scale, backing: medium.ink(BACKING, OPAQUE) };
        let (w, h) = label.size();
        let (x, y) = (i64::from(person.x), i64::from(person.y));
        label.left = x.min(width - w).max(0);
        label.top = if y >= h { y - h } else { y.max(0) };
        label
    }

    fn size(&self) -> (i64, i64) {
        let text = self.text.len() as i64 * Self::ADVANCE - 1;
        ((text + 2 * Self::MARGIN) * self.scale, (font::HEIGHT as i64 + 2 * Self::MARGIN) * self.scale)
    }

    fn draw(&self, y: i64, ink: Ink, layer: &mut Layer, row: usize) {
        let (w, h) = self.size();
        if !(self.top..self.top + h).contains(&y) {
            return;
        }
        layer.columns(row, self.left..self.left + w).fill(self.backing);
        let line = (y - self.top) / self.scale - Self::MARGIN;
        let Some(line) = usize::try_from(line).ok().filter(|&l| l < font::HEIGHT) else { return };
        for (k, character) in self.text.bytes().enumerate() {
            let bits = font::glyph(character)[line];
            for column in (0..font::WIDTH).filter(|c| bits >> (font::WIDTH - 1 - c) & 1 == 1) {
                let at = Self::MARGIN + k as i64 * Self::ADVANCE + column as i64;
                let start = self.left + at * self.scale;
                layer.columns(row, start..start + self.scale).fill(ink);
            }
        }
    }
}

/// `side / unit`, to the nearest whole number from 1 on.
fn rounded(side: i64, unit: i64) -> i64 {
    ((side + unit / 2) / unit).max(1)
}

/// A bright colour for an id. Turning the hue by the golden ratio keeps those of neighbouring ids apart.
fn id_color(id: u32) -> [u8; 3] {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let hue = 6.0 * (0.33 + f64::from(id) * GOLDEN).fract();
    // The hue's distance from red, green and blue decides how much of each is in it.
    [0.0, 2.0, 4.0].map(|primary: f64| {
        let distance = (hue - primary).rem_euclid(6.0);
        let distance = distance.min(6.0 - distance);
        (255.0 * (0.3 + 0.7 * (2.0 - distance).clamp(0.0, 1.0))).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_ids_look_different() {
        for id in 0..100 {
            for other in 1..4 {
                let (a, b) = (id_color(id), id_color(id + other));
                let distance: u32 = std::iter::zip(a, b).map(|(a, b)| u32::from(a.abs_diff(b))).sum();
                assert!(distance > 80, "{id} {a:?} and {} {b:?}", id + other);
            }
        }
    }
}
