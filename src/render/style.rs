//! How people are to look.

use super::hide::Hiding;
use super::ink::OPAQUE;
use super::palette::Palette;
use super::parts::Parts;

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
    /// Lines of equal U and of equal V inside each part, at ten levels from 0 to 1, in the colour of their value.
    Contour,
    /// The raw map: red = I, green = U, blue = V.
    Iuv,
    /// The raw map as the original DensePose tools stored it: red = V, green = U, blue = I.
    IuvLegacy,
    /// The raw part index as a gray value: red = green = blue = I.
    Index,
    /// A picture of the body's surface, see [`Renderer::set_texture`](super::Renderer::set_texture); nothing without.
    Texture,
}

impl StyleKind {
    /// Every style, in the order of their definition.
    pub const ALL: [Self; 8] =
        [Self::Parts, Self::U, Self::V, Self::Contour, Self::Iuv, Self::IuvLegacy, Self::Index, Self::Texture];

    /// Whether stored values are the map's, whatever the range of the picture's colours.
    pub(super) fn is_raw(self) -> bool {
        matches!(self, Self::Iuv | Self::IuvLegacy | Self::Index)
    }
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

/// Who hides whom where people overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Later ones of the slice hide earlier ones, as in detectron2.
    #[default]
    Given,
    /// The one with the lower score hides the other, whatever the slice's order: the original tools drew from the
    /// lowest score up and let nobody draw over others.
    BestFirst,
}

/// How colours come onto the picture, and how lines and text look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Manner {
    /// Per pixel the topmost person only, mixed to the nearest value; smooth contours; a colour for each person.
    #[default]
    Own,
    /// As detectron2's `apply_net.py show` does it: each person is mixed over all before, on RGB and gray pictures
    /// with fractions cut off; contours by marching squares, one pixel wide; boxes and scores in its colours.
    Detectron2,
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
    /// Parts that are painted or hidden; the others are background.
    pub parts: Parts,
    /// Hide the parts instead of painting them.
    pub hiding: Option<Hiding>,
    pub order: Order,
    pub manner: Manner,
    /// Only people with a score above are shown.
    pub min_score: Option<f32>,
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
            parts: Parts::ALL,
            hiding: None,
            order: Order::default(),
            manner: Manner::default(),
            min_score: None,
        }
    }
}

impl Style {
    /// Whether pictures with `persons` people in them stay as they are.
    pub fn draws_nothing(&self, persons: usize) -> bool {
        let covers = self.hiding.map_or(self.weight() > 0, |h| h.shows());
        self.canvas == Canvas::Video && (persons == 0 || !(covers || self.boxes || self.labels))
    }

    /// Opacity as an ink's weight; not a number counts as 0.
    pub(super) fn weight(&self) -> u16 {
        (self.opacity.clamp(0.0, 1.0) * f64::from(OPAQUE)).round() as u16
    }
}
