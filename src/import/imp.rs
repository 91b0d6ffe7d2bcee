use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;

use super::source::{Interrupted, Source, Wanted};
use crate::lock;
use crate::meta;
use crate::passthrough;
use crate::properties;
use crate::records::location::Location;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("densepose-import", gst::DebugColorFlags::empty(), Some("Dense human pose from files"))
});

/// Warnings posted for a stream; further ones go to the log alone.
const WARNINGS: usize = 10;

/// What the user has set.
#[derive(Clone, Debug, Default)]
struct Settings {
    location: Option<PathBuf>,
    /// 0 = half of the frame's duration.
    tolerance: u64,
}

/// What the streaming thread works with.
#[derive(Default)]
struct Stream {
    source: Option<Source>,
    /// Number of the next frame.
    frame: u64,
    clips: passthrough::Clips,
    /// The last clip of which it was said that the file lacks it.
    lacking: Option<u32>,
    warnings: usize,
}

#[derive(Default)]
pub struct DensePoseImport {
    settings: Mutex<Settings>,
    stream: Mutex<Stream>,
    /// Whether a search is to end at once: the stream is flushed or the element stops.
    stopping: AtomicBool,
}

#[glib::object_subclass]
impl ObjectSubclass for DensePoseImport {
    const NAME: &'static str = "GstDensePoseImport";
    type Type = super::DensePoseImport;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for DensePoseImport {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecString::builder("location")
                    .nick("Location")
                    .blurb("File to read, in JSON Lines; with a number in its name (people-%05d.jsonl), a series")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("tolerance")
                    .nick("Tolerance")
                    .blurb("Nanoseconds that a record may be away from its frame; 0 = half of the frame's duration")
                    .mutable_playing()
                    .build(),
            ]
        });
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        if !properties::usable(self, value, pspec, &["location"]) {
            return;
        }
        let mut settings = lock(&self.settings);
        // GObject checks type and range against the ParamSpec before it calls.
        match pspec.name() {
            "location" => settings.location = value.get().unwrap_or_default(),
            "tolerance" => settings.tolerance = value.get().unwrap_or_default(),
            name => gst::error!(CAT, imp = self, "no such property: {name}"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        match pspec.name() {
            "location" => settings.location.to_value(),
            "tolerance" => settings.tolerance.to_value(),
            _ => pspec.default_value().clone(),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        self.obj().set_qos(false);
        self.obj().set_in_place(true);
    }
}

impl GstObjectImpl for DensePoseImport {}

impl ElementImpl for DensePoseImport {
    fn change_state(&self, transition: gst::StateChange) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        match transition {
            gst::StateChange::ReadyToPaused => self.stopping.store(false, Ordering::Relaxed),
            // Before the pads stop, which waits for the frame that is being worked on.
            gst::StateChange::PausedToReady => self.stopping.store(true, Ordering::Relaxed),
            _ => {}
        }
        self.parent_change_state(transition)
    }

    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Dense human pose import",
                "Filter/Analyzer/Video",
                "Attaches the people that densepose-export wrote to the same video",
                crate::AUTHOR,
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> =
            LazyLock::new(|| passthrough::pad_templates(&gst::Caps::new_any()));
        TEMPLATES.as_ref()
    }
}

impl BaseTransformImpl for DensePoseImport {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        meta::register();
        let settings = lock(&self.settings).clone();
        let location = settings.location.ok_or_else(|| {
            gst::error_msg!(
                gst::ResourceError::Settings,
                ["no location: set it to the file to read, such as people.jsonl or people-%05d.jsonl"]
            )
        })?;
        let location =
            Location::parse(&location).map_err(|e| gst::error_msg!(gst::ResourceError::Settings, ["{e}"]))?;
        let source = Source::open(&location).map_err(|e| gst::error_msg!(gst::ResourceError::OpenRead, ["{e}"]))?;
        *lock(&self.stream) = Stream { source: Some(source), ..Stream::default() };
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.stream) = Stream::default();
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        match event.view() {
            // While a frame may be worked on.
            gst::EventView::FlushStart(_) => self.stopping.store(true, Ordering::Relaxed),
            gst::EventView::FlushStop(_) => {
                self.stopping.store(false, Ordering::Relaxed);
                lock(&self.stream).frame = 0;
            }
            gst::EventView::StreamStart(_) => lock(&self.stream).clips.note(&event),
            _ => {}
        }
        self.parent_sink_event(event)
    }

    fn transform_ip(&self, buffer: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        let tolerance = lock(&self.settings).tolerance;
        let mut stream = lock(&self.stream);
        let stream = &mut *stream;
        stream.clips.frame();
        let wanted = Wanted {
            clip: stream.clips.number(),
            time: passthrough::stream_time(self.obj().upcast_ref(), buffer).map(|t| t.nseconds()),
            frame: stream.frame,
            tolerance: (tolerance != 0).then_some(tolerance),
            duration: buffer.duration().map(|d| d.nseconds()),
        };
        stream.frame += 1;
        let Some(source) = &mut stream.source else { return Ok(gst::FlowSuccess::Ok) };
        let stopping = || self.stopping.load(Ordering::Relaxed);
        let found = match source.find(&wanted, &stopping) {
            Ok(Some(record)) => {
                meta::attach(buffer, &record.persons);
                true
            }
            Ok(None) => false,
            Err(Interrupted) => return Err(gst::FlowError::Flushing),
        };
        if !found {
            gst::log!(CAT, imp = self, "no record for {wanted:?}");
            if stream.lacking != Some(wanted.clip) && wanted.time.is_some() && source.lacks(wanted.clip) {
                stream.lacking = Some(wanted.clip);
                let clip = u64::from(wanted.clip) + 1;
                gst::element_imp_warning!(
                    self,
                    gst::StreamError::Decode,
                    [
                        "the file has no records of clip {clip} of this stream; its frames get no people: write the file \
                      anew from the same clips in the same order"
                    ]
                );
            }
        }
        for problem in source.problems() {
            gst::warning!(CAT, imp = self, "left out: {problem}");
            stream.warnings += 1;
            if stream.warnings <= WARNINGS {
                gst::element_imp_warning!(self, gst::StreamError::Decode, ["left out: {problem}"]);
            }
        }
        Ok(gst::FlowSuccess::Ok)
    }
}
