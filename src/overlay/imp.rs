use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::VideoFrameRef;
use gst_video::subclass::prelude::*;

use super::settings::{
    self, DEFAULT_EFFECT_MARGIN, DEFAULT_EFFECT_SIZE, DEFAULT_FILL_COLOR, DEFAULT_MAX_AGE, DEFAULT_OPACITY, Resource,
    Settings,
};
use super::{Canvas, Effect, Palette, Preset, Style, WithoutMeta};
use crate::lock;
use crate::meta;
use crate::person::Persons;
use crate::properties;
use crate::render::Renderer;
use crate::video;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("densepose-overlay", gst::DebugColorFlags::empty(), Some("Drawing of dense human pose"))
});

#[derive(Default)]
pub struct DensePoseOverlay {
    settings: Mutex<Settings>,
    stream: Mutex<Stream>,
    renderer: Mutex<Renderer>,
}

/// What the streaming thread passes on from frame to frame.
#[derive(Default)]
struct Stream {
    info: Option<gst_video::VideoInfo>,
    /// The people of the frame to be drawn next; `None` where nobody looked for them.
    found: Option<Persons>,
    /// Problems are reported once per caps, not once per frame.
    warned_unread: bool,
    warned_unknown: bool,
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
                    .blurb(
                        "How far blur, pixelate and fill reach beyond the parts, as a share of their size; more for \
                         each frame that the result is old",
                    )
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
                glib::ParamSpecEnum::builder::<WithoutMeta>("without-meta")
                    .nick("Without metadata")
                    .blurb("What becomes of frames in which nobody looked for people, or whose metadata was lost")
                    .controllable()
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt::builder("max-age")
                    .nick("Max age")
                    .blurb("Frames after which a result is not drawn any more and without-meta decides; 0 = no limit")
                    .default_value(DEFAULT_MAX_AGE)
                    .controllable()
                    .mutable_playing()
                    .build(),
            ]
        });
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        if !properties::usable(self, value, pspec, &["custom-palette", "texture"]) {
            return;
        }
        let path = || value.get::<Option<PathBuf>>().unwrap_or_default();
        match pspec.name() {
            "custom-palette" => return self.set_resource(path(), settings::palette, |s| &mut s.custom_palette),
            "parts" => return self.set_resource(path(), settings::parts, |s| &mut s.parts),
            "texture" => return self.set_resource(path(), settings::texture, |s| &mut s.texture),
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
            "max-age" => settings.max_age = value.get().unwrap_or(DEFAULT_MAX_AGE),
            "without-meta" => settings.without_meta = value.get().unwrap_or_default(),
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
            "max-age" => settings.max_age.to_value(),
            "without-meta" => settings.without_meta.to_value(),
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
        text: Option<PathBuf>,
        load: impl Fn(&Path) -> Result<T, String>,
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
    /// What becomes of a frame that cannot be drawn on: it passes, and a warning says so once per caps, unless `hides`:
    /// what is to be hidden must not pass.
    fn undrawable(&self, reason: &str, hides: bool) -> Result<gst::FlowSuccess, gst::FlowError> {
        const HINT: &str = "does the buffer hold what its caps say?";
        if hides {
            let text = format!("parts cannot be hidden: {reason}; {HINT}");
            gst::element_imp_error!(self, gst::StreamError::Format, ["{text}"]);
            return Err(gst::FlowError::Error);
        }
        if !std::mem::replace(&mut lock(&self.stream).warned_unread, true) {
            let text = format!("frame passed undrawn: {reason}; {HINT}");
            gst::element_imp_warning!(self, gst::StreamError::Format, ["{text}"]);
        }
        Ok(gst::FlowSuccess::Ok)
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
        let (style, settings) = {
            let settings = lock(&self.settings);
            (settings.style(), settings.clone())
        };
        let without_meta = settings.without_meta;
        let size = lock(&self.stream).info.as_ref().map_or((0, 0), |info| (info.width(), info.height()));
        let shown = meta::shown(buffer, size).filter(|shown| !settings.is_stale(shown.age()));
        let unknown = shown.is_none() && without_meta != WithoutMeta::Pass;
        // The base class copies frames that others hold, too, so that they may be drawn on, and maps are copied to be
        // drawn: not if nothing will be.
        let persons = shown.as_ref().map_or(0, meta::Shown::count);
        let passes = !unknown && style.draws_nothing(persons);
        self.obj().set_passthrough(passes);
        let first = {
            let mut stream = lock(&self.stream);
            let first = shown.is_none() && style.hiding.is_some() && !stream.warned_unknown;
            stream.warned_unknown |= first;
            stream.found = if passes { None } else { shown.and_then(|shown| shown.read()) };
            first
        };
        if first && without_meta != WithoutMeta::Error {
            self.warn_unknown(without_meta);
        }
    }

    fn transform_ip(&self, buffer: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        let known = lock(&self.stream).found.is_some();
        if !known && lock(&self.settings).without_meta == WithoutMeta::Error {
            gst::element_imp_error!(
                self,
                gst::StreamError::Failed,
                ["a frame carries no people of its own: {LOST}; without-meta=hide or pass lets such frames through"]
            );
            return Err(gst::FlowError::Error);
        }
        // The base class lets buffers pass that it cannot map, even if something is to be hidden, and warns every time.
        let info = lock(&self.stream).info.clone();
        if info.is_none_or(|info| VideoFrameRef::from_buffer_ref_readable(buffer, &info).is_err()) {
            let hides = lock(&self.settings).style().hiding.is_some();
            return self.undrawable("the buffer cannot be mapped", hides);
        }
        self.parent_transform_ip(buffer)
    }
}

