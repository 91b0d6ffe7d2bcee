//! The `densepose-import` element: gives frames the people that `densepose-export` wrote.
//!
//! ## Example pipeline
//!
//! Find people once, draw them as often as you like:
//! ```text
//! gst-launch-1.0 filesrc location=in.mp4 ! decodebin ! videoconvert ! videoflip video-direction=auto ! densepose ! densepose-export location=people.jsonl ! fakesink
//! gst-launch-1.0 filesrc location=in.mp4 ! decodebin ! videoconvert ! videoflip video-direction=auto ! densepose-import location=people.jsonl ! densepose-overlay ! ...
//! ```
//! The element takes any caps and copies no frame. A frame gets the people of the record whose stream time is nearest
//! to its own, unless that is more than the tolerance away; where the buffer or the file has no times, those of the
//! record with its number. The [metadata](crate::meta) says which frame size it refers to: `densepose-overlay` scales
//! it to the video.
//!
//! The file is read as the video goes on, and what was read is only remembered by its place in the file. A line that
//! cannot be used is left out with a warning that names it.

use gst::glib;
use gst::prelude::*;

mod imp;
mod source;

glib::wrapper! {
    /// The `densepose-import` element, see the [module](self).
    pub struct DensePoseImport(ObjectSubclass<imp::DensePoseImport>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "densepose-import", gst::Rank::NONE, DensePoseImport::static_type())
}
