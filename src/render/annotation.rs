//! Boxes and labels.

use std::ops::Range;

use super::font;
use super::ink::{Ink, Medium, OPAQUE};
use super::layer::Layer;
use super::style::{Manner, Style};
use crate::person::Person;

const BACKING: [u8; 3] = [24, 24, 28];
/// detectron2's green for boxes, and its gray for scores.
const DETECTRON2_BOX: [u8; 3] = [15, 127, 18];
const DETECTRON2_TEXT: [u8; 3] = [218, 227, 218];

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
    ink: Ink,
    backing: Option<Ink>,
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
        let (overhang, line, ink) = match style.manner {
            Manner::Own => (0, rounded(side, 360), medium.ink(id_color(person.id), OPAQUE)),
            // OpenCV's rectangle has both corners inside.
            Manner::Detectron2 => (1, 1, medium.ink(DETECTRON2_BOX, OPAQUE)),
        };
        let label = || match style.manner {
            Manner::Own => Label::new(person, rounded(side, 300), ink, medium, width as i64),
            Manner::Detectron2 => Label::score(person, medium),
        };
        Some(Self {
            columns: span(x, person.width().saturating_add(overhang)),
            rows: span(y, person.height().saturating_add(overhang)),
            line,
            ink,
            framed: style.boxes,
            label: style.labels.then(label),
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
            label.draw(y, layer, row);
        }
    }
}

impl Label {
    /// Free space around the text where it has a backing, in pixels of the font.
    const MARGIN: i64 = 2;
    const ADVANCE: i64 = font::WIDTH as i64 + 1;

    /// Above the box, or inside where there is no room above.
    fn new(person: &Person, scale: i64, ink: Ink, medium: &Medium, width: i64) -> Self {
        let text = format!("#{} {:.2}", person.id, person.score);
        let mut label = Self { text, left: 0, top: 0, scale, ink, backing: Some(medium.ink(BACKING, OPAQUE)) };
        let (w, h) = label.size();
        let (x, y) = (i64::from(person.x), i64::from(person.y));
        label.left = x.min(width - w).max(0);
        label.top = if y >= h { y - h } else { y.max(0) };
        label
    }

    /// detectron2's score: its last row on the box's first, without anything behind.
    fn score(person: &Person, medium: &Medium) -> Self {
        let (left, top) = (i64::from(person.x), i64::from(person.y) + 1 - font::HEIGHT as i64);
        let (text, ink) = (format!("{:6.4}", person.score), medium.ink(DETECTRON2_TEXT, OPAQUE));
        Self { text, left, top, scale: 1, ink, backing: None }
    }

    fn margin(&self) -> i64 {
        if self.backing.is_some() { Self::MARGIN } else { 0 }
    }

    fn size(&self) -> (i64, i64) {
        let text = self.text.len() as i64 * Self::ADVANCE - 1;
        ((text + 2 * self.margin()) * self.scale, (font::HEIGHT as i64 + 2 * self.margin()) * self.scale)
    }

    fn draw(&self, y: i64, layer: &mut Layer, row: usize) {
        let (w, h) = self.size();
        if !(self.top..self.top + h).contains(&y) {
            return;
        }
        if let Some(backing) = self.backing {
            layer.columns(row, self.left..self.left + w).fill(backing);
        }
        let line = (y - self.top) / self.scale - self.margin();
        let Some(line) = usize::try_from(line).ok().filter(|&l| l < font::HEIGHT) else { return };
        for (k, character) in self.text.bytes().enumerate() {
            let bits = font::glyph(character)[line];
            for column in (0..font::WIDTH).filter(|c| bits >> (font::WIDTH - 1 - c) & 1 == 1) {
                let at = self.margin() + k as i64 * Self::ADVANCE + column as i64;
                let start = self.left + at * self.scale;
                layer.columns(row, start..start + self.scale).fill(self.ink);
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
