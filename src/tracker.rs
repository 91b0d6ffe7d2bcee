//! Which person of this frame is which of the frames before: ids that stay.

use crate::person::Person;

/// Boxes that overlap at least this much (intersection over union) may be the same person.
const MIN_OVERLAP: f64 = 0.3;
/// Frames with inference after which a person who was not seen again is forgotten.
const MEMORY: u32 = 15;

#[derive(Clone, Copy, Debug)]
struct Track {
    id: u32,
    rect: [f64; 4],
    unseen: u32,
}

/// Follows people from frame to frame by the overlap of their boxes.
#[derive(Debug, Default)]
pub struct Tracker {
    tracks: Vec<Track>,
    next: u32,
}

impl Tracker {
    /// Gives each person the id of the track whose box overlaps most, best pairs first; a new one where there is none.
    pub fn follow(&mut self, persons: &mut [Person]) {
        let rects: Vec<[f64; 4]> = persons.iter().map(rect).collect();
        let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
        for (p, r) in rects.iter().enumerate() {
            for (t, track) in self.tracks.iter().enumerate() {
                let overlap = overlap(r, &track.rect);
                if overlap >= MIN_OVERLAP {
                    pairs.push((overlap, p, t));
                }
            }
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        for track in &mut self.tracks {
            track.unseen += 1;
        }
        let mut ids = vec![None; persons.len()];
        for (_, p, t) in pairs {
            let track = &mut self.tracks[t];
            if ids[p].is_none() && track.unseen > 0 {
                ids[p] = Some(track.id);
                track.rect = rects[p];
                track.unseen = 0;
            }
        }
        for ((person, id), rect) in persons.iter_mut().zip(ids).zip(rects) {
            person.id = id.unwrap_or_else(|| {
                let id = self.next;
                self.next = self.next.wrapping_add(1);
                self.tracks.push(Track { id, rect, unseen: 0 });
                id
            });
        }
        self.tracks.retain(|t| t.unseen <= MEMORY);
    }
}

fn rect(p: &Person) -> [f64; 4] {
    let (x, y) = (f64::from(p.x), f64::from(p.y));
    [x, y, x + p.width() as f64, y + p.height() as f64]
}

fn overlap(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let side = |i: usize| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0);
    let area = |r: &[f64; 4]| (r[2] - r[0]) * (r[3] - r[1]);
    let both = side(0) * side(1);
    if both > 0.0 { both / (area(a) + area(b) - both) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::IuvMap;

    fn person(x: i32) -> Person {
        Person { id: 99, score: 0.9, x, y: 0, iuv: IuvMap::background(10, 10) }
    }

    fn ids(tracker: &mut Tracker, xs: &[i32]) -> Vec<u32> {
        let mut persons: Vec<_> = xs.iter().map(|&x| person(x)).collect();
        tracker.follow(&mut persons);
        persons.iter().map(|p| p.id).collect()
    }

    #[test]
    fn people_keep_their_ids_while_they_move_and_change_places_in_the_list() {
        let mut t = Tracker::default();
        assert_eq!(ids(&mut t, &[0, 100]), [0, 1]);
        assert_eq!(ids(&mut t, &[103, 2]), [1, 0]);
        assert_eq!(ids(&mut t, &[50, 4, 104]), [2, 0, 1]);
    }

    #[test]
    fn two_boxes_never_share_a_track() {
        let mut t = Tracker::default();
        assert_eq!(ids(&mut t, &[0]), [0]);
        assert_eq!(ids(&mut t, &[1, 0]), [1, 0]);
    }

    #[test]
    fn someone_hidden_for_a_while_is_known_again_and_later_forgotten() {
        let mut t = Tracker::default();
        assert_eq!(ids(&mut t, &[0]), [0]);
        for _ in 0..MEMORY {
            ids(&mut t, &[]);
        }
        assert_eq!(ids(&mut t, &[0]), [0]);
        for _ in 0..=MEMORY {
            ids(&mut t, &[]);
        }
        assert_eq!(ids(&mut t, &[0]), [1]);
    }
}
