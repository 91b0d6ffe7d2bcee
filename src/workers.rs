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
