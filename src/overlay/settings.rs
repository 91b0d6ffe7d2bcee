//! What the user has set, and what it means to the renderer.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Canvas, Effect, Palette, Preset, Style, WithoutMeta};
use crate::person::Persons;
use crate::render;

pub const DEFAULT_OPACITY: f64 = 0.7;
pub const DEFAULT_EFFECT_SIZE: f64 = 0.25;
pub const DEFAULT_EFFECT_MARGIN: f64 = 0.1;
pub const DEFAULT_FILL_COLOR: u32 = 0xff00_0000;
pub const DEFAULT_MAX_AGE: u32 = 0;

/// What the margin of effects grows by for each frame since the inference, as a share like the margin itself: where
/// results were moved with the picture, and where they stood still.
const MARGIN_GROWTH_MOVED: f64 = 0.02;
const MARGIN_GROWTH_HELD: f64 = 0.06;

/// Most bytes of a palette's file, and of an atlas'.
const MAX_PALETTE_FILE: u64 = 1 << 16;
const MAX_TEXTURE_FILE: u64 = 1 << 26;

#[derive(Clone, Debug)]
pub struct Settings {
    pub preset: Preset,
    pub style: Style,
    pub palette: Palette,
    pub custom_palette: Resource<render::Palette>,
    pub opacity: f64,
    pub canvas: Canvas,
    pub boxes: bool,
    pub labels: bool,
    pub parts: Resource<render::Parts>,
    pub effect: Effect,
    pub effect_size: f64,
    pub effect_margin: f64,
    /// Alpha, red, green and blue, from the highest byte down.
    pub fill_color: u32,
    pub texture: Resource<Arc<render::Texture>>,
    pub without_meta: WithoutMeta,
    /// Frames after which a result counts as none; 0 = never.
    pub max_age: u32,
    /// Whether resources are to be read as soon as they are set.
    pub started: bool,
}

/// A string, maybe a file's name and so not always UTF-8, and what was read from it or from that file.
#[derive(Clone, Debug)]
pub struct Resource<T> {
    pub text: Option<PathBuf>,
    pub value: Option<T>,
}

impl<T> Default for Resource<T> {
    fn default() -> Self {
        Self { text: None, value: None }
    }
}

impl<T> Resource<T> {
    /// Reads `text` with `load`; unset has no value.
    pub fn loaded(text: Option<PathBuf>, load: impl Fn(&Path) -> Result<T, String>) -> Result<Self, String> {
        let value = text.as_deref().map(load).transpose()?;
        Ok(Self { text, value })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            preset: Preset::default(),
            style: Style::default(),
            palette: Palette::default(),
            custom_palette: Resource::default(),
            opacity: DEFAULT_OPACITY,
            canvas: Canvas::default(),
            boxes: false,
            labels: false,
            parts: Resource::default(),
            effect: Effect::default(),
            effect_size: DEFAULT_EFFECT_SIZE,
            effect_margin: DEFAULT_EFFECT_MARGIN,
            fill_color: DEFAULT_FILL_COLOR,
            texture: Resource::default(),
            without_meta: WithoutMeta::default(),
            max_age: DEFAULT_MAX_AGE,
            started: false,
        }
    }
}

/// Hides the more around people the older their result is.
pub fn widen(hiding: &mut render::Hiding, found: &Persons) {
    let growth = if found.moved { MARGIN_GROWTH_MOVED } else { MARGIN_GROWTH_HELD };
    hiding.margin = (hiding.margin + f64::from(found.age) * growth).min(1.0);
}

impl Settings {
    /// Whether a result of this age is too old to be drawn.
    pub fn is_stale(&self, age: u32) -> bool {
        self.max_age > 0 && age > self.max_age
    }

