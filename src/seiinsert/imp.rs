use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_transform::GenerateOutputSuccess;
use gst_base::subclass::prelude::*;

use crate::person::Persons;
use crate::sei::Format;
use crate::{coded, lock, meta, packet, sei};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "densepose-seiinsert",
        gst::DebugColorFlags::empty(),
        Some("Dense human pose into H.264 and H.265 streams"),
    )
});

/// One or a few messages for most frames, each well below what parsers and players are known to take.
const DEFAULT_MAX_SIZE: u32 = 16384;
const DEFAULT_PRECISION: u32 = packet::EXACT as u32;
const DEFAULT_KEEP_META: bool = true;

/// What the user has set.
#[derive(Clone, Copy, Debug)]
struct Settings {
    max_size: u32,
    precision: u32,
    keep_meta: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_size: DEFAULT_MAX_SIZE, precision: DEFAULT_PRECISION, keep_meta: DEFAULT_KEEP_META }
    }
}

#[derive(Default)]
struct Stream {
    format: Option<Format>,
    sequence: u32,
    /// Access units that cannot be read are reported once per caps, not once each.
    warned: bool,
}

#[derive(Default)]
pub struct SeiInsert {
    settings: Mutex<Settings>,
    stream: Mutex<Stream>,
}

#[glib::object_subclass]
impl ObjectSubclass for SeiInsert {
    const NAME: &'static str = "GstDensePoseSeiInsert";
    type Type = super::SeiInsert;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for SeiInsert {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecUInt::builder("max-size")
                    .nick("Max size")
                    .blurb("Most bytes in an SEI message; what is larger is split over several")
                    .minimum(64)
                    .maximum(1 << 24)
                    .default_value(DEFAULT_MAX_SIZE)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt::builder("precision")
                    .nick("Precision")
                    .blurb("Bits of U and V; 8 = exact, less takes less room. Part indices are always exact")
                    .minimum(1)
                    .maximum(DEFAULT_PRECISION)
                    .default_value(DEFAULT_PRECISION)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecBoolean::builder("keep-meta")
                    .nick("Keep meta")
                    .blurb("Leave the meta on the buffers that its SEI was written into")
                    .default_value(DEFAULT_KEEP_META)
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
            "max-size" => settings.max_size = value.get().unwrap_or(DEFAULT_MAX_SIZE),
            "precision" => settings.precision = value.get().unwrap_or(DEFAULT_PRECISION),
            "keep-meta" => settings.keep_meta = value.get().unwrap_or(DEFAULT_KEEP_META),
            name => gst::error!(CAT, imp = self, "no such property: {name}"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        match pspec.name() {
            "max-size" => settings.max_size.to_value(),
            "precision" => settings.precision.to_value(),
            "keep-meta" => settings.keep_meta.to_value(),
            _ => pspec.default_value().clone(),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        self.obj().set_qos(false);
    }
}

impl GstObjectImpl for SeiInsert {}

impl ElementImpl for SeiInsert {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Dense human pose into H.264 and H.265",
                "Codec/Filter/Video",
                "Writes what densepose attached into the coded stream, as SEI messages",
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

impl BaseTransformImpl for SeiInsert {
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
        let mut stream = lock(&self.stream);
        *stream = Stream { format: Some(format), warned: false, ..*stream };
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        !coded::refuses(&*self.obj(), &event) && self.parent_sink_event(event)
    }

    fn generate_output(&self) -> Result<GenerateOutputSuccess, gst::FlowError> {
        let Some(buffer) = self.take_queued_buffer() else { return Ok(GenerateOutputSuccess::NoOutput) };
        let out = match meta::read(&buffer) {
            Some(persons) => self.inserted(buffer, &persons)?,
            None => buffer,
        };
        Ok(GenerateOutputSuccess::Buffer(out))
    }
}

impl SeiInsert {
    /// The access unit with people in it; as it is where it cannot be read.
    fn inserted(&self, buffer: gst::Buffer, persons: &Persons) -> Result<gst::Buffer, gst::FlowError> {
        let settings = *lock(&self.settings);
        let mut stream = lock(&self.stream);
        let format = stream.format.ok_or(gst::FlowError::NotNegotiated)?;
        let packet = packet::encode_with(persons, settings.precision as u8);
        let max_size = (settings.max_size as usize).min(format.framing.longest_payload());
        let fragments = packet::split(&packet, max_size, stream.sequence);
        stream.sequence = stream.sequence.wrapping_add(1);
        let failed = |e: glib::BoolError| {
            gst::element_imp_error!(self, gst::StreamError::Failed, ["{e}"]);
            gst::FlowError::Error
        };
        let edits = {
            let unit = buffer.map_readable().map_err(failed)?;
            edits(format, &unit, &fragments)
        };
        let edits = match edits {
            Ok(Some(edits)) => edits,
            Ok(None) => {
                gst::debug!(CAT, imp = self, "no picture in {buffer:?}, nothing inserted");
                return Ok(buffer);
            }
            Err(e) => {
                gst::warning!(CAT, imp = self, "{buffer:?}: {e}");
                if !stream.warned {
                    gst::element_imp_warning!(
                        self,
                        gst::StreamError::Format,
                        ["access unit passed without SEI: {e}; is the stream what its caps say?"]
                    );
                }
                stream.warned = true;
                return Ok(buffer);
            }
        };
        gst::log!(CAT, imp = self, "{} bytes in {} messages", packet.len(), fragments.len());
        let mut out = coded::edited(&buffer, edits).map_err(failed)?;
        if !settings.keep_meta {
            meta::remove(out.make_mut());
        }
        Ok(out)
    }
}

/// Takes older messages of ours out and puts the new ones in; `None` if there is no picture.
fn edits(format: Format, unit: &[u8], fragments: &[Vec<u8>]) -> Result<Option<Vec<sei::Edit>>, sei::SeiError> {
    let Some(insert) = sei::insert(format, unit, fragments)? else { return Ok(None) };
    let mut edits = sei::remove(format, unit, &packet::UUID)?;
    let place = edits.partition_point(|e| e.at.end <= insert.at.start);
    edits.insert(place, insert);
    Ok(Some(edits))
}
