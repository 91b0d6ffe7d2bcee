//! People who walk through a picture, cross, leave and come back, and who the tracker takes them for.

use super::*;
use crate::person::IuvMap;

const WIDTH: usize = 320;
const HEIGHT: usize = 120;
const BODY: (f32, f32) = (20.0, 60.0);
const RED: [u8; 3] = [180, 40, 40];
const BLUE: [u8; 3] = [40, 60, 170];
const GREEN: [u8; 3] = [60, 150, 60];

/// Somebody in a picture: left edge of the box, colour of the shirt, score of the detection. Those who come later stand in
/// front.
#[derive(Clone, Copy)]
struct Walker {
    x: f32,
    shirt: [u8; 3],
    score: f32,
    /// From behind: other parts of the body are to be seen.
    turned: bool,
}

impl Walker {
    fn at(x: f32, shirt: [u8; 3]) -> Self {
        Self { x, shirt, score: 0.95, turned: false }
    }

    fn rect(&self) -> Rect {
        Rect::new(self.x, 40.0, self.x + BODY.0, 40.0 + BODY.1)
    }

    /// The body fills the box but for a margin of two pixels at the sides.
    fn person(&self) -> Person {
        let (width, height) = (BODY.0 as usize, BODY.1 as usize);
        let mut data = Vec::new();
        for row in 0..height {
            let part = match (row * 2 < height, self.turned) {
                (true, false) => 2,
                (true, true) => 1,
                (false, false) => 9,
                (false, true) => 7,
            };
            data.extend((0..width).flat_map(|x| [if (2..width - 2).contains(&x) { part } else { 0 }, 128, 128]));
        }
        let iuv = IuvMap::new(width, height, data).unwrap();
        Person { id: 0, score: self.score, x: self.x as i32, y: 40, iuv }
    }
}

/// A tracker, and what happens in front of it.
struct Stage {
    tracker: Tracker,
    /// Seconds, for trackers that are told.
    time: Option<f64>,
}

impl Stage {
    fn new() -> Self {
        Self { tracker: Tracker { smoothing: 0.5, ..Tracker::default() }, time: Some(0.0) }
    }

    /// The next picture, `dt` seconds later: the numbers of those walkers who are shown. Whoever is covered for the most part
    /// is not detected.
    fn show(&mut self, dt: f64, walkers: &[Walker]) -> Vec<Option<u32>> {
        self.time = self.time.map(|t| t + dt);
        let mut pixels = vec![110; WIDTH * HEIGHT * 3];
        for walker in walkers {
            for y in 40..40 + BODY.1 as usize {
                for x in (walker.x as i32 + 2).max(0)..(walker.x as i32 + BODY.0 as i32 - 2).min(WIDTH as i32) {
                    let colour = if y < 70 { walker.shirt } else { [50, 50, 60] };
                    pixels[(y * WIDTH + x as usize) * 3..][..3].copy_from_slice(&colour);
                }
            }
        }
        let inside = |w: &Walker| w.x > -BODY.0 / 2.0 && w.x < WIDTH as f32 - BODY.0 / 2.0;
        let covered = |i: usize| walkers[i + 1..].iter().any(|w| (w.x - walkers[i].x).abs() < 0.6 * BODY.0);
        let mut seen: Vec<usize> = (0..walkers.len()).filter(|&i| inside(&walkers[i]) && !covered(i)).collect();
        seen.sort_by(|&a, &b| walkers[b].score.total_cmp(&walkers[a].score));
        let found: Vec<Scored> =
            seen.iter().map(|&i| Scored { rect: walkers[i].rect(), score: walkers[i].score }).collect();

        self.tracker.time = self.time;
        let followed = self.tracker.follow(&found, 0.5, (WIDTH, HEIGHT));
        let of =
            |f: &Followed| seen.iter().copied().find(|&i| (walkers[i].x - f.place.x0 * HEIGHT as f32).abs() < 1e-2);
        let people = followed.iter().map(|f| of(f).map(|i| walkers[i].person())).collect();
        let image = Image::rgb(WIDTH, HEIGHT, &pixels).unwrap();
        let shown = self.tracker.shown(&followed.iter().collect::<Vec<_>>(), people, 20, &image);
        self.tracker.forget();

        let mut ids: Vec<u32> = shown.iter().map(|p| p.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), shown.len(), "two people of one number");
        let number = |i: usize| {
            let here = |p: &&Person| seen.contains(&i) && p.x == walkers[i].x as i32;
            shown.iter().find(here).map(|p| p.id)
        };
        (0..walkers.len()).map(number).collect()
    }
}

