//! Multiple object tracking by detection: who is who from picture to picture of a video.
//!
//! What is taken from where:
//!
//! * [`motion`]: a box is expected where a Kalman filter of constant velocity predicts it (SORT, Bewley et al., *Simple
//!   online and realtime tracking*, ICIP 2016), here in seconds, so that pictures may be left out.
//! * [`assign`](assign::assign): boxes are matched with expected ones all at once (Kuhn's Hungarian algorithm, as in SORT). The
//!   overlap is that of boxes widened by the doubt about them (buffered IoU: Yang et al., *Hard to track objects with irregular
//!   motions and similar appearances? Make it easier by buffering the matching space*, WACV 2023).
//! * Detections of high scores come first, then those of low scores for people known already (ByteTrack: Zhang et al.,
//!   *ByteTrack: Multi-object tracking by associating every detection box*, ECCV 2022).
//! * [`looks`]: appearance tells apart who overlap, and finds people again who were hidden or away (Deep SORT: Wojke et al.,
//!   *Simple online and realtime tracking with a deep association metric*, ICIP 2017, with a learnt descriptor; here it is the
//!   colours of body parts, which the map aligns).
//! * Whoever is not seen stays in memory for some seconds; where they come back elsewhere than expected, what is seen counts
//!   and not what was predicted (OC-SORT: Cao et al., *Observation-centric SORT*, CVPR 2023).
//! * Where lost people are expected is a proposal to the detector (Bergmann et al., *Tracking without bells and whistles*, ICCV 2019).
//!
//! The maps of people are known only after their boxes are followed. So a picture takes two steps: [`Tracker::follow`] goes by
//! motion alone and says whose charts to mix with whose; [`Tracker::shown`], which sees maps and pixels, decides who is who.

pub mod assign;
pub mod looks;
pub mod motion;
mod steady;
#[cfg(test)]
mod walk_tests;

use assign::assign;
use looks::Looks;
use motion::{Motion, centre};
use steady::Steady;

use crate::estimator::boxes::{Rect, Scored};
use crate::estimator::charts::Charts;
use crate::image::Image;
use crate::person::Person;

/// Share of the score threshold that is enough for a person seen in the picture before.
const KNOWN: f32 = 0.7;
/// Expected and found boxes that overlap at least this much (buffered intersection over union) may be the same person.
const MIN_OVERLAP: f32 = 0.3;
/// Of the person's longer side, the most that boxes are widened by.
const MAX_BUFFER: f32 = 0.6;
/// Seconds between pictures where no times are known.
const NOMINAL: f64 = 1.0 / 25.0;
/// Seconds after which somebody who was not seen again is forgotten.
const MEMORY: f64 = 10.0;
/// Seconds after which a place says half as much about who is there.
const FADING: f64 = 1.0;
/// Somebody new must be seen twice within this many seconds, unless surely found.
const BIRTH: f64 = 0.3;
/// Share of the way from the threshold to 1 from which on a score is sure.
const SURE: f32 = 0.5;
/// Distance of colours at which looks say e^-1/2 as much for two being the same: what the same person's vary by.
const ALIKE: f32 = 0.05;
/// Distance from which on colours are those of somebody else.
const UNLIKE: f32 = 0.07;
/// What looks weigh beside the place.
const LOOKS: f32 = 0.5;
/// Share of a box that somebody hidden may cover where its colours are to be remembered.
const ALONE: f32 = 0.3;
/// How fast people who are looked for may have moved, in their longer sides per second, and how far at once.
const REACH: (f32, f32) = (1.0, 0.5);
/// What somebody found again by looks counts at most, beside somebody where they are expected.
const FOUND_AGAIN: f32 = 0.5;
/// Seconds for which it is worth while to look where somebody lost is expected.
const RECENT: f64 = 1.0;
/// Most people in memory.
const MOST: usize = 200;

