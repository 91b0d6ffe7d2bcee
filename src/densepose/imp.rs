use std::sync::{LazyLock, Mutex};
use std::time::Instant;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::VideoFrameRef;

use super::Backend;
use crate::estimator::{self, Estimator, Model, Options, Provider, Tracker};
use crate::frame::SHORT_SIDES;
use crate::image::Image;
use crate::lock;
use crate::meta;
use crate::motion::Follower;
use crate::passthrough;
use crate::person::Persons;
use crate::scene::Scene;
use crate::video;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("densepose", gst::DebugColorFlags::empty(), Some("Dense human pose estimation"))
});

const DEFAULT_SHORT_SIDE: u32 = 0;
const DEFAULT_SCORE_THRESHOLD: f64 = 0.5;
const DEFAULT_MAX_PERSONS: u32 = 20;
const DEFAULT_INTERVAL: u32 = 1;
const DEFAULT_THREADS: u32 = 0;
const DEFAULT_SMOOTHING: f64 = 0.5;
const DEFAULT_FOLLOW: bool = true;
const DEFAULT_MAX_AGE: u32 = 0;

/// What the user has set.
#[derive(Clone, Debug)]
struct Settings {
    model: Option<String>,
    short_side: u32,
    score_threshold: f64,
    max_persons: u32,
    interval: u32,
    threads: u32,
    smoothing: f64,
    follow: bool,
    max_age: u32,
    backend: Backend,
    execution_providers: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: None,
            short_side: DEFAULT_SHORT_SIDE,
            score_threshold: DEFAULT_SCORE_THRESHOLD,
            max_persons: DEFAULT_MAX_PERSONS,
            interval: DEFAULT_INTERVAL,
            threads: DEFAULT_THREADS,
            smoothing: DEFAULT_SMOOTHING,
            follow: DEFAULT_FOLLOW,
            max_age: DEFAULT_MAX_AGE,
            backend: Backend::default(),
            execution_providers: None,
        }
    }
}

impl Settings {
    /// For `threads` as they were when the element started.
    fn options(&self, threads: u32) -> Options {
        Options {
            short_side: self.short_side as usize,
            threads: threads as usize,
            score_threshold: Some(self.score_threshold as f32),
            max_persons: Some(self.max_persons as usize),
        }
    }

    fn backend(&self) -> Result<estimator::Backend, String> {
        let names = self.execution_providers.as_deref().unwrap_or_default();
        let providers = Provider::list(names).map_err(|e| e.to_string())?;
        match self.backend {
            Backend::OnnxRuntime => Ok(estimator::Backend::OnnxRuntime { providers }),
            Backend::Tract if providers.is_empty() => Ok(estimator::Backend::Tract),
            Backend::Tract => Err(format!(
                "tract has no execution providers ({names}); set backend=onnxruntime, too, or leave them out"
            )),
        }
    }
}

/// What the streaming thread works with; locked while a frame is processed, so no other thread may wait for it.
#[derive(Default)]
struct Stream {
    estimator: Option<Estimator>,
    info: Option<gst_video::VideoInfo>,
    tracker: Tracker,
    scene: Scene,
    /// Running time of the last frame.
    time: Option<gst::ClockTime>,
    /// The last inference was so long ago that it says nothing of how people look now.
    paused: bool,
    threads: u32,
    /// The last result as a structure (its maps are shared by all frames that carry it) and its age in frames.
    last: Option<(gst::Structure, u32)>,
    /// Moves the last result to frames without one of their own.
    follower: Follower,
    /// Frames that cannot be read are reported once per caps, not once per frame.
    warned: bool,
}

/// What queries and events from other threads ask about.
#[derive(Default)]
struct Timing {
    /// Latency reported to live pipelines.
    latency: gst::ClockTime,
    /// Running time before which frames reach the sink too late.
    earliest: Option<gst::ClockTime>,
}

#[derive(Default)]
pub struct DensePose {
    settings: Mutex<Settings>,
    stream: Mutex<Stream>,
    timing: Mutex<Timing>,
}

