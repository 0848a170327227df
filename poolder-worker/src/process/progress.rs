//! The progress that handlers report: at most one value for each running job waits to be written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use poolder_core::{Error, JobId, Partition};
use tokio::sync::Notify;

/// The units that are done, and all units.
pub(crate) type Units = (u64, u64);

/// The jobs of a node whose progress is to be written.
#[derive(Debug, Default)]
pub(crate) struct ProgressQueue {
    jobs: Mutex<Vec<Arc<JobProgress>>>,
    /// Notified when a job has joined the queue.
    pub(crate) joined: Notify,
    /// Notified when a job of the queue is about to be settled.
    pub(crate) ending: Notify,
}

/// The progress of one job.
#[derive(Debug)]
pub(crate) struct JobProgress {
    pub(crate) partition: Partition,
    pub(crate) job: JobId,
    state: Mutex<ProgressState>,
    /// True once the job is about to be settled.
    ends: AtomicBool,
    written: Notify,
}

#[derive(Debug, Default)]
struct ProgressState {
    /// The value to be written.
    reported: Option<Units>,
    /// True while the job is in the queue or its value is being written.
    queued: bool,
    /// The error of the last write, until the handler gets it.
    failure: Option<Error>,
    /// True once a write has failed.
    failed: bool,
}

/// A value that is being written. The job returns to the queue if a later one was reported
/// meanwhile, or if this one is dropped before its outcome is known.
pub(crate) struct ProgressWrite<'a> {
    queue: &'a ProgressQueue,
    pub(crate) job: Arc<JobProgress>,
    pub(crate) units: Units,
    known: bool,
}

impl JobProgress {
    pub(crate) fn new(partition: Partition, job: JobId) -> Self {
        let (state, ends, written) = (Mutex::default(), AtomicBool::new(false), Notify::new());
        Self { partition, job, state, ends, written }
    }

    fn state(&self) -> MutexGuard<'_, ProgressState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProgressQueue {
    /// Lets a value be written, in place of one that waits. Returns the error of the last write, if
    /// the handler did not get it yet.
    pub(crate) fn report(&self, job: &Arc<JobProgress>, units: Units) -> Result<(), Error> {
        let mut state = job.state();
        state.reported = Some(units);
        if !std::mem::replace(&mut state.queued, true) {
            self.join(job);
        }
        state.failure.take().map_or(Ok(()), Err)
    }

    /// Waits until the last reported value of a job is written, at once.
    pub(crate) async fn flush(&self, job: &JobProgress) {
        job.ends.store(true, Ordering::Relaxed);
        loop {
            let written = job.written.notified();
            tokio::pin!(written);
            // A write that ends from here on is not missed.
            written.as_mut().enable();
            if !job.state().queued {
                return;
            }
            self.ending.notify_one();
            written.await;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs().is_empty()
    }

    /// Removes the jobs from the queue, or only those that are about to be settled, and returns the
    /// values to be written.
    pub(crate) fn take(&self, only_ending: bool) -> Vec<ProgressWrite<'_>> {
        let wanted = |job: &mut Arc<JobProgress>| !only_ending || job.ends.load(Ordering::Relaxed);
        let jobs: Vec<_> = self.jobs().extract_if(.., wanted).collect();
        let write = |job: Arc<JobProgress>| {
            let units = job.state().reported.take().unwrap_or_default();
            ProgressWrite { queue: self, job, units, known: false }
        };
        jobs.into_iter().map(write).collect()
    }

    fn join(&self, job: &Arc<JobProgress>) {
        self.jobs().push(Arc::clone(job));
        self.joined.notify_one();
    }

