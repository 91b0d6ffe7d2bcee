use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_transform::GenerateOutputSuccess;
use gst_base::subclass::prelude::*;

use super::presence::{Change, Presence};
use crate::export::IuvEncoding;
use crate::lock;
use crate::meta;
use crate::passthrough;
use crate::properties;
use crate::records::{Encoder, Fields, Record, jsonl};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("densepose-serialize", gst::DebugColorFlags::empty(), Some("Dense human pose as JSON"))
});

const DEFAULT_ABSENCE: u64 = 1_000_000_000;

/// What the user has set.
#[derive(Clone, Debug)]
struct Settings {
    fields: Option<String>,
    iuv_encoding: IuvEncoding,
    messages: bool,
    absence: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { fields: None, iuv_encoding: IuvEncoding::default(), messages: false, absence: DEFAULT_ABSENCE }
    }
}

/// What the streaming thread works with.
#[derive(Default)]
struct Stream {
    writer: jsonl::Writer,
    /// Number of the next frame.
    frame: u64,
    clips: passthrough::Clips,
    presence: Presence,
}

#[derive(Default)]
pub struct DensePoseSerialize {
    settings: Mutex<Settings>,
    stream: Mutex<Stream>,
}

#[glib::object_subclass]
impl ObjectSubclass for DensePoseSerialize {
    const NAME: &'static str = "GstDensePoseSerialize";
    type Type = super::DensePoseSerialize;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for DensePoseSerialize {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecString::builder("fields")
                    .nick("Fields")
                    .blurb("What is kept of a person, such as id,score,box,iuv; unset = all that the format knows")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder::<IuvEncoding>("iuv-encoding")
                    .nick("IUV encoding")
                    .blurb("How maps are written")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoolean::builder("messages")
                    .nick("Messages")
                    .blurb("Post an element message densepose-person when somebody appears or leaves")
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt64::builder("absence")
                    .nick("Absence")
                    .blurb("Nanoseconds without being seen after which a person has left")
                    .default_value(DEFAULT_ABSENCE)
                    .mutable_playing()
                    .build(),
            ]
        });
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        if !properties::usable(self, value, pspec, &[]) {
            return;
        }
        let mut settings = lock(&self.settings);
        // GObject checks type and range against the ParamSpec before it calls.
        match pspec.name() {
            "fields" => settings.fields = value.get().unwrap_or_default(),
            "iuv-encoding" => settings.iuv_encoding = value.get().unwrap_or_default(),
            "messages" => settings.messages = value.get().unwrap_or_default(),
            "absence" => settings.absence = value.get().unwrap_or(DEFAULT_ABSENCE),
            name => gst::error!(CAT, imp = self, "no such property: {name}"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        match pspec.name() {
            "fields" => settings.fields.to_value(),
            "iuv-encoding" => settings.iuv_encoding.to_value(),
            "messages" => settings.messages.to_value(),
            "absence" => settings.absence.to_value(),
            _ => pspec.default_value().clone(),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        self.obj().set_qos(false);
    }
}

impl GstObjectImpl for DensePoseSerialize {}

impl ElementImpl for DensePoseSerialize {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Dense human pose as JSON",
                "Filter/Converter/Video",
                "Turns video with the people that the densepose element found into a line of JSON per frame",
                crate::AUTHOR,
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let sides =
                [("sink", gst::PadDirection::Sink, gst::Caps::new_any()), ("src", gst::PadDirection::Src, json())];
            let template = |(name, side, caps)| gst::PadTemplate::new(name, side, gst::PadPresence::Always, &caps).ok();
            sides.into_iter().filter_map(template).collect()
        });
        TEMPLATES.as_ref()
    }
}

/// Caps of the source pad.
fn json() -> gst::Caps {
    gst::Caps::builder("application/json").build()
}

