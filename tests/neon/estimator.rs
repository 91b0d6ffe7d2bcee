//! Of the estimator what needs neither tract nor a manifest.

#[path = "../../src/estimator/boxes.rs"]
pub mod boxes;
#[path = "../../src/estimator/roi_align.rs"]
pub mod roi_align;
