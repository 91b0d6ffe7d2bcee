//! Video files by the end of their name: muxer, encoders in order of preference, and what becomes of the sound.

use std::path::Path;

use gst::prelude::*;

use crate::elements::{described, make};
use crate::input::extension;
use crate::outcome::Failure;

/// H.264 first, because everything plays it; `qual` without a buffer model is x264's CRF. No B-frames: with a variable
/// frame rate GStreamer 1.22 writes edit lists that cut off the last frames of an MP4.
const H264: [&str; 6] = [
    "x264enc pass=qual quantizer=20 vbv-buf-capacity=0 speed-preset=faster bframes=0",
    "openh264enc rate-control=quality bitrate=8000000",
    "vah264enc",
    "nvh264enc",
    "v4l2h264enc",
    "avenc_mpeg4 bitrate=8000000",
];
/// Without a lag: GStreamer 1.22 loses the frames that are still in the encoder at the end.
const VPX: [&str; 2] = [
    "vp9enc end-usage=cq cq-level=24 target-bitrate=20000000 deadline=1 cpu-used=5 row-mt=true lag-in-frames=0",
    "vp8enc end-usage=cq cq-level=16 target-bitrate=20000000 deadline=1 cpu-used=5 lag-in-frames=0",
];
const AAC: [&str; 4] = ["fdkaacenc bitrate=160000", "avenc_aac bitrate=160000", "voaacenc bitrate=160000", "opusenc"];
const OPUS: [&str; 2] = ["opusenc bitrate=128000", "vorbisenc"];

/// How a kind of file is made.
pub struct Container {
    muxer: &'static str,
    video: &'static [&'static str],
    audio: &'static [&'static str],
}

/// The ends of names that are videos.
const CONTAINERS: [(&[&str], Container); 4] = [
    (&["mp4", "m4v"], Container { muxer: "mp4mux", video: &H264, audio: &AAC }),
    (&["mov"], Container { muxer: "qtmux", video: &H264, audio: &AAC }),
    (&["mkv"], Container { muxer: "matroskamux", video: &H264, audio: &OPUS }),
    (&["webm"], Container { muxer: "webmmux", video: &VPX, audio: &OPUS }),
];
const TRANSPORT_STREAM: Container = Container { muxer: "mpegtsmux", video: &H264, audio: &AAC };

impl Container {
    /// By the end of the file's name.
    pub fn of(path: &Path) -> Option<&'static Self> {
        let extension = extension(path)?;
        if extension == "ts" {
            return Some(&TRANSPORT_STREAM);
        }
        CONTAINERS.iter().find(|(names, _)| names.contains(&extension.as_str())).map(|(_, container)| container)
    }

    pub fn muxer(&self) -> Result<gst::Element, Failure> {
        make(self.muxer)
    }

    /// The video encoder: the user's, or the first of ours that is installed.
    pub fn video_encoder(&self, choice: Option<&str>) -> Result<gst::Element, Failure> {
        match choice {
            Some(text) => described(text),
            None => first_installed(self.video),
        }
    }

    pub fn audio_encoder(&self) -> Result<gst::Element, Failure> {
        first_installed(self.audio)
    }

    /// Whether sound of these caps goes into the file as it is.
    pub fn takes(&self, caps: &gst::CapsRef) -> bool {
        let Some(factory) = gst::ElementFactory::find(self.muxer) else { return false };
        // Parsers turn one form of a stream into another.
        let mut caps = caps.to_owned();
        for structure in caps.make_mut().iter_mut() {
            structure.remove_fields(["stream-format", "framed", "parsed"]);
        }
        let raw = caps.structure(0).is_none_or(|s| s.name() == "audio/x-raw");
        let sinks = factory.static_pad_templates();
        let mut sinks = sinks.iter().filter(|t| t.direction() == gst::PadDirection::Sink);
        !raw && sinks.any(|t| t.caps().can_intersect(&caps))
    }
}

fn first_installed(candidates: &[&str]) -> Result<gst::Element, Failure> {
    let name = |text: &&&str| text.split(' ').next().unwrap_or_default().to_owned();
    let installed = candidates.iter().find(|text| gst::ElementFactory::find(&name(text)).is_some());
    match (installed, candidates.first()) {
        (Some(text), _) => described(text),
        (None, first) => Err(Failure::missing(&first.map_or(String::new(), |f| name(&f)))),
    }
}

/// A new pad of a muxer for sound.
pub fn sound_pad(muxer: &gst::Element) -> Option<gst::Pad> {
    // A queue takes everything, so that linking by element might as well ask for a pad for video.
    muxer.request_pad_simple("audio_%u").or_else(|| muxer.request_pad_simple("sink_%d"))
}

/// The parser between an encoder and a muxer, where they do not fit without.
pub fn adapter(encoder: &gst::Element, muxer: &gst::Element) -> Option<gst::Element> {
    let made = encoder.static_pad("src")?.pad_template_caps();
    let mut sinks = muxer.pad_template_list().into_iter().filter(|t| t.direction() == gst::PadDirection::Sink);
    if sinks.any(|t| t.caps().can_intersect(&made)) { None } else { parser(&made) }
}

/// The parser for an encoded stream, if there is one: it brings the stream into the form that a muxer takes.
pub fn parser(caps: &gst::CapsRef) -> Option<gst::Element> {
    let kind = gst::ElementFactoryType::PARSER;
    let parsers = gst::ElementFactory::factories_with_type(kind, gst::Rank::MARGINAL);
    let caps = caps.to_owned();
    let factory = parsers.iter().find(|f| f.can_sink_any_caps(&caps) && f.can_src_any_caps(&caps));
    factory.and_then(|f| f.create().build().ok())
}
