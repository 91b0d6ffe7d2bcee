use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::VideoFrameRef;

use super::Mode;
use super::analyser::{Analyser, Answer, PAUSE, Task, Trouble};
use super::settings::Settings;
use crate::estimator::{Estimator, Model};
use crate::image::Image;
use crate::lock;
use crate::meta;
use crate::motion::Follower;
use crate::passthrough;
use crate::properties;
use crate::scene::Scene;
use crate::schedule::{self, Durations, Stats};
use crate::video;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("densepose", gst::DebugColorFlags::empty(), Some("Dense human pose estimation"))
});

/// A result as old as this is renewed, even if its frame will be late.
const STALE: gst::ClockTime = gst::ClockTime::from_seconds(1);

/// A frame of its own, so that the stream's buffers are free for others.
type Job = (gst::Buffer, gst_video::VideoInfo, Task);
type Worker = schedule::Worker<Job, (Answer, gst::Buffer)>;

/// What the streaming thread works with; locked while a frame is processed, so no other thread may wait for it.
#[derive(Default)]
struct Stream {
    /// Locked while a frame is analysed, by whoever does it.
    analyser: Option<Arc<Mutex<Analyser>>>,
    info: Option<gst_video::VideoInfo>,
    scene: Scene,
    /// Number of the scene, which counts on over flushes and caps.
    scenes: u64,
    /// Number of the next frame.
    number: u64,
    /// Running time of the last frame.
    time: Option<gst::ClockTime>,
    threads: u32,
    last: Option<Last>,
    /// Moves the last result to frames without one of their own.
    follower: Follower,
    /// The last frame that an analysis was begun of.
    begun: Option<Begun>,
    /// Frames that cannot be read are reported once per caps, not once per frame.
    warned: bool,
}

/// The last result as a structure; its maps are shared by all frames that carry it.
struct Last {
    structure: gst::Structure,
    /// Number of the frame in which they were found.
    number: u64,
}

#[derive(Clone, Copy, Debug)]
struct Begun {
    number: u64,
    time: Option<gst::ClockTime>,
}

/// What queries, events and properties from other threads ask about.
#[derive(Default)]
struct Report {
    durations: Durations,
    stats: Stats,
    /// Whether upstream is live.
    live: bool,
    /// Whether frames wait for the network.
    waits: bool,
    /// Latency that the pipeline was given.
    configured: Option<gst::ClockTime>,
    /// Running time before which frames reach the sink too late, by QoS.
    earliest: Option<gst::ClockTime>,
    /// Running time of the last message.
    posted: Option<gst::ClockTime>,
}

#[derive(Default)]
pub struct DensePose {
    settings: Mutex<Settings>,
    stream: Mutex<Stream>,
    report: Mutex<Report>,
    /// Where frames do not wait. Apart from the stream, so that a flush reaches it while the stream waits for it.
    worker: Mutex<Option<Arc<Worker>>>,
}

