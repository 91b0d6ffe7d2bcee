//! Boxes: geometry, the coding of refinements, and non-maximum suppression.

/// An axis-aligned box: left, top, right and bottom edge in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    pub x0: f32,
    pub y0: f32,
    pub x1: f32,
    pub y1: f32,
}

/// A box that something scored: a logit or a probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    pub rect: Rect,
    pub score: f32,
}

impl Rect {
    pub const fn new(x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        Self { x0, y0, x1, y1 }
    }

    pub fn width(&self) -> f32 {
        self.x1 - self.x0
    }

    pub fn height(&self) -> f32 {
        self.y1 - self.y0
    }

    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// Whether all edges are numbers.
    pub fn is_finite(&self) -> bool {
        [self.x0, self.y0, self.x1, self.y1].iter().all(|v| v.is_finite())
    }

    /// Whether there is anything inside. NaN edges hold nothing.
    pub fn is_empty(&self) -> bool {
        !(self.width() > 0.0 && self.height() > 0.0)
    }

    /// The part inside a picture of this size.
    pub fn clipped(&self, width: f32, height: f32) -> Self {
        let (x, y) = (|v: f32| v.clamp(0.0, width), |v: f32| v.clamp(0.0, height));
        Self::new(x(self.x0), y(self.y0), x(self.x1), y(self.y1))
    }

    pub fn moved(&self, x: f32, y: f32) -> Self {
        Self::new(self.x0 + x, self.y0 + y, self.x1 + x, self.y1 + y)
    }

    /// Each edge moved out by `margin`, a share of the box's width or height.
    pub fn widened(&self, margin: f32) -> Self {
        let (x, y) = (margin * self.width(), margin * self.height());
        Self::new(self.x0 - x, self.y0 - y, self.x1 + x, self.y1 + y)
    }

    pub fn scaled(&self, x: f32, y: f32) -> Self {
        Self::new(self.x0 * x, self.y0 * y, self.x1 * x, self.y1 * y)
    }

    /// Intersection over union.
    pub fn iou(&self, other: &Self) -> f32 {
        let width = (self.x1.min(other.x1) - self.x0.max(other.x0)).max(0.0);
        let height = (self.y1.min(other.y1) - self.y0.max(other.y0)).max(0.0);
        let common = width * height;
        common / (self.area() + other.area() - common)
    }

    /// This box moved and stretched by what a network put out: `deltas` are dx, dy in box sizes and the logarithms
    /// dw, dh, each times its weight (Faster R-CNN, Ren et al. 2015, section 3.1.2; the bound is detectron2's).
    pub fn refined(&self, deltas: [f32; 4], weights: [f32; 4]) -> Self {
        // At most 1000/16-fold, so that exp stays finite. NaN must survive, to be dropped with its box.
        let bounded = |d: f32| if d > MAX_LOG_SCALE { MAX_LOG_SCALE } else { d };
        let [dx, dy, dw, dh] = std::array::from_fn(|i| deltas[i] / weights[i]);
        let (width, height) = (self.width(), self.height());
        let x = dx * width + (self.x0 + 0.5 * width);
        let y = dy * height + (self.y0 + 0.5 * height);
        let (w, h) = (bounded(dw).exp() * width, bounded(dh).exp() * height);
        Self::new(x - 0.5 * w, y - 0.5 * h, x + 0.5 * w, y + 0.5 * h)
    }
}

/// ln(1000 / 16)
const MAX_LOG_SCALE: f32 = 4.135_166_6;

/// Sorts boxes by falling score; equal ones keep their order.
pub fn sort_by_score(boxes: &mut [Scored]) {
    boxes.sort_by(|a, b| b.score.total_cmp(&a.score));
}

/// Greedy non-maximum suppression of `boxes`, which must come best first: drops each that overlaps a kept one by an IoU
/// of more than `threshold`, and asks for no more when `most` are kept.
pub fn suppress(boxes: impl IntoIterator<Item = Scored>, threshold: f32, most: usize) -> Vec<Scored> {
    keep_apart(boxes, most, |kept, candidate| kept.rect.iou(&candidate.rect) <= threshold)
}

