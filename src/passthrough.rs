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
