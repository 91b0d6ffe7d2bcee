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
//! ## When there is too little time
//!
//! Video is never dropped. If the sink reports that frames come too late (QoS), frames go on with the last result,
//! its `age` counting up, until the network has caught up. On live sources the time that the network takes is
//! reported as latency.

use gst::glib;
use gst::prelude::*;

mod imp;

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
