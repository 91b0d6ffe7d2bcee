//! Photos: one, or all of a folder. The network is loaded once for all.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use gst::prelude::*;

use crate::arguments::{Arguments, Properties};
use crate::drawing;
use crate::elements::own;
use crate::input::{extension, photos};
use crate::interrupt::Interrupt;
use crate::messages;
use crate::outcome::{End, Failure, Kind};
use crate::picture;
use crate::progress::Progress;
use crate::target::{Target, make_folder};

/// One photo, with the files that are made of it.
struct Job {
    input: PathBuf,
    output: Option<PathBuf>,
    data: Vec<PathBuf>,
}

/// Draws a single photo.
pub fn one(arguments: &Arguments, input: &Path) -> Result<End, Failure> {
    let finder = Finder::new(&arguments.densepose)?;
    let job = Job { input: input.to_owned(), output: arguments.output.clone(), data: arguments.data.clone() };
    finder.work(arguments, &job)?.iter().for_each(|name| println!("{}", name.display()));
    Ok(End::Complete)
}

/// Draws all photos of a folder into another; goes on after one that fails.
pub fn folder(arguments: &Arguments, input: &Path, interrupt: &Interrupt) -> Result<End, Failure> {
    let (inputs, others) = photos(input)?;
    let jobs = jobs(arguments, inputs);
    // What is there already is told before any work is done.
    if !arguments.force
        && let Some(there) = jobs.iter().flat_map(|j| j.output.iter().chain(&j.data)).find(|path| path.exists())
    {
        let cause = format!("'{}' is there already", there.display());
        return Err(Failure::new(Kind::Exists, cause).remedy("Choose another folder, or replace it by --force."));
    }
    let finder = Finder::new(&arguments.densepose)?;
    let mut progress = Progress::new(arguments.quiet);
    let mut failed = Vec::new();
    for (i, job) in jobs.iter().enumerate() {
        if interrupt.raised() {
            progress.say(&format!("Interrupted: {i} of {} photos are done.", jobs.len()));
            return Ok(End::Interrupted);
        }
        if let Err(e) = finder.work(arguments, job) {
            progress.say(&format!("densepose: {e}"));
            failed.push(e);
        }
        progress.update(i as u64 + 1, jobs.len() as u64, &format!("{} of {} photos", i + 1, jobs.len()));
    }
    drop(progress);
    if others > 0 {
        eprintln!("{others} other files in '{}' are no photos.", input.display());
    }
    for folder in arguments.output.iter().chain(&arguments.data) {
        println!("{}", folder.display());
    }
    match failed.first() {
        None => Ok(End::Complete),
        Some(first) => {
            Err(Failure::new(first.kind, format!("{} of {} photos failed, see above", failed.len(), jobs.len())))
        }
    }
}

fn jobs(arguments: &Arguments, inputs: Vec<PathBuf>) -> Vec<Job> {
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_owned();
    let (mut seen, mut twice) = (HashSet::new(), HashSet::new());
    for input in &inputs {
        if !seen.insert(stem(input)) {
            twice.insert(stem(input));
        }
    }
    let name = |input: &Path, extension: &str| {
        // a.jpg and a.png are two photos.
        let whole = twice.contains(&stem(input));
        let mut name = if whole { input.file_name().unwrap_or_default().to_owned() } else { stem(input) };
        name.push(format!(".{extension}"));
        name
    };
    let data = match arguments.export.value("format") {
        Some("coco") => "json",
        Some("detectron2") => "pt",
        Some("npz") => "npz",
        _ => "jsonl",
    };
    let job = |input: PathBuf| Job {
        output: arguments.output.as_ref().map(|folder| folder.join(name(&input, &arguments.photo_format))),
        data: arguments.data.iter().map(|folder| folder.join(name(&input, data))).collect(),
        input,
    };
    inputs.into_iter().map(job).collect()
}

/// `densepose`, fed by hand.
struct Finder {
    element: gst::Element,
    source: gst::Pad,
    // Held so that the element's frames arrive.
    _sink: gst::Pad,
    found: Arc<Mutex<Option<gst::Buffer>>>,
    bus: gst::Bus,
}

