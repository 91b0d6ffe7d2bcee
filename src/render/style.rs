//! How people are to look.

use super::ink::OPAQUE;
use super::palette::Palette;

/// What is shown on the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StyleKind {
    /// Each part in its colour, [`Palette::part`].
    #[default]
    Parts,
    /// The U coordinate: entry `U` of the palette.
    U,
    /// The V coordinate: entry `V` of the palette.
    V,
    /// Lines of equal U and of equal V, ten of each per part, in the colour of their value.
    Contour,
    /// The raw map: red = I, green = U, blue = V.
    Iuv,
    /// The raw map as the original DensePose tools stored it: red = V, green = U, blue = I.
    IuvLegacy,
    /// The raw part index as a gray value: red = green = blue = I.
    Index,
}

impl StyleKind {
    /// Every style, in the order of their definition.
    pub const ALL: [Self; 7] = [Self::Parts, Self::U, Self::V, Self::Contour, Self::Iuv, Self::IuvLegacy, Self::Index];
}

/// What is behind the people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Canvas {
    /// The picture as it came.
    #[default]
    Video,
    /// The picture without its colours.
    Gray,
    /// Black.
    Black,
    /// The palette's first colour, which stands for "no part" (viridis: `#440154`).
    Palette,
}

/// How people are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    pub style: StyleKind,
    pub palette: Palette,
    /// Share of the style's colour on the body, 0..=1; the rest is canvas. Boxes and labels are always opaque.
    pub opacity: f64,
    pub canvas: Canvas,
    /// Frame each person, in a colour that belongs to the id.
    pub boxes: bool,
    /// Write id and score above each person.
    pub labels: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            style: StyleKind::default(),
            palette: Palette::default(),
            opacity: 0.7,
            canvas: Canvas::default(),
            boxes: false,
            labels: false,
        }
    }
}

impl Style {
    /// Whether pictures with `persons` people in them stay as they are.
    pub fn draws_nothing(&self, persons: usize) -> bool {
        let annotates = self.boxes || self.labels;
        self.canvas == Canvas::Video && (persons == 0 || (self.weight() == 0 && !annotates))
    }

    /// Opacity as an ink's weight; not a number counts as 0.
    pub(super) fn weight(&self) -> u16 {
        (self.opacity.clamp(0.0, 1.0) * f64::from(OPAQUE)).round() as u16
    }
}
