//! Where a person's box is expected: a Kalman filter of constant velocity (SORT, Bewley et al. 2016), in seconds and not in
//! pictures, so that it does not matter how many pictures were left out.

use crate::estimator::boxes::Rect;

/// Standard deviation of a detected box's centre and sides, in the person's sizes (Deep SORT, Wojke et al. 2017: 1/20).
const DETECTED: f32 = 1.0 / 20.0;
/// By how much a velocity changes: standard deviation after a second, in sizes per second (Deep SORT: 1/160 of a size per
/// picture in each of 30 pictures a second, 1/160 · 30 · √30).
const TURNED: f32 = 1.03;
/// Standard deviation of the velocity of somebody new, in sizes per second: half a body's length, a slow walk.
const WALK: f32 = 0.5;
/// By how much the sides change: standard deviation after a second, in sizes; legs open and close twice in one.
const STRETCHED: f32 = 0.4;
/// Seconds after which somebody who is not seen has lost most (1 - 1/e) of the velocity they were last seen with.
const MOMENTUM: f32 = 2.0;

/// A coordinate and its velocity, with their covariance.
#[derive(Clone, Copy, Debug)]
struct Axis {
    at: f32,
    speed: f32,
    var: f32,
    var_speed: f32,
    cov: f32,
}

impl Axis {
    fn new(at: f32, size: f32) -> Self {
        Self { at, speed: 0.0, var: (DETECTED * size).powi(2), var_speed: (WALK * size).powi(2), cov: 0.0 }
    }

    /// Goes on by `dt` seconds under accelerations that are white noise (Bar-Shalom et al. 2001, section 6.2.2).
    fn go_on(&mut self, dt: f32, size: f32) {
        let noise = (TURNED * size).powi(2);
        self.at += self.speed * dt;
        self.var += dt * (2.0 * self.cov + dt * self.var_speed) + noise * dt.powi(3) / 3.0;
        self.cov += dt * self.var_speed + noise * dt * dt / 2.0;
        self.var_speed += noise * dt;
    }

    /// Takes in a measurement.
    fn correct(&mut self, measured: f32, size: f32) {
        let innovation = measured - self.at;
        let total = self.var + (DETECTED * size).powi(2);
        let (gain, gain_speed) = (self.var / total, self.cov / total);
        self.at += gain * innovation;
        self.speed += gain_speed * innovation;
        self.var_speed -= gain_speed * self.cov;
        self.cov -= gain * self.cov;
        self.var -= gain * self.var;
    }
}

/// The box of somebody who moves. Lengths are in one unit along both axes.
#[derive(Clone, Copy, Debug)]
pub struct Motion {
    x: Axis,
    y: Axis,
    width: f32,
    height: f32,
    /// Variance of both sides.
    var: f32,
}

impl Motion {
    pub fn new(rect: &Rect) -> Self {
        let (width, height) = (rect.width(), rect.height());
        let size = width.max(height);
        let (x, y) = centre(rect);
        Self { x: Axis::new(x, size), y: Axis::new(y, size), width, height, var: (DETECTED * size).powi(2) }
    }

    /// The longer side.
    pub fn size(&self) -> f32 {
        self.width.max(self.height)
    }

    /// Goes on by `dt` seconds; `hidden`: who was not seen in the last picture may have stopped.
    pub fn go_on(&mut self, dt: f32, hidden: bool) {
        let size = self.size();
        self.x.go_on(dt, size);
        self.y.go_on(dt, size);
        self.var += (STRETCHED * size).powi(2) * dt;
        if hidden {
            let kept = (-dt / MOMENTUM).exp();
            (self.x.speed, self.y.speed) = (self.x.speed * kept, self.y.speed * kept);
        }
    }

    /// Takes in a detection.
    pub fn correct(&mut self, rect: &Rect) {
        let size = self.size();
        let (x, y) = centre(rect);
        self.x.correct(x, size);
        self.y.correct(y, size);
        let gain = self.var / (self.var + (DETECTED * size).powi(2));
        self.width += gain * (rect.width() - self.width);
        self.height += gain * (rect.height() - self.height);
        self.var -= gain * self.var;
    }

    /// The expected box.
    pub fn rect(&self) -> Rect {
        let (x, y) = (self.width / 2.0, self.height / 2.0);
        Rect::new(self.x.at - x, self.y.at - y, self.x.at + x, self.y.at + y)
    }

    /// How far the expected box may be off: standard deviation of its centre.
    pub fn doubt(&self) -> f32 {
        self.x.var.max(self.y.var).sqrt()
    }
}

pub fn centre(rect: &Rect) -> (f32, f32) {
    ((rect.x0 + rect.x1) / 2.0, (rect.y0 + rect.y1) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(x: f32) -> Rect {
        Rect::new(x, 0.2, x + 0.2, 0.7)
    }

    /// Somebody who walks at 0.4 a second for two seconds and is seen every `dt` of them; the error of the prediction of where
    /// they are half a second later.
    fn error(dt: f32) -> f32 {
        let mut motion = Motion::new(&body(0.0));
        let steps = (2.0 / dt).round() as usize;
        for step in 1..=steps {
            motion.go_on(dt, false);
            motion.correct(&body(0.4 * dt * step as f32));
        }
        motion.go_on(0.5, false);
        (motion.rect().x0 - 0.4 * (steps as f32 * dt + 0.5)).abs()
    }

    #[test]
    fn a_walk_goes_on_whatever_the_rate_of_pictures() {
        for dt in [1.0 / 60.0, 1.0 / 25.0, 1.0 / 7.0, 0.4] {
            assert!(error(dt) < 0.03, "{dt} s: {}", error(dt));
        }
    }

    #[test]
    fn pictures_without_a_detection_are_no_other_than_one_long_one() {
        let mut walk = Motion::new(&body(0.0));
        walk.go_on(0.1, false);
        walk.correct(&body(0.05));
        let (mut once, mut often) = (walk, walk);
        once.go_on(0.3, false);
        (0..3).for_each(|_| often.go_on(0.1, false));
        assert!((once.rect().x0 - often.rect().x0).abs() < 1e-5);
        assert!((once.doubt() - often.doubt()).abs() < 1e-5);
    }

    #[test]
    fn who_is_not_seen_is_less_and_less_sure_to_be_where_expected_and_slows_down() {
        let mut motion = Motion::new(&body(0.0));
        for step in 1..=20 {
            motion.go_on(0.04, false);
            motion.correct(&body(0.02 * step as f32));
        }
        let (start, sure) = (motion.rect().x0, motion.doubt());
        (0..250).for_each(|_| motion.go_on(0.04, true));
        assert!(motion.doubt() > 5.0 * sure);
        let way = motion.rect().x0 - start;
        assert!(way > 0.8 && way < 1.1, "{way}: 0.5 a second for about two seconds");
    }

    #[test]
    fn a_box_that_is_held_still_is_taken_for_the_truth() {
        let mut motion = Motion::new(&body(0.0));
        for _ in 0..50 {
            motion.go_on(0.04, false);
            motion.correct(&Rect::new(0.1, 0.1, 0.4, 0.9));
        }
        let rect = motion.rect();
        assert!((rect.x0 - 0.1).abs() < 0.01 && (rect.y1 - 0.9).abs() < 0.01, "{rect:?}");
        assert!((motion.size() - 0.8).abs() < 0.01);
    }
}