/// Follows people from picture to picture.
#[derive(Debug, Default)]
pub struct Tracker {
    /// How much of the picture before is kept, 0..1; at 0 each picture stands for itself, and only the ids stay.
    pub smoothing: f32,
    /// When the next picture is shown, in seconds of any clock; taken by [`follow`](Self::follow). Where it is not known,
    /// pictures are taken to be 1/25 s apart.
    pub time: Option<f64>,
    tracks: Vec<Track>,
    next: u32,
    clock: Clock,
}

/// The time of the pictures.
#[derive(Debug, Default)]
struct Clock {
    last: Option<f64>,
    now: f64,
    begun: bool,
    /// Seconds since the picture before; `None` for the first one.
    step: Option<f64>,
}

impl Clock {
    /// Seconds from the picture before to one at this time.
    fn until(&self, time: Option<f64>) -> f64 {
        let step = time.zip(self.last).map(|(now, last)| now - last);
        step.filter(|step| (0.0..f64::INFINITY).contains(step)).unwrap_or(NOMINAL)
    }

    fn tick(&mut self, time: Option<f64>) -> f64 {
        let step = self.until(time);
        self.step = self.begun.then_some(step);
        self.begun = true;
        self.now += step;
        self.last = time;
        step
    }
}

#[derive(Debug)]
struct Track {
    /// None until somebody was shown here.
    id: Option<u32>,
    /// In heights of the frame along both axes, so that the frame may be seen at another size.
    motion: Motion,
    looks: Looks,
    steady: Steady,
    /// Pictures since this person was seen; 0 = in the last one.
    unseen: u32,
    /// When this person was last seen.
    seen: f64,
    /// When this person was first seen.
    born: f64,
    /// Whether somebody was shown in the last picture in which somebody was seen here.
    confirmed: bool,
}

