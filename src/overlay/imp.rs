use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::VideoFrameRef;
use gst_video::prelude::*;
use gst_video::subclass::prelude::*;

use super::settings::{
    self, DEFAULT_EFFECT_MARGIN, DEFAULT_EFFECT_SIZE, DEFAULT_FILL_COLOR, DEFAULT_OPACITY, Resource, Settings,
};
use super::{Canvas, Effect, Palette, Preset, Style};
use crate::lock;
use crate::meta;
use crate::person::Persons;
use crate::render::Renderer;
use crate::video;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("densepose-overlay", gst::DebugColorFlags::empty(), Some("Drawing of dense human pose"))
});

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
                glib::ParamSpecEnum::builder::<Preset>("preset")
                    .nick("Preset")
                    .blurb("Draw as another tool does, whatever style, palette, opacity, canvas, boxes, labels and effect say")
                    .controllable()
                    .mutable_playing()
                    .build(),
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
                glib::ParamSpecString::builder("custom-palette")
                    .nick("Custom palette")
                    .blurb(
                        "Colours of the background and of parts 1 to 24, instead of palette: 25 of them as \
                         #rrggbb,#rrggbb,..., or a file with one in each line",
                    )
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
                glib::ParamSpecString::builder("parts")
                    .nick("Parts")
                    .blurb("Parts that are painted or hidden, such as 23,24 or 1-2,15-22; unset = all")
                    .mutable_playing()
                    .build(),
                glib::ParamSpecEnum::builder::<Effect>("effect")
                    .nick("Effect")
                    .blurb("What happens to the parts")
                    .controllable()
                    .mutable_playing()
                    .build(),
                glib::ParamSpecDouble::builder("effect-size")
                    .nick("Effect size")
                    .blurb("Coarseness of blur and pixelate, as a share of the size of a person's parts")
                    .minimum(0.1)
                    .maximum(1.0)
                    .default_value(DEFAULT_EFFECT_SIZE)
                    .controllable()
                    .mutable_playing()
                    .build(),
                glib::ParamSpecDouble::builder("effect-margin")
                    .nick("Effect margin")
                    .blurb("How far blur, pixelate and fill reach beyond the parts, as a share of their size")
                    .minimum(0.0)
                    .maximum(1.0)
                    .default_value(DEFAULT_EFFECT_MARGIN)
                    .controllable()
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt::builder("fill-color")
                    .nick("Fill colour")
                    .blurb("Colour of effect fill, 0xAARRGGBB")
                    .default_value(DEFAULT_FILL_COLOR)
                    .controllable()
                    .mutable_playing()
                    .build(),
                glib::ParamSpecString::builder("texture")
                    .nick("Texture")
                    .blurb("PNG that style texture lays onto the body: 4 by 6 square charts, parts from top to bottom")
                    .mutable_playing()
                    .build(),
            ]
        });
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let text = || value.get::<Option<String>>().unwrap_or_default();
        match pspec.name() {
            "custom-palette" => return self.set_resource(text(), settings::palette, |s| &mut s.custom_palette),
            "parts" => return self.set_resource(text(), settings::parts, |s| &mut s.parts),
            "texture" => return self.set_resource(text(), settings::texture, |s| &mut s.texture),
            _ => {}
        }
        let mut settings = lock(&self.settings);
        let missed = settings.missing();
        // GObject checks type and range against the ParamSpec before it calls.
        match pspec.name() {
            "preset" => settings.preset = value.get().unwrap_or_default(),
            "style" => settings.style = value.get().unwrap_or_default(),
            "palette" => settings.palette = value.get().unwrap_or_default(),
            "opacity" => settings.opacity = value.get().unwrap_or(DEFAULT_OPACITY),
            "canvas" => settings.canvas = value.get().unwrap_or_default(),
            "boxes" => settings.boxes = value.get().unwrap_or_default(),
            "labels" => settings.labels = value.get().unwrap_or_default(),
            "effect" => settings.effect = value.get().unwrap_or_default(),
            "effect-size" => settings.effect_size = value.get().unwrap_or(DEFAULT_EFFECT_SIZE),
            "effect-margin" => settings.effect_margin = value.get().unwrap_or(DEFAULT_EFFECT_MARGIN),
            "fill-color" => settings.fill_color = value.get().unwrap_or(DEFAULT_FILL_COLOR),
            name => gst::error!(CAT, imp = self, "no such property: {name}"),
        }
        let missing = settings.missing().filter(|_| settings.started && missed.is_none());
        drop(settings);
        if let Some(missing) = missing {
            gst::element_imp_warning!(self, gst::LibraryError::Settings, ["{missing}"]);
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        match pspec.name() {
            "preset" => settings.preset.to_value(),
            "style" => settings.style.to_value(),
            "palette" => settings.palette.to_value(),
            "custom-palette" => settings.custom_palette.text.to_value(),
            "opacity" => settings.opacity.to_value(),
            "canvas" => settings.canvas.to_value(),
            "boxes" => settings.boxes.to_value(),
            "labels" => settings.labels.to_value(),
            "parts" => settings.parts.text.to_value(),
            "effect" => settings.effect.to_value(),
            "effect-size" => settings.effect_size.to_value(),
            "effect-margin" => settings.effect_margin.to_value(),
            "fill-color" => settings.fill_color.to_value(),
            "texture" => settings.texture.text.to_value(),
            _ => pspec.default_value().clone(),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        // The base class would drop late frames.
        self.obj().set_qos(false);
    }
}

