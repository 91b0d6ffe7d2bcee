//! The `densepose-atlas` element: collects the texture of each person's body while the video passes.
//!
//! ## Example pipelines
//!
//! One PNG per person, written at the end of the video:
//! ```text
//! ... ! densepose ! densepose-atlas location=person-%d.png ! fakesink
//! ```
//! The result dresses somebody else:
//! ```text
//! ... ! densepose ! densepose-overlay style=texture texture=person-1.png opacity=1 ! ...
//! ```
//! The picture has 4 by 6 charts as `densepose-overlay` reads them, see [`surface`]. The element passes every buffer as
//! it is.
//!
//! ## Action signal
//!
//! `write` writes the atlases of everybody who is known so far, in place of those written before, and returns how many
//! it wrote.

use gst::glib;
use gst::prelude::*;

mod imp;
mod people;
pub mod surface;

/// What fills places that were never seen, property `fill`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstDensePoseAtlasFill")]
#[repr(i32)]
pub enum Fill {
    #[enum_value(name = "Nothing: they are transparent", nick = "none")]
    None,
    #[default]
    #[enum_value(name = "What was seen nearby on the same chart", nick = "near")]
    Near,
    #[enum_value(name = "The same place on the body's other side, then what was seen nearby", nick = "mirror")]
    Mirror,
}

impl From<Fill> for surface::Fill {
    fn from(fill: Fill) -> Self {
        match fill {
            Fill::None => Self::None,
            Fill::Near => Self::Near,
            Fill::Mirror => Self::Mirror,
        }
    }
}

glib::wrapper! {
    /// The `densepose-atlas` element, see the [module](self).
    pub struct DensePoseAtlas(ObjectSubclass<imp::DensePoseAtlas>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "densepose-atlas", gst::Rank::NONE, DensePoseAtlas::static_type())
}
