//! Region proposals: anchors on every cell of the pyramid, refined and ranked by what the trunk says of them.

use super::boxes::{Rect, Scored, sort_by_score, suppress};
use super::manifest::{Rpn, RpnLevel};

/// What the trunk says of one level, for `anchors` boxes on each of `height * width` cells.
#[derive(Clone, Copy)]
pub struct LevelOutput<'a> {
    /// Logits, (height, width, anchors).
    pub objectness: &'a [f32],
    /// Refinements, (height, width, anchors, 4).
    pub deltas: &'a [f32],
    pub height: usize,
    pub width: usize,
}

/// The boxes most likely to hold something, best first, with their logits, in network pixels.
///
/// `levels` are those of `rpn`, `size` is the width and height of the frame without padding. Of each level the best
/// `pre_nms_topk` (but at least `most`) are refined, clipped and thinned out among themselves; the best `most` of all
/// remain. Boxes that are empty or no numbers are dropped.
pub fn propose(rpn: &Rpn, levels: &[LevelOutput], size: (usize, usize), most: usize) -> Vec<Scored> {
    let (width, height) = (size.0 as f32, size.1 as f32);
    let mut proposals = Vec::new();
    // Logits below this one are too low to be among the best of all.
    let mut floor = f32::NEG_INFINITY;
    // The coarsest levels have the fewest anchors, and what they find raises the floor for the others.
    for (level, output) in rpn.levels.iter().zip(levels).rev() {
        let anchors = cell_anchors(rpn, level);
        let (deltas, _) = output.deltas.as_chunks();
        let ranked = best(output.objectness, rpn.pre_nms_topk.max(most), floor);
        let boxes = ranked.filter_map(|(score, place)| {
            let cell = place / anchors.len();
            let at = |i: usize| (i as f32 + rpn.offset) * level.stride as f32;
            let (x, y) = (at(cell % output.width), at(cell / output.width));
            let anchor = anchors[place % anchors.len()].moved(x, y);
            let rect = anchor.refined(deltas[place], rpn.box_weights);
            let clipped = rect.clipped(width, height);
            (rect.is_finite() && !clipped.is_empty()).then_some(Scored { rect: clipped, score })
        });
        // No level can contribute more than all together may.
        proposals.extend(suppress(boxes, rpn.nms_threshold, most));
        sort_by_score(&mut proposals);
        proposals.truncate(most);
        if proposals.len() == most {
            floor = proposals.last().map_or(floor, |last| last.score);
        }
    }
    proposals
}

/// Most proposals; the box head takes time for each.
const MOST: usize = 10_000;

/// How many proposals to look at: as many as the model says, or more where more `persons` are wanted. Three for two
/// persons, because some proposals hold nobody or somebody once more.
pub fn proposals_for(rpn: &Rpn, persons: Option<usize>) -> usize {
    let wanted = persons.map_or(0, |n| n.saturating_add(n / 2).min(MOST));
    wanted.max(rpn.post_nms_topk)
}

/// The anchors of a level around (0, 0): for each size all aspect ratios (height over width).
pub fn cell_anchors(rpn: &Rpn, level: &RpnLevel) -> Vec<Rect> {
    let of = |&size: &f32| {
        rpn.aspect_ratios.iter().map(move |&ratio| {
            let width = (f64::from(size).powi(2) / f64::from(ratio)).sqrt();
            let height = f64::from(ratio) * width;
            let (x, y) = ((width / 2.0) as f32, (height / 2.0) as f32);
            Rect::new(-x, -y, x, y)
        })
    };
    level.sizes.iter().flat_map(of).collect()
}

/// Logits looked at in one go.
const RUN: usize = 64;

