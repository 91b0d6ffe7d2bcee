//! The `densepose-seiinsert` element: writes [`GstDensePoseMeta`](crate::meta) into the H.264 or H.265 stream itself.
//!
//! Each access unit whose buffer carries the meta gets it as SEI messages of type user_data_unregistered with a
//! [UUID of ours](crate::packet::UUID), before its picture. The stream can then go through any container or network
//! protocol that carries H.264 or H.265; players that do not know the UUID skip it. `densepose-seiextract` makes the
//! meta of it again. [`packet`](crate::packet) defines the bytes.
//!
//! It needs whole access units. x264enc and x265enc pass the meta on from the frames that they encode. Buffers without
//! the meta go on untouched; where an access unit already has messages with our UUID, they are replaced.
//!
//! ## Example pipeline
//! ```text
//! gst-launch-1.0 v4l2src ! videoconvert ! densepose ! videoconvert ! x264enc ! densepose-seiinsert ! h264parse ! mp4mux ! filesink location=out.mp4
//! ```

use gst::glib;
use gst::prelude::*;

mod imp;

glib::wrapper! {
    /// The `densepose-seiinsert` element, see the [module](self).
    pub struct SeiInsert(ObjectSubclass<imp::SeiInsert>) @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "densepose-seiinsert", gst::Rank::NONE, SeiInsert::static_type())
}
