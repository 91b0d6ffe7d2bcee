use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;

use super::files::{FileError, Files, Limits};
use super::witness::Witness;
use super::{Existing, Format, IuvEncoding};
use crate::lock;
use crate::meta;
use crate::passthrough;
use crate::properties;
use crate::records::location::Location;
use crate::records::{self, Encoder, Fields, Record};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("densepose-export", gst::DebugColorFlags::empty(), Some("Files of dense human pose"))
});

const DEFAULT_FILE_NAME: &str = "%05d.png";

/// What the user has set.
#[derive(Clone, Debug)]
struct Settings {
    location: Option<PathBuf>,
    format: Format,
    fields: Option<String>,
    iuv_encoding: IuvEncoding,
    file_name: String,
    existing: Existing,
    limits: Limits,
    ignore_errors: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            location: None,
            format: Format::default(),
            fields: None,
            iuv_encoding: IuvEncoding::default(),
            file_name: DEFAULT_FILE_NAME.into(),
            existing: Existing::default(),
            limits: Limits::default(),
            ignore_errors: false,
        }
    }
}

impl Settings {
    /// The first file, open, or what is wrong with the settings.
    fn open(&self) -> Result<Files, gst::ErrorMessage> {
        let wrong = |e: &dyn std::fmt::Display| gst::error_msg!(gst::ResourceError::Settings, ["{e}"]);
        let Some(location) = &self.location else {
            return Err(wrong(&"no location: set it to the file to write, such as people.jsonl or people-%05d.jsonl"));
        };
        let location = Location::parse(location).map_err(|e| wrong(&e))?;
        if let Location::File(path) = &location
            && self.limits.any()
        {
            let path = path.display();
            return Err(wrong(&format!("`{path}` is one file: a limit needs a number in location, %05d")));
        }
        if self.existing == Existing::Append && self.format != Format::Jsonl {
            return Err(wrong(&"existing=append is for format=jsonl: number the files instead, %05d"));
        }
        let encoder = self.encoder().map_err(|e| wrong(&e))?;
        Files::open(location, self.existing, self.limits, encoder)
            .map_err(|e| gst::error_msg!(gst::ResourceError::OpenWrite, ["{e}"]))
    }

    fn encoder(&self) -> Result<Box<dyn Encoder>, String> {
        let fields =
            |known: &[records::Field]| Fields::chosen(self.fields.as_deref(), known).map_err(|e| e.to_string());
        Ok(match self.format {
            Format::Jsonl => Box::new(records::jsonl::Writer {
                fields: fields(&records::jsonl::FIELDS)?,
                iuv: self.iuv_encoding.into(),
            }),
            Format::Coco => Box::new(records::coco::Writer::new(fields(&records::coco::FIELDS)?)),
            Format::Npz => Box::new(records::npz::Writer::new(fields(&records::npz::FIELDS)?, self.limits.frames == 1)),
            Format::Detectron2 => {
                let name = Location::parse(&self.file_name).map_err(|e| format!("file-name: {e}"))?;
                let name = move |n| name.path(n).to_string_lossy().into_owned();
                Box::new(records::detectron2::Writer::new(fields(&records::detectron2::FIELDS)?, Box::new(name)))
            }
        })
    }
}

/// What the streaming thread works with.
#[derive(Default)]
struct Stream {
    /// `None` while stopped, and after an error that was ignored.
    files: Option<Files>,
    witness: Option<Witness>,
    /// Number of the next frame.
    frame: u64,
    clips: passthrough::Clips,
    warned: bool,
}

#[derive(Default)]
pub struct DensePoseExport {
    settings: Mutex<Settings>,
    stream: Mutex<Stream>,
}