#[glib::object_subclass]
impl ObjectSubclass for DensePose {
    const NAME: &'static str = "GstDensePose";
    type Type = super::DensePose;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for DensePose {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(Settings::properties);
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        if properties::usable(self, value, pspec, &["model"]) && !lock(&self.settings).set(pspec.name(), value) {
            gst::error!(CAT, imp = self, "no such property: {}", pspec.name());
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if pspec.name() == "stats" {
            return lock(&self.report).structure().to_value();
        }
        lock(&self.settings).get(pspec.name()).unwrap_or_else(|| pspec.default_value().clone())
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

    fn change_state(&self, transition: gst::StateChange) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        // Before the pads stop, which waits for what the streaming thread waits for.
        if transition == gst::StateChange::PausedToReady {
            self.hurry(true);
        }
        self.parent_change_state(transition)
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
        let analyser = Analyser::new(estimator.map_err(|e| unusable(e.to_string()))?);
        gst::info!(CAT, imp = self, "loaded the model into {backend:?} in {:?}", started.elapsed());
        let analyser = Some(Arc::new(Mutex::new(analyser)));
        *lock(&self.stream) = Stream { analyser, threads: settings.threads, ..Stream::default() };
        *lock(&self.report) = Report { waits: true, ..Report::default() };
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let worker = lock(&self.worker).take();
        // It ends after the frame that it is at.
        drop(worker);
        *lock(&self.stream) = Stream::default();
        Ok(())
    }

    fn set_caps(&self, incaps: &gst::Caps, _outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = gst_video::VideoInfo::from_caps(incaps)
            .map_err(|_| gst::loggable_error!(CAT, "{incaps} does not describe raw video"))?;
        let settings = lock(&self.settings).clone();
        let failed = |e: &dyn std::fmt::Display| {
            gst::element_imp_error!(self, gst::StreamError::Failed, ["{e}"]);
            gst::loggable_error!(CAT, "{e}")
        };
        let mut stream = lock(&self.stream);
        // Boxes of another size say nothing about these frames.
        self.restart(&mut stream);
        stream.warned = false;
        let options = settings.options(stream.threads);
        let Some(analyser) = stream.analyser.clone() else { return Ok(()) };
        lock(&analyser).prepare(options, &info).map_err(|e| failed(&e))?;
        stream.info = Some(info.clone());
        drop(stream);
        self.choose_mode(settings.mode, &analyser, &info).map_err(|e| failed(&e))
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::FlushStart(_) => self.hurry(true),
            gst::EventView::FlushStop(_) => {
                self.hurry(false);
                self.restart(&mut lock(&self.stream));
                lock(&self.report).earliest = None;
            }
            gst::EventView::StreamStart(_) => {
                self.restart(&mut lock(&self.stream));
                lock(&self.report).earliest = None;
            }
            gst::EventView::Eos(_) => self.drain(),
            _ => {}
        }
        self.parent_sink_event(event)
    }

