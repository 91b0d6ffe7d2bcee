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

/// Works on a video and writes everything that is asked for.
pub fn video(arguments: &Arguments, input: &Input, interrupt: &Interrupt) -> Result<End, Failure> {
    let output = arguments.output.as_ref().map(|path| Ok((container(path)?, Target::new(path, arguments.force)?)));
    let output: Option<(_, Target)> = output.transpose()?;
    let picture = arguments.picture.as_ref().map(|path| picture_target(path, arguments)).transpose()?;
    let plan = Plan { arguments, input, output: output.as_ref().map(|(kind, target)| (target.part(), *kind)) };
    let video = plan.build()?;
    let name = PathBuf::from(&arguments.input);
    let end = play(&video, arguments, &name, interrupt);
    let _ = video.pipeline.set_state(gst::State::Null);
    let end = end?;
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
    let mut end = End::Complete;
    let mut missing = None;
    let begun = Instant::now();
    if video.pipeline.set_state(gst::State::Playing).is_err() {
        let failure = messages::failure(&bus, name);
        return Err(failure.unwrap_or_else(|| Failure::failed(format!("'{}' cannot be played", name.display()))));
    }
    loop {
        let message = bus.timed_pop(LOOK_EVERY);
        if let Some(problem) = crate::lock(&video.problem).take() {
            return Err(problem);
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
                gst::MessageView::StateChanged(_) if !video.head.is_linked() => {}
                _ => {}
            }
        }
        if interrupt.raised() && end == End::Complete {
            progress.say("Interrupted: finishing the files, once more ends at once.");
            end = End::Interrupted;
            video.stages.close();
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
