//! What elements share that pass a stream.

use gst_base::prelude::*;

/// A sink and a source pad for these caps.
pub(crate) fn pad_templates(caps: &gst::Caps) -> Vec<gst::PadTemplate> {
    [("sink", gst::PadDirection::Sink), ("src", gst::PadDirection::Src)]
        .into_iter()
        .filter_map(|(name, side)| gst::PadTemplate::new(name, side, gst::PadPresence::Always, caps).ok())
        .collect()
}

/// When a buffer's frame is shown, counted from the start of playing.
pub(crate) fn running_time(element: &gst_base::BaseTransform, buffer: &gst::BufferRef) -> Option<gst::ClockTime> {
    let segment = element.segment();
    segment.downcast_ref::<gst::ClockTime>()?.to_running_time(buffer.pts()?)
}

/// The position in the stream of a buffer's frame: its timestamp without the offset that encoders and muxers give it.
pub(crate) fn stream_time(element: &gst_base::BaseTransform, buffer: &gst::BufferRef) -> Option<gst::ClockTime> {
    let pts = buffer.pts()?;
    let segment = element.segment();
    segment.downcast_ref::<gst::ClockTime>().and_then(|s| s.to_stream_time(pts)).or(Some(pts))
}

/// Counts the streams that follow each other through an element, as clips of a playlist do: in each, time begins again.
#[derive(Debug, Default)]
pub(crate) struct Clips {
    number: u32,
    id: Option<String>,
    /// Whether a frame of this clip has come.
    begun: bool,
}

impl Clips {
    /// Looks at an event of the sink pad. A stream that starts again under the same id is the same clip.
    pub fn note(&mut self, event: &gst::Event) {
        let gst::EventView::StreamStart(start) = event.view() else { return };
        let id = Some(start.stream_id().to_string());
        if self.begun && self.id != id {
            self.number += 1;
            self.begun = false;
        }
        self.id = id;
    }

    /// Notes that a frame came.
    pub fn frame(&mut self) {
        self.begun = true;
    }

    /// Number of the clip, from 0.
    pub fn number(&self) -> u32 {
        self.number
    }
}