/// A detection that belongs to a track, as far as motion tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Followed {
    pub score: f32,
    /// In pixels of the network, as the detection was.
    pub rect: Rect,
    /// The detection in heights of the frame.
    place: Rect,
    /// Whether the detection is enough for somebody new.
    sure: bool,
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

    /// Where those are expected in the next picture who were lost a short while ago, in pixels of a network in which the frame
    /// has this height.
    pub fn expected(&self, height: usize) -> Vec<Rect> {
        let step = self.clock.until(self.time);
        let lost = |track: &&Track| track.id.is_some() && track.unseen > 0 && self.clock.now - track.seen < RECENT;
        let place = |track: &Track| {
            let mut motion = track.motion;
            motion.go_on(step as f32, true);
            motion.rect().scaled(height as f32, height as f32)
        };
        self.tracks.iter().filter(lost).map(place).collect()
    }

    /// The persons among `found` (best first): all above `threshold`, and those that were there in the picture before
    /// and are above [`least`](Self::least). Each belongs to the track where it is expected, or to a new one; say who is
    /// [`shown`](Self::shown) when their maps are known. `size` is the frame's width and height in the network, in which boxes
    /// are given.
    pub fn follow(&mut self, found: &[Scored], threshold: f32, (width, height): (usize, usize)) -> Vec<Followed> {
        let (width, height) = (width as f32, height as f32);
        let step = self.clock.tick(self.time.take());
        for track in &mut self.tracks {
            track.motion.go_on(step as f32, track.unseen > 0);
            track.unseen += 1;
        }
        let places: Vec<Rect> = found.iter().map(|f| f.rect.scaled(1.0 / height, 1.0 / height)).collect();
        let matches = self.matches(found, &places, threshold);
        let mut people = Vec::with_capacity(found.len());
        for ((scored, place), matched) in found.iter().zip(places).zip(matches) {
            let known = self.smoothing > 0.0 && matched.is_some_and(|t| self.tracks[t].unseen == 1);
            let confirmed = known && matched.is_some_and(|t| self.tracks[t].confirmed);
            let limit = if confirmed { self.least(threshold) } else { threshold };
            if scored.score <= limit {
                continue;
            }
            // In shares of the frame's sides, so that boxes stay as they are where the frame is seen at another size.
            let shares = scored.rect.scaled(1.0 / width, 1.0 / height);
            let track = matched.unwrap_or_else(|| self.begin(&place));
            let steady = &mut self.tracks[track].steady;
            let (rect, kept) = if known {
                let kept = steady.follow(&shares, self.smoothing);
                (steady.rect.scaled(width, height), kept)
            } else {
                *steady = Steady::new(shares);
                (scored.rect, 0.0)
            };
            people.push(Followed {
                score: scored.score,
                rect,
                place,
                sure: scored.score > threshold,
                limit,
                kept,
                track,
            });
        }
        people
    }

    /// For each box the index of the track that is expected there: for sure ones of all tracks, then for unsure ones of those
    /// who were shown in the picture before.
    fn matches(&self, found: &[Scored], places: &[Rect], threshold: f32) -> Vec<Option<usize>> {
        let mut matches = vec![None; found.len()];
        let mut taken = vec![false; self.tracks.len()];
        for sure in [true, false] {
            let boxes: Vec<usize> = (0..found.len()).filter(|&i| (found[i].score > threshold) == sure).collect();
            let gain = |place: &Rect, t: usize| {
                let track = &self.tracks[t];
                if taken[t] || !(sure || track.unseen == 1 && track.confirmed) {
                    return 0.0;
                }
                self.nearness(track, place)
            };
            let gains: Vec<Vec<f32>> =
                boxes.iter().map(|&i| (0..self.tracks.len()).map(|t| gain(&places[i], t)).collect()).collect();
            let assigned = assign(&gains);
            for (i, track) in boxes.into_iter().zip(assigned) {
                matches[i] = track;
                track.into_iter().for_each(|t| taken[t] = true);
            }
        }
        matches
    }

    /// How well a box fits where somebody is expected: 0 where not at all, 1 at most. The longer ago somebody was seen, the
    /// less.
    fn nearness(&self, track: &Track, place: &Rect) -> f32 {
        let expected = track.motion.rect();
        let buffer = track.motion.doubt().min(MAX_BUFFER * track.motion.size());
        let overlap = buffered(&expected, buffer).iou(&buffered(place, buffer));
        let hidden = self.hidden(track);
        // Not so where there is no overlap, nor where it is not a number.
        if overlap >= MIN_OVERLAP { overlap * 0.5f64.powf(hidden / FADING) as f32 } else { 0.0 }
    }

    /// Seconds for which somebody was looked for in vain.
    fn hidden(&self, track: &Track) -> f64 {
        if track.unseen > 1 { self.clock.now - track.seen } else { 0.0 }
    }

    fn begin(&mut self, place: &Rect) -> usize {
        let now = self.clock.now;
        self.tracks.push(Track {
            id: None,
            motion: Motion::new(place),
            looks: Looks::default(),
            steady: Steady::default(),
            unseen: 1,
            born: now,
            seen: now,
            confirmed: false,
        });
        self.tracks.len() - 1
    }

    /// Who is shown, best first and no more than `most`, with their ids; in `mapped` there is nobody for who is doubted
    /// or somebody once more. `image` is the picture that they are in.
    pub fn shown(
        &mut self,
        people: &[&Followed],
        mapped: Vec<Option<Person>>,
        most: usize,
        image: &Image,
    ) -> Vec<Person> {
        let (mut shown, mut doubted) = (Vec::with_capacity(people.len()), Vec::new());
        for (&followed, mapped) in people.iter().zip(mapped) {
            match mapped {
                Some(person) => shown.push((followed, person)),
                None => doubted.push(followed),
            }
        }
        shown.sort_by(|(_, a), (_, b)| b.score.total_cmp(&a.score));
        doubted.extend(shown.drain(most.min(shown.len())..).map(|(followed, _)| followed));

        let pixels = image.pixels();
        let others = |i: usize| shown.iter().enumerate().filter(move |(other, _)| *other != i).map(|(_, (_, p))| p);
        let looks: Vec<Looks> =
            shown.iter().enumerate().map(|(i, (_, person))| Looks::of(person, others(i), &pixels)).collect();
        let gains: Vec<Vec<f32>> = shown.iter().zip(&looks).map(|((f, _), looks)| self.gains(f, looks)).collect();
        let matches = assign(&gains);

        // What was mixed with the charts of one may turn out to belong to another.
        let steady: Vec<Steady> = shown.iter().map(|(f, _)| std::mem::take(&mut self.tracks[f.track].steady)).collect();
        let mut belongs = Vec::with_capacity(shown.len());
        for (((followed, _), matched), steady) in shown.iter().zip(matches).zip(steady) {
            let begun = Some(followed.track).filter(|&t| self.is_new(&self.tracks[t]));
            let track = matched.or(begun).unwrap_or_else(|| self.begin(&followed.place));
            self.tracks[track].steady = steady;
            belongs.push(track);
        }
        for (&track, (followed, _)) in belongs.iter().zip(&shown) {
            self.see(track, &followed.place);
        }
        for followed in doubted {
            let track = followed.track;
            if self.tracks[track].unseen == 1 {
                self.see(track, &followed.place);
                self.tracks[track].confirmed = false;
            }
        }
        for (i, (&track, (followed, _))) in belongs.iter().zip(&shown).enumerate() {
            if followed.sure && !self.somebody_hidden_at(&followed.place) {
                self.tracks[track].looks.learn(&looks[i]);
            }
        }
        let named = belongs.into_iter().zip(shown);
        named
            .filter_map(|(track, (f, person))| Some(Person { id: self.confirm(track, f, person.score)?, ..person }))
            .collect()
    }

    /// For each track how well it fits somebody who is shown, by place and looks.
    fn gains(&self, followed: &Followed, looks: &Looks) -> Vec<f32> {
        let gain = |track: &Track| {
            if self.is_new(track) || !(followed.sure || track.unseen == 1 && track.confirmed) {
                return 0.0;
            }
            let distance = looks.distance(&track.looks);
            let alike = distance.map_or(0.5, |d| (-0.5 * (d / ALIKE).powi(2)).exp());
            let near = self.nearness(track, &followed.place);
            let lost = self.hidden(track);
            let other = distance.is_some_and(|d| d > UNLIKE) && lost > BIRTH;
            if near > 0.0 && !other {
                near + LOOKS * alike
            } else if lost > 0.0 && distance.is_some_and(|d| d < UNLIKE) && self.within_reach(track, &followed.place) {
                FOUND_AGAIN * alike
            } else {
                0.0
            }
        };
        self.tracks.iter().map(gain).collect()
    }

    /// Whether a track was begun in this picture.
    fn is_new(&self, track: &Track) -> bool {
        track.id.is_none() && track.born >= self.clock.now
    }

    /// Whether somebody who was not seen for a while can have come to a place.
    fn within_reach(&self, track: &Track, place: &Rect) -> bool {
        let ((x, y), (to_x, to_y)) = (centre(&track.motion.rect()), centre(place));
        let size = track.motion.size();
        let reach = REACH.1 + REACH.0 * self.hidden(track) as f32;
        (to_x - x).hypot(to_y - y) <= reach * size
    }

    /// Whether somebody who is not seen may be at a place.
    fn somebody_hidden_at(&self, place: &Rect) -> bool {
        let hidden = |t: &&Track| t.id.is_some() && t.unseen > 0 && self.clock.now - t.seen < FADING;
        self.tracks.iter().filter(hidden).any(|t| shared(place, &t.motion.rect()) > ALONE * place.area())
    }

    /// Notes where somebody is seen.
    fn see(&mut self, track: usize, place: &Rect) {
        let near = self.nearness(&self.tracks[track], place) > 0.0;
        let (now, new) = (self.clock.now, self.is_new(&self.tracks[track]));
        let track = &mut self.tracks[track];
        match near {
            true if new => {}
            true => track.motion.correct(place),
            // What was expected was wrong; what counts is what is seen.
            false => track.motion = Motion::new(place),
        }
        (track.unseen, track.seen) = (0, now);
    }

    /// Forgets a detection that turned out to be somebody else once more, so that it takes nobody's place later.
    pub fn dismiss(&mut self, person: &Followed) {
        let track = &mut self.tracks[person.track];
        if track.id.is_none() {
            track.unseen = u32::MAX;
        }
    }

    /// Notes that somebody is shown, and says who: the same number in every picture. `None` where somebody new is to be seen
    /// once more first.
    fn confirm(&mut self, track: usize, followed: &Followed, score: f32) -> Option<u32> {
        let Self { tracks, next, clock, .. } = self;
        let track = &mut tracks[track];
        let sure = score >= followed.limit + SURE * (1.0 - followed.limit);
        let alone = clock.step.is_none_or(|step| step > BIRTH);
        if track.id.is_none() && track.born >= clock.now && !sure && !alone {
            track.confirmed = false;
            return None;
        }
        track.confirmed = true;
        Some(*track.id.get_or_insert_with(|| std::mem::replace(next, next.wrapping_add(1))))
    }

    /// What `finish` makes of a person's charts: of what the head says now, mixed with what it said before.
    pub fn smoothed<T>(&self, person: &Followed, charts: &Charts, finish: impl FnOnce(&Charts) -> T) -> T {
        if self.smoothing <= 0.0 {
            return finish(charts);
        }
        self.tracks[person.track].steady.smoothed(charts, person.kept, finish)
    }

    /// Forgets everybody, since what comes next shows another scene. Whoever comes gets a number that nobody had.
    pub fn restart(&mut self) {
        self.tracks.clear();
        self.clock = Clock::default();
    }

    /// Forgets people who were not seen for long; call it after each picture.
    pub fn forget(&mut self) {
        let now = self.clock.now;
        self.tracks.retain(|t| if t.id.is_some() { now - t.seen <= MEMORY } else { t.unseen == 0 });
        // Charts are large, and count for the next picture only.
        self.tracks.iter_mut().filter(|t| t.unseen > 0).for_each(|t| t.steady = Steady::default());
        if self.tracks.len() > MOST {
            self.tracks.sort_by(|a, b| b.seen.total_cmp(&a.seen));
            self.tracks.truncate(MOST);
        }
    }
}

