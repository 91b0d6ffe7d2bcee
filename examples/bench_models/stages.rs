//! Where the time of a frame goes, in the report's columns.

use gstdensepose::estimator::Stage;

/// Milliseconds of the trunk, the proposals, the box head, the DensePose head (each with its pooling) and the rest of a
/// frame of `whole`; `of` tells those of a stage. A stage's time is the frame's: its work is on all threads at once.
pub fn split(whole: f64, of: impl Fn(Stage) -> f64) -> [f64; 5] {
    let (trunk, proposals) = (of(Stage::Trunk), of(Stage::Proposals));
    let box_head = of(Stage::BoxPooling) + of(Stage::BoxHead);
    let densepose_head = of(Stage::DensePosePooling) + of(Stage::DensePoseHead);
    let rest = (whole - trunk - proposals - box_head - densepose_head).max(0.0);
    [trunk, proposals, box_head, densepose_head, rest]
}