#[glib::object_subclass]
impl ObjectSubclass for DensePose {
    const NAME: &'static str = "GstDensePose";
    type Type = super::DensePose;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for DensePose {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecString::builder("model")
                    .nick("Model")
                    .blurb("Directory of the model to run (model.json and its networks); unset = the one inside, if the build has one")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt::builder("short-side")
                    .nick("Short side")
                    .blurb(
                        "Length in pixels of the frame's shorter side in the network, at least 32: larger finds smaller \
                         people, smaller is faster; 0 = the model's own",
                    )
                    .maximum(*SHORT_SIDES.end() as u32)
                    .default_value(DEFAULT_SHORT_SIDE)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecDouble::builder("score-threshold")
                    .nick("Score threshold")
                    .blurb("Least confidence of a person")
                    .minimum(0.0)
                    .maximum(1.0)
                    .default_value(DEFAULT_SCORE_THRESHOLD)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt::builder("max-persons")
                    .nick("Max persons")
                    .blurb("Most persons per frame, best first; the time per frame grows with every person")
                    .default_value(DEFAULT_MAX_PERSONS)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt::builder("interval")
                    .nick("Interval")
                    .blurb(
                        "Run the network on every Nth frame; frames between carry the last result, moved with the \
                         picture unless follow is off, and its age",
                    )
                    .minimum(1)
                    .default_value(DEFAULT_INTERVAL)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt::builder("threads")
                    .nick("Threads")
                    .blurb("Threads to run the network on; 0 = one for each core")
                    .maximum(256)
                    .default_value(DEFAULT_THREADS)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecDouble::builder("smoothing")
                    .nick("Smoothing")
                    .blurb(
                        "How much boxes and parts are held against flicker from frame to frame; 0 = each frame stands \
                         for itself",
                    )
                    .minimum(0.0)
                    .maximum(0.9)
                    .default_value(DEFAULT_SMOOTHING)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecBoolean::builder("follow")
                    .nick("Follow")
                    .blurb("Move the last result with the picture where the network does not run; off = boxes and maps stand still")
                    .default_value(DEFAULT_FOLLOW)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt::builder("max-age")
                    .nick("Max age")
                    .blurb("Frames after which a result is not attached any more where the network does not run; 0 = no limit")
                    .default_value(DEFAULT_MAX_AGE)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecEnum::builder::<Backend>("backend")
                    .nick("Backend")
                    .blurb(
                        "What runs the network; onnxruntime needs a build with that feature, and the library, which \
                         the environment variable ORT_DYLIB_PATH names",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecString::builder("execution-providers")
                    .nick("Execution providers")
                    .blurb(
                        "Where ONNX Runtime is to run the network, comma-separated, best first, such as \
                         tensorrt,cuda; unset = on the CPU",
                    )
                    .mutable_ready()
                    .build(),
            ]
        });
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        // GObject checks type and range against the ParamSpec before it calls.
        match pspec.name() {
            "model" => settings.model = value.get().unwrap_or_default(),
            "short-side" => settings.short_side = value.get().unwrap_or(DEFAULT_SHORT_SIDE),
            "score-threshold" => settings.score_threshold = value.get().unwrap_or(DEFAULT_SCORE_THRESHOLD),
            "max-persons" => settings.max_persons = value.get().unwrap_or(DEFAULT_MAX_PERSONS),
            "interval" => settings.interval = value.get().unwrap_or(DEFAULT_INTERVAL),
            "smoothing" => settings.smoothing = value.get().unwrap_or(DEFAULT_SMOOTHING),
            "follow" => settings.follow = value.get().unwrap_or(DEFAULT_FOLLOW),
            "max-age" => settings.max_age = value.get().unwrap_or(DEFAULT_MAX_AGE),
            "threads" => settings.threads = value.get().unwrap_or(DEFAULT_THREADS),
            "backend" => settings.backend = value.get().unwrap_or_default(),
            "execution-providers" => settings.execution_providers = value.get().unwrap_or_default(),
            name => gst::error!(CAT, imp = self, "no such property: {name}"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        match pspec.name() {
            "model" => settings.model.to_value(),
            "short-side" => settings.short_side.to_value(),
            "score-threshold" => settings.score_threshold.to_value(),
            "max-persons" => settings.max_persons.to_value(),
            "interval" => settings.interval.to_value(),
            "smoothing" => settings.smoothing.to_value(),
            "follow" => settings.follow.to_value(),
            "max-age" => settings.max_age.to_value(),
            "threads" => settings.threads.to_value(),
            "backend" => settings.backend.to_value(),
            "execution-providers" => settings.execution_providers.to_value(),
            _ => pspec.default_value().clone(),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        // The base class would drop late frames; here only the inference is skipped.
        self.obj().set_qos(false);
        self.obj().set_in_place(true);
    }
}

impl GstObjectImpl for DensePose {}

impl ElementImpl for DensePose {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Dense human pose",
                "Filter/Analyzer/Video",
                "Finds people and attaches body part and surface coordinates (IUV) of every pixel of theirs",
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

impl BaseTransformImpl for DensePose {
    const MODE: gst_base::subclass::BaseTransformMode = gst_base::subclass::BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        meta::register();
        let settings = lock(&self.settings).clone();
        let unusable = |e: String| gst::error_msg!(gst::ResourceError::OpenRead, ["{e}"]);
        let backend = settings.backend().map_err(unusable)?;
        let started = Instant::now();
        let model = match &settings.model {
            Some(directory) => Model::open(directory),
            None => Model::embedded(),
        };
        let estimator = model.and_then(|m| Estimator::with_backend(&m, settings.options(settings.threads), &backend));
        let estimator = estimator.map_err(|e| unusable(e.to_string()))?;
        gst::info!(CAT, imp = self, "loaded the model into {backend:?} in {:?}", started.elapsed());
        *lock(&self.stream) = Stream { estimator: Some(estimator), threads: settings.threads, ..Stream::default() };
        *lock(&self.timing) = Timing::default();
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.stream) = Stream::default();
        Ok(())
    }

    fn set_caps(&self, incaps: &gst::Caps, _outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = gst_video::VideoInfo::from_caps(incaps)
            .map_err(|_| gst::loggable_error!(CAT, "{incaps} does not describe raw video"))?;
        let mut stream = lock(&self.stream);
        let options = lock(&self.settings).options(stream.threads);
        if let Some(estimator) = &mut stream.estimator {
            estimator.set_options(options);
            let size = (info.width() as usize, info.height() as usize);
            let prepared = estimator.prepare(size, video::pixel_aspect(&info));
            prepared.map_err(|e| {
                gst::element_imp_error!(self, gst::StreamError::Failed, ["{e}"]);
                gst::loggable_error!(CAT, "{e}")
            })?;
        }
        // Boxes of another size say nothing about these frames.
        stream.restart();
        stream.info = Some(info);
        stream.warned = false;
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        if matches!(event.view(), gst::EventView::FlushStop(_) | gst::EventView::StreamStart(_)) {
            lock(&self.stream).restart();
            lock(&self.timing).earliest = None;
        }
        self.parent_sink_event(event)
    }

    fn src_event(&self, event: gst::Event) -> bool {
        if let gst::EventView::Qos(qos) = event.view() {
            let (_, _, jitter, timestamp) = qos.get();
            lock(&self.timing).earliest = timestamp.map(|t| earliest(t, jitter));
        }
        self.parent_src_event(event)
    }

    fn query(&self, direction: gst::PadDirection, query: &mut gst::QueryRef) -> bool {
        let done = BaseTransformImplExt::parent_query(self, direction, query);
        if done
            && direction == gst::PadDirection::Src
            && let gst::QueryViewMut::Latency(q) = query.view_mut()
        {
            let (live, min, max) = q.result();
            let latency = lock(&self.timing).latency;
            q.set(live, min + latency, max.map(|m| m + latency));
        }
        done
    }

    fn transform_ip(&self, buffer: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        let settings = lock(&self.settings).clone();
        let mut stream = lock(&self.stream);
        let stream = &mut *stream;
        self.notice_cut(stream, buffer);
        let due = stream.paused || stream.last.as_ref().is_none_or(|(_, age)| age + 1 >= settings.interval);
        let run = due && (stream.paused || stream.last.is_none() || !self.is_late(buffer));
        let found = if run { self.infer(stream, &settings, buffer)? } else { None };
        match (found, &mut stream.last) {
            (Some(persons), last) => *last = Some((persons.into_structure(), 0)),
            (None, Some((structure, age))) => {
                *age += 1;
                let follower = Some(&mut stream.follower).filter(|_| settings.follow);
                let moved = follower.and_then(|f| with_image(buffer, stream.info.as_ref(), |image| f.moved(image))?);
                if let Some(moved) = moved {
                    *structure = moved.into_structure();
                }
                structure.set("age", *age);
            }
            (None, None) => {}
        }
        match &stream.last {
            Some((structure, age)) if settings.max_age == 0 || *age <= settings.max_age => {
                meta::attach_structure(buffer, structure);
            }
            _ => {}
        }
        Ok(gst::FlowSuccess::Ok)
    }
}

