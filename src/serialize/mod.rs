//! The `densepose-serialize` element: the people of each frame as a line of JSON, while the video plays.
//!
//! ## Example pipelines
//!
//! To every program that connects to port 5000:
//! ```text
//! ... ! densepose ! densepose-serialize ! tcpserversink host=127.0.0.1 port=5000
//! ```
//! Boxes alone, small enough for one datagram each:
//! ```text
//! ... ! densepose ! densepose-serialize fields=id,score,box ! udpsink host=127.0.0.1 port=5000
//! ```
//! The element takes any caps and reads the [metadata](crate::meta) alone, so it also stands behind an encoder. Each
//! frame with metadata gives one buffer of `application/json` with the frame's time and duration: an object of
//! [JSON Lines](crate::records::jsonl) and its line break. A frame without metadata gives a GAP event.
//!
//! With `messages=true` an element message named `densepose-person` tells when somebody appears or leaves:
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `event` | string | `appeared` or `left` |
//! | `id` | uint | the person's number, as in the metadata |
//! | `running-time` | uint64 | nanoseconds: first frame with the person (`appeared`), or last one (`left`) |

use gst::glib;
use gst::prelude::*;

mod imp;
mod presence;

glib::wrapper! {
    /// The `densepose-serialize` element, see the [module](self).
    pub struct DensePoseSerialize(ObjectSubclass<imp::DensePoseSerialize>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "densepose-serialize", gst::Rank::NONE, DensePoseSerialize::static_type())
}
