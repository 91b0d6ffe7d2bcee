//! The `densepose-seiextract` element: makes [`GstDensePoseMeta`](crate::meta) of what `densepose-seiinsert` wrote into
//! an H.264 or H.265 stream.
//!
//! Decoders pass the meta on to the frames that they decode, in display order, so that `densepose-overlay` can draw
//! behind them. It needs whole access units: put `h264parse` or `h265parse` before. Messages of others are not touched,
//! and access units without ours go on as they are. Where parts of a frame's messages were lost on the way, the frame
//! goes on without the meta.
//!
//! ## Example pipeline
//! ```text
//! gst-launch-1.0 filesrc location=in.mp4 ! qtdemux ! h264parse ! densepose-seiextract ! avdec_h264 ! videoconvert ! densepose-overlay ! videoconvert ! autovideosink
//! ```

use gst::glib;
use gst::prelude::*;

mod imp;

glib::wrapper! {
    /// The `densepose-seiextract` element, see the [module](self).
    pub struct SeiExtract(ObjectSubclass<imp::SeiExtract>) @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "densepose-seiextract", gst::Rank::NONE, SeiExtract::static_type())
}
