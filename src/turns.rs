//! Turns on a number of threads, first come, first served.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::lock;

/// Turns at the same time, at most: the fewer threads work together, the less they wait for each other, but each turn
/// needs memory of its own.
const AT_ONCE: usize = 8;

/// Threads to be lent, all of them or a share.
pub struct Turns {
    all: usize,
    /// Threads that a turn has at least.
    least: usize,
    state: Mutex<State>,
}

struct State {
    free: usize,
    /// In the order of their coming.
    waiting: VecDeque<Wish>,
}

struct Wish {
    /// All threads, and nothing less.
    whole: bool,
    granted: SyncSender<usize>,
}

/// Threads lent until it is dropped.
pub struct Turn<'a> {
    turns: &'a Turns,
    count: usize,
}

impl Turns {
    /// On `all` threads, at least one.
    pub fn new(all: usize) -> Self {
        let all = all.max(1);
        Self { all, least: all.div_ceil(AT_ONCE), state: Mutex::new(State { free: all, waiting: VecDeque::new() }) }
    }

    /// Waits for everybody who came before, and for free threads: all of them if `whole`, else a fair share among those
    /// who wait.
    pub fn take(&self, whole: bool) -> Turn<'_> {
        let (granted, grant) = sync_channel(1);
        let mut state = lock(&self.state);
        state.waiting.push_back(Wish { whole, granted });
        self.grant(&mut state);
        drop(state);
        // Nobody drops a wish that waits.
        let count = grant.recv().unwrap_or(0);
        Turn { turns: self, count }
    }

    /// How many wait.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        lock(&self.state).waiting.len()
    }

    fn grant(&self, state: &mut State) {
        while let Some(first) = state.waiting.front() {
            let count = self.share(first.whole, state.free, state.waiting.len());
            if count == 0 {
                break;
            }
            if let Some(Wish { granted, .. }) = state.waiting.pop_front()
                && granted.send(count).is_ok()
            {
                state.free -= count;
            }
        }
    }

    /// Threads for the first of so many who wait; 0 as long as there are too few.
    fn share(&self, whole: bool, free: usize, waiting: usize) -> usize {
        if free < if whole { self.all } else { self.least } {
            return 0;
        }
        let count = if whole { free } else { (free / waiting.max(1)).max(self.least) };
        // What is too little for anybody else is not left idle.
        if free - count < self.least { free } else { count }
    }
}

impl Turn<'_> {
    /// Threads lent.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.turns.state);
        state.free += self.count;
        self.turns.grant(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    /// What those who come one after the other, while all threads are taken, are lent, in the order of their turns.
    /// Nobody gives anything back before the others have what they can get.
    fn served(all: usize, wishes: &[bool]) -> Vec<(usize, usize)> {
        let turns = Turns::new(all);
        let (told, lent) = channel();
        thread::scope(|scope| {
            let first = turns.take(true);
            for (index, &whole) in wishes.iter().enumerate() {
                let (turns, told) = (&turns, told.clone());
                scope.spawn(move || {
                    let turn = turns.take(whole);
                    told.send((index, turn.count())).unwrap();
                });
                while turns.waiting() <= index {
                    thread::yield_now();
                }
            }
            drop(first);
        });
        drop(told);
        assert_eq!(lock(&turns.state).free, turns.all, "all came back");
        lent.iter().collect()
    }

    #[test]
    fn who_comes_first_is_served_first() {
        for (all, whole) in [(0, false), (1, false), (1, true), (4, true)] {
            let expected: Vec<(usize, usize)> = (0..20).map(|index| (index, all.max(1))).collect();
            assert_eq!(served(all, &[whole; 20]), expected, "one at a time on {all} threads");
        }
    }

    #[test]
    fn who_is_alone_has_all_threads() {
        for all in [1, 2, 16] {
            let turns = Turns::new(all);
            for whole in [false, true] {
                assert_eq!(turns.take(whole).count(), all);
            }
        }
    }

    #[test]
    fn who_waits_shares() {
        let turns = Turns::new(16);
        let share = |free, waiting| turns.share(false, free, waiting);
        assert_eq!([share(16, 1), share(16, 2), share(16, 3), share(16, 8), share(16, 60)], [16, 8, 5, 2, 2]);
        let two = Turns::new(2);
        assert_eq!([two.share(false, 2, 1), two.share(false, 2, 2), two.share(false, 1, 9)], [2, 1, 1]);
        assert_eq!([share(1, 1), share(0, 4)], [0, 0], "too little to begin with");
        assert_eq!([share(3, 5), share(5, 5)], [3, 2], "no thread is left over");
        assert_eq!([turns.share(true, 16, 9), turns.share(true, 15, 1)], [16, 0]);
    }

    #[test]
    fn nobody_overtakes_who_needs_all() {
        let turns = Turns::new(4);
        let (told, lent) = channel();
        thread::scope(|scope| {
            let first = turns.take(false);
            assert_eq!(first.count(), 4);
            for (index, whole) in [(0, false), (1, true), (2, false)] {
                let (turns, told) = (&turns, told.clone());
                scope.spawn(move || {
                    let turn = turns.take(whole);
                    told.send((index, turn.count())).unwrap();
                });
                while turns.waiting() <= index {
                    thread::yield_now();
                }
            }
            drop(first);
        });
        drop(told);
        let lent: Vec<_> = lent.iter().collect();
        assert_eq!(lent, [(0, 1), (1, 4), (2, 4)]);
    }
}