impl BaseTransformImpl for DensePoseSerialize {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        meta::register();
        let settings = lock(&self.settings).clone();
        let fields = Fields::chosen(settings.fields.as_deref(), &jsonl::FIELDS)
            .map_err(|e| gst::error_msg!(gst::ResourceError::Settings, ["{e}"]))?;
        let writer = jsonl::Writer { fields, iuv: settings.iuv_encoding.into() };
        *lock(&self.stream) = Stream { writer, ..Stream::default() };
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.stream) = Stream::default();
        Ok(())
    }

    fn transform_caps(
        &self,
        direction: gst::PadDirection,
        _caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let caps = if direction == gst::PadDirection::Sink { json() } else { gst::Caps::new_any() };
        Some(filter.map_or_else(|| caps.clone(), |f| f.intersect_with_mode(&caps, gst::CapsIntersectMode::First)))
    }

    fn propose_allocation(
        &self,
        _decide_query: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        // Pixels are not read: any layout will do.
        query.add_allocation_meta::<gst_video::VideoMeta>(None);
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        lock(&self.stream).clips.note(&event);
        if matches!(event.view(), gst::EventView::Eos(_) | gst::EventView::FlushStop(_)) {
            let gone = lock(&self.stream).presence.clear();
            self.post(&gone);
        }
        self.parent_sink_event(event)
    }

    fn generate_output(&self) -> Result<GenerateOutputSuccess, gst::FlowError> {
        let Some(buffer) = self.take_queued_buffer() else { return Ok(GenerateOutputSuccess::NoOutput) };
        let mut stream = lock(&self.stream);
        let frame = stream.frame;
        stream.frame += 1;
        stream.clips.frame();
        let Some(persons) = meta::read(&buffer) else {
            drop(stream);
            self.pass_gap(&buffer);
            return Ok(GenerateOutputSuccess::NoOutput);
        };
        let ids: Vec<u32> = persons.persons.iter().map(|p| p.id).collect();
        let pts = passthrough::stream_time(self.obj().upcast_ref(), &buffer).map(|t| t.nseconds());
        let record = Record {
            frame,
            clip: stream.clips.number(),
            pts,
            duration: buffer.duration().map(|d| d.nseconds()),
            persons,
        };
        let mut line = Vec::new();
        stream.writer.record(&record, &mut line);
        let absence = lock(&self.settings).absence;
        let changes = match passthrough::running_time(self.obj().upcast_ref(), &buffer) {
            Some(time) => stream.presence.seen(ids.into_iter(), time.nseconds(), absence),
            None => Vec::new(),
        };
        drop(stream);
        self.post(&changes);
        let mut out = gst::Buffer::from_mut_slice(line);
        let target = out.make_mut();
        let copied = gst::BufferCopyFlags::TIMESTAMPS | gst::BufferCopyFlags::FLAGS;
        if let Err(e) = buffer.copy_into(target, copied, ..) {
            gst::warning!(CAT, imp = self, "the frame's times are lost: {e}");
        }
        // Every line stands for itself, also where the video's frames do not.
        target.unset_flags(gst::BufferFlags::DELTA_UNIT);
        Ok(GenerateOutputSuccess::Buffer(out))
    }
}

impl DensePoseSerialize {
    /// Tells downstream that there is nothing at this time, so that it does not wait for it.
    fn pass_gap(&self, buffer: &gst::BufferRef) {
        let Some(pts) = buffer.pts() else { return };
        let gap = gst::event::Gap::builder(pts).duration(buffer.duration()).build();
        self.obj().src_pad().push_event(gap);
    }

    fn post(&self, changes: &[(Change, u32, u64)]) {
        if !lock(&self.settings).messages {
            return;
        }
        for &(change, id, time) in changes {
            let event = match change {
                Change::Appeared => "appeared",
                Change::Left => "left",
            };
            let structure = gst::Structure::builder("densepose-person")
                .field("event", event)
                .field("id", id)
                .field("running-time", time)
                .build();
            let obj = self.obj();
            let _ = obj.post_message(gst::message::Element::builder(structure).src(&*obj).build());
        }
    }
}
