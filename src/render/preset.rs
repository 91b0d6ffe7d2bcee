//! Pictures exactly as other tools make or take them.

use super::palette::Palette;
use super::style::{Canvas, Manner, Order, Style, StyleKind};

/// The conventions of a tool, as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// MagicAnimate, vid2densepose: viridis parts, wholly opaque, on viridis' colour for background.
    MagicAnimate,
    /// VITON-HD, IDM-VTON and their kin: parula parts, wholly opaque, on black.
    VitonHd,
    /// CatVTON: raw part indices as gray values.
    CatVton,
    /// `apply_net.py show … dp_segm`: parula parts with weight 0.7 on the gray picture, scores above 0.8.
    Detectron2Segm,
    /// `apply_net.py show … dp_u`: the same with U for the part.
    Detectron2U,
    /// `apply_net.py show … dp_v`: the same with V for the part.
    Detectron2V,
    /// `apply_net.py show … dp_contour`: lines of equal U and V on the gray picture, scores above 0.8.
    Detectron2Contour,
    /// `apply_net.py show … bbox`: green boxes and scores on the gray picture, scores above 0.8.
    Detectron2Bbox,
    /// `_IUV.png` of the original DensePose tools: raw V, U, I as red, green, blue on black, scores above 0.65.
    LegacyIuv,
}

impl Preset {
    /// Every preset, in the order of their definition.
    pub const ALL: [Self; 9] = [
        Self::MagicAnimate,
        Self::VitonHd,
        Self::CatVton,
        Self::Detectron2Segm,
        Self::Detectron2U,
        Self::Detectron2V,
        Self::Detectron2Contour,
        Self::Detectron2Bbox,
        Self::LegacyIuv,
    ];

    /// `style` made over: everything is the preset's, but for the choice of [`Style::parts`].
    pub fn applied_to(self, style: &Style) -> Style {
        let plain = Style { parts: style.parts, opacity: 1.0, canvas: Canvas::Black, ..Style::default() };
        let detectron2 =
            Style { canvas: Canvas::Gray, opacity: 0.7, manner: Manner::Detectron2, min_score: Some(0.8), ..plain };
        match self {
            Self::MagicAnimate => Style { palette: Palette::Viridis, canvas: Canvas::Palette, ..plain },
            Self::VitonHd => plain,
            Self::CatVton => Style { style: StyleKind::Index, ..plain },
            Self::Detectron2Segm => detectron2,
            Self::Detectron2U => Style { style: StyleKind::U, ..detectron2 },
            Self::Detectron2V => Style { style: StyleKind::V, ..detectron2 },
            Self::Detectron2Contour => Style { style: StyleKind::Contour, opacity: 1.0, ..detectron2 },
            Self::Detectron2Bbox => Style { opacity: 0.0, boxes: true, labels: true, ..detectron2 },
            Self::LegacyIuv => {
                Style { style: StyleKind::IuvLegacy, min_score: Some(0.65), order: Order::BestFirst, ..plain }
            }
        }
    }
}