    fn jobs(&self) -> MutexGuard<'_, Vec<Arc<JobProgress>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProgressWrite<'_> {
    /// Notes that the write has failed. Returns whether it is the first one of the job.
    pub(crate) fn fails_first(&self) -> bool {
        !std::mem::replace(&mut self.job.state().failed, true)
    }

    /// Notes the outcome of the write, and lets the job report again.
    pub(crate) fn ended(mut self, outcome: Result<(), Error>) {
        self.job.state().failure = outcome.err();
        self.known = true;
    }
}

impl Drop for ProgressWrite<'_> {
    fn drop(&mut self) {
        let mut state = self.job.state();
        if !self.known {
            state.reported.get_or_insert(self.units);
        }
        state.queued = state.reported.is_some();
        if state.queued {
            self.queue.join(&self.job);
        }
        self.job.written.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use poolder_core::QueueName;

    use super::*;

    fn job() -> Arc<JobProgress> {
        let partition = Partition::first(QueueName::new("q").unwrap());
        Arc::new(JobProgress::new(partition, JobId::generate()))
    }

    fn units(writes: Vec<ProgressWrite<'_>>) -> Vec<Units> {
        let end = |write: ProgressWrite<'_>| {
            let units = write.units;
            write.ended(Ok(()));
            units
        };
        writes.into_iter().map(end).collect()
    }

    fn is_ready(future: Pin<&mut impl Future<Output = ()>>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn only_the_last_value_of_a_job_waits() {
        let (queue, one, other) = (ProgressQueue::default(), job(), job());
        for done in 0..1_000 {
            queue.report(&one, (done, 1_000)).unwrap();
        }
        queue.report(&other, (1, 2)).unwrap();
        assert_eq!(units(queue.take(false)), [(999, 1_000), (1, 2)]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_value_that_is_reported_during_a_write_is_written_after_it() {
        let (queue, job) = (ProgressQueue::default(), job());
        queue.report(&job, (1, 3)).unwrap();
        let writes = queue.take(false);
        queue.report(&job, (2, 3)).unwrap();
        assert!(queue.is_empty(), "two writes at once could change places");
        assert_eq!(units(writes), [(1, 3)]);
        assert_eq!(units(queue.take(false)), [(2, 3)]);
    }

    #[test]
    fn a_write_that_is_dropped_is_repeated_unless_a_later_value_is_there() {
        let (queue, one, other) = (ProgressQueue::default(), job(), job());
        queue.report(&one, (1, 3)).unwrap();
        queue.report(&other, (1, 9)).unwrap();
        let writes = queue.take(false);
        queue.report(&other, (2, 9)).unwrap();
        drop(writes);
        assert_eq!(units(queue.take(false)), [(1, 3), (2, 9)]);
    }

    #[test]
    fn the_end_of_a_job_waits_for_its_last_value_and_hurries_no_other() {
        let (queue, one, other) = (ProgressQueue::default(), job(), job());
        queue.report(&other, (1, 9)).unwrap();
        assert!(is_ready(Box::pin(queue.flush(&one)).as_mut()), "it has reported nothing");
        queue.report(&one, (1, 2)).unwrap();
        let mut flush = Box::pin(queue.flush(&one));
        assert!(!is_ready(flush.as_mut()));
        let writes = queue.take(true);
        queue.report(&one, (2, 2)).unwrap();
        assert_eq!(units(writes), [(1, 2)]);
        assert!(!is_ready(flush.as_mut()), "there is a later value");
        assert_eq!(units(queue.take(true)), [(2, 2)]);
        assert!(is_ready(flush.as_mut()));
        assert_eq!(units(queue.take(false)), [(1, 9)]);
    }

    #[test]
    fn the_next_report_returns_the_error_of_the_last_write() {
        let (queue, job) = (ProgressQueue::default(), job());
        let fail = || {
            let mut writes = queue.take(false);
            let write = writes.pop().unwrap();
            let first = write.fails_first();
            write.ended(Err(Error::auth("no permission")));
            first
        };
        queue.report(&job, (1, 3)).unwrap();
        assert!(fail(), "the first error is logged");
        assert!(queue.report(&job, (2, 3)).unwrap_err().is_auth());
        assert!(!fail());
        assert!(queue.report(&job, (2, 3)).is_err());
        assert!(queue.report(&job, (3, 3)).is_ok());
    }
}
