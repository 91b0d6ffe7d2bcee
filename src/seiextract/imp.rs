use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_transform::GenerateOutputSuccess;
use gst_base::subclass::prelude::*;

use crate::packet::JoinError;
use crate::person::Persons;
use crate::sei::Format;
use crate::{coded, lock, meta, packet, sei};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "densepose-seiextract",
        gst::DebugColorFlags::empty(),
        Some("Dense human pose out of H.264 and H.265 streams"),
    )
});

const DEFAULT_REMOVE: bool = false;

#[derive(Default)]
struct Stream {
    format: Option<Format>,
    /// Width and height of the video, where the caps name them.
    size: Option<(u32, u32)>,
    /// What cannot be read is reported once per caps, not once per access unit.
    warned: bool,
}

#[derive(Default)]
pub struct SeiExtract {
    /// Property `remove`.
    remove: Mutex<bool>,
    stream: Mutex<Stream>,
}

#[glib::object_subclass]
impl ObjectSubclass for SeiExtract {
    const NAME: &'static str = "GstDensePoseSeiExtract";
    type Type = super::SeiExtract;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for SeiExtract {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecBoolean::builder("remove")
                    .nick("Remove")
                    .blurb("Take the messages out of the stream")
                    .default_value(DEFAULT_REMOVE)
                    .mutable_playing()
                    .build(),
            ]
        });
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        match pspec.name() {
            "remove" => *lock(&self.remove) = value.get().unwrap_or(DEFAULT_REMOVE),
            name => gst::error!(CAT, imp = self, "no such property: {name}"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "remove" => lock(&self.remove).to_value(),
            _ => pspec.default_value().clone(),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        self.obj().set_qos(false);
    }
}

impl GstObjectImpl for SeiExtract {}

impl ElementImpl for SeiExtract {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Dense human pose out of H.264 and H.265",
                "Codec/Filter/Video",
                "Attaches what densepose-seiinsert wrote into the coded stream",
                crate::AUTHOR,
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(coded::pad_templates);
        TEMPLATES.as_ref()
    }
}

impl BaseTransformImpl for SeiExtract {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        meta::register();
        *lock(&self.stream) = Stream::default();
        Ok(())
    }

    fn accept_caps(&self, _direction: gst::PadDirection, caps: &gst::Caps) -> bool {
        coded::is_known(caps)
    }

    fn set_caps(&self, incaps: &gst::Caps, _outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let format = coded::format(incaps).map_err(|e| gst::loggable_error!(CAT, "{incaps}: {e}"))?;
        let side = |name| {
            let caps = incaps.structure(0)?;
            caps.get::<i32>(name).ok().and_then(|n| u32::try_from(n).ok())
        };
        let size = side("width").zip(side("height"));
        *lock(&self.stream) = Stream { format: Some(format), size, warned: false };
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        !coded::refuses(&*self.obj(), &event) && self.parent_sink_event(event)
    }

    fn generate_output(&self) -> Result<GenerateOutputSuccess, gst::FlowError> {
        let Some(mut buffer) = self.take_queued_buffer() else { return Ok(GenerateOutputSuccess::NoOutput) };
        let remove = *lock(&self.remove);
        let (format, size) = {
            let stream = lock(&self.stream);
            (stream.format.ok_or(gst::FlowError::NotNegotiated)?, stream.size)
        };
        let failed = |e: glib::BoolError| {
            gst::element_imp_error!(self, gst::StreamError::Failed, ["{e}"]);
            gst::FlowError::Error
        };
        let (persons, edits) = {
            let unit = buffer.map_readable().map_err(failed)?;
            // Whatever hinders the removal hinders the reading, which reports it.
            let edits = if remove { sei::remove(format, &unit, &packet::UUID).unwrap_or_default() } else { vec![] };
            (read(format, size, &unit), edits)
        };
        let persons = persons.unwrap_or_else(|problem| {
            self.report(&buffer, problem);
            None
        });
        if !edits.is_empty() {
            buffer = coded::edited(&buffer, edits).map_err(failed)?;
        }
        if let Some(persons) = persons {
            gst::log!(CAT, imp = self, "{} persons", persons.persons.len());
            meta::attach(buffer.make_mut(), &persons);
        }
        Ok(GenerateOutputSuccess::Buffer(buffer))
    }
}

/// Why an access unit yields no people.
enum Unreadable {
    /// Some of the messages did not arrive, as happens on networks.
    Lost(JoinError),
    Damaged(String),
}

/// The people that an access unit carries, if any; `size` of the video, where the caps name it.
fn read(format: Format, size: Option<(u32, u32)>, unit: &[u8]) -> Result<Option<Persons>, Unreadable> {
    let damaged = |e: &dyn std::fmt::Display| Unreadable::Damaged(e.to_string());
    let payloads = sei::user_data(format, unit).map_err(|e| damaged(&e))?;
    let packet = packet::join(payloads.iter().map(Vec::as_slice)).map_err(|e| match e {
        JoinError::Incomplete { .. } => Unreadable::Lost(e),
        _ => damaged(&e),
    })?;
    let decode = |packet: Vec<u8>| match size {
        Some(size) => packet::decode_within(&packet, size),
        None => packet::decode(&packet),
    };
    packet.map(decode).transpose().map_err(|e| damaged(&e))
}

impl SeiExtract {
    fn report(&self, buffer: &gst::BufferRef, problem: Unreadable) {
        match problem {
            Unreadable::Lost(e) => gst::warning!(CAT, imp = self, "{buffer:?}: {e}"),
            Unreadable::Damaged(e) => {
                gst::warning!(CAT, imp = self, "{buffer:?}: {e}");
                let first = !std::mem::replace(&mut lock(&self.stream).warned, true);
                if first {
                    gst::element_imp_warning!(
                        self,
                        gst::StreamError::Decode,
                        ["frame passed without its people: {e}; such frames are not reported again"]
                    );
                }
            }
        }
    }
}
