//! How long inferences take: a window over the last ones, and what to expect of the next.

use std::collections::VecDeque;
use std::time::Duration;

/// Inferences that are looked back on.
const WINDOW: usize = 32;
/// Share of inferences that end within what is [`expected`](Durations::expected) of them.
const LIKELY: f64 = 0.95;
/// A claim that is this many times too long is given up.
const TOO_LONG: f64 = 1.5;

/// Durations of the last inferences, and the one that others have been told to expect.
#[derive(Debug, Default)]
pub struct Durations {
    last: VecDeque<Duration>,
    claimed: Duration,
}

impl Durations {
    /// Notes a duration. The new claim, if the old one turns out to be too short, or over a whole window much too long.
    pub fn note(&mut self, duration: Duration) -> Option<Duration> {
        if self.last.len() == WINDOW {
            self.last.pop_front();
        }
        self.last.push_back(duration);
        // Room to vary, so that not every second inference changes the claim.
        let wanted = self.expected()?.mul_f64(1.25);
        let short = self.expected()? > self.claimed;
        let long = self.last.len() == WINDOW && self.claimed > wanted.mul_f64(TOO_LONG);
        (short || long).then(|| {
            self.claimed = wanted;
            wanted
        })
    }

    /// What 95 % of the last inferences took at most; `None` before the first.
    pub fn expected(&self) -> Option<Duration> {
        self.percentile(LIKELY)
    }

    /// The duration within which this share of the last inferences ended, 0..=1.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let mut sorted: Vec<_> = self.last.iter().copied().collect();
        sorted.sort_unstable();
        // The nearest rank.
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }

    pub fn mean(&self) -> Option<Duration> {
        let count = u32::try_from(self.last.len()).ok().filter(|n| *n > 0)?;
        Some(self.last.iter().sum::<Duration>() / count)
    }

    /// What others have been told; zero before the first inference.
    pub fn claimed(&self) -> Duration {
        self.claimed
    }

    /// Forgets what was measured, since what comes next may take another time. The claim stays until then.
    pub fn restart(&mut self) {
        self.last.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn noted(durations: &mut Durations, all: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        all.into_iter().filter_map(|n| durations.note(ms(n))).collect()
    }

    #[test]
    fn the_claim_has_room_and_follows_what_gets_slower() {
        let mut d = Durations::default();
        assert_eq!((d.expected(), d.mean(), d.claimed()), (None, None, Duration::ZERO));
        assert_eq!(d.note(ms(80)), Some(ms(100)));
        assert!(noted(&mut d, [70, 90, 100]).is_empty());
        assert_eq!(d.note(ms(101)), Some(ms(101).mul_f64(1.25)));
    }

    #[test]
    fn one_stall_is_forgotten() {
        let mut d = Durations::default();
        noted(&mut d, [100; 32]);
        // One of 32 is beyond the 95 %, two are not.
        assert!(noted(&mut d, [3000]).is_empty());
        assert_eq!(d.claimed(), ms(125));
        assert_eq!(noted(&mut d, [3000]), [ms(3750)]);
        let changes = noted(&mut d, [100; 40]);
        assert_eq!(changes, [ms(125)]);
        assert_eq!(d.claimed(), ms(125));
    }

    #[test]
    fn a_claim_falls_only_where_a_whole_window_says_so() {
        let mut d = Durations::default();
        d.note(ms(100));
        d.restart();
        assert!(noted(&mut d, [40; 31]).is_empty());
        assert_eq!(d.claimed(), ms(125));
        assert_eq!(noted(&mut d, [40]), [ms(50)]);
        // Not for a little.
        assert!(noted(&mut d, [30; 64]).is_empty());
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut d = Durations::default();
        noted(&mut d, [5, 1, 4, 2, 3]);
        assert_eq!([0.0, 0.2, 0.5, 0.95, 1.0].map(|p| d.percentile(p).unwrap()), [1, 1, 3, 5, 5].map(ms));
        assert_eq!(d.mean(), Some(ms(3)));
    }
}
