//! The pipeline for a video: decoded, turned upright, analysed, drawn on, encoded, with its sound beside it.
//!
//! No branch can hold up another: the picture is taken by a probe, and encoded data waits for the muxer in queues
//! without a limit. An encoder may so take as many frames as it likes before it gives the first.

use std::path::Path;
use std::sync::{Arc, Mutex};

use gst::prelude::*;

use crate::arguments::Arguments;
use crate::candidate::Candidate;
use crate::container::{Container, adapter, parser, sound_pad};
use crate::drawing;
use crate::elements::{chain, make, own, short_queue, unlimited_queue, with};
use crate::input::Input;
use crate::outcome::Failure;
use crate::source;
use crate::stages::Stages;

/// Time between frames that come without times.
const FRAME: gst::ClockTime = gst::ClockTime::from_mseconds(40);

/// How long to wait for the sound of a live source once its video is there.
const SOUND_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// What to do with the video.
pub struct Plan<'a> {
    pub arguments: &'a Arguments,
    pub input: &'a Input,
    /// File to write, and what kind it is.
    pub output: Option<(&'a Path, &'static Container)>,
}

/// The pipeline, not yet started.
pub struct Video {
    pub pipeline: gst::Pipeline,
    pub stages: Stages,
    pub candidate: Candidate,
    /// The pad where decoded frames come in; linked once there are some.
    pub head: gst::Pad,
    /// What went wrong while pads were linked.
    pub problem: Arc<Mutex<Option<Failure>>>,
}

impl Plan<'_> {
    pub fn build(&self) -> Result<Video, Failure> {
        let pipeline = gst::Pipeline::new();
        let (source, live) = source::source(self.input)?;
        let (stages, candidate) = (Stages::default(), Candidate::default());
        let limit = self.arguments.seconds.map(gst::ClockTime::from_seconds_f64);

        let head = self.head_queue(live)?;
        let mut elements = vec![head.clone(), make("videoconvert")?];
        elements.push(with("videoflip", &[("video-direction", "auto")])?);
        let finder = own("densepose", &self.arguments.densepose)?;
        elements.push(finder.clone());
        for path in &self.arguments.data {
            elements.push(drawing::export(path, self.arguments)?);
        }
        let drawn = self.output.is_some() || self.arguments.picture.is_some();
        if drawn {
            elements.extend(drawing::elements(&self.arguments.overlay)?);
        }
        let last = elements[elements.len() - 1].clone();
        let sink_of = |element: &gst::Element| element.static_pad("sink").expect("a sink pad");
        let source_of = |element: &gst::Element| element.static_pad("src").expect("a source pad");
        let head = sink_of(&head);
        date(&head);
        stages.gate(&head, limit);
        stages.count("decoding", &head);
        stages.count("finding people", &source_of(&finder));
        stages.follow(&source_of(&last));
        if drawn {
            stages.count("drawing", &source_of(&last));
        }
        if self.arguments.picture.is_some() {
            candidate.watch(&source_of(&last));
        }
        let muxer = match self.output {
            None => {
                elements.push(with("fakesink", &[("sync", "false")])?);
                chain(pipeline.upcast_ref(), &elements)?;
                None
            }
            Some((path, container)) => {
                let (crop, encoder) = (make("videocrop")?, container.video_encoder(self.arguments.encoder.as_deref())?);
                even(&crop);
                elements.extend([make("videoconvert")?, crop, drawing::raw_filter("I420")?, short_queue()?]);
                elements.push(encoder.clone());
                let (muxer, file) = (container.muxer()?, make("filesink")?);
                elements.extend(adapter(&encoder, &muxer));
                elements.extend([unlimited_queue()?, muxer.clone(), file.clone()]);
                file.set_property("location", path);
                chain(pipeline.upcast_ref(), &elements)?;
                last_for(&source_of(&last));
                stages.count("encoding", &source_of(&encoder));
                stages.count("writing", &sink_of(&file));
                Some((muxer, container))
            }
        };
        pipeline.add(&source).map_err(|e| Failure::failed(e.to_string()))?;
        let sound = muxer.filter(|_| self.arguments.sound).map(|(muxer, container)| Sound {
            pipeline: pipeline.downgrade(),
            muxer,
            container,
            stages: stages.clone(),
        });
        let problem = Arc::new(Mutex::new(None));
        connect(&source, &head, sound, problem.clone());
        Ok(Video { pipeline, stages, candidate, head, problem })
    }

    /// In front of the network: of a live source the newest frame wins, so that delay does not grow.
    fn head_queue(&self, live: bool) -> Result<gst::Element, Failure> {
        if live { with("queue", &[("leaky", "downstream"), ("max-size-buffers", "2")]) } else { short_queue() }
    }
}

