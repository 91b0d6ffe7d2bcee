//! Dense human pose for GStreamer: which body part every pixel of every person shows, and where on it.
//!
//! The way of a frame through this crate, in one direction:
//!
//! 1. [`video`] sees the mapped buffer as an [`image::Image`]: up to three colour components, whatever the format.
//! 2. [`frame`] samples it to the network's input, a normalised tensor.
//! 3. [`estimator`] runs the two-stage network (Rakhimov et al., *Making DensePose fast and light*, WACV 2021):
//!    proposals, boxes, and for each box a map of the body surface. The result is a list of [`person::Person`]. The
//!    tracker ([`track`]) carries ids and charts from frame to frame; [`scene`] tells it where another scene begins. The
//!    networks run in tract, on `layers` of our own made of [`kernels`] for the processor at hand; estimators of one
//!    process share them, and take turns on one pool of threads. [`schedule`] has a thread run them where frames do not
//!    wait. [`motion`] moves their results to the pictures between.
//! 4. [`meta`] attaches the list to the buffer as `GstDensePoseMeta`, and reads it back.
//! 5. [`render`] draws it.
//! 6. [`records`] writes it to files and reads it back; [`atlas`] collects the texture of each person.
//!
//! [`densepose`] (1 to 4), [`overlay`] (4 and 5), [`export`], [`serialize`] and [`import`] (4 and 6) are the elements
//! around these steps. Steps 2, 3, 5 and 6 know nothing of GStreamer and can be used without it: start at
//! [`estimator::Estimator`].
//!
//! Cargo features, both on by default: `gstreamer` (without it, these steps are the whole crate, which then needs no
//! system library) and `embedded-model` (the network inside the library, whose licence is another than the code's).
//!
//! [`seiinsert`] and [`seiextract`] carry the list through coded video: [`packet`] makes bytes of it, [`sei`] puts them
//! into H.264 and H.265; neither of the two knows of GStreamer.

#[cfg(feature = "v1_24")]
mod analytics;
#[cfg(feature = "gstreamer")]
pub mod atlas;
#[cfg(feature = "gstreamer")]
mod coded;
#[cfg(feature = "gstreamer")]
pub mod densepose;
pub mod estimator;
#[cfg(feature = "gstreamer")]
pub mod export;
pub mod frame;
pub mod image;
#[cfg(feature = "gstreamer")]
pub mod import;
#[doc(hidden)]
pub mod kernels;
mod layers;
#[cfg(feature = "gstreamer")]
pub mod meta;
pub mod motion;
#[cfg(feature = "gstreamer")]
pub mod overlay;
pub mod packet;
#[cfg(feature = "gstreamer")]
mod passthrough;
pub mod person;
#[cfg(feature = "gstreamer")]
mod properties;
pub mod records;
pub mod render;
pub mod scene;
pub mod schedule;
pub mod sei;
#[cfg(feature = "gstreamer")]
pub mod seiextract;
#[cfg(feature = "gstreamer")]
pub mod seiinsert;
#[cfg(feature = "gstreamer")]
pub mod serialize;
mod shared;
mod simd;
mod threads;
pub mod track;
mod turns;
#[cfg(feature = "gstreamer")]
pub mod video;
mod workers;

use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(feature = "gstreamer")]
use gst::glib;

/// Who the elements say made them.
#[cfg(feature = "gstreamer")]
pub(crate) const AUTHOR: &str = "The gst-plugin-densepose authors";

/// Locks, also if another thread panicked meanwhile: its panic must not turn into one here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(feature = "gstreamer")]
fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    meta::register();
    densepose::register(plugin)?;
    overlay::register(plugin)?;
    export::register(plugin)?;
    import::register(plugin)?;
    atlas::register(plugin)?;
    serialize::register(plugin)?;
    seiinsert::register(plugin)?;
    seiextract::register(plugin)
}

#[cfg(feature = "gstreamer")]
gst::plugin_define!(
    densepose,
    env!("PLUGIN_DESCRIPTION"),
    plugin_init,
    concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
    // Of the code, by the nearest of the names that GStreamer takes; the description has the network's.
    "MIT/X11",
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_REPOSITORY"),
    env!("BUILD_REL_DATE")
);

#[cfg(all(test, feature = "gstreamer"))]
mod tests {
    use super::*;

    #[test]
    fn the_description_names_both_licences() {
        gst::init().unwrap();
        plugin_register_static().unwrap();
        let description = gst::Registry::get().find_plugin("densepose").unwrap().description();
        assert!(description.contains("code: MIT OR Apache-2.0"), "{description}");
        let network = match estimator::Model::embedded() {
            Ok(model) => format!("network inside: {})", model.manifest().licence),
            Err(_) => "no network inside)".into(),
        };
        assert!(description.ends_with(&network), "{description}");
        assert_eq!(description.contains("non-commercial"), cfg!(feature = "embedded-model"), "{description}");
    }
}