    fn src_event(&self, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::Qos(qos) => {
                let (_, _, jitter, timestamp) = qos.get();
                lock(&self.report).earliest = timestamp.map(|t| earliest(t, jitter));
            }
            // Read as a field: it may be undefined.
            gst::EventView::Latency(_) => {
                let latency = event.structure().and_then(|s| s.get::<u64>("latency").ok());
                lock(&self.report).configured = latency.filter(|l| *l != u64::MAX).map(gst::ClockTime::from_nseconds);
            }
            _ => {}
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
            let mut report = lock(&self.report);
            report.live = live;
            let latency = report.latency();
            q.set(live, min + latency, max.map(|m| m + latency));
        }
        done
    }

    fn transform_ip(&self, buffer: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        let settings = lock(&self.settings).clone();
        let mut stream = lock(&self.stream);
        let stream = &mut *stream;
        let time = passthrough::running_time(self.obj().upcast_ref(), buffer);
        let paused = self.notice_cut(stream, buffer, time);
        let number = stream.number;
        stream.number += 1;
        let worker = lock(&self.worker).clone();
        if let Some((answer, analysed)) = worker.as_ref().and_then(|worker| worker.fetch()) {
            self.take(stream, answer, &analysed, settings.follow)?;
        }
        let since = stream.begun.map(|begun| number - begun.number);
        if paused || since.is_none_or(|frames| frames >= u64::from(settings.interval)) {
            let options = settings.options(stream.threads);
            let task = Task { number, scene: stream.scenes, time, options, smoothing: settings.smoothing };
            self.begin(stream, &settings, worker.as_deref(), buffer, task, paused)?;
        }
        let attached = stream.attach(buffer, number, &settings);
        self.note_frame(&settings, attached, time);
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

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attached {
    Nothing,
    ItsOwn,
    /// The result of an earlier frame, as it was then.
    Held,
    /// The result of an earlier frame, moved along with the picture.
    Moved,
}

impl Stream {
    /// Gives frame `number` the newest result, moved to it if it is of an earlier frame.
    fn attach(&mut self, buffer: &mut gst::BufferRef, number: u64, settings: &Settings) -> Attached {
        let Some(last) = &mut self.last else { return Attached::Nothing };
        let age = u32::try_from(number - last.number).unwrap_or(u32::MAX);
        if settings.max_age > 0 && age > settings.max_age {
            return Attached::Nothing;
        }
        let mut attached = if age == 0 { Attached::ItsOwn } else { Attached::Held };
        if age > 0 && settings.follow {
            let follower = &mut self.follower;
            if let Some(moved) = with_image(buffer, self.info.as_ref(), |image| follower.moved(image)).flatten() {
                last.structure = moved.into_structure();
                attached = Attached::Moved;
            }
        }
        last.structure.set("age", age);
        meta::attach_structure(buffer, &last.structure);
        attached
    }
}

/// The running time from which on frames are worth an inference, after a frame reached the sink `jitter` too late:
/// as much in reserve again, so that what is behind can catch up.
fn earliest(timestamp: gst::ClockTime, jitter: i64) -> gst::ClockTime {
    let late = gst::ClockTime::from_nseconds(u64::try_from(jitter).unwrap_or(0));
    timestamp.saturating_add(late).saturating_add(late)
}

fn clock_time(duration: Duration) -> gst::ClockTime {
    gst::ClockTime::try_from(duration).unwrap_or(gst::ClockTime::MAX)
}

impl Report {
    /// What this element adds to a live pipeline.
    fn latency(&self) -> gst::ClockTime {
        if self.waits { clock_time(self.durations.claimed()) } else { gst::ClockTime::ZERO }
    }

    /// Property `stats`.
    fn structure(&self) -> gst::Structure {
        let ms = |d: Option<Duration>| d.unwrap_or_default().as_secs_f64() * 1e3;
        gst::Structure::builder("densepose-stats")
            .field("frames", self.stats.frames)
            .field("inferences", self.stats.inferences)
            .field("reused", self.stats.reused)
            .field("moved", self.stats.moved)
            .field("skipped-late", self.stats.skipped_late)
            .field("persons", u32::try_from(self.stats.persons).unwrap_or(u32::MAX))
            .field("inference-mean", ms(self.durations.mean()))
            .field("inference-95", ms(self.durations.expected()))
            .field("latency", self.latency().nseconds())
            .field("frames-per-second", self.stats.frames_per_second())
            .build()
    }
}

impl DensePose {
    /// What comes next shows another scene: nothing is known of it, and nobody waits for what was before.
    fn restart(&self, stream: &mut Stream) {
        self.cut(stream);
        stream.scene = Scene::default();
        stream.time = None;
    }

    fn cut(&self, stream: &mut Stream) {
        stream.scenes += 1;
        stream.last = None;
        stream.begun = None;
        stream.follower.restart();
        if let Some(worker) = &*lock(&self.worker) {
            worker.recall();
        }
    }

    /// Ends waits for the worker, and lets none begin until it is called with `false`.
    fn hurry(&self, hurried: bool) {
        if let Some(worker) = &*lock(&self.worker) {
            worker.hurry(hurried);
        }
    }

    /// Decides for the caps that have come whether frames wait.
    fn choose_mode(
        &self,
        mode: Mode,
        analyser: &Arc<Mutex<Analyser>>,
        info: &gst_video::VideoInfo,
    ) -> std::io::Result<()> {
        let mut query = gst::query::Latency::new();
        let live = self.obj().sink_pad().peer_query(&mut query) && query.result().0;
        let waits = match mode {
            Mode::Auto => !live,
            Mode::Sync => true,
            Mode::Async => false,
        };
        // So that a live pipeline has the latency before its first frame.
        let rehearsed = if live && waits { lock(analyser).rehearse(info) } else { None };
        let mut report = lock(&self.report);
        report.durations.restart();
        let claims = rehearsed.and_then(|took| report.durations.note(took)).is_some();
        let changed = std::mem::replace(&mut report.waits, waits) != waits || claims;
        report.live = live;
        drop(report);
        if waits {
            let worker = lock(&self.worker).take();
            // Not under the lock: it ends after the frame that it is at.
            drop(worker);
        } else {
            let mut worker = lock(&self.worker);
            if worker.is_none() {
                gst::info!(CAT, imp = self, "frames do not wait for the network");
                let analyser = analyser.clone();
                let work = move |(buffer, info, task): Job| {
                    let answer = lock(&analyser).analyse(&buffer, &info, task);
                    (answer, buffer)
                };
                *worker = Some(Arc::new(Worker::start("densepose", work)?));
            }
        }
        if changed {
            self.post_latency();
        }
        Ok(())
    }

    /// Starts afresh where a frame does not go on from the one before: a cut in the picture, or a jump back in time.
    /// Whether there was a pause: people may be the same, but do not look the same.
    fn notice_cut(&self, stream: &mut Stream, buffer: &gst::BufferRef, time: Option<gst::ClockTime>) -> bool {
        let Some(info) = &stream.info else { return false };
        let jumped = time.zip(stream.time).is_some_and(|(now, last)| now < last);
        let paused = time.zip(stream.time).is_some_and(|(now, last)| now >= last + PAUSE);
        let gap = buffer.flags().contains(gst::BufferFlags::DISCONT);
        let cut = with_image(buffer, Some(info), |image| stream.scene.changed(image, gap)).unwrap_or(false);
        if jumped || cut {
            gst::debug!(CAT, imp = self, "another scene at {}", time.display());
            self.cut(stream);
        }
        stream.time = time.or(stream.time);
        paused
    }

    /// Has a frame analysed that is due: at once, or by the worker, where the newest frame wins.
    fn begin(
        &self,
        stream: &mut Stream,
        settings: &Settings,
        worker: Option<&Worker>,
        buffer: &gst::BufferRef,
        task: Task,
        paused: bool,
    ) -> Result<(), gst::FlowError> {
        let (Some(analyser), Some(info)) = (&stream.analyser, &stream.info) else {
            return Err(gst::FlowError::NotNegotiated);
        };
        let begun = Begun { number: task.number, time: task.time };
        if let Some(worker) = worker {
            let copy = buffer.copy_deep().map_err(|e| {
                gst::element_imp_error!(self, gst::ResourceError::NoSpaceLeft, ["a frame cannot be copied: {e}"]);
                gst::FlowError::Error
            })?;
            worker.submit((copy, info.clone(), task));
            stream.begun = Some(begun);
            return Ok(());
        }
        if !paused && stream.last.is_some() && self.comes_too_late(stream, buffer, task.time) {
            return Ok(());
        }
        let answer = lock(analyser).analyse(buffer, info, task);
        stream.begun = Some(begun);
        self.take(stream, answer, buffer, settings.follow)
    }

    /// Takes over what became of the frame `analysed`, unless it belongs to a scene that is over.
    fn take(
        &self,
        stream: &mut Stream,
        answer: Answer,
        analysed: &gst::BufferRef,
        follow: bool,
    ) -> Result<(), gst::FlowError> {
        let Answer { task, outcome, took } = answer;
        match outcome {
            Ok(persons) => {
                gst::log!(CAT, imp = self, "{} persons in {took:?}", persons.persons.len());
                self.note_inference(took, persons.persons.len());
                if task.scene == stream.scenes {
                    stream.follower.restart();
                    if follow {
                        let follower = &mut stream.follower;
                        // Without a picture nothing is moved.
                        let _ = with_image(analysed, stream.info.as_ref(), |image| {
                            follower.analysed(image, persons.clone());
                        });
                    }
                    stream.last = Some(Last { structure: persons.into_structure(), number: task.number });
                }
                Ok(())
            }
            Err(Trouble::Unreadable(e)) => {
                if !std::mem::replace(&mut stream.warned, true) {
                    gst::element_imp_warning!(
                        self,
                        gst::StreamError::Format,
                        ["frame passed unread: {e}; does the buffer hold what its caps say?"]
                    );
                }
                Ok(())
            }
            Err(Trouble::Failed(e)) => {
                gst::element_imp_error!(self, gst::StreamError::Failed, ["{e}"]);
                Err(gst::FlowError::Error)
            }
        }
    }

    /// At the end of the stream: waits for the frame that is being analysed, so that it is counted and its error told.
    fn drain(&self) {
        let Some(worker) = lock(&self.worker).clone() else { return };
        worker.wait();
        if let Some((answer, analysed)) = worker.fetch() {
            // The stream is over: an error stops nothing any more, but is told.
            let _ = self.take(&mut lock(&self.stream), answer, &analysed, false);
        }
    }

    /// Reports another latency once inferences turn out to take another time than was said.
    fn note_inference(&self, took: Duration, persons: usize) {
        let mut report = lock(&self.report);
        report.stats.inferences += 1;
        report.stats.persons = persons;
        let changed = report.durations.note(took).is_some() && report.waits;
        drop(report);
        if changed {
            self.post_latency();
        }
    }

    fn post_latency(&self) {
        gst::debug!(CAT, imp = self, "latency is now {}", lock(&self.report).latency());
        let obj = self.obj();
        // Without a bus nobody asks.
        let _ = obj.post_message(gst::message::Latency::builder().src(&*obj).build());
    }

    /// Counts a frame, and posts the stats where they are wanted.
    fn note_frame(&self, settings: &Settings, attached: Attached, time: Option<gst::ClockTime>) {
        let mut report = lock(&self.report);
        report.stats.frame(Instant::now());
        report.stats.reused += u64::from(matches!(attached, Attached::Held | Attached::Moved));
        report.stats.moved += u64::from(attached == Attached::Moved);
        if settings.stats_interval == 0 {
            return;
        }
        let pause = gst::ClockTime::from_nseconds(settings.stats_interval);
        let due = match (report.posted, time) {
            (Some(posted), Some(time)) => time < posted || time >= posted.saturating_add(pause),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if due {
            report.posted = time;
            let structure = report.structure();
            drop(report);
            let obj = self.obj();
            let _ = obj.post_message(gst::message::Element::builder(structure).src(&*obj).build());
        }
    }

    /// Whether the frame would reach the sink too late with an inference. On live pipelines that is decided before: by
    /// how long inferences take and when the frame is to be shown. What the sink reports (QoS) counts everywhere.
    fn comes_too_late(&self, stream: &Stream, buffer: &gst::BufferRef, time: Option<gst::ClockTime>) -> bool {
        let Some(time) = time else { return false };
        let mut report = lock(&self.report);
        let reported = report.earliest.is_some_and(|earliest| time < earliest);
        let expected = clock_time(report.durations.expected().unwrap_or_default());
        let deadline = report.configured.filter(|_| report.live).map(|latency| time + latency);
        let foreseen = deadline.zip(self.now()).is_some_and(|(deadline, now)| now + expected > deadline);
        let stale = stream.begun.and_then(|b| b.time).is_none_or(|begun| time >= begun.saturating_add(STALE));
        if !(reported || foreseen && !stale) {
            return false;
        }
        report.stats.skipped_late += 1;
        let (done, skipped, live) = (report.stats.inferences, report.stats.skipped_late, report.live);
        let jitter = deadline.zip(self.now()).map_or(0, |(deadline, now)| {
            i64::try_from(i128::from((now + expected).nseconds()) - i128::from(deadline.nseconds())).unwrap_or(i64::MAX)
        });
        drop(report);
        gst::debug!(
            CAT,
            imp = self,
            "frame keeps the last result: {}, {expected} too short of {} (QoS: {reported}, foreseen: {foreseen})",
            self.now().display(),
            deadline.display()
        );
        let obj = self.obj();
        let message = gst::message::Qos::builder(live)
            .running_time(time)
            .stream_time(passthrough::stream_time(obj.upcast_ref(), buffer))
            .timestamp(buffer.pts())
            .duration(buffer.duration())
            .values(jitter, 1.0, 1_000_000)
            .stats(gst::format::Buffers::from_u64(done), gst::format::Buffers::from_u64(skipped))
            .src(&*obj)
            .build();
        let _ = obj.post_message(message);
        true
    }

    /// The running time that it is.
    fn now(&self) -> Option<gst::ClockTime> {
        let obj = self.obj();
        obj.clock()?.time().checked_sub(obj.base_time()?)
    }
}
