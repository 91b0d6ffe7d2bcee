use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::VideoFrameRef;

use super::Fill;
use super::people::{Options, People, WriteError};
use crate::lock;
use crate::meta;
use crate::properties;
use crate::records::location::Location;
use crate::video;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("densepose-atlas", gst::DebugColorFlags::empty(), Some("Textures of dense human pose"))
});

const DEFAULT_CHART_SIZE: u32 = 128;
const DEFAULT_MAX_PERSONS: u32 = 20;
const ANYBODY: i64 = -1;

/// What the user has set.
#[derive(Clone, Debug)]
struct Settings {
    location: Option<PathBuf>,
    overwrite: bool,
    chart_size: u32,
    fill: Fill,
    max_persons: u32,
    person: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            location: None,
            overwrite: false,
            chart_size: DEFAULT_CHART_SIZE,
            fill: Fill::default(),
            max_persons: DEFAULT_MAX_PERSONS,
            person: ANYBODY,
        }
    }
}

impl Settings {
    /// What the settings ask for, or what is wrong with them.
    fn options(&self) -> Result<Options, String> {
        let Some(location) = &self.location else {
            return Err("no location: set it to the files to write, such as person-%d.png".into());
        };
        let location = Location::parse(location).map_err(|e| e.to_string())?;
        let only = u32::try_from(self.person).ok();
        if let Location::File(path) = &location {
            let path = path.display();
            if only.is_none() {
                return Err(format!(
                    "`{path}` is one file: put a number for each person in it, %d, or say which one by person"
                ));
            }
        }
        if !self.overwrite {
            let there = match &location {
                Location::File(path) => path.exists().then(|| path.clone()),
                series => series
                    .taken("")
                    .map_err(|e| format!("the directory of {series:?}: {e}"))?
                    .first()
                    .map(|&n| series.path(n)),
            };
            if let Some(path) = there {
                return Err(format!("`{}` is there already: set overwrite=true or another location", path.display()));
            }
        }
        let options = Options {
            location,
            side: self.chart_size as usize,
            fill: self.fill.into(),
            most: self.max_persons as usize,
            only,
        };
        Ok(options)
    }
}

/// What the streaming thread works with.
#[derive(Default)]
struct Stream {
    people: Option<People>,
    info: Option<gst_video::VideoInfo>,
    frame: u64,
    /// Frames that cannot be read are reported once per caps, not once per frame.
    warned: bool,
}

#[derive(Default)]
pub struct DensePoseAtlas {
    settings: Mutex<Settings>,
    stream: Mutex<Stream>,
}

#[glib::object_subclass]
impl ObjectSubclass for DensePoseAtlas {
    const NAME: &'static str = "GstDensePoseAtlas";
    type Type = super::DensePoseAtlas;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for DensePoseAtlas {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecString::builder("location")
                    .nick("Location")
                    .blurb("PNG files to write, with the person's number in the name, such as person-%d.png")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoolean::builder("overwrite")
                    .nick("Overwrite")
                    .blurb("Replace files that are there already")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt::builder("chart-size")
                    .nick("Chart size")
                    .blurb(
                        "Texels across and down of each of the 24 charts; a person costs 384 times its square in bytes",
                    )
                    .minimum(8)
                    .maximum(512)
                    .default_value(DEFAULT_CHART_SIZE)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder::<Fill>("fill")
                    .nick("Fill")
                    .blurb("What fills places that were never seen")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt::builder("max-persons")
                    .nick("Max persons")
                    .blurb("Most persons kept in memory; who was not seen for longest is written and let go")
                    .minimum(1)
                    .maximum(1000)
                    .default_value(DEFAULT_MAX_PERSONS)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecInt64::builder("person")
                    .nick("Person")
                    .blurb("Number of the only person to collect; -1 = everybody")
                    .minimum(ANYBODY)
                    .maximum(u32::MAX.into())
                    .default_value(ANYBODY)
                    .mutable_ready()
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
            "overwrite" => settings.overwrite = value.get().unwrap_or_default(),
            "chart-size" => settings.chart_size = value.get().unwrap_or(DEFAULT_CHART_SIZE),
            "fill" => settings.fill = value.get().unwrap_or_default(),
            "max-persons" => settings.max_persons = value.get().unwrap_or(DEFAULT_MAX_PERSONS),
            "person" => settings.person = value.get().unwrap_or(ANYBODY),
            name => gst::error!(CAT, imp = self, "no such property: {name}"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        match pspec.name() {
            "location" => settings.location.to_value(),
            "overwrite" => settings.overwrite.to_value(),
            "chart-size" => settings.chart_size.to_value(),
            "fill" => settings.fill.to_value(),
            "max-persons" => settings.max_persons.to_value(),
            "person" => settings.person.to_value(),
            _ => pspec.default_value().clone(),
        }
    }

    fn signals() -> &'static [glib::subclass::Signal] {
        static SIGNALS: LazyLock<Vec<glib::subclass::Signal>> = LazyLock::new(|| {
            let write =
                glib::subclass::Signal::builder("write").action().return_type::<u32>().class_handler(|values| {
                    let element = values[0].get::<super::DensePoseAtlas>().ok()?;
                    Some(element.imp().write().to_value())
                });
            vec![write.build()]
        });
        SIGNALS.as_ref()
    }