/// What `look` sees of a frame; `None` for a frame that cannot be read.
fn with_image<T>(
    buffer: &gst::BufferRef,
    info: Option<&gst_video::VideoInfo>,
    look: impl FnOnce(&Image) -> T,
) -> Option<T> {
    let frame = VideoFrameRef::from_buffer_ref_readable(buffer, info?).ok()?;
    Some(look(&video::image(&frame).ok()?))
}

/// The running time from which on frames are worth an inference, after a frame reached the sink `jitter` too late:
/// as much in reserve again, so that what is behind can catch up.
fn earliest(timestamp: gst::ClockTime, jitter: i64) -> gst::ClockTime {
    let late = gst::ClockTime::from_nseconds(u64::try_from(jitter).unwrap_or(0));
    timestamp.saturating_add(late).saturating_add(late)
}

impl Stream {
    /// What comes next shows another scene.
    fn restart(&mut self) {
        self.last = None;
        self.tracker.restart();
        self.scene = Scene::default();
        self.time = None;
    }
}

/// Smoothing over so many frames is none.
const FORGOTTEN: u32 = 100;

/// Frames as far apart as this are not smoothed over.
const PAUSE: gst::ClockTime = gst::ClockTime::from_mseconds(900);

impl DensePose {
    /// Starts afresh where a frame does not go on from the one before: a cut in the picture, or a jump back in time.
    /// After a pause people may be the same, but do not look the same.
    fn notice_cut(&self, stream: &mut Stream, buffer: &gst::BufferRef) {
        let Some(info) = &stream.info else { return };
        let time = passthrough::running_time(self.obj().upcast_ref(), buffer);
        let jumped = time.zip(stream.time).is_some_and(|(now, last)| now < last);
        stream.paused |= time.zip(stream.time).is_some_and(|(now, last)| now >= last + PAUSE);
        let gap = buffer.flags().contains(gst::BufferFlags::DISCONT);
        let cut = with_image(buffer, Some(info), |image| stream.scene.changed(image, gap)).unwrap_or(false);
        if jumped || cut {
            gst::debug!(CAT, imp = self, "another scene at {}", time.display());
            stream.last = None;
            stream.tracker.restart();
        }
        stream.time = time.or(stream.time);
    }