/// Two walk towards each other, one behind the other where they meet; the pictures are `steps` seconds apart, in turn.
fn cross(stage: &mut Stage, steps: &[f64], shirts: [[u8; 3]; 2]) {
    let (mut time, mut alone, mut ends) = (0.0, 0, Vec::new());
    let mut steps = steps.iter().cycle();
    while time < 4.0 {
        let dt = steps.next().unwrap();
        time += dt;
        let way = 50.0 * time as f32;
        let ids = stage.show(*dt, &[Walker::at(40.0 + way, shirts[0]), Walker::at(240.0 - way, shirts[1])]);
        assert!(ids[1].is_some(), "who is in front is shown at {time}");
        assert_eq!(ids[1], Some(1), "at {time}");
        alone += usize::from(ids[0].is_none());
        ends.push(ids[0]);
    }
    assert!(alone > 0, "nobody was hidden");
    assert!(ends.iter().flatten().all(|&id| id == 0), "{ends:?}");
    assert_eq!(ends.last(), Some(&Some(0)), "who was hidden is back");
}

#[test]
fn who_cross_keep_their_numbers_at_any_rate_and_with_pictures_left_out() {
    let rates: [&[f64]; 6] = [&[0.04], &[1.0 / 60.0], &[0.12], &[1.0 / 7.0], &[0.04, 0.04, 0.2], &[0.04, 0.16, 0.08]];
    for steps in rates {
        cross(&mut Stage::new(), steps, [RED, BLUE]);
    }
}

#[test]
fn who_cross_in_the_same_clothes_are_told_apart_by_their_ways() {
    // Not at 7 pictures a second: there they are in the same place the first time that only one of them is seen.
    for steps in [&[0.04][..], &[0.12], &[0.04, 0.04, 0.2]] {
        cross(&mut Stage::new(), steps, [RED, RED]);
    }
}

#[test]
fn without_times_pictures_are_taken_to_follow_each_other_closely() {
    cross(&mut Stage { time: None, ..Stage::new() }, &[0.04], [RED, BLUE]);
}

#[test]
fn who_turns_back_behind_somebody_is_known_by_their_clothes() {
    for dt in [0.04, 0.12, 1.0 / 7.0] {
        let mut stage = Stage::new();
        let mut hidden = 0;
        // To the one who stands at 140, and back to where they came from.
        let ways = (0..).map(|i| i as f32 * dt as f32).take_while(|&t| t < 5.0);
        for t in ways {
            let x = if t < 2.5 { 40.0 + 40.0 * t } else { 140.0 - 40.0 * (t - 2.5) };
            let turned = t >= 2.5;
            let ids = stage.show(dt, &[Walker { turned, ..Walker::at(x, RED) }, Walker::at(140.0, BLUE)]);
            hidden += usize::from(ids[0].is_none());
            assert!(ids[0].is_none_or(|id| id == 0) && ids[1] == Some(1), "{dt} s, at {t}: {ids:?}");
        }
        assert!(hidden > 0);
    }
}

