//! From what the box head says of proposals to the boxes of persons, in the network and in the frame.

use super::boxes::{Rect, Scored, sort_by_score, suppress};
use super::manifest::BoxHead;
use crate::frame::InputSize;

/// What the box head says of a proposal.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Logit of each class.
    pub logits: Vec<f32>,
    /// Refinement of the box.
    pub deltas: [f32; 4],
}

/// The persons among `proposals`, best first, at most `most`, with probabilities above `threshold`; in network pixels.
/// `person` is the class to look for, `size` the frame's in the network.
pub fn detect(
    config: &BoxHead,
    person: usize,
    proposals: &[Scored],
    verdicts: &[Verdict],
    size: InputSize,
    (threshold, most): (f32, usize),
) -> Vec<Scored> {
    let mut found: Vec<Scored> = proposals
        .iter()
        .zip(verdicts)
        .filter_map(|(proposal, verdict)| {
            let score = probability(&verdict.logits, person);
            let rect = proposal.rect.refined(verdict.deltas, config.box_weights);
            let clipped = rect.clipped(size.width as f32, size.height as f32);
            // A score that is no number is not above the threshold.
            (rect.is_finite() && score > threshold).then_some(Scored { rect: clipped, score })
        })
        .collect();
    sort_by_score(&mut found);
    suppress(found, config.nms_threshold, most)
}

/// Softmax of `logits` at `class`.
fn probability(logits: &[f32], class: usize) -> f32 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - highest).exp()).sum();
    (logits[class] - highest).exp() / sum
}

/// A box in whole pixels of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelBox {
    pub x: i32,
    pub y: i32,
    /// At least 1.
    pub width: usize,
    /// At least 1.
    pub height: usize,
}

impl PixelBox {
    /// Where `rect` of the network lies in a frame of `width` by `height` pixels; nothing where no part of it does.
    /// Position and size are rounded down.
    pub fn new(rect: &Rect, size: InputSize, width: usize, height: usize) -> Option<Self> {
        let (width, height) = (width as f32, height as f32);
        let rect = rect.scaled(width / size.width as f32, height / size.height as f32).clipped(width, height);
        let side = |length: f32| (length as usize).max(1);
        (!rect.is_empty()).then(|| Self {
            x: rect.x0 as i32,
            y: rect.y0 as i32,
            width: side(rect.width()),
            height: side(rect.height()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: InputSize = InputSize { width: 100, height: 50, padded_width: 128, padded_height: 64 };

    fn config() -> BoxHead {
        serde_json::from_value(serde_json::json!({
            "input": "rois", "features": ["p2"], "resolution": 7, "sampling_ratio": 0, "aligned": true,
            "canonical_size": 224, "canonical_level": 4, "scores": "s", "deltas": "d",
            "classes": ["background", "person"], "box_weights": [10, 10, 5, 5],
            "score_threshold": 0.05, "nms_threshold": 0.3, "max_detections": 100
        }))
        .unwrap()
    }

    fn detected(verdicts: &[([f32; 2], [f32; 4])], threshold: f32, most: usize) -> Vec<Scored> {
        let proposal =
            |i: usize| Scored { rect: Rect::new(i as f32 * 30.0, 0.0, i as f32 * 30.0 + 20.0, 40.0), score: 0.0 };
        let proposals: Vec<Scored> = (0..verdicts.len()).map(proposal).collect();
        let verdicts: Vec<Verdict> =
            verdicts.iter().map(|&(logits, deltas)| Verdict { logits: logits.to_vec(), deltas }).collect();
        detect(&config(), 1, &proposals, &verdicts, SIZE, (threshold, most))
    }

    #[test]
    fn persons_are_found_best_first() {
        let none = [0.0; 4];
        let verdicts = [([0.0, 0.0], none), ([0.0, 2.0], none), ([3.0, 0.0], none)];
        let found = detected(&verdicts, 0.1, 100);
        assert_eq!(found.len(), 2);
        assert!((found[0].score - 0.880_797).abs() < 1e-5);
        assert_eq!(found[0].rect, Rect::new(30.0, 0.0, 50.0, 40.0));
        assert_eq!(found[1].score, 0.5);
        // The threshold itself is not enough, and the number is bounded.
        assert_eq!(detected(&verdicts, 0.5, 100).len(), 1);
        assert_eq!(detected(&verdicts, 0.1, 1).len(), 1);
        assert_eq!(detected(&verdicts, 0.1, 0).len(), 0);
    }

    #[test]
    fn boxes_are_refined_and_clipped() {
        let found = detected(&[([0.0, 9.0], [-10.0, 0.0, 0.0, 5.0 * 2f32.ln()])], 0.1, 9);
        // One width to the left, twice as high, and cut off at the frame: nothing is left of 0.
        assert_eq!(found[0].rect, Rect::new(0.0, 0.0, 0.0, 50.0));
        assert_eq!(PixelBox::new(&found[0].rect, SIZE, 200, 100), None);
    }

    #[test]
    fn what_is_no_number_is_no_person() {
        let nan = f32::NAN;
        assert!(detected(&[([nan, 1.0], [0.0; 4]), ([0.0, nan], [0.0; 4])], 0.1, 9).is_empty());
        assert!(detected(&[([0.0, f32::INFINITY], [0.0; 4])], 0.1, 9).is_empty());
        assert!(detected(&[([0.0, 9.0], [nan, 0.0, 0.0, 0.0])], 0.1, 9).is_empty());
    }

    #[test]
    fn boxes_are_placed_in_the_frame() {
        let place = |rect| PixelBox::new(&rect, SIZE, 200, 100);
        assert_eq!(place(Rect::new(10.3, 5.2, 20.9, 30.0)), Some(PixelBox { x: 20, y: 10, width: 21, height: 49 }));
        assert_eq!(place(Rect::new(99.9, 49.9, 100.0, 50.0)), Some(PixelBox { x: 199, y: 99, width: 1, height: 1 }));
    }
}
