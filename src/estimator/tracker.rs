//! What is remembered of people from picture to picture of a video: ids that stay, boxes and charts that do not shiver.
//!
//! A network that sees each picture on its own puts the edge of a box or the border between two parts a little
//! elsewhere every time. Here boxes that hardly move are held, and the charts of a person are mixed with those of the
//! picture before, cell by cell of the box, as long as the box keeps its shape: a leg that swings out of it moves
//! every cell to another place of the body. What moves fast or is surely another part wins at once.

use std::sync::Mutex;

use super::boxes::{Rect, Scored};
use super::charts::Charts;
use crate::lock;
use crate::person::Person;

/// Boxes that overlap at least this much (intersection over union) may be the same person.
const MIN_OVERLAP: f32 = 0.3;
/// Pictures after which a person who was not seen again is forgotten.
const MEMORY: u32 = 15;
/// Share of the box's side from which on a move of an edge is followed wholly, and a change of the side mixes nothing.
const JITTER: f32 = 0.06;
/// Share of the score threshold that is enough for a person seen in the picture before.
const KNOWN: f32 = 0.7;

/// Follows people from picture to picture by the overlap of their boxes.
#[derive(Debug, Default)]
pub struct Tracker {
    /// How much of the picture before is kept, 0..1; at 0 each picture stands for itself, and only the ids stay.
    pub smoothing: f32,
    tracks: Vec<Track>,
    next: u32,
}

#[derive(Debug)]
struct Track {
    /// None until somebody was shown here.
    id: Option<u32>,
    /// In shares of the frame, so that the frame may be seen at another size.
    rect: Rect,
    /// Pictures since this person was seen; 0 = in the last one.
    unseen: u32,
    /// Whether somebody was shown in the last picture in which somebody was seen here.
    confirmed: bool,
    /// What the DensePose head said, mixed over time.
    charts: Mutex<Vec<f32>>,
}

/// A detection that belongs to a track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Followed {
    pub score: f32,
    /// In pixels of the network, as the detection was.
    pub rect: Rect,
    /// The score above which this is a person.
    limit: f32,
    /// How much of the charts of the picture before is kept, 0..1.
    kept: f32,
    track: usize,
}

impl Followed {
    /// Whether this score is enough for a person here.
    pub fn suffices(&self, score: f32) -> bool {
        score > self.limit
    }
}

impl Tracker {
    /// The score from which on a detection is of use, where new people need `threshold`.
    pub fn least(&self, threshold: f32) -> f32 {
        if self.smoothing > 0.0 { threshold * KNOWN } else { threshold }
    }

    /// The persons among `found` (best first): all above `threshold`, and those that were there in the picture before
    /// and are above [`least`](Self::least). Each gets the track whose box overlaps most, best pairs first, or a new
    /// one; say who is [`shown`](Self::shown) when their maps are known. `size` is the frame's width and height in the network, in which boxes are given.
    pub fn follow(&mut self, found: &[Scored], threshold: f32, (width, height): (usize, usize)) -> Vec<Followed> {
        let (width, height) = (width as f32, height as f32);
        let rects: Vec<Rect> = found.iter().map(|f| f.rect.scaled(1.0 / width, 1.0 / height)).collect();
        for track in &mut self.tracks {
            track.unseen += 1;
        }
        let matches = self.matches(&rects);
        let mut people = Vec::with_capacity(found.len());
        for ((scored, mut rect), matched) in found.iter().zip(rects).zip(matches) {
            let known = self.smoothing > 0.0 && matched.is_some_and(|t| self.tracks[t].unseen == 1);
            let confirmed = known && matched.is_some_and(|t| self.tracks[t].confirmed);
            let limit = if confirmed { self.least(threshold) } else { threshold };
            if scored.score <= limit {
                continue;
            }
            let track = matched.unwrap_or_else(|| self.begin(rect));
            let memory = &mut self.tracks[track];
            let mut kept = 0.0;
            if known {
                rect = steadied(&memory.rect, &rect, self.smoothing);
                kept = self.smoothing * likeness(&memory.rect, &rect);
            }
            (memory.rect, memory.unseen) = (rect, 0);
            let rect = if known { rect.scaled(width, height) } else { scored.rect };
            people.push(Followed { score: scored.score, rect, limit, kept, track });
        }
        people
    }

