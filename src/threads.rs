//! A pool of threads, and ways to share work among them.

use std::sync::{Arc, Mutex};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::lock;

/// Shares of work for each thread: one that is slow, or has other work, too, leaves some of its own to the others.
const SHARES: usize = 2;

/// More threads than this help no network of this size.
const MOST: usize = 64;

/// A pool of threads, or some of them.
#[derive(Clone)]
pub struct Threads {
    pool: Option<Arc<ThreadPool>>,
    count: usize,
}

impl Threads {
    /// Just the calling thread.
    pub fn one() -> Self {
        Self { pool: None, count: 1 }
    }

    /// A pool of `count` threads, one for each core if 0: a core that runs two threads at once computes no faster.
    ///
    /// # Errors
    /// Where the system has no more threads to give; says why.
    pub fn new(count: usize) -> Result<Self, String> {
        let count = match count {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()).min(num_cpus::get_physical().max(1)),
            n => n,
        };
        let count = count.min(MOST);
        if count == 1 {
            return Ok(Self::one());
        }
        let pool = ThreadPoolBuilder::new().num_threads(count).thread_name(|i| format!("densepose-{i}")).build();
        pool.map(|pool| Self { pool: Some(Arc::new(pool)), count }).map_err(|error| error.to_string())
    }

    /// So many of them, at least one; others may use the rest meanwhile.
    pub fn narrowed(&self, count: usize) -> Self {
        Self { pool: self.pool.clone(), count: count.clamp(1, self.count) }
    }

    /// The pool, `None` where there is just the calling thread.
    pub fn pool(&self) -> Option<&Arc<ThreadPool>> {
        self.pool.as_ref()
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// Into how many parts work is best split, whatever part of the pool these threads are.
    pub fn most_shares(&self) -> usize {
        shares(self.pool.as_ref().map_or(1, |pool| pool.current_num_threads()))
    }

    /// Into how many parts work is best split.
    pub fn shares(&self) -> usize {
        shares(self.count)
    }

    /// Does `work` on one of the threads, so that what it shares out in turn finds them awake.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Does `work` with each of `items`, each on a thread of its own as far as there are any.
    pub fn each<T: Send>(&self, items: &mut [T], work: impl Fn(&mut T) + Sync) {
        match &self.pool {
            Some(pool) if self.count > 1 && items.len() > 1 => pool.scope(|scope| {
                let work = &work;
                for item in items {
                    scope.spawn(move |_| work(item));
                }
            }),
            _ => items.iter_mut().for_each(work),
        }
    }

    /// Does `work` for 0, 1, .. `count` - 1, shared out among `workers`, each of which is on a thread of its own.
    /// Results come in order.
    ///
    /// # Errors
    /// The first of those that `work` gave.
    pub fn share<W: Send, T: Send, E: Send>(
        &self,
        workers: &mut [W],
        count: usize,
        work: impl Fn(&mut W, usize) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        let next = Mutex::new(0..count);
        let results = Mutex::new(Vec::with_capacity(count));
        self.each(workers, |worker| {
            loop {
                // Not in the condition, where the lock would last as long as the work.
                let Some(index) = lock(&next).next() else { break };
                let result = work(worker, index);
                lock(&results).push((index, result));
            }
        });
        let mut results = results.into_inner().unwrap_or_else(|poison| poison.into_inner());
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Splits `out`, lines of `length` numbers, into bands of at least `least` lines, as many as there are shares if
    /// there are so many, and does `work` with each band and the index of its first line.
    ///
    /// # Panics
    /// Where `out` has no whole number of lines.
    pub fn bands<T: Send>(&self, out: &mut [T], length: usize, least: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        if out.is_empty() {
            return;
        }
        assert!(length > 0 && out.len().is_multiple_of(length), "lines of {length} in {}", out.len());
        let lines = out.len() / length;
        let bands = self.shares().min(lines / least.max(1)).max(1);
        let each = lines.div_ceil(bands);
        let mut bands: Vec<(usize, &mut [T])> =
            out.chunks_mut(each * length).enumerate().map(|(i, band)| (i * each, band)).collect();
        self.each(&mut bands, |(first, band)| work(*first, band));
    }
}

fn shares(threads: usize) -> usize {
    if threads > 1 { SHARES * threads } else { 1 }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn work_is_shared_and_comes_back_in_order() {
        for count in [1, 2, 4] {
            let threads = Threads::new(count).unwrap();
            assert_eq!(threads.count(), count);
            let mut workers = vec![0; count];
            let squares: Result<_, ()> = threads.share(&mut workers, 9, |done, i| {
                *done += 1;
                Ok(i * i)
            });
            assert_eq!(squares.unwrap(), [0, 1, 4, 9, 16, 25, 36, 49, 64]);
            assert_eq!(workers.iter().sum::<usize>(), 9);
        }
        assert!(Threads::new(0).unwrap().count() >= 1);
    }

    #[test]
    fn workers_work_at_the_same_time() {
        let (active, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let threads = Threads::new(2).unwrap();
        let done: Result<_, ()> = threads.share(&mut [(), ()], 4, |(), _| {
            most.fetch_max(active.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(50));
            active.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        });
        assert!(done.is_ok());
        assert_eq!(most.into_inner(), 2);
    }

    #[test]
    fn the_first_failure_is_told() {
        let threads = Threads::new(2).unwrap();
        let outcome: Result<Vec<()>, usize> = threads.share(&mut [(), ()], 5, |(), i| match i {
            2 | 4 => Err(i),
            _ => Ok(()),
        });
        assert_eq!(outcome, Err(2));
    }

    #[test]
    fn bands_cover_every_line_once() {
        for (count, lines, least) in [(1, 7, 1), (2, 7, 1), (3, 7, 3), (4, 3, 1), (2, 5, 9), (2, 0, 1)] {
            let mut out = vec![0; lines * 2];
            Threads::new(count).unwrap().bands(&mut out, 2, least, |first, band| {
                assert!(band.len() >= 2 * least.min(lines).min(lines - first));
                band.iter_mut().enumerate().for_each(|(i, value)| *value += 2 * first + i + 1);
            });
            assert!(out.iter().enumerate().all(|(i, &value)| value == i + 1), "{count} {lines} {least}: {out:?}");
        }
    }
}