#[glib::object_subclass]
impl ObjectSubclass for DensePoseExport {
    const NAME: &'static str = "GstDensePoseExport";
    type Type = super::DensePoseExport;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for DensePoseExport {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecString::builder("location")
                    .nick("Location")
                    .blurb("File to write; with a number in its name (people-%05d.jsonl), a series of files")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder::<Format>("format")
                    .nick("Format")
                    .blurb("Form of the files")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecString::builder("fields")
                    .nick("Fields")
                    .blurb("What is kept of a person, such as id,score,box,iuv; unset = all that the format knows")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder::<IuvEncoding>("iuv-encoding")
                    .nick("IUV encoding")
                    .blurb("How maps are written in format=jsonl")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecString::builder("file-name")
                    .nick("File name")
                    .blurb("Name that a frame has in format=detectron2, by its number")
                    .default_value(Some(DEFAULT_FILE_NAME))
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder::<Existing>("existing")
                    .nick("Existing")
                    .blurb("What becomes of files that are there already")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("max-frames")
                    .nick("Max frames")
                    .blurb("Frames per file; 0 = no limit")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("max-size-bytes")
                    .nick("Max size in bytes")
                    .blurb("Bytes after which the next file begins; 0 = no limit")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("max-size-time")
                    .nick("Max size in time")
                    .blurb("Nanoseconds of video after which the next file begins; 0 = no limit")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoolean::builder("ignore-errors")
                    .nick("Ignore errors")
                    .blurb("Let the video go on with a warning where a file cannot be written any more")
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
            "format" => settings.format = value.get().unwrap_or_default(),
            "fields" => settings.fields = value.get().unwrap_or_default(),
            "iuv-encoding" => settings.iuv_encoding = value.get().unwrap_or_default(),
            "file-name" => settings.file_name = value.get().unwrap_or_else(|_| DEFAULT_FILE_NAME.into()),
            "existing" => settings.existing = value.get().unwrap_or_default(),
            "max-frames" => settings.limits.frames = value.get().unwrap_or_default(),
            "max-size-bytes" => settings.limits.bytes = value.get().unwrap_or_default(),
            "max-size-time" => settings.limits.time = value.get().unwrap_or_default(),
            "ignore-errors" => settings.ignore_errors = value.get().unwrap_or_default(),
            name => gst::error!(CAT, imp = self, "no such property: {name}"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        match pspec.name() {
            "location" => settings.location.to_value(),
            "format" => settings.format.to_value(),
            "fields" => settings.fields.to_value(),
            "iuv-encoding" => settings.iuv_encoding.to_value(),
            "file-name" => settings.file_name.to_value(),
            "existing" => settings.existing.to_value(),
            "max-frames" => settings.limits.frames.to_value(),
            "max-size-bytes" => settings.limits.bytes.to_value(),
            "max-size-time" => settings.limits.time.to_value(),
            "ignore-errors" => settings.ignore_errors.to_value(),
            _ => pspec.default_value().clone(),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        self.obj().set_qos(false);
        self.obj().set_passthrough(true);
    }
}

impl GstObjectImpl for DensePoseExport {}

impl ElementImpl for DensePoseExport {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Dense human pose export",
                "Filter/Analyzer/Video",
                "Writes the people that the densepose element found to JSON Lines, COCO, detectron2 or NumPy files",
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

impl BaseTransformImpl for DensePoseExport {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = true;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = true;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        meta::register();
        let files = lock(&self.settings).open()?;
        let witness = Some(Witness::new(self.obj().upcast_ref()));
        *lock(&self.stream) = Stream { files: Some(files), witness, ..Stream::default() };
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let mut stream = std::mem::take(&mut *lock(&self.stream));
        if self.left_incomplete(&mut stream) {
            return Ok(());
        }
        if let Some(mut files) = stream.files
            && let Err(e) = files.stop()
        {
            // The element stops all the same.
            gst::element_imp_warning!(self, gst::ResourceError::Write, ["{e}"]);
        }
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        lock(&self.stream).clips.note(&event);
        if let gst::EventView::Eos(_) = event.view() {
            let mut stream = lock(&self.stream);
            if !self.left_incomplete(&mut stream)
                && let Some(files) = &mut stream.files
                && let Err(e) = files.finish()
            {
                // The stream is over: an error stops nothing any more, but is told.
                let _ = self.failed(&mut stream, &e);
            }
        }
        self.parent_sink_event(event)
    }

    fn transform_ip_passthrough(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut stream = lock(&self.stream);
        let frame = stream.frame;
        stream.frame += 1;
        stream.clips.frame();
        let clip = stream.clips.number();
        let Some(files) = &mut stream.files else { return Ok(gst::FlowSuccess::Ok) };
        let Some(persons) = meta::read(buffer) else { return Ok(gst::FlowSuccess::Ok) };
        if files.ended() {
            if !stream.warned {
                gst::element_imp_warning!(
                    self,
                    gst::ResourceError::Write,
                    ["the file ended with the stream, frames after it are not written: number the files, %05d"]
                );
            }
            stream.warned = true;
            return Ok(gst::FlowSuccess::Ok);
        }
        let pts = passthrough::stream_time(self.obj().upcast_ref(), buffer).map(|t| t.nseconds());
        let record = Record { frame, clip, pts, duration: buffer.duration().map(|d| d.nseconds()), persons };
        match files.write(&record) {
            Ok(()) => Ok(gst::FlowSuccess::Ok),
            Err(e) => self.failed(&mut stream, &e),
        }
    }
}

impl DensePoseExport {
    /// Where something in the pipeline has failed, the open file does not get its name.
    fn left_incomplete(&self, stream: &mut Stream) -> bool {
        let failed = stream.witness.as_ref().is_some_and(Witness::failed);
        if failed {
            self.abandon(stream);
        }
        failed
    }

    fn abandon(&self, stream: &mut Stream) {
        match stream.files.take().map(|mut files| files.abandon()) {
            Some(Ok(Some(part))) => {
                let part = part.display();
                gst::element_imp_warning!(
                    self,
                    gst::ResourceError::Write,
                    ["the stream failed: {part} holds what was found until then"]
                );
            }
            Some(Err(e)) => gst::element_imp_warning!(self, gst::ResourceError::Write, ["{e}"]),
            _ => {}
        }
    }

    /// Ends the export, and the stream with it unless errors are ignored.
    fn failed(&self, stream: &mut Stream, error: &FileError) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.abandon(stream);
        if lock(&self.settings).ignore_errors {
            gst::element_imp_warning!(
                self,
                gst::ResourceError::Write,
                ["{error}; nothing more is written, the video goes on"]
            );
            return Ok(gst::FlowSuccess::Ok);
        }
        match error.source.kind() {
            std::io::ErrorKind::StorageFull => {
                gst::element_imp_error!(self, gst::ResourceError::NoSpaceLeft, ["{error}"]);
            }
            _ => gst::element_imp_error!(self, gst::ResourceError::Write, ["{error}"]),
        }
        Err(gst::FlowError::Error)
    }
}
