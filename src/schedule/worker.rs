//! A thread that works on the newest job, while who gave it goes on.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::lock;

/// One thread, one waiting job, one result: a newer job takes the place of one that waits, and a newer result that of
/// one that was not fetched. The thread ends when this is dropped, after the job that it is at.
#[derive(Debug)]
pub struct Worker<J, R> {
    shared: Arc<Shared<J, R>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<J, R> {
    state: Mutex<State<J, R>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<J, R> {
    waiting: Option<J>,
    busy: bool,
    result: Option<R>,
    /// Nobody may wait for jobs to end.
    hurried: bool,
    ends: bool,
}

impl<J: Send + 'static, R: Send + 'static> Worker<J, R> {
    /// Starts a thread with this name that does `work`.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub fn start(name: &str, mut work: impl FnMut(J) -> R + Send + 'static) -> std::io::Result<Self> {
        let state = State { waiting: None, busy: false, result: None, hurried: false, ends: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            while let Some(job) = theirs.next() {
                let result = work(job);
                theirs.finish(result);
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Gives it a job. The one that was waiting, if there was one: nobody will do it.
    pub fn submit(&self, job: J) -> Option<J> {
        let replaced = lock(&self.shared.state).waiting.replace(job);
        self.shared.changed.notify_all();
        replaced
    }

    /// The newest result, once.
    pub fn fetch(&self) -> Option<R> {
        lock(&self.shared.state).result.take()
    }

    /// Takes back the job that waits, if there is one.
    pub fn recall(&self) -> Option<J> {
        let job = lock(&self.shared.state).waiting.take();
        self.shared.changed.notify_all();
        job
    }

    /// Waits until all jobs are done, or until somebody is in a [`hurry`](Self::hurry).
    pub fn wait(&self) {
        let state = lock(&self.shared.state);
        let at_work = |s: &mut State<J, R>| (s.busy || s.waiting.is_some()) && !s.hurried;
        drop(self.shared.changed.wait_while(state, at_work).unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether waiting is over: ends a [`wait`](Self::wait) and lets none begin, until it is called with `false`.
    pub fn hurry(&self, hurried: bool) {
        lock(&self.shared.state).hurried = hurried;
        self.shared.changed.notify_all();
    }
}

impl<J, R> Shared<J, R> {
    /// Waits for a job; `None` when there will be none any more.
    fn next(&self) -> Option<J> {
        let state = lock(&self.state);
        let idle = |s: &mut State<J, R>| s.waiting.is_none() && !s.ends;
        let mut state = self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
        if state.ends {
            return None;
        }
        state.busy = true;
        state.waiting.take()
    }

    fn finish(&self, result: R) {
        let mut state = lock(&self.state);
        state.result = Some(result);
        state.busy = false;
        drop(state);
        self.changed.notify_all();
    }
}

impl<J, R> Drop for Worker<J, R> {
    fn drop(&mut self) {
        lock(&self.shared.state).ends = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It ends without a result only if the work panicked, which nobody can mend here.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A worker that says which job it begins, and goes on with it when it is told to.
    fn worker() -> (Worker<u32, u32>, mpsc::Receiver<u32>, mpsc::Sender<()>) {
        let (begins, begun) = mpsc::channel();
        let (go, told) = mpsc::channel::<()>();
        let worker = Worker::start("test", move |job| {
            // The test may be over.
            let _ = begins.send(job);
            let _ = told.recv();
            job * 10
        });
        (worker.unwrap(), begun, go)
    }

    #[test]
    fn the_newest_job_wins() {
        let (worker, begun, go) = worker();
        assert_eq!(worker.submit(1), None);
        assert_eq!(begun.recv(), Ok(1));
        assert_eq!(worker.submit(2), None);
        assert_eq!(worker.submit(3), Some(2));
        assert_eq!(worker.fetch(), None);
        go.send(()).unwrap();
        assert_eq!(begun.recv(), Ok(3));
        assert_eq!(worker.fetch(), Some(10));
        assert_eq!(worker.fetch(), None);
        go.send(()).unwrap();
        worker.wait();
        assert_eq!(worker.fetch(), Some(30));
    }

    #[test]
    fn a_job_that_waits_can_be_taken_back() {
        let (worker, begun, go) = worker();
        worker.submit(1);
        assert_eq!(begun.recv(), Ok(1));
        worker.submit(2);
        assert_eq!((worker.recall(), worker.recall()), (Some(2), None));
        go.send(()).unwrap();
        worker.wait();
        assert_eq!(worker.fetch(), Some(10));
    }

    #[test]
    fn nobody_waits_in_a_hurry() {
        let (worker, begun, go) = worker();
        worker.submit(1);
        assert_eq!(begun.recv(), Ok(1));
        worker.hurry(true);
        worker.wait();
        assert_eq!(worker.fetch(), None);
        worker.hurry(false);
        go.send(()).unwrap();
        worker.wait();
        assert_eq!(worker.fetch(), Some(10));
    }

    #[test]
    fn a_wait_that_has_begun_ends_in_a_hurry() {
        let (worker, begun, go) = worker();
        worker.submit(1);
        assert_eq!(begun.recv(), Ok(1));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| worker.wait());
            worker.hurry(true);
            waits.join().unwrap();
        });
        go.send(()).unwrap();
    }

    #[test]
    fn the_thread_ends_with_its_owner() {
        let (worker, begun, go) = worker();
        worker.submit(1);
        assert_eq!(begun.recv(), Ok(1));
        // Jobs are not held up any more.
        drop(go);
        drop(worker);
        assert_eq!(begun.recv(), Err(mpsc::RecvError));
    }

    #[test]
    fn no_job_is_begun_once_it_is_to_end() {
        let shared = Shared {
            state: Mutex::new(State { waiting: Some(1), busy: false, result: None::<u32>, hurried: false, ends: true }),
            changed: Condvar::new(),
        };
        assert_eq!(shared.next(), None);
    }
}