impl Finder {
    fn new(properties: &Properties) -> Result<Self, Failure> {
        let element = own("densepose", properties)?;
        // Each photo waits for its own people.
        element.set_property_from_str("mode", "sync");
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let found = Arc::new(Mutex::new(None));
        let taker = found.clone();
        // With a template, or it would take the caps of the first photo only.
        let any =
            gst::PadTemplate::new("any", gst::PadDirection::Sink, gst::PadPresence::Always, &gst::Caps::new_any());
        let any = any.map_err(|e| Failure::failed(e.to_string()))?;
        let sink = gst::Pad::builder_from_template(&any).chain_function(move |_, _, buffer| {
            *crate::lock(&taker) = Some(buffer);
            Ok(gst::FlowSuccess::Ok)
        });
        let (source, sink) = (gst::Pad::new(gst::PadDirection::Src), sink.build());
        let started = element.set_state(gst::State::Playing);
        let linked = || {
            source.set_active(true).ok()?;
            sink.set_active(true).ok()?;
            source.link(&element.static_pad("sink")?).ok()?;
            element.static_pad("src")?.link(&sink).ok()
        };
        if started.is_err() || linked().is_none() {
            let name = Path::new("densepose");
            let failure = messages::failure(&bus, name);
            return Err(failure.unwrap_or_else(|| Failure::failed("the element densepose does not start")));
        }
        Ok(Self { element, source, _sink: sink, found, bus })
    }

    fn work(&self, arguments: &Arguments, job: &Job) -> Result<Vec<PathBuf>, Failure> {
        let output = job.output.as_ref().map(|path| Target::new(path, arguments.force)).transpose()?;
        let data = job.data.iter().map(|path| drawing::export(path, arguments)).collect::<Result<Vec<_>, _>>()?;
        let formats = self.element.pad_template("sink").expect("densepose has this template").caps().clone();
        let sample = picture::read(&job.input, &formats, arguments.timeout)?;
        let sample = self.find(&sample, &job.input)?;
        let mut elements = data;
        let mut names = job.data.clone();
        if let Some(target) = output {
            elements.extend(drawing::elements(&arguments.overlay)?);
            picture::write(&sample, elements, &target, arguments.timeout)?;
            names.insert(0, target.finish()?);
        } else {
            elements.push(crate::elements::make("fakesink")?);
            picture::through(&sample, elements, &job.input, arguments.timeout)?;
        }
        Ok(names)
    }

    /// The same picture with its people attached.
    fn find(&self, sample: &gst::Sample, name: &Path) -> Result<gst::Sample, Failure> {
        let (Some(caps), Some(buffer)) = (sample.caps_owned(), sample.buffer_owned()) else {
            return Err(Failure::failed(format!("there is no picture in '{}'", name.display())));
        };
        // A new stream: nobody of the photo before is looked for in this one.
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        let id = name.to_string_lossy();
        let begun = self.source.push_event(gst::event::StreamStart::new(&id))
            && self.source.push_event(gst::event::Caps::new(&caps))
            && self.source.push_event(gst::event::Segment::new(&segment));
        let pushed = self.source.push(buffer);
        match crate::lock(&self.found).take() {
            Some(found) if begun && pushed.is_ok() => {
                Ok(gst::Sample::builder().buffer(&found).caps(&caps).segment(&segment).build())
            }
            _ => Err(messages::failure(&self.bus, name)
                .unwrap_or_else(|| Failure::failed(format!("'{}': densepose takes no {caps}", name.display())))),
        }
    }
}

impl Drop for Finder {
    fn drop(&mut self) {
        let _ = self.element.set_state(gst::State::Null);
    }
}

/// Checks the outputs of a folder: they are folders, and not the one that is read.
pub fn check_folders(arguments: &Arguments, input: &Path) -> Result<(), Failure> {
    for folder in arguments.output.iter().chain(&arguments.data) {
        if folder.is_file() || (!folder.exists() && extension(folder).is_some()) {
            let cause = format!("'{}' is no folder, but a folder of photos is written into folders", folder.display());
            return Err(Failure::usage(cause));
        }
        make_folder(Some(folder))?;
        if fs::canonicalize(folder).ok() == fs::canonicalize(input).ok() {
            return Err(Failure::usage("the output must be another folder than the input"));
        }
    }
    Ok(())
}