impl DensePoseOverlay {
    /// Takes a string over, and once the element has started what it stands for, too; if there is something wrong with
    /// it the old one stays.
    fn set_resource<T>(
        &self,
        text: Option<String>,
        load: impl Fn(&str) -> Result<T, String>,
        place: impl Fn(&mut Settings) -> &mut Resource<T>,
    ) {
        let started = lock(&self.settings).started;
        // Files take their time: not under the lock that the streaming thread waits for.
        let resource = if started { Resource::loaded(text, load) } else { Ok(Resource { text, value: None }) };
        match resource {
            Ok(resource) => *place(&mut lock(&self.settings)) = resource,
            Err(e) => {
                gst::element_imp_warning!(self, gst::LibraryError::Settings, ["{e}; the old value stays"]);
            }
        }
    }
}

impl DensePoseOverlay {
    fn cannot_hide(&self, reason: &str) -> gst::FlowError {
        gst::element_imp_error!(
            self,
            gst::StreamError::Format,
            ["parts cannot be hidden: {reason}; does the buffer hold what its caps say?"]
        );
        gst::FlowError::Error
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

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        // Properties are rarely set meanwhile, and then wait for the files.
        let mut settings = lock(&self.settings);
        let mut loaded = settings.clone();
        let wrong = loaded.load().err().or_else(|| loaded.missing().map(str::to_owned));
        if let Some(wrong) = wrong {
            return Err(gst::error_msg!(gst::LibraryError::Settings, ["{wrong}"]));
        }
        loaded.started = true;
        *settings = loaded;
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        lock(&self.settings).started = false;
        *lock(&self.renderer) = Renderer::default();
        Ok(())
    }

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

    fn transform_ip(&self, buffer: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        // The base class lets buffers pass that it cannot map: not those in which something is to be hidden.
        if lock(&self.settings).style().hiding.is_some() {
            let info = self.obj().sink_pad().current_caps().and_then(|c| gst_video::VideoInfo::from_caps(&c).ok());
            if info.is_none_or(|info| VideoFrameRef::from_buffer_ref_readable(buffer, &info).is_err()) {
                return Err(self.cannot_hide("the buffer cannot be mapped"));
            }
        }
        self.parent_transform_ip(buffer)
    }
}

impl VideoFilterImpl for DensePoseOverlay {
    fn transform_frame_ip(
        &self,
        frame: &mut VideoFrameRef<&mut gst::BufferRef>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let (style, texture) = {
            let settings = lock(&self.settings);
            (settings.style(), settings.texture.value.clone())
        };
        let found = std::mem::take(&mut *lock(&self.found));
        let (width, height) = (frame.width(), frame.height());
        // Where an element changed the size and let the metadata be.
        let found = if found.persons.is_empty() || (found.width, found.height) == (width, height) {
            found
        } else {
            found.scaled(width, height)
        };
        let mut image = match video::image_mut(frame) {
            Ok(image) => image,
            // What is to be hidden must not pass.
            Err(e) if style.hiding.is_some() => {
                return Err(self.cannot_hide(&e.to_string()));
            }
            // As the base class does with buffers that it cannot map: say so, and let the video go on.
            Err(e) => {
                gst::element_imp_warning!(
                    self,
                    gst::StreamError::Format,
                    ["frame passed undrawn: {e}; does the buffer hold what its caps say?"]
                );
                return Ok(gst::FlowSuccess::Ok);
            }
        };
        let mut renderer = lock(&self.renderer);
        renderer.set_texture(texture);
        renderer.draw(&mut image, &found.persons, &style);
        Ok(gst::FlowSuccess::Ok)
    }
}
