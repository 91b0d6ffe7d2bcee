//! The `densepose-export` element: writes the people of what passes to files.
//!
//! ## Example pipelines
//!
//! One JSON object per frame, in files of a minute each:
//! ```text
//! ... ! densepose ! densepose-export location=people-%05d.jsonl max-size-time=60000000000 ! ...
//! ```
//! COCO results for an evaluator:
//! ```text
//! ... ! densepose ! densepose-export format=coco location=results.json ! fakesink
//! ```
//! The element takes any caps and passes every buffer as it is. It reads the [metadata](crate::meta) alone, so it also
//! stands behind an encoder. The formats are defined in [`records`](crate::records).
//!
//! While a file is written it has `.part` after its name; it gets its name once it is complete: at the end of the
//! stream, when the element stops, or when the next file begins. Where the pipeline fails it does not: a `.part` with
//! frames stays and a warning names it, one without is removed, and a file that was there before is untouched.
//! What is no regular file (a FIFO, a socket, a device, `/dev/stdout`) is written through.

use gst::glib;
use gst::prelude::*;

use crate::records::jsonl;

mod files;
mod imp;
mod target;
mod witness;

/// Form of the files, property `format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstDensePoseExportFormat")]
#[repr(i32)]
pub enum Format {
    #[default]
    #[enum_value(name = "JSON Lines: one object per frame", nick = "jsonl")]
    Jsonl,
    #[enum_value(name = "An array of COCO results with DensePose fields", nick = "coco")]
    Coco,
    #[enum_value(name = "What detectron2's apply_net dump writes, for torch.load", nick = "detectron2")]
    Detectron2,
    #[enum_value(name = "Arrays at the frame's size, for numpy.load", nick = "npz")]
    Npz,
}

/// How maps are written in JSON Lines, property `iuv-encoding`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstDensePoseExportIuvEncoding")]
#[repr(i32)]
pub enum IuvEncoding {
    #[default]
    #[enum_value(name = "A base64 PNG: red = I, green = U, blue = V", nick = "png")]
    Png,
    #[enum_value(name = "A run-length mask for each part, without U and V", nick = "rle")]
    Rle,
    #[enum_value(name = "Not at all", nick = "none")]
    None,
}

impl From<IuvEncoding> for jsonl::IuvEncoding {
    fn from(encoding: IuvEncoding) -> Self {
        match encoding {
            IuvEncoding::Png => Self::Png,
            IuvEncoding::Rle => Self::Rle,
            IuvEncoding::None => Self::None,
        }
    }
}

/// What becomes of files that are there already, property `existing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstDensePoseExportExisting")]
#[repr(i32)]
pub enum Existing {
    #[default]
    #[enum_value(name = "They stay: numbers go on after theirs, a name without a number is refused", nick = "keep")]
    Keep,
    #[enum_value(name = "Lines are added to a file without a number (jsonl only)", nick = "append")]
    Append,
    #[enum_value(name = "They are replaced, once the new ones are complete", nick = "overwrite")]
    Overwrite,
}

glib::wrapper! {
    /// The `densepose-export` element, see the [module](self).
    pub struct DensePoseExport(ObjectSubclass<imp::DensePoseExport>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "densepose-export", gst::Rank::NONE, DensePoseExport::static_type())
}