/// Why a frame may carry no metadata, and what to do about it.
const LOST: &str = "put densepose before this element, and elements that crop, flip, mix or change the shape of the \
                    picture before densepose or behind this one; results older than max-age count as none";

impl DensePoseOverlay {
    fn warn_unknown(&self, without_meta: WithoutMeta) {
        let what = match without_meta {
            WithoutMeta::Hide => "is hidden as a whole",
            _ => "passes with nothing hidden (without-meta=hide would hide all of it)",
        };
        gst::element_imp_warning!(
            self,
            gst::StreamError::Failed,
            ["a frame carries no people of its own and {what}: {LOST}"]
        );
    }
}

impl VideoFilterImpl for DensePoseOverlay {
    fn set_info(
        &self,
        incaps: &gst::Caps,
        in_info: &gst_video::VideoInfo,
        outcaps: &gst::Caps,
        out_info: &gst_video::VideoInfo,
    ) -> Result<(), gst::LoggableError> {
        *lock(&self.stream) = Stream { info: Some(in_info.clone()), ..Stream::default() };
        self.parent_set_info(incaps, in_info, outcaps, out_info)
    }

    fn transform_frame_ip(
        &self,
        frame: &mut VideoFrameRef<&mut gst::BufferRef>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let (mut style, texture, without_meta) = {
            let settings = lock(&self.settings);
            (settings.style(), settings.texture.value.clone(), settings.without_meta)
        };
        let found = lock(&self.stream).found.take();
        let mut image = match video::image_mut(frame) {
            Ok(image) => image,
            Err(e) => return self.undrawable(&e.to_string(), style.hiding.is_some()),
        };
        if let (Some(found), Some(hiding)) = (&found, &mut style.hiding) {
            settings::widen(hiding, found);
        }
        let mut renderer = lock(&self.renderer);
        renderer.set_texture(texture);
        match (found, &style.hiding) {
            (Some(found), _) => renderer.draw(&mut image, &found.persons, &style),
            (None, Some(hiding)) if without_meta == WithoutMeta::Hide => renderer.hide_all(&mut image, hiding),
            (None, _) => renderer.draw(&mut image, &[], &style),
        }
        Ok(gst::FlowSuccess::Ok)
    }
}
