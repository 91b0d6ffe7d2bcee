use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::VideoFrameRef;
use gst_video::prelude::*;
use gst_video::subclass::prelude::*;

use super::{Canvas, Palette, Style};
use crate::lock;
use crate::meta;
use crate::person::Persons;
use crate::render::{self, Renderer};
use crate::video;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("densepose-overlay", gst::DebugColorFlags::empty(), Some("Drawing of dense human pose"))
});

const DEFAULT_OPACITY: f64 = 0.7;

/// What the user has set.
#[derive(Clone, Copy, Debug)]
struct Settings {
    style: Style,
    palette: Palette,
    opacity: f64,
    canvas: Canvas,
    boxes: bool,
    labels: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            style: Style::default(),
            palette: Palette::default(),
            opacity: DEFAULT_OPACITY,
            canvas: Canvas::default(),
            boxes: false,
            labels: false,
        }
    }
}

impl Settings {
    fn style(&self) -> render::Style {
        render::Style {
            style: match self.style {
                Style::Parts => render::StyleKind::Parts,
                Style::U => render::StyleKind::U,
                Style::V => render::StyleKind::V,
                Style::Contour => render::StyleKind::Contour,
                Style::Iuv => render::StyleKind::Iuv,
                Style::IuvLegacy => render::StyleKind::IuvLegacy,
                Style::Index => render::StyleKind::Index,
            },
            palette: match self.palette {
                Palette::Parula => render::Palette::Parula,
                Palette::Viridis => render::Palette::Viridis,
            },
            opacity: self.opacity,
            canvas: match self.canvas {
                Canvas::Video => render::Canvas::Video,
                Canvas::Gray => render::Canvas::Gray,
                Canvas::Black => render::Canvas::Black,
                Canvas::Palette => render::Canvas::Palette,
            },
            boxes: self.boxes,
            labels: self.labels,
        }
    }
}

#[derive(Default)]
pub struct DensePoseOverlay {
    settings: Mutex<Settings>,
    /// The people of the frame to be drawn next.
    found: Mutex<Persons>,
    renderer: Mutex<Renderer>,
}

#[glib::object_subclass]
impl ObjectSubclass for DensePoseOverlay {
    const NAME: &'static str = "GstDensePoseOverlay";
    type Type = super::DensePoseOverlay;
    type ParentType = gst_video::VideoFilter;
}

impl ObjectImpl for DensePoseOverlay {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecEnum::builder::<Style>("style")
                    .nick("Style")
                    .blurb("What is shown on the body")
                    .controllable()
                    .mutable_playing()
                    .build(),
                glib::ParamSpecEnum::builder::<Palette>("palette")
                    .nick("Palette")
                    .blurb("Colours of parts and coordinates")
                    .controllable()
                    .mutable_playing()
                    .build(),
                glib::ParamSpecDouble::builder("opacity")
                    .nick("Opacity")
                    .blurb("How much the drawing covers what lies behind: 0 = invisible, 1 = wholly")
                    .minimum(0.0)
                    .maximum(1.0)
                    .default_value(DEFAULT_OPACITY)
                    .controllable()
                    .mutable_playing()
                    .build(),
                glib::ParamSpecEnum::builder::<Canvas>("canvas")
                    .nick("Canvas")
                    .blurb("What lies behind the people")
                    .controllable()
                    .mutable_playing()
                    .build(),
                glib::ParamSpecBoolean::builder("boxes")
                    .nick("Boxes")
                    .blurb("Draw each person's box, in a colour that belongs to the person")
                    .controllable()
                    .mutable_playing()
                    .build(),
                glib::ParamSpecBoolean::builder("labels")
                    .nick("Labels")
                    .blurb("Write each person's id and score above the box")
                    .controllable()
                    .mutable_playing()
                    .build(),
            ]
        });
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        // GObject checks type and range against the ParamSpec before it calls.
        match pspec.name() {
            "style" => settings.style = value.get().unwrap_or_default(),
            "palette" => settings.palette = value.get().unwrap_or_default(),
            "opacity" => settings.opacity = value.get().unwrap_or(DEFAULT_OPACITY),
            "canvas" => settings.canvas = value.get().unwrap_or_default(),
            "boxes" => settings.boxes = value.get().unwrap_or_default(),
            "labels" => settings.labels = value.get().unwrap_or_default(),
            name => gst::error!(CAT, imp = self, "no such property: {name}"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        match pspec.name() {
            "style" => settings.style.to_value(),
            "palette" => settings.palette.to_value(),
            "opacity" => settings.opacity.to_value(),
            "canvas" => settings.canvas.to_value(),
            "boxes" => settings.boxes.to_value(),
            "labels" => settings.labels.to_value(),
            _ => pspec.default_value().clone(),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        // The base class would drop late frames.
        self.obj().set_qos(false);
    }
}

impl GstObjectImpl for DensePoseOverlay {}

impl ElementImpl for DensePoseOverlay {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Dense human pose overlay",
                "Filter/Effect/Video",
                "Draws body parts and surface coordinates that the densepose element found",
                crate::AUTHOR,
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(video::pad_templates);
        TEMPLATES.as_ref()
    }
}

impl BaseTransformImpl for DensePoseOverlay {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn before_transform(&self, buffer: &gst::BufferRef) {
        let segment = self.obj().segment();
        if let Some(segment) = segment.downcast_ref::<gst::ClockTime>()
            && let Some(time) = segment.to_stream_time(buffer.pts())
        {
            let _ = self.obj().sync_values(time);
        }
        let found = meta::read(buffer).unwrap_or_default();
        // The base class copies frames that others hold, too, so that they may be drawn on: not if nothing will be.
        self.obj().set_passthrough(lock(&self.settings).style().draws_nothing(found.persons.len()));
        *lock(&self.found) = found;
    }
}

impl VideoFilterImpl for DensePoseOverlay {
    fn transform_frame_ip(
        &self,
        frame: &mut VideoFrameRef<&mut gst::BufferRef>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let style = lock(&self.settings).style();
        let found = std::mem::take(&mut *lock(&self.found));
        let (width, height) = (frame.width(), frame.height());
        // Where an element changed the size and let the metadata be.
        let found = if found.persons.is_empty() || (found.width, found.height) == (width, height) {
            found
        } else {
            found.scaled(width, height)
        };
        // As the base class does with buffers that it cannot map: say so, and let the video go on.
        let mut image = match video::image_mut(frame) {
            Ok(image) => image,
            Err(e) => {
                gst::element_imp_warning!(
                    self,
                    gst::StreamError::Format,
                    ["frame passed undrawn: {e}; does the buffer hold what its caps say?"]
                );
                return Ok(gst::FlowSuccess::Ok);
            }
        };
        lock(&self.renderer).draw(&mut image, &found.persons, &style);
        Ok(gst::FlowSuccess::Ok)
    }
}
