//! Who is there: when a person appears and when they have left.

use std::collections::BTreeMap;

/// What happened to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Seen for the first time, or again after they had left.
    Appeared,
    /// Not seen any more for longer than the patience.
    Left,
}

/// The people of a stream and when each was last seen. Times are nanoseconds.
#[derive(Debug, Default)]
pub struct Presence {
    last_seen: BTreeMap<u32, u64>,
}

impl Presence {
    /// Notes who is seen at `time`; returns who appeared and who has not been seen for more than `patience`, each with
    /// the time of the first or the last frame that showed them.
    pub fn seen(&mut self, ids: impl Iterator<Item = u32>, time: u64, patience: u64) -> Vec<(Change, u32, u64)> {
        let mut changes = Vec::new();
        for id in ids {
            if self.last_seen.insert(id, time).is_none() {
                changes.push((Change::Appeared, id, time));
            }
        }
        self.last_seen.retain(|&id, &mut last| {
            let gone = time.saturating_sub(last) > patience;
            if gone {
                changes.push((Change::Left, id, last));
            }
            !gone
        });
        changes
    }

    /// Everybody who is still there leaves: the stream is over.
    pub fn clear(&mut self) -> Vec<(Change, u32, u64)> {
        std::mem::take(&mut self.last_seen).into_iter().map(|(id, last)| (Change::Left, id, last)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Change::{Appeared, Left};

    #[test]
    fn people_appear_once_and_leave_after_the_patience() {
        let mut presence = Presence::default();
        assert_eq!(presence.seen([3, 1].into_iter(), 0, 10), [(Appeared, 3, 0), (Appeared, 1, 0)]);
        assert_eq!(presence.seen([1].into_iter(), 10, 10), []);
        assert_eq!(presence.seen([1].into_iter(), 11, 10), [(Left, 3, 0)]);
        assert_eq!(presence.seen([3].into_iter(), 12, 10), [(Appeared, 3, 12)]);
        assert_eq!(presence.clear(), [(Left, 1, 11), (Left, 3, 12)]);
        assert_eq!(presence.clear(), []);
    }

    #[test]
    fn nobody_leaves_where_time_goes_back() {
        let mut presence = Presence::default();
        presence.seen([1].into_iter(), 100, 10);
        assert_eq!(presence.seen([2].into_iter(), 5, 10), [(Appeared, 2, 5)]);
    }
}