    fn constructed(&self) {
        self.parent_constructed();
        self.obj().set_qos(false);
        self.obj().set_passthrough(true);
    }
}

impl GstObjectImpl for DensePoseAtlas {}

impl ElementImpl for DensePoseAtlas {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Dense human pose atlas",
                "Filter/Analyzer/Video",
                "Collects the texture of each person's body that the densepose element found",
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

impl BaseTransformImpl for DensePoseAtlas {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = true;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = true;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        meta::register();
        let options = lock(&self.settings).options();
        let options = options.map_err(|e| gst::error_msg!(gst::ResourceError::Settings, ["{e}"]))?;
        *lock(&self.stream) = Stream { people: Some(People::new(options)), ..Stream::default() };
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let stream = std::mem::take(&mut *lock(&self.stream));
        if let Some(people) = stream.people {
            // The element stops all the same.
            self.told(people.write());
        }
        Ok(())
    }

    fn set_caps(&self, incaps: &gst::Caps, _outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = gst_video::VideoInfo::from_caps(incaps)
            .map_err(|_| gst::loggable_error!(CAT, "{incaps} does not describe raw video"))?;
        let mut stream = lock(&self.stream);
        stream.info = Some(info);
        stream.warned = false;
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        if let gst::EventView::Eos(_) = event.view() {
            self.write();
        }
        self.parent_sink_event(event)
    }

    fn transform_ip_passthrough(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut stream = lock(&self.stream);
        let Stream { people: Some(people), info: Some(info), frame, warned } = &mut *stream else {
            return Ok(gst::FlowSuccess::Ok);
        };
        *frame += 1;
        let Some(found) = meta::read_shown(buffer, (info.width(), info.height())) else {
            return Ok(gst::FlowSuccess::Ok);
        };
        let mapped = VideoFrameRef::from_buffer_ref_readable(buffer, info).map_err(|e| e.to_string());
        let image = mapped.as_ref().map_err(String::clone).and_then(|f| video::image(f).map_err(|e| e.to_string()));
        match image {
            Ok(image) => {
                let added = people.add(*frame, &image, &found);
                if let Err(e) = added {
                    drop(stream);
                    self.failed(&e);
                    return Err(gst::FlowError::Error);
                }
            }
            Err(e) => {
                if !std::mem::replace(warned, true) {
                    gst::element_imp_warning!(
                        self,
                        gst::StreamError::Format,
                        ["frame passed unread: {e}; does the buffer hold what its caps say?"]
                    );
                }
            }
        }
        Ok(gst::FlowSuccess::Ok)
    }
}

impl DensePoseAtlas {
    /// Writes everybody who is known so far; returns how many.
    fn write(&self) -> u32 {
        let written = lock(&self.stream).people.as_ref().map(People::write);
        written.map_or(0, |written| self.told(written))
    }

    fn told(&self, written: Result<u32, WriteError>) -> u32 {
        match written {
            Ok(count) => {
                gst::info!(CAT, imp = self, "{count} atlases written");
                count
            }
            Err(e) => {
                gst::element_imp_warning!(self, gst::ResourceError::Write, ["{e}"]);
                0
            }
        }
    }

    fn failed(&self, error: &WriteError) {
        match error.source.kind() {
            std::io::ErrorKind::StorageFull => {
                gst::element_imp_error!(self, gst::ResourceError::NoSpaceLeft, ["{error}"]);
            }
            _ => gst::element_imp_error!(self, gst::ResourceError::Write, ["{error}"]),
        }
    }
}