/// A box with each edge moved out.
fn buffered(rect: &Rect, by: f32) -> Rect {
    Rect::new(rect.x0 - by, rect.y0 - by, rect.x1 + by, rect.y1 + by)
}

/// Area that two boxes share.
fn shared(a: &Rect, b: &Rect) -> f32 {
    let width = a.x1.min(b.x1) - a.x0.max(b.x0);
    let height = a.y1.min(b.y1) - a.y0.max(b.y0);
    width.max(0.0) * height.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimator::charts::Grid;
    use crate::person::IuvMap;
    use crate::threads::Threads;

    const SIZE: (usize, usize) = (200, 100);

    fn picture() -> Image<'static> {
        Image::rgb(1, 1, &[0; 3]).unwrap()
    }

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
        let shown = tracker.shown(&people.iter().collect::<Vec<_>>(), mapped, people.len(), &picture());
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
        let shown = t.shown(&people.iter().collect::<Vec<_>>(), vec![Some(person), None], 9, &picture());
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
        for _ in 0..(MEMORY / NOMINAL) as usize - 1 {
            ids(&mut t, &[]);
        }
        assert_eq!(ids(&mut t, &[0.0]), [0]);
        for _ in 0..=(MEMORY / NOMINAL) as usize {
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
        assert_eq!(see(0.9, 0.8), (1, vec![0]), "ids are for those who are shown");
        assert_eq!(see(0.9, 0.4), (1, vec![0]), "a doubt about somebody known");
        assert_eq!(see(0.9, 0.3), (1, vec![]));
        assert_eq!(see(0.9, 0.4), (1, vec![]));
    }

    #[test]
    fn no_more_are_shown_than_are_wanted() {
        let mut t = Tracker { smoothing: 0.5, ..Tracker::default() };
        let people = t.follow(&[scored(0.0, 0.9), scored(50.0, 0.8)], 0.5, SIZE);
        let person = |score| Some(Person { id: 0, score, x: 0, y: 0, iuv: IuvMap::background(1, 1) });
        let shown = t.shown(&[&people[0], &people[1]], vec![person(0.6), person(0.7)], 1, &picture());
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
