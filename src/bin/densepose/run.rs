//! Runs the pipeline for a video to its end: progress, signals, the watchdog.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::arguments::Arguments;
use crate::container::Container;
use crate::input::{Input, extension};
use crate::interrupt::Interrupt;
use crate::messages;
use crate::outcome::{End, Failure};
use crate::picture;
use crate::progress::Progress;
use crate::target::Target;
use crate::video::{Plan, Video};

/// Between two looks at signals, progress and the watchdog.
const LOOK_EVERY: gst::ClockTime = gst::ClockTime::from_mseconds(100);

/// For what is left to encode and write after an error.
const FINISH_WITHIN: gst::ClockTime = gst::ClockTime::from_seconds(10);

/// How long after a signal a source may send nothing before it is told, too.
const PATIENCE: Duration = Duration::from_secs(2);

/// Works on a video and writes everything that is asked for.
pub fn video(arguments: &Arguments, input: &Input, interrupt: &Interrupt) -> Result<End, Failure> {
    let output = arguments.output.as_ref().map(|path| Ok((container(path)?, Target::new(path, arguments.force)?)));
    let output: Option<(_, Target)> = output.transpose()?;
    let picture = arguments.picture.as_ref().map(|path| picture_target(path, arguments)).transpose()?;
    let plan = Plan { arguments, input, output: output.as_ref().map(|(kind, target)| (target.part(), *kind)) };
    let video = plan.build()?;
    let name = PathBuf::from(&arguments.input);
    let end = play(&video, arguments, &name, interrupt);
    let rescued = end.is_err() && video.stages.passed("encoding") > 0 && finishes(&video);
    let _ = video.pipeline.set_state(gst::State::Null);
    let end = match (end, output.as_ref()) {
        (Err(failure), Some(_)) if rescued => {
            let part = output.map(|(_, target)| target.keep()).unwrap_or_default();
            return Err(failure.remedy(format!("What was done until then can be played: {}", part.display())));
        }
        (end, _) => end?,
    };
    if video.stages.passed("finding people") == 0 {
        return Err(Failure::failed(format!("no frame of '{}' could be read", name.display())));
    }
    let mut written: Vec<_> = output.map(|(_, target)| target.finish()).transpose()?.into_iter().collect();
    if let (Some(target), Some(sample)) = (picture, video.candidate.take()) {
        picture::write(&sample, Vec::new(), &target, arguments.timeout)?;
        written.push(target.finish()?);
    }
    for name in written.iter().chain(&arguments.data) {
        println!("{}", name.display());
    }
    Ok(end)
}

/// Ends the streams after an error, so that the file can be played as far as it goes; whether that succeeded.
fn finishes(video: &Video) -> bool {
    let Some(bus) = video.pipeline.bus() else { return false };
    // From a thread of its own: a source that hangs holds its pad.
    let stages = video.stages.clone();
    std::thread::spawn(move || stages.end());
    bus.timed_pop_filtered(FINISH_WITHIN, &[gst::MessageType::Eos]).is_some()
}

fn container(path: &Path) -> Result<&'static Container, Failure> {
    Container::of(path).ok_or_else(|| {
        let cause = format!("what kind of video is '{}' to be?", path.display());
        Failure::usage(cause).remedy("Name it .mp4, .mov, .mkv, .webm or .ts; .png and .jpg are for photos.")
    })
}

fn picture_target(path: &Path, arguments: &Arguments) -> Result<Target, Failure> {
    if picture::encoder(path).is_none() {
        let end = extension(path).unwrap_or_default();
        return Err(Failure::usage(format!("a picture ends in .png or .jpg, not in '.{end}'")));
    }
    Target::new(path, arguments.force)
}

/// Plays until the end of the stream, an error, a signal or a standstill.
fn play(video: &Video, arguments: &Arguments, name: &Path, interrupt: &Interrupt) -> Result<End, Failure> {
    let bus = video.pipeline.bus().expect("a pipeline has a bus");
    let mut progress = Progress::new(arguments.quiet);
    let mut watchdog = Watchdog::new(arguments.timeout);
    let (mut end, mut closed) = (End::Complete, None::<Instant>);
    let mut missing = None;
    let begun = Instant::now();
    if video.pipeline.set_state(gst::State::Playing).is_err() {
        let failure = messages::failure(&bus, name);
        return Err(failure.unwrap_or_else(|| Failure::failed(format!("'{}' cannot be played", name.display()))));
    }
    loop {
        let message = bus.timed_pop(LOOK_EVERY);
        if let Some(problem) = crate::lock(&video.problem).take() {
            // A decoder that is missing is the cause, where there is a message of one.
            return Err(missing.or_else(|| messages::failure(&bus, name)).unwrap_or(problem));
        }
        if let Some(message) = message {
            match message.view() {
                gst::MessageView::Eos(_) => return Ok(end),
                gst::MessageView::Error(_) => return Err(messages::explained(&message, name, missing)),
                gst::MessageView::Warning(warning) => {
                    progress.say(&format!("densepose: {}", warning.error().message()));
                }
                gst::MessageView::Latency(_) => {
                    let _ = video.pipeline.recalculate_latency();
                }
                gst::MessageView::Element(_) => missing = messages::missing_plugin(&message).or(missing),
                _ => {}
            }
        }
        if interrupt.raised() && end == End::Complete {
            progress.say("Interrupted: finishing the files, once more ends at once.");
            end = End::Interrupted;
            video.stages.close();
            closed = Some(Instant::now());
        }
        if closed.is_some_and(|at| at.elapsed() > PATIENCE) {
            closed = None;
            video.pipeline.send_event(gst::event::Eos::new());
        }
        watchdog.look(video.stages.moved(), || video.stages.standstill())?;
        show(video, &mut progress, begun);
    }
}

fn show(video: &Video, progress: &mut Progress, begun: Instant) {
    let frames = video.stages.passed("finding people");
    if frames == 0 {
        return;
    }
    let position = video.stages.position();
    let length = video.head.peer_query_duration::<gst::ClockTime>().unwrap_or_default();
    let rate = frames as f64 / begun.elapsed().as_secs_f64();
    let text = format!("{:.1} s, {frames} frames, {rate:.1} a second", position.seconds_f64());
    progress.update(position.mseconds(), length.mseconds(), &text);
}

/// Notices when nothing moves.
struct Watchdog {
    timeout: Duration,
    moved: u64,
    since: Instant,
}

impl Watchdog {
    fn new(timeout: Duration) -> Self {
        Self { timeout, moved: 0, since: Instant::now() }
    }

    fn look(&mut self, moved: u64, standstill: impl FnOnce() -> String) -> Result<(), Failure> {
        if moved != self.moved {
            (self.moved, self.since) = (moved, Instant::now());
        }
        if self.since.elapsed() < self.timeout {
            return Ok(());
        }
        Err(messages::stalled(self.timeout, &standstill()))
    }
}
