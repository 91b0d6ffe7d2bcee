//! One frame after another through the network: what the streaming thread does itself, or leaves to a worker.

use std::time::{Duration, Instant};

use gst_video::VideoFrameRef;

use crate::estimator::{Error, Estimator, Options, Tracker};
use crate::person::Persons;
use crate::video;

/// Frames as far apart as this are not smoothed over: people may be the same, but do not look the same.
pub const PAUSE: gst::ClockTime = gst::ClockTime::from_mseconds(900);

/// Smoothing over so many frames is none.
const FORGOTTEN: u64 = 100;

/// A frame that is to be analysed, apart from its pixels.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// Number of the frame in the stream.
    pub number: u64,
    /// Number of the scene: people are followed only within one.
    pub scene: u64,
    /// Running time.
    pub time: Option<gst::ClockTime>,
    pub options: Options,
    /// How much of the picture before is kept from frame to frame, 0..1.
    pub smoothing: f64,
}

/// What became of a frame.
#[derive(Debug)]
pub struct Answer {
    pub task: Task,
    pub outcome: Result<Persons, Trouble>,
    pub took: Duration,
}

#[derive(Debug)]
pub enum Trouble {
    /// The frame cannot be read; others may be.
    Unreadable(String),
    /// The network does not run.
    Failed(String),
}

/// A network and whom it has seen.
pub struct Analyser {
    estimator: Estimator,
    tracker: Tracker,
    /// The last frame that was analysed.
    last: Option<Task>,
}

impl Analyser {
    pub fn new(estimator: Estimator) -> Self {
        Self { estimator, tracker: Tracker::default(), last: None }
    }

    /// Builds what frames of these caps need, so that the first takes no longer than the others.
    pub fn prepare(&mut self, options: Options, info: &gst_video::VideoInfo) -> Result<(), Error> {
        self.estimator.set_options(options);
        self.estimator.prepare((info.width() as usize, info.height() as usize), video::pixel_aspect(info))
    }

    /// How long a frame without people takes; `None` where there is no memory for one.
    pub fn rehearse(&mut self, info: &gst_video::VideoInfo) -> Option<Duration> {
        let buffer = gst::Buffer::with_size(info.size()).ok()?;
        let frame = VideoFrameRef::from_buffer_ref_readable(&buffer, info).ok()?;
        let image = video::image(&frame).ok()?;
        let started = Instant::now();
        self.estimator.estimate(&image).ok()?;
        Some(started.elapsed())
    }

    /// Analyses a frame, and says how long it took.
    pub fn analyse(&mut self, buffer: &gst::BufferRef, info: &gst_video::VideoInfo, task: Task) -> Answer {
        let started = Instant::now();
        let outcome = self.run(buffer, info, &task);
        Answer { task, outcome, took: started.elapsed() }
    }

    fn run(&mut self, buffer: &gst::BufferRef, info: &gst_video::VideoInfo, task: &Task) -> Result<Persons, Trouble> {
        let unreadable = |e: &dyn std::fmt::Display| Trouble::Unreadable(e.to_string());
        let frame = VideoFrameRef::from_buffer_ref_readable(buffer, info).map_err(|e| unreadable(&e))?;
        let image = video::image(&frame).map_err(|e| unreadable(&e))?;
        if self.last.is_some_and(|last| last.scene != task.scene) {
            self.tracker.restart();
            self.last = None;
        }
        // The longer ago the last inference was, the less it says of this frame.
        let frames = match &self.last {
            Some(last) if task.time.zip(last.time).is_some_and(|(now, then)| now >= then + PAUSE) => FORGOTTEN,
            Some(last) => task.number.saturating_sub(last.number).clamp(1, FORGOTTEN),
            None => 1,
        };
        self.tracker.smoothing = task.smoothing.powf(frames as f64) as f32;
        self.tracker.time = task.time.map(|time| time.nseconds() as f64 / 1e9);
        self.estimator.set_options(task.options);
        let persons = self.estimator.follow(&image, &mut self.tracker).map_err(|e| Trouble::Failed(e.to_string()))?;
        self.last = Some(*task);
        let (width, height) = (image.width() as u32, image.height() as u32);
        Ok(Persons { width, height, persons, ..Persons::default() })
    }
}
