//! The `densepose-overlay` element: draws what `densepose` found, in the format that the video has.
//!
//! ## Example pipelines
//!
//! Part colours on the video:
//! ```text
//! gst-launch-1.0 v4l2src ! videoconvert ! densepose ! densepose-overlay ! videoconvert ! autovideosink
//! ```
//! Raw I, U, V as R, G, B, for tools that read DensePose output:
//! ```text
//! ... ! densepose ! video/x-raw,format=RGB ! densepose-overlay style=iuv canvas=black opacity=1 ! pngenc ! ...
//! ```
//! Pictures as another tool expects them, here the input of MagicAnimate:
//! ```text
//! ... ! densepose ! video/x-raw,format=RGB ! densepose-overlay preset=magic-animate ! videoconvert ! ...
//! ```
//! Faces made unrecognisable:
//! ```text
//! ... ! densepose ! densepose-overlay parts=23,24 effect=pixelate ! ...
//! ```
//! ## How properties combine
//!
//! `preset` wins over `style`, `palette`, `custom-palette`, `opacity`, `canvas`, `boxes`, `labels` and `effect`, which
//! keep their values for when it is `none` again; `parts` counts with every preset. `custom-palette` wins over `palette`.
//! Where `effect` is not `paint`, `style` and `opacity` do not count.
//!
//! ## Files and lists
//!
//! `custom-palette`, `parts` and `texture` are read when the element starts, and what is wrong with them is an error;
//! set later, they are read at once, and what is wrong is a warning and leaves the old value.
//!
//! On YUV formats colours go through the video's colour matrix; raw values are exact on RGB formats only, and the
//! part index on GRAY8, too.
//!
//! What is painted on formats with alpha becomes opaque as far as it is painted. Samples of 10 bits are mixed in 10 bits.
//! Of buffers with GstVideoCropMeta only what the crop shows is drawn on. A buffer that is too small for its caps passes
//! undrawn, with one warning per caps; where something is to be hidden it is an error.
//!
//! ## Frames that nobody analysed
//!
//! A frame without [metadata](crate::meta) is not a frame without people: it was never analysed, or the metadata was
//! lost on the way. Property `without-meta` says what becomes of it. Metadata of another frame size is scaled to the
//! frame if the two have the same shape; otherwise nothing is known of where people are, as without metadata.

use gst::glib;
use gst::prelude::*;

mod imp;
mod settings;

/// The conventions of another tool, property `preset`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstDensePoseOverlayPreset")]
#[repr(i32)]
pub enum Preset {
    #[default]
    #[enum_value(name = "None: the other properties decide", nick = "none")]
    None,
    #[enum_value(name = "MagicAnimate, vid2densepose: viridis parts on its background colour", nick = "magic-animate")]
    MagicAnimate,
    #[enum_value(name = "VITON-HD, IDM-VTON: parula parts on black", nick = "vitonhd")]
    VitonHd,
    #[enum_value(name = "CatVTON: the raw part index as a gray value", nick = "catvton")]
    CatVton,
    #[enum_value(name = "detectron2's dp_segm: parts on the gray picture", nick = "detectron2-segm")]
    Detectron2Segm,
    #[enum_value(name = "detectron2's dp_u: U on the gray picture", nick = "detectron2-u")]
    Detectron2U,
    #[enum_value(name = "detectron2's dp_v: V on the gray picture", nick = "detectron2-v")]
    Detectron2V,
    #[enum_value(name = "detectron2's dp_contour: lines on the gray picture", nick = "detectron2-contour")]
    Detectron2Contour,
    #[enum_value(name = "detectron2's bbox: boxes and scores on the gray picture", nick = "detectron2-bbox")]
    Detectron2Bbox,
    #[enum_value(name = "_IUV.png of the original tools: raw V, U, I on black", nick = "legacy-iuv")]
    LegacyIuv,
}

/// What happens to the chosen parts, property `effect`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstDensePoseOverlayEffect")]
#[repr(i32)]
pub enum Effect {
    #[default]
    #[enum_value(name = "Paint them in the style", nick = "paint")]
    Paint,
    #[enum_value(name = "Blur the video there", nick = "blur")]
    Blur,
    #[enum_value(name = "Pixelate the video there", nick = "pixelate")]
    Pixelate,
    #[enum_value(name = "Fill them with fill-color", nick = "fill")]
    Fill,
}

/// What becomes of frames without metadata, property `without-meta`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstDensePoseOverlayWithoutMeta")]
#[repr(i32)]
pub enum WithoutMeta {
    #[default]
    #[enum_value(name = "They pass with nothing but their canvas changed", nick = "pass")]
    Pass,
    #[enum_value(name = "The whole picture is hidden by the effect", nick = "hide")]
    Hide,
    #[enum_value(name = "The stream ends with an error", nick = "error")]
    Error,
}

/// What is shown on the body, property `style`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstDensePoseOverlayStyle")]
#[repr(i32)]
pub enum Style {
    #[default]
    #[enum_value(name = "A colour for each body part", nick = "parts")]
    Parts,
    #[enum_value(name = "The U coordinate as a colour", nick = "u")]
    U,
    #[enum_value(name = "The V coordinate as a colour", nick = "v")]
    V,
    #[enum_value(name = "Lines of equal U and of equal V, coloured by their value", nick = "contour")]
    Contour,
    #[enum_value(name = "Raw values: red = I, green = U, blue = V", nick = "iuv")]
    Iuv,
    #[enum_value(
        name = "Raw values as in the original tools' files: red = V, green = U, blue = I",
        nick = "iuv-legacy"
    )]
    IuvLegacy,
    #[enum_value(name = "The raw part index as a gray value", nick = "index")]
    Index,
    #[enum_value(name = "The picture of property texture, laid onto the body", nick = "texture")]
    Texture,
}

/// Colours of parts and coordinates, property `palette`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstDensePoseOverlayPalette")]
#[repr(i32)]
pub enum Palette {
    #[default]
    #[enum_value(name = "Parula, as detectron2 and virtual try-on use it", nick = "parula")]
    Parula,
    #[enum_value(name = "Viridis, as MagicAnimate uses it", nick = "viridis")]
    Viridis,
}

/// What lies behind the people, property `canvas`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstDensePoseOverlayCanvas")]
#[repr(i32)]
pub enum Canvas {
    #[default]
    #[enum_value(name = "The video", nick = "video")]
    Video,
    #[enum_value(name = "The video without its colours", nick = "gray")]
    Gray,
    #[enum_value(name = "Black", nick = "black")]
    Black,
    #[enum_value(name = "The palette's colour for background", nick = "palette")]
    Palette,
}

glib::wrapper! {
    /// The `densepose-overlay` element, see the [module](self).
    pub struct DensePoseOverlay(ObjectSubclass<imp::DensePoseOverlay>)
        @extends gst_video::VideoFilter, gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "densepose-overlay", gst::Rank::NONE, DensePoseOverlay::static_type())
}