#[test]
fn who_leaves_and_comes_back_is_known_and_somebody_else_is_not() {
    for (shirt, expected) in [(RED, 0), (BLUE, 1)] {
        let mut stage = Stage::new();
        for i in 0..50 {
            stage.show(0.04, &[Walker::at(220.0 + 2.0 * i as f32, RED)]);
        }
        for _ in 0..50 {
            assert_eq!(stage.show(0.04, &[]), []);
        }
        let back: Vec<_> = (0..25).map(|i| stage.show(0.04, &[Walker::at(300.0 - 2.0 * i as f32, shirt)])[0]).collect();
        assert!(back.iter().flatten().count() > 15);
        assert!(back.iter().flatten().all(|&id| id == expected), "{back:?}");
    }
}

#[test]
fn who_jumps_in_the_picture_is_somebody_else_unless_there_was_time() {
    let mut stage = Stage::new();
    (0..10).for_each(|_| drop(stage.show(0.04, &[Walker::at(20.0, RED)])));
    // The same clothes a moment later ten bodies away.
    assert_eq!(stage.show(0.04, &[Walker::at(280.0, RED)]), [Some(1)]);
}

#[test]
fn whoever_is_doubtful_is_shown_when_seen_twice() {
    let doubtful = Walker { score: 0.6, ..Walker::at(200.0, GREEN) };
    // A still picture, and the first one of a video, show everybody.
    assert_eq!(Stage::new().show(0.04, &[doubtful]), [Some(0)]);
    let mut stage = Stage::new();
    let sure = Walker::at(40.0, RED);
    assert_eq!(stage.show(0.04, &[sure]), [Some(0)]);
    assert_eq!(stage.show(0.04, &[sure, doubtful]), [Some(0), None]);
    assert_eq!(stage.show(0.04, &[sure]), [Some(0)]);
    assert_eq!(stage.show(0.04, &[sure, doubtful]), [Some(0), None]);
    assert_eq!(stage.show(0.04, &[sure, doubtful]), [Some(0), Some(1)]);
    // After a pause nobody waits for the next picture.
    let after = Walker { x: 120.0, ..doubtful };
    assert!(stage.show(0.5, &[sure, doubtful, after])[2].is_some());
}

#[test]
fn a_group_that_walks_together_keeps_its_numbers() {
    for dt in [0.04, 0.12, 1.0 / 7.0] {
        let mut stage = Stage::new();
        for i in 0..(3.0 / dt) as usize {
            let x = 20.0 + 60.0 * (i as f64 * dt) as f32;
            let walkers = [Walker::at(x, RED), Walker::at(x + 22.0, RED), Walker::at(x + 44.0, BLUE)];
            assert_eq!(stage.show(dt, &walkers), [Some(0), Some(1), Some(2)], "{dt} s, picture {i}");
        }
    }
}

#[test]
fn who_is_lost_is_expected_where_they_walked_to_and_for_a_while() {
    let mut stage = Stage::new();
    (0..25).for_each(|i| drop(stage.show(0.04, &[Walker::at(40.0 + 2.0 * i as f32, RED)])));
    assert_eq!(stage.tracker.expected(HEIGHT), [], "not lost");
    stage.show(0.04, &[]);
    stage.tracker.time = stage.time.map(|t| t + 0.04);
    let expected = stage.tracker.expected(HEIGHT);
    assert_eq!(expected.len(), 1);
    assert!((expected[0].x0 - 92.0).abs() < 1.5, "{expected:?}");
    (0..40).for_each(|_| drop(stage.show(0.04, &[])));
    assert_eq!(stage.tracker.expected(HEIGHT), []);
}

#[test]
fn times_that_make_no_sense_are_survived() {
    let mut stage = Stage::new();
    for time in [f64::NAN, f64::INFINITY, -1e300, 1e300, 0.0, -5.0] {
        stage.time = Some(time);
        assert_eq!(stage.show(0.0, &[Walker::at(40.0, RED)]).len(), 1);
    }
    let odd = [f32::NAN, f32::INFINITY].map(|x| Scored { rect: Rect::new(x, 0.0, x, 1.0), score: 0.9 });
    stage.tracker.follow(&odd, 0.5, (WIDTH, HEIGHT));
    stage.tracker.forget();
}