    /// For each box the index of its track.
    fn matches(&self, rects: &[Rect]) -> Vec<Option<usize>> {
        let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
        for (p, rect) in rects.iter().enumerate() {
            let overlaps = self.tracks.iter().enumerate().map(|(t, track)| (rect.iou(&track.rect), p, t));
            pairs.extend(overlaps.filter(|(overlap, ..)| *overlap >= MIN_OVERLAP));
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut matches = vec![None; rects.len()];
        let mut taken = vec![false; self.tracks.len()];
        for (_, p, t) in pairs {
            if matches[p].is_none() && !taken[t] {
                (matches[p], taken[t]) = (Some(t), true);
            }
        }
        matches
    }

    fn begin(&mut self, rect: Rect) -> usize {
        self.tracks.push(Track { id: None, rect, unseen: 0, confirmed: false, charts: Mutex::default() });
        self.tracks.len() - 1
    }

    /// Who is shown, best first and no more than `most`, with their ids; in `mapped` there is nobody for who is doubted
    /// or somebody once more.
    pub fn shown(&mut self, people: &[&Followed], mapped: Vec<Option<Person>>, most: usize) -> Vec<Person> {
        let mut shown: Vec<(usize, Person)> = Vec::with_capacity(people.len());
        for (person, mapped) in people.iter().zip(mapped) {
            self.tracks[person.track].confirmed = false;
            shown.extend(mapped.map(|mapped| (person.track, mapped)));
        }
        shown.sort_by(|(_, a), (_, b)| b.score.total_cmp(&a.score));
        shown.truncate(most);
        shown.into_iter().map(|(track, person)| Person { id: self.confirm(track), ..person }).collect()
    }

    /// Forgets a detection that turned out to be somebody else once more, so that it takes nobody's place later.
    pub fn dismiss(&mut self, person: &Followed) {
        let track = &mut self.tracks[person.track];
        if track.id.is_none() {
            track.unseen = MEMORY + 1;
        }
    }

    /// Notes that somebody is shown, and says who: the same number in every picture.
    fn confirm(&mut self, track: usize) -> u32 {
        let Self { tracks, next, .. } = self;
        let track = &mut tracks[track];
        track.confirmed = true;
        *track.id.get_or_insert_with(|| std::mem::replace(next, next.wrapping_add(1)))
    }

    /// What `finish` makes of a person's charts: of what the head says now, mixed with what it said before.
    pub fn smoothed<T>(&self, person: &Followed, charts: &Charts, finish: impl FnOnce(&Charts) -> T) -> T {
        if self.smoothing <= 0.0 {
            return finish(charts);
        }
        let mut memory = lock(&self.tracks[person.track].charts);
        finish(&charts.mixed(&mut memory, person.kept))
    }

    /// Forgets everybody, since what comes next shows another scene. Whoever comes gets a number that nobody had.
    pub fn restart(&mut self) {
        self.tracks.clear();
    }

    /// Forgets people who were not seen for long; call it after each picture.
    pub fn forget(&mut self) {
        self.tracks.retain(|t| t.unseen <= MEMORY);
    }
}

/// `new`, its edges held back towards `old` by up to `smoothing`: the less they moved, the more.
fn steadied(old: &Rect, new: &Rect, smoothing: f32) -> Rect {
    let (width, height) = (new.width(), new.height());
    let edge = |old: f32, new: f32, side: f32| new + (old - new) * smoothing * stillness(old, new, side);
    Rect::new(
        edge(old.x0, new.x0, width),
        edge(old.y0, new.y0, height),
        edge(old.x1, new.x1, width),
        edge(old.y1, new.y1, height),
    )
}

/// How far the cells of two boxes show the same places of a body: 1 for boxes of the same sides, wherever they are, 0 where
/// a side has changed by [`JITTER`] or more.
fn likeness(old: &Rect, new: &Rect) -> f32 {
    let width = stillness(old.width(), new.width(), new.width());
    width.min(stillness(old.height(), new.height(), new.height()))
}

/// 1 where a length has not changed, falling to 0 where it has by [`JITTER`] of the box's `side` or more.
fn stillness(old: f32, new: f32, side: f32) -> f32 {
    (1.0 - (new - old).abs() / (side * JITTER).max(f32::MIN_POSITIVE)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::super::charts::Grid;
    use super::*;
    use crate::person::IuvMap;
    use crate::threads::Threads;

    const SIZE: (usize, usize) = (200, 100);

    fn scored(x: f32, score: f32) -> Scored {
        Scored { rect: Rect::new(x, 0.0, x + 10.0, 10.0), score }
    }

    fn follow(tracker: &mut Tracker, found: &[Scored]) -> Vec<Followed> {
        let people = tracker.follow(found, 0.5, SIZE);
        show(tracker, &people, 0.9);
        people
    }

    /// Shows those for whom `score` suffices, in their order; their ids.
    fn show(tracker: &mut Tracker, people: &[Followed], score: f32) -> Vec<u32> {
        let person = || Person { id: 0, score, x: 0, y: 0, iuv: IuvMap::background(1, 1) };
        let mapped = people.iter().map(|p| p.suffices(score).then(person)).collect();
        let shown = tracker.shown(&people.iter().collect::<Vec<_>>(), mapped, people.len());
        tracker.forget();
        shown.iter().map(|person| person.id).collect()
    }

    fn ids(tracker: &mut Tracker, xs: &[f32]) -> Vec<u32> {
        let found: Vec<_> = xs.iter().map(|&x| scored(x, 0.9)).collect();
        let people = tracker.follow(&found, 0.5, SIZE);
        show(tracker, &people, 0.9)
    }

    #[test]
    fn people_keep_their_ids_while_they_move_and_change_places_in_the_list() {
        let mut t = Tracker::default();
        assert_eq!(ids(&mut t, &[0.0, 100.0]), [0, 1]);
        assert_eq!(ids(&mut t, &[103.0, 2.0]), [1, 0]);
        assert_eq!(ids(&mut t, &[50.0, 4.0, 104.0]), [2, 0, 1]);
    }

    #[test]
    fn a_repeat_takes_nobodys_id_later() {
        let mut t = Tracker::default();
        let people = t.follow(&[scored(0.0, 0.9), scored(4.0, 0.8)], 0.5, SIZE);
        let person = Person { id: 0, score: 0.9, x: 0, y: 0, iuv: IuvMap::background(1, 1) };
        t.dismiss(&people[1]);
        let shown = t.shown(&people.iter().collect::<Vec<_>>(), vec![Some(person), None], 9);
        assert_eq!(shown.iter().map(|p| p.id).collect::<Vec<_>>(), [0]);
        t.forget();
        assert_eq!(ids(&mut t, &[3.0]), [0], "nearer to where the repeat was");
    }

    #[test]
    fn nobody_gets_the_number_of_somebody_of_an_earlier_scene() {
        let mut t = Tracker::default();
        assert_eq!(ids(&mut t, &[0.0, 100.0]), [0, 1]);
        t.restart();
        assert_eq!(ids(&mut t, &[0.0, 100.0]), [2, 3]);
    }

    #[test]
    fn two_boxes_never_share_a_track() {
        let mut t = Tracker::default();
        assert_eq!(ids(&mut t, &[0.0]), [0]);
        assert_eq!(ids(&mut t, &[1.0, 0.0]), [1, 0]);
    }

    #[test]
    fn someone_hidden_for_a_while_is_known_again_and_later_forgotten() {
        let mut t = Tracker::default();
        assert_eq!(ids(&mut t, &[0.0]), [0]);
        for _ in 0..MEMORY {
            ids(&mut t, &[]);
        }
        assert_eq!(ids(&mut t, &[0.0]), [0]);
        for _ in 0..=MEMORY {
            ids(&mut t, &[]);
        }
        assert_eq!(ids(&mut t, &[0.0]), [1]);
    }

    #[test]
    fn pictures_of_another_size_show_the_same_people() {
        let mut t = Tracker::default();
        assert_eq!(ids(&mut t, &[0.0, 100.0]), [0, 1]);
        let half = [Scored { rect: Rect::new(50.0, 0.0, 55.0, 5.0), score: 0.9 }];
        let people = t.follow(&half, 0.5, (100, 50));
        assert_eq!(show(&mut t, &people, 0.9), [1]);
    }

    #[test]
    fn who_was_there_stays_at_a_score_that_is_not_enough_to_come() {
        let mut t = Tracker { smoothing: 0.5, ..Tracker::default() };
        assert_eq!(follow(&mut t, &[scored(0.0, 0.4)]), []);
        assert_eq!(follow(&mut t, &[scored(0.0, 0.6)]).len(), 1);
        assert_eq!(follow(&mut t, &[scored(0.0, 0.4)]).len(), 1);
        assert_eq!(follow(&mut t, &[scored(0.0, 0.3)]), []);
        assert_eq!(follow(&mut t, &[scored(0.0, 0.4)]), []);
        let mut strict = Tracker::default();
        follow(&mut strict, &[scored(0.0, 0.6)]);
        assert_eq!(follow(&mut strict, &[scored(0.0, 0.4)]), []);
    }

    #[test]
    fn who_was_doubted_needs_the_whole_score_again() {
        let mut t = Tracker { smoothing: 0.5, ..Tracker::default() };
        let mut see = |score, left| {
            let people = t.follow(&[scored(0.0, score)], 0.5, SIZE);
            (people.len(), show(&mut t, &people, left))
        };
        assert_eq!(see(0.9, 0.4), (1, vec![]), "somebody new");
        assert_eq!(see(0.9, 0.4), (1, vec![]), "not to be shown because a box was there before");
        assert_eq!(see(0.4, 0.4), (0, vec![]));
        assert_eq!(see(0.9, 0.6), (1, vec![0]), "ids are for those who are shown");
        assert_eq!(see(0.9, 0.4), (1, vec![0]), "a doubt about somebody known");
        assert_eq!(see(0.9, 0.3), (1, vec![]));
        assert_eq!(see(0.9, 0.4), (1, vec![]));
    }

    #[test]
    fn no_more_are_shown_than_are_wanted() {
        let mut t = Tracker { smoothing: 0.5, ..Tracker::default() };
        let people = t.follow(&[scored(0.0, 0.9), scored(50.0, 0.8)], 0.5, SIZE);
        let person = |score| Some(Person { id: 0, score, x: 0, y: 0, iuv: IuvMap::background(1, 1) });
        let shown = t.shown(&[&people[0], &people[1]], vec![person(0.6), person(0.7)], 1);
        assert_eq!(shown.iter().map(|p| (p.id, p.score)).collect::<Vec<_>>(), [(0, 0.7)]);
        t.forget();
        // The other one was not, and needs the whole threshold still.
        assert_eq!(t.follow(&[scored(0.0, 0.4), scored(50.0, 0.4)], 0.5, SIZE).len(), 1);
    }

    #[test]
    fn edges_that_shiver_are_held_and_edges_that_move_are_not() {
        let mut t = Tracker { smoothing: 0.5, ..Tracker::default() };
        follow(&mut t, &[scored(50.0, 0.9)]);
        let shaken = follow(&mut t, &[scored(50.1, 0.9)])[0].rect.x0;
        assert!(shaken > 50.0 && shaken < 50.07, "{shaken}");
        let moved = follow(&mut t, &[scored(52.0, 0.9)])[0].rect;
        assert!((moved.x0 - 52.0).abs() < 1e-3 && (moved.x1 - 62.0).abs() < 1e-3, "{moved:?}");
        let mut exact = Tracker::default();
        follow(&mut exact, &[scored(50.0, 0.9)]);
        assert_eq!(follow(&mut exact, &[scored(50.1, 0.9)])[0].rect, scored(50.1, 0.9).rect);
    }

    /// What a head says of one cell: the logit of part 1 against a background of 0.
    fn part(tracker: &Tracker, person: &Followed, logit: f32) -> u8 {
        let plane = |data| Grid { data, height: 1, width: 1, channels: 2 };
        let (logits, flat) = ([0.0, logit], [0.0; 2]);
        let charts = Charts { coarse: plane(&[0.0, 1.0]), fine: plane(&logits), u: plane(&flat), v: plane(&flat) };
        tracker.smoothed(person, &charts, |charts| charts.to_iuv(1, 1, &Threads::one())).pixel(0, 0)[0]
    }

    #[test]
    fn parts_do_not_flicker_but_change_when_the_network_is_sure() {
        let mut t = Tracker { smoothing: 0.5, ..Tracker::default() };
        let mut say = |logit| {
            let people = follow(&mut t, &[scored(0.0, 0.9)]);
            part(&t, &people[0], logit)
        };
        assert_eq!(say(1.0), 1);
        assert_eq!(say(-0.5), 1, "hardly another part");
        assert_eq!(say(-3.0), 0, "surely another part");
        assert_eq!(say(f32::NAN), 0);
        assert_eq!(say(1.0), 1, "a NaN is not remembered");
        assert_eq!(say(6.0), 1);
        assert_eq!(say(-2.0), 0, "a limb that has gone leaves nothing behind, however sure it was");
    }

    #[test]
    fn parts_are_mixed_while_the_box_moves_but_not_when_it_takes_another_shape() {
        let mut t = Tracker { smoothing: 0.5, ..Tracker::default() };
        let mut say = |x, wider, logit| {
            let rect = Rect::new(x, 0.0, x + 50.0 + wider, 80.0);
            let people = follow(&mut t, &[Scored { rect, score: 0.9 }]);
            part(&t, &people[0], logit)
        };
        assert_eq!(say(0.0, 0.0, 1.0), 1);
        assert_eq!(say(9.0, 0.0, -0.5), 1, "the same body elsewhere");
        assert_eq!(say(9.0, 0.0, 1.0), 1);
        assert_eq!(say(9.0, 5.0, -0.5), 0, "other places of the body");
    }

    #[test]
    fn without_smoothing_nothing_is_remembered() {
        let mut t = Tracker::default();
        let people = follow(&mut t, &[scored(0.0, 0.9)]);
        assert_eq!([part(&t, &people[0], 1.0), part(&t, &people[0], -0.5)], [1, 0]);
    }
}
