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
//! Where one stream follows another, as the clips of a playlist do, time begins again: clips are counted, and each gets
//! the records of the clip with its number. The video must bring the same clips in the same order. A clip of which the
//! file knows nothing gets nobody, with a warning; a time that is in the file twice is warned of, and its first record
//! counts.
//!
//! The file is read as the video goes on, and what was read is only remembered by its place in the file. A frame far
//! away, after a seek, is found by binary search: records are expected in order of their times, up to 16 of them out of
//! order, as `densepose-export` writes them. A line that cannot be used is left out with a warning that names it.

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