    /// How people are to look.
    pub fn style(&self) -> render::Style {
        let palette = match self.palette {
            Palette::Parula => render::Palette::Parula,
            Palette::Viridis => render::Palette::Viridis,
        };
        let own = render::Style {
            style: match self.style {
                Style::Parts => render::StyleKind::Parts,
                Style::U => render::StyleKind::U,
                Style::V => render::StyleKind::V,
                Style::Contour => render::StyleKind::Contour,
                Style::Iuv => render::StyleKind::Iuv,
                Style::IuvLegacy => render::StyleKind::IuvLegacy,
                Style::Index => render::StyleKind::Index,
                Style::Texture => render::StyleKind::Texture,
            },
            palette: self.custom_palette.value.unwrap_or(palette),
            opacity: self.opacity,
            canvas: match self.canvas {
                Canvas::Video => render::Canvas::Video,
                Canvas::Gray => render::Canvas::Gray,
                Canvas::Black => render::Canvas::Black,
                Canvas::Palette => render::Canvas::Palette,
            },
            boxes: self.boxes,
            labels: self.labels,
            parts: self.parts.value.unwrap_or_default(),
            hiding: self.hiding(),
            ..render::Style::default()
        };
        self.preset().map_or(own, |preset| preset.applied_to(&own))
    }

    fn hiding(&self) -> Option<render::Hiding> {
        let method = match self.effect {
            Effect::Paint => return None,
            Effect::Blur => render::Method::Blur,
            Effect::Pixelate => render::Method::Pixelate,
            Effect::Fill => render::Method::Fill(self.fill_color.to_be_bytes()),
        };
        Some(render::Hiding { method, size: self.effect_size, margin: self.effect_margin })
    }

    fn preset(&self) -> Option<render::Preset> {
        Some(match self.preset {
            Preset::None => return None,
            Preset::MagicAnimate => render::Preset::MagicAnimate,
            Preset::VitonHd => render::Preset::VitonHd,
            Preset::CatVton => render::Preset::CatVton,
            Preset::Detectron2Segm => render::Preset::Detectron2Segm,
            Preset::Detectron2U => render::Preset::Detectron2U,
            Preset::Detectron2V => render::Preset::Detectron2V,
            Preset::Detectron2Contour => render::Preset::Detectron2Contour,
            Preset::Detectron2Bbox => render::Preset::Detectron2Bbox,
            Preset::LegacyIuv => render::Preset::LegacyIuv,
        })
    }

    /// Reads again all that is read from strings and files.
    ///
    /// # Errors
    /// What is wrong, where and what to do about it, for the user.
    pub fn load(&mut self) -> Result<(), String> {
        self.custom_palette = Resource::loaded(self.custom_palette.text.take(), palette)?;
        self.parts = Resource::loaded(self.parts.text.take(), parts)?;
        self.texture = Resource::loaded(self.texture.text.take(), texture)?;
        Ok(())
    }

    /// What is missing, for the user.
    pub fn missing(&self) -> Option<&'static str> {
        if self.without_meta == WithoutMeta::Hide && self.style().hiding.is_none() {
            return Some(
                "without-meta=hide has nothing to hide by: set effect to blur, pixelate or fill, and no preset",
            );
        }
        let bare = self.texture.text.is_none() && self.style == Style::Texture;
        (bare && self.preset == Preset::None && self.effect == Effect::Paint)
            .then_some("style=texture draws nothing without a texture: set property texture to a PNG of 4 by 6 charts")
    }
}

/// Property `custom-palette`: a list of colours or the name of a file.
pub fn palette(text: &Path) -> Result<render::Palette, String> {
    if let Some(text) = text.to_str().filter(|t| t.trim_start().starts_with('#')) {
        return render::Palette::from_list(text).map_err(|e| format!("custom-palette: {e}"));
    }
    let name = text.display();
    let bytes = read(text, MAX_PALETTE_FILE).map_err(|e| {
        format!("custom-palette \"{name}\" is no list of colours (#rrggbb,#rrggbb,...), and as a file it cannot be read: {e}")
    })?;
    render::Palette::from_lines(&String::from_utf8_lossy(&bytes)).map_err(|e| format!("custom-palette \"{name}\": {e}"))
}

/// Property `parts`.
pub fn parts(text: &Path) -> Result<render::Parts, String> {
    text.to_string_lossy().parse().map_err(|e| format!("parts: {e}"))
}

/// Property `texture`: the name of a file.
pub fn texture(path: &Path) -> Result<Arc<render::Texture>, String> {
    let name = path.display();
    let bytes = read(path, MAX_TEXTURE_FILE).map_err(|e| format!("texture \"{name}\" cannot be read: {e}"))?;
    render::Texture::from_png(&bytes).map(Arc::new).map_err(|e| format!("texture \"{name}\": {e}"))
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > limit { Err(format!("it has more than {limit} bytes")) } else { Ok(bytes) }
}
