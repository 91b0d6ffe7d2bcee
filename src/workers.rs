//! Threads that inferences run on, lent in turns: one pool for the whole process, or one of an element's own.

use std::sync::Arc;

use crate::shared::Shared;
use crate::threads::Threads;
use crate::turns::Turns;

/// The process' own, as long as somebody uses them.
static COMMON: Shared<(), Workers> = Shared::new();

/// A pool of threads, and whose turn it is.
pub struct Workers {
    threads: Threads,
    turns: Turns,
}

impl Workers {
    /// Those that all who ask for no number share: one for each core, started for the first and ended after the last.
    ///
    /// # Errors
    /// Where the system has no more threads to give; says why.
    pub fn common() -> Result<Arc<Self>, String> {
        COMMON.get(&(), || Self::new(0))
    }

    /// `count` threads for one user.
    ///
    /// # Errors
    /// As [`common`](Self::common).
    pub fn own(count: usize) -> Result<Arc<Self>, String> {
        Self::new(count).map(Arc::new)
    }

    fn new(count: usize) -> Result<Self, String> {
        let threads = Threads::new(count)?;
        Ok(Self { turns: Turns::new(threads.count()), threads })
    }

    /// All of them.
    pub fn threads(&self) -> &Threads {
        &self.threads
    }

    /// Does `work` when it is its turn, on one of the threads that it is lent: on all if `whole`, or on the calling
    /// thread where the pool has none.
    pub fn lend<T: Send>(&self, whole: bool, work: impl FnOnce(Threads) -> T + Send) -> T {
        let turn = self.turns.take(whole);
        let threads = self.threads.narrowed(turn.count());
        // From one of the threads, so that the others are still awake when work is shared out.
        threads.clone().within(|| work(threads))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn all_who_ask_for_no_number_share() {
        let (first, second) = (Workers::common().unwrap(), Workers::common().unwrap());
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &Workers::own(first.threads.count()).unwrap()));
        assert!(first.threads.count() <= std::thread::available_parallelism().unwrap().get());
    }

    #[test]
    fn no_more_work_at_a_time_than_there_are_threads() {
        for count in [1, 2, 3] {
            let workers = Workers::own(count).unwrap();
            let (lent, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
            std::thread::scope(|scope| {
                for index in 0..8 {
                    let (workers, lent, done) = (&workers, &lent, &done);
                    scope.spawn(move || {
                        for _ in 0..50 {
                            workers.lend(index == 0, |threads| {
                                let all = lent.fetch_add(threads.count(), Ordering::SeqCst) + threads.count();
                                assert!(all <= count && (index > 0 || threads.count() == count));
                                lent.fetch_sub(threads.count(), Ordering::SeqCst);
                            });
                            done.fetch_add(1, Ordering::SeqCst);
                        }
                    });
                }
            });
            assert_eq!(done.into_inner(), 400);
        }
    }

    #[test]
    fn a_panic_gives_its_threads_back() {
        let workers = Workers::own(2).unwrap();
        let work = || workers.lend(true, |_| -> usize { panic!("no") });
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
        assert_eq!(workers.lend(true, |threads| threads.count()), 2);
    }
}
