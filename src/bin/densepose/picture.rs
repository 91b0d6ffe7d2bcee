//! Still pictures: reading one, drawing is elsewhere, writing one.

use std::path::Path;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_app::{AppSink, AppSrc};

use crate::elements::{chain, make, with};
use crate::input::extension;
use crate::messages;
use crate::outcome::Failure;
use crate::target::Target;

/// The encoder for a file name, if it is one of a picture.
pub fn encoder(path: &Path) -> Option<(&'static str, &'static [(&'static str, &'static str)])> {
    match extension(path)?.as_str() {
        "png" => Some(("pngenc", &[])),
        "jpg" | "jpeg" => Some(("jpegenc", &[("quality", "95")])),
        _ => None,
    }
}

/// Reads a photo, upright, in a format that `caps` has.
pub fn read(path: &Path, caps: &gst::Caps, timeout: Duration) -> Result<gst::Sample, Failure> {
    let pipeline = gst::Pipeline::new();
    let (source, decoder) = (make("filesrc")?, make("decodebin")?);
    source.set_property("location", path);
    let (convert, flip) = (make("videoconvert")?, with("videoflip", &[("video-direction", "auto")])?);
    let sink = AppSink::builder().caps(caps).sync(false).build();
    chain(pipeline.upcast_ref(), &[source, decoder.clone()])?;
    chain(pipeline.upcast_ref(), &[convert.clone(), flip, sink.clone().upcast()])?;
    decoder.connect_pad_added(move |_, pad| {
        if let Some(sink) = convert.static_pad("sink").filter(|sink| !sink.is_linked()) {
            let _ = pad.link(&sink);
        }
    });
    let playing = Playing::new(&pipeline);
    let begun = Instant::now();
    loop {
        if let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(20)) {
            return Ok(sample);
        }
        if let Some(failure) = messages::failure(&playing.bus, path) {
            return Err(failure);
        }
        if sink.is_eos() {
            return Err(Failure::failed(format!("there is no picture in '{}'", path.display())));
        }
        if begun.elapsed() > timeout {
            return Err(messages::stalled(timeout, "reading a photo stands still"));
        }
    }
}

/// Sends a sample through elements and an encoder into a file.
pub fn write(
    sample: &gst::Sample,
    elements: Vec<gst::Element>,
    target: &Target,
    timeout: Duration,
) -> Result<(), Failure> {
    let (name, properties) = encoder(target.name()).unwrap_or(("pngenc", &[]));
    let mut all = elements;
    all.extend([make("videoconvert")?, with(name, properties)?, make("filesink")?]);
    all[all.len() - 1].set_property("location", target.part());
    through(sample, all, target.name(), timeout)
}

/// Sends a sample through elements, of which the last is a sink.
pub fn through(
    sample: &gst::Sample,
    elements: Vec<gst::Element>,
    name: &Path,
    timeout: Duration,
) -> Result<(), Failure> {
    let pipeline = gst::Pipeline::new();
    let source = AppSrc::builder().format(gst::Format::Time).build();
    source.set_caps(sample.caps_owned().as_ref());
    let mut all = vec![source.clone().upcast()];
    all.extend(elements);
    chain(pipeline.upcast_ref(), &all)?;
    let playing = Playing::new(&pipeline);
    if let Some(buffer) = sample.buffer_owned() {
        let _ = source.push_buffer(buffer);
    }
    let _ = source.end_of_stream();
    let end = [gst::MessageType::Eos, gst::MessageType::Error];
    match playing.bus.timed_pop_filtered(gst::ClockTime::try_from(timeout).ok(), &end) {
        Some(message) if message.type_() == gst::MessageType::Eos => Ok(()),
        Some(message) => Err(messages::explained(&message, name, None)),
        None => Err(messages::stalled(timeout, "writing a picture stands still")),
    }
}

/// A pipeline while it plays.
struct Playing {
    pipeline: gst::Pipeline,
    bus: gst::Bus,
}

impl Playing {
    /// What is wrong is found on the bus.
    fn new(pipeline: &gst::Pipeline) -> Self {
        let _ = pipeline.set_state(gst::State::Playing);
        Self { pipeline: pipeline.clone(), bus: pipeline.bus().expect("a pipeline has a bus") }
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
