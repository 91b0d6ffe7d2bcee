//! The `densepose` element: finds the people in every frame and attaches what it found.
//!
//! It reads the video and changes nothing in it. The result, [`GstDensePoseMeta`](crate::meta), says for each person
//! which body part every pixel of their box shows and where on that part's chart it lies. Frames of any size and of
//! any of the listed formats are sampled straight into the network's input, in which pixels are square, whatever the
//! caps' pixel-aspect-ratio; boxes and maps are in the frame's own pixels. Of buffers with GstVideoCropMeta only what
//! the crop shows is looked at, and boxes are counted from its corner.
//!
//! ## Example pipelines
//!
//! A camera, drawn on:
//! ```text
//! gst-launch-1.0 v4l2src ! videoconvert ! densepose ! densepose-overlay ! videoconvert ! autovideosink
//! ```
//! A busy server that runs the network on every third frame only:
//! ```text
//! ... ! densepose interval=3 threads=1 ! ...
//! ```
//!
//! ## Ids
//!
//! A person's `id` is that of their [track](crate::track): the same from frame to frame, also with `interval` above 1 and
//! frames left out, while somebody else hides them, and when they come back within 10 seconds and are recognised by place or
//! clothes. Ids are unique until the element stops; after a flush, new caps or a cut everybody gets a new one. Whoever is
//! hidden is remembered, but not in the metadata.
//!
//! ## Who waits for whom
//!
//! Video is never dropped, and how long a frame waits is for property [`mode`](Mode) to say:
//!
//! - `sync`: a frame that is due waits for its own result. On live sources the time that the network takes, as 95 % of
//!   the last 32 inferences took it, is reported as latency, and follows it both ways. A frame that would reach the sink
//!   too late with an inference, by that time or by what the sink reports (QoS), goes on with the last result, its `age`
//!   counting up; a QoS message says so. On live sources a result that is a second old is renewed all the same.
//! - `async`: no frame waits, and no latency is added. A thread of the element analyses the newest frame; frames carry
//!   the newest result, its `age` saying how many frames it is old. Before the first result they carry none.
//! - `auto`, the default: `async` where upstream is live when caps arrive, `sync` elsewhere, so that the same file gives
//!   the same result every time.
//!
//! A flush, a seek, another size and a cut in the picture drop results of the frames before. At the end of the stream
//! the frame that is being analysed is waited for, so that it is counted and its error told; an error is posted once, as
//! the next frame or the end of the stream comes. While paused nothing is analysed but the frame that is at it.
//!
//! Property `stats` (a GstStructure `densepose-stats`) says what the element does, and `stats-interval` has it posted as
//! an element message, too:
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `frames` | uint64 | frames that passed |
//! | `inferences` | uint64 | frames that were analysed |
//! | `reused` | uint64 | frames that carry the result of an earlier one |
//! | `moved` | uint64 | those of them whose result was moved along with the picture |
//! | `skipped-late` | uint64 | frames that were due, but would have come too late |
//! | `persons` | uint | people in the last result |
//! | `inference-mean`, `inference-95` | double | milliseconds of the last 32 inferences: mean, and what 95 % took at most |
//! | `latency` | uint64 | nanoseconds that the element adds on live pipelines |
//! | `frames-per-second` | double | frames that passed in the last two seconds, per second |

use gst::glib;
use gst::prelude::*;

mod analyser;
mod imp;
mod settings;

/// Whether frames wait for the network, property `mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstDensePoseMode")]
#[repr(i32)]
pub enum Mode {
    #[default]
    #[enum_value(name = "async on live sources, sync elsewhere", nick = "auto")]
    Auto,
    #[enum_value(name = "A frame that is due waits for its own result", nick = "sync")]
    Sync,
    #[enum_value(name = "No frame waits: it carries the newest result that is there", nick = "async")]
    Async,
}

/// What runs the networks, property `backend`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstDensePoseBackend")]
#[repr(i32)]
pub enum Backend {
    #[default]
    #[enum_value(name = "tract, inside the plugin: on the CPU", nick = "tract")]
    Tract,
    #[enum_value(name = "ONNX Runtime, in builds with the feature: on execution-providers", nick = "onnxruntime")]
    OnnxRuntime,
}

glib::wrapper! {
    /// The `densepose` element, see the [module](self).
    pub struct DensePose(ObjectSubclass<imp::DensePose>) @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "densepose", gst::Rank::NONE, DensePose::static_type())
}