    /// Runs the network on a frame; `None` for a frame that cannot be read.
    fn infer(
        &self,
        stream: &mut Stream,
        settings: &Settings,
        buffer: &gst::BufferRef,
    ) -> Result<Option<Persons>, gst::FlowError> {
        let (Some(estimator), Some(info)) = (&mut stream.estimator, &stream.info) else {
            return Err(gst::FlowError::NotNegotiated);
        };
        let started = Instant::now();
        estimator.set_options(settings.options(stream.threads));
        let frame = VideoFrameRef::from_buffer_ref_readable(buffer, info).map_err(|e| e.to_string());
        let image = frame.as_ref().map_err(String::clone).and_then(|f| video::image(f).map_err(|e| e.to_string()));
        let image = match image {
            Ok(image) => image,
            Err(e) => {
                if !stream.warned {
                    gst::element_imp_warning!(
                        self,
                        gst::StreamError::Format,
                        ["frame passed unread: {e}; does the buffer hold what its caps say?"]
                    );
                }
                stream.warned = true;
                return Ok(None);
            }
        };
        // The longer ago the last inference was, the less it says of this frame.
        let frames = stream.last.as_ref().map_or(1, |(_, age)| age + 1);
        let frames = if std::mem::take(&mut stream.paused) { frames.max(FORGOTTEN) } else { frames };
        stream.tracker.smoothing = settings.smoothing.powf(f64::from(frames)) as f32;
        let persons = estimator.follow(&image, &mut stream.tracker).map_err(|e| {
            gst::element_imp_error!(self, gst::StreamError::Failed, ["{e}"]);
            gst::FlowError::Error
        })?;
        let elapsed = started.elapsed();
        gst::log!(CAT, imp = self, "{} persons in {elapsed:?}", persons.len());
        let size = (image.width() as u32, image.height() as u32);
        let persons = Persons { width: size.0, height: size.1, persons, ..Persons::default() };
        if settings.follow {
            stream.follower.analysed(&image, persons.clone());
        } else {
            stream.follower.restart();
        }
        self.note_duration(gst::ClockTime::try_from(elapsed).unwrap_or_default());
        Ok(Some(persons))
    }

    /// Reports a longer latency once inferences turn out to take longer than was said, with some room to vary.
    fn note_duration(&self, duration: gst::ClockTime) {
        let mut timing = lock(&self.timing);
        if duration > timing.latency {
            timing.latency = duration + duration / 4;
            gst::debug!(CAT, imp = self, "latency is now {}", timing.latency);
            drop(timing);
            let obj = self.obj();
            let _ = obj.post_message(gst::message::Latency::builder().src(&*obj).build());
        }
    }

    /// Whether the sink would get this frame too late even if no inference ran on it.
    fn is_late(&self, buffer: &gst::BufferRef) -> bool {
        let Some(earliest) = lock(&self.timing).earliest else { return false };
        let late = passthrough::running_time(self.obj().upcast_ref(), buffer).is_some_and(|t| t < earliest);
        if late {
            gst::debug!(CAT, imp = self, "behind by QoS: frame keeps the last result");
        }
        late
    }
}