/// The `most` highest of `logits` from `floor` up, best first, each with its index; equal ones by their index.
fn best<'a>(logits: &'a [f32], most: usize, floor: f32) -> impl Iterator<Item = (f32, usize)> + use<'a> {
    // Most runs lie below the floor as a whole, which takes vectors no time to see.
    let runs = logits.chunks(RUN).enumerate();
    let runs = runs.filter(|(_, run)| !run.iter().fold(true, |below, &logit| below & (logit < floor)));
    let logits_of = |(i, run): (usize, &'a [f32])| (i * RUN..).zip(run);
    let candidates = runs.flat_map(logits_of).filter(|(_, logit)| **logit >= floor && logit.is_finite());
    // One number to rank by: the logit, highest first, then the index. Numbers are compared much faster than pairs.
    let mut ranks: Vec<u64> =
        candidates.map(|(index, &logit)| u64::from(!rising(logit)) << 32 | index as u64).collect();
    if ranks.len() > most {
        ranks.select_nth_unstable(most);
        ranks.truncate(most);
    }
    ranks.sort_unstable();
    ranks.into_iter().map(|rank| rank as u32 as usize).map(|index| (logits[index], index))
}

/// A number that rises with `value`: the bits of a float are in order but for the sign.
fn rising(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpn(pre: usize, post: usize) -> Rpn {
        let level = |stride: usize, size: f32| RpnLevel {
            objectness: format!("o{stride}"),
            deltas: format!("d{stride}"),
            stride,
            sizes: vec![size],
        };
        Rpn {
            levels: vec![level(4, 8.0), level(8, 32.0)],
            aspect_ratios: vec![0.5, 2.0],
            offset: 0.0,
            box_weights: [1.0; 4],
            pre_nms_topk: pre,
            nms_threshold: 0.7,
            post_nms_topk: post,
        }
    }

    #[test]
    fn anchors_have_the_right_area_and_shape() {
        let rpn = rpn(1, 1);
        let anchors = cell_anchors(&rpn, &rpn.levels[1]);
        assert_eq!(anchors.len(), 2);
        for (anchor, ratio) in anchors.iter().zip([0.5, 2.0]) {
            assert!((anchor.area() - 1024.0).abs() < 1e-3);
            assert!((anchor.height() / anchor.width() - ratio).abs() < 1e-6);
            assert_eq!(anchor.x0, -anchor.x1);
        }
    }

    #[test]
    fn ranking_is_by_logit_then_place_and_skips_what_is_no_number() {
        let logits = [0.1, f32::NAN, 0.5, 0.5, f32::INFINITY, -0.1];
        let low = f32::NEG_INFINITY;
        let ranked: Vec<_> = best(&logits, 3, low).collect();
        assert_eq!(ranked, [(0.5, 2), (0.5, 3), (0.1, 0)]);
        let all: Vec<f32> = best(&logits, 9, low).map(|r| r.0).collect();
        assert_eq!(all, [0.5, 0.5, 0.1, -0.1]);
        assert_eq!(best(&logits, 9, 0.1).count(), 3);
    }

    #[test]
    fn who_wants_more_people_gets_more_proposals() {
        let rpn = rpn(10, 30);
        let wanted = [None, Some(0), Some(20), Some(40), Some(usize::MAX)];
        assert_eq!(wanted.map(|n| proposals_for(&rpn, n)), [30, 30, 30, 60, MOST]);
    }

    #[test]
    fn proposals_come_from_all_levels_clipped_and_best_first() {
        let rpn = rpn(10, 3);
        let fine = LevelOutput { objectness: &[0.0; 8], deltas: &[0.0; 32], height: 2, width: 2 };
        let mut objectness = [-5.0; 2];
        objectness[1] = 5.0;
        let mut deltas = [0.0; 8];
        let coarse = LevelOutput { objectness: &objectness, deltas: &deltas, height: 1, width: 1 };
        let found = propose(&rpn, &[fine, coarse], (30, 20), 3);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].score, 5.0);
        // Anchor 1 of the coarse level, 22.6 by 45.3 around (0, 0), cut off by the frame.
        let rect = found[0].rect;
        assert_eq!((rect.x0, rect.y0), (0.0, 0.0));
        assert!((rect.x1 - 11.313_708).abs() < 1e-4 && rect.y1 == 20.0, "{rect:?}");
        // A refinement that is no number takes its box with it.
        deltas[4] = f32::NAN;
        let coarse = LevelOutput { objectness: &objectness, deltas: &deltas, height: 1, width: 1 };
        assert!(propose(&rpn, &[fine, coarse], (30, 20), 3).iter().all(|p| p.score < 5.0));
    }
}