/// Links the source's pads as they come, and holds everything until all are there: a muxer takes no pad later.
fn connect(source: &gst::Element, head: &gst::Pad, sound: Option<Sound>, problem: Arc<Mutex<Option<Failure>>>) {
    if let Some(Sound { container, .. }) = &sound {
        // What the file takes as it is stays encoded.
        let container: &'static Container = container;
        if gst::glib::subclass::SignalId::lookup("autoplug-continue", source.type_()).is_some() {
            source.connect("autoplug-continue", false, move |values| {
                let caps = values[2].get::<gst::Caps>().ok();
                let keep = caps.is_some_and(|caps| is_sound(&caps) && container.takes(&caps));
                Some((!keep).to_value())
            });
        }
    }
    let held: Arc<Held> = Arc::new(Mutex::new(Some(Vec::new())));
    let (holding, head) = (held.clone(), head.clone());
    let (end, nothing) = (head.clone(), problem.clone());
    source.connect_pad_added(move |_, pad| {
        let Some(caps) = pad.current_caps().or_else(|| Some(pad.query_caps(None))) else { return };
        let mut holding_now = crate::lock(&holding);
        let Some(pads) = holding_now.as_mut() else { return };
        let linked = if caps.structure(0).is_some_and(|s| s.name() == "video/x-raw") {
            !head.is_linked() && pad.link(&head).is_ok()
        } else if let Some(sound) = sound.as_ref().filter(|_| is_sound(&caps)) {
            sound.link(pad, &caps).map_err(|e| *crate::lock(&problem) = Some(e)).is_ok()
        } else {
            false
        };
        if linked {
            let block = gst::PadProbeType::BLOCK_DOWNSTREAM;
            pads.extend(pad.add_probe(block, |_, _| gst::PadProbeReturn::Ok).map(|id| (pad.clone(), id)));
            let late = holding.clone();
            if pads.len() == 1 {
                std::thread::spawn(move || {
                    std::thread::sleep(SOUND_WITHIN);
                    release(&late);
                });
            }
        }
    });
    source.connect_no_more_pads(move |_| {
        if !end.is_linked() {
            *crate::lock(&nothing) = Some(Failure::failed("there is no video in it, or none that can be decoded"));
        }
        release(&held);
    });
}

/// Pads that wait for others; `None` once none has to.
type Held = Mutex<Option<Vec<(gst::Pad, gst::PadProbeId)>>>;

fn release(held: &Held) {
    let pads = crate::lock(held).take();
    for (pad, id) in pads.unwrap_or_default() {
        pad.remove_probe(id);
    }
}

fn is_sound(caps: &gst::CapsRef) -> bool {
    caps.structure(0).is_some_and(|s| s.name().starts_with("audio/"))
}

/// Brings sound into the file.
struct Sound {
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    muxer: gst::Element,
    container: &'static Container,
    stages: Stages,
}

impl Sound {
    /// As it is where the file takes it, encoded anew otherwise.
    fn link(&self, pad: &gst::Pad, caps: &gst::CapsRef) -> Result<(), Failure> {
        let Some(pipeline) = self.pipeline.upgrade() else { return Ok(()) };
        let mut elements = vec![unlimited_queue()?];
        if self.container.takes(caps) {
            elements.extend(parser(caps));
        } else {
            let encoder = self.container.audio_encoder()?;
            let adapter = adapter(&encoder, &self.muxer);
            elements[0] = short_queue()?;
            elements.extend([make("audioconvert")?, make("audioresample")?, encoder]);
            elements.extend(adapter);
            elements.push(unlimited_queue()?);
        }
        chain(pipeline.upcast_ref(), &elements)?;
        let last = elements[elements.len() - 1].static_pad("src").expect("a queue has a source pad");
        let linked = sound_pad(&self.muxer).map(|sink| last.link(&sink));
        if !matches!(linked, Some(Ok(_))) {
            return Err(Failure::failed(format!("the file takes no sound of {caps}")));
        }
        let head = elements[0].static_pad("sink").expect("a queue has a sink pad");
        self.stages.gate_sound(&head, &last);
        for element in elements.iter().rev() {
            element.sync_state_with_parent().map_err(|e| Failure::failed(e.to_string()))?;
        }
        pad.link(&head).map(|_| ()).map_err(|e| Failure::failed(format!("cannot link the sound: {e}")))
    }
}

/// Gives frames without a time one, as if 25 came a second.
fn date(pad: &gst::Pad) {
    let next = Mutex::new(gst::ClockTime::ZERO);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(buffer) = info.buffer_mut() {
            let mut next = crate::lock(&next);
            if buffer.pts().is_none() {
                buffer.make_mut().set_pts(*next);
            }
            *next = buffer.pts().unwrap_or(*next) + buffer.duration().unwrap_or(FRAME);
        }
        gst::PadProbeReturn::Ok
    });
}

/// Gives frames without a duration that of the one before: muxers need the last one's, or players do not show it.
fn last_for(pad: &gst::Pad) {
    let last = Mutex::new((None, FRAME));
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(buffer) = info.buffer_mut() {
            let mut last = crate::lock(&last);
            let since = buffer.pts().zip(last.0).and_then(|(now, before)| now.checked_sub(before));
            last.1 = since.filter(|since| !since.is_zero()).unwrap_or(last.1);
            last.0 = buffer.pts();
            // Decoders make up a nanosecond where the rate varies.
            if buffer.duration().is_none_or(|duration| duration < gst::ClockTime::MSECOND) {
                buffer.make_mut().set_duration(last.1);
            }
        }
        gst::PadProbeReturn::Ok
    });
}

/// Cuts off the last column or row where their number is odd: H.264 in its common form knows even sizes only.
fn even(crop: &gst::Element) {
    let weak = crop.downgrade();
    let sink = crop.static_pad("sink").expect("videocrop has a sink pad");
    sink.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let (Some(crop), Some(event)) = (weak.upgrade(), info.event())
            && let gst::EventView::Caps(caps) = event.view()
            && let Some(caps) = caps.caps().structure(0)
        {
            let odd = |name: &str| caps.get::<i32>(name).unwrap_or(0) % 2;
            crop.set_property("right", odd("width"));
            crop.set_property("bottom", odd("height"));
        }
        gst::PadProbeReturn::Ok
    });
}