/// Those of `candidates`, which must come best first, that are `apart` from each one kept before them; asks for no more
/// when `most` are kept.
pub fn keep_apart<T>(candidates: impl IntoIterator<Item = T>, most: usize, apart: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    let mut candidates = candidates.into_iter();
    while kept.len() < most
        && let Some(candidate) = candidates.next()
    {
        if kept.iter().all(|k| apart(k, &candidate)) {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(x0: f32, y0: f32, x1: f32, y1: f32, score: f32) -> Scored {
        Scored { rect: Rect::new(x0, y0, x1, y1), score }
    }

    #[test]
    fn widening_moves_every_edge_out() {
        assert_eq!(Rect::new(10.0, 20.0, 30.0, 60.0).widened(0.1), Rect::new(8.0, 16.0, 32.0, 64.0));
    }

    #[test]
    fn deltas_move_and_stretch() {
        let unit = [1.0; 4];
        let rect = Rect::new(10.0, 20.0, 30.0, 60.0);
        assert_eq!(rect.refined([0.0; 4], unit), rect);
        // Half a width to the right, twice as high.
        let moved = rect.refined([0.5, 0.0, 0.0, 2f32.ln()], unit);
        let expected = [20.0, 0.0, 40.0, 80.0];
        for (got, want) in [moved.x0, moved.y0, moved.x1, moved.y1].into_iter().zip(expected) {
            assert!((got - want).abs() < 1e-4, "{moved:?}");
        }
        // Weights divide.
        assert_eq!(
            rect.refined([5.0, 0.0, 0.0, 0.0], [10.0, 10.0, 5.0, 5.0]),
            rect.refined([0.5, 0.0, 0.0, 0.0], unit)
        );
    }

    #[test]
    fn stretching_is_bounded_and_nan_stays() {
        let rect = Rect::new(0.0, 0.0, 16.0, 16.0);
        assert!((rect.refined([0.0, 0.0, 100.0, 100.0], [1.0; 4]).width() - 1000.0).abs() < 0.1);
        assert!(!rect.refined([0.0, 0.0, f32::NAN, 0.0], [1.0; 4]).is_finite());
        assert!(!rect.refined([f32::INFINITY, 0.0, 0.0, 0.0], [1.0; 4]).is_finite());
    }

    #[test]
    fn overlaps_are_measured() {
        let a = Rect::new(0.0, 0.0, 2.0, 2.0);
        assert_eq!(a.iou(&a), 1.0);
        assert_eq!(a.iou(&Rect::new(1.0, 0.0, 3.0, 2.0)), 2.0 / 6.0);
        assert_eq!(a.iou(&Rect::new(2.0, 0.0, 3.0, 2.0)), 0.0);
    }

    #[test]
    fn suppression_is_strict_and_stops() {
        let boxes = [
            scored(0.0, 0.0, 2.0, 2.0, 0.9),
            scored(1.0, 0.0, 3.0, 2.0, 0.8), // IoU 1/3 with the first
            scored(9.0, 0.0, 10.0, 2.0, 0.7),
        ];
        let scores = |t, most| suppress(boxes, t, most).iter().map(|k| k.score).collect::<Vec<_>>();
        assert_eq!(scores(1.0 / 3.0, 9), [0.9, 0.8, 0.7]);
        assert_eq!(scores(0.33, 9), [0.9, 0.7]);
        assert_eq!(scores(0.33, 1), [0.9]);
        assert!(scores(0.33, 0).is_empty());
    }

    #[test]
    fn empty_and_nan_boxes_are_empty() {
        assert!(Rect::new(3.0, 0.0, 3.0, 5.0).is_empty());
        assert!(Rect::new(f32::NAN, 0.0, 3.0, 5.0).is_empty());
        assert!(Rect::new(-5.0, 1.0, -1.0, 5.0).clipped(10.0, 10.0).is_empty());
        assert_eq!(Rect::new(-5.0, 1.0, 11.0, 5.0).clipped(10.0, 10.0), Rect::new(0.0, 1.0, 10.0, 5.0));
    }
}
