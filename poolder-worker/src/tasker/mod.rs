//! Use a [`Tasker`] for work that may be lost with this process, and a job for all other work.
//!
//! A tasker runs futures and blocking closures in this process, up to a limit at a time. It does
//! not use Redis: its waiting work is lost with the process, and no other process takes it over.
//! Work that must survive a crash, be retried, or run on another host belongs into a job. Imports
//! `run::guard` only.
//!
//! | file | contents |
//! |---|---|
//! | `execution` | one piece of work: its result, its cancellation |
//! | `wait_queue` | the waiting work, and the workers that run it |

mod execution;
mod wait_queue;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use poolder_core::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use execution::{Execution, ExecutionError};
use execution::{blocking, pair, steady};
use wait_queue::{Piece, QueueOwner, WaitQueue};

use crate::run::guard::caught;
use crate::run::panic_place;

/// The behaviour for new work while the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// The caller waits for room.
    #[default]
    Wait,
    /// The work is refused, with an error for which [`Error::is_refused`] is true.
    Reject,
}

/// Runs futures and blocking closures in this process, at most `limit` at a time. Cheap to clone;
/// all clones are the same tasker. When the last clone is dropped, the work that was accepted goes
/// on to its end, and then the tasks of the tasker end.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use poolder_worker::Tasker;
///
/// let tasker = Tasker::builder("thumbnails").limit(2).build()?;
/// let mut executions = vec![];
/// for i in 1..=100 {
///     executions.push(tasker.execute(async move { i * i }).await?);
/// }
/// let results = tasker.await_all(executions, Duration::from_secs(10)).await;
/// assert_eq!(results[99], Ok(10_000));
/// assert!(tasker.stop(Duration::from_secs(1)).await);
/// # Ok::<(), poolder_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Tasker {
    queue: Arc<QueueOwner>,
    when_full: WhenFull,
}

impl Tasker {
    /// Returns a builder for a tasker. The name is for logs and errors.
    pub fn builder(name: impl Into<String>) -> TaskerBuilder {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        TaskerBuilder {
            name: name.into(),
            limit: cores,
            queue_capacity: 1024,
            when_full: WhenFull::Wait,
            hibernate_after: None,
        }
    }

    /// Runs a future. It starts when fewer than `limit` pieces of work run, in the order of
    /// arrival, whether or not its [`Execution`] is awaited.
    ///
    /// # Errors
    /// [`Error::is_refused`] when the queue is full and the tasker uses [`WhenFull::Reject`],
    /// [`Error::is_gone`] when the tasker was stopped.
    pub async fn execute<F>(&self, future: F) -> Result<Execution<F::Output>, Error>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.admit(|stop| {
            let (recorder, execution) = pair(stop);
            (steady(future, recorder, execution::Recorder::record), execution)
        })
        .await
    }

    /// Runs a closure that blocks its thread. It runs on a thread for blocking work and counts
    /// against `limit` until it ends. Cancelling it ends the wait for its result, not the closure.
    ///
    /// # Errors
    /// As [`Tasker::execute`].
    pub async fn execute_blocking<T, F>(&self, closure: F) -> Result<Execution<T>, Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.admit(|stop| {
            let (recorder, execution) = pair(stop);
            (blocking(closure, recorder), execution)
        })
        .await
    }

    /// Runs a future, and calls `callback` with its result, so that the caller need not wait for
    /// it. A panic of the callback is logged.
    ///
    /// # Errors
    /// As [`Tasker::execute`].
    pub async fn callback<F, C>(&self, future: F, callback: C) -> Result<Execution<()>, Error>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        C: FnOnce(Result<F::Output, ExecutionError>) + Send + 'static,
    {
        self.admit(|stop| {
            let (recorder, execution) = pair(stop);
            let done = |recorder: execution::Recorder<()>, result| {
                if let Err(panic) = caught(|| callback(result)) {
                    tracing::error!(panic, "the callback of a tasker panicked");
                }
                recorder.record(Ok(()));
            };
            (steady(future, recorder, done), execution)
        })
        .await
    }

    /// Waits for all executions, at most for `timeout`. Returns the results in the order of the
    /// executions. Work that has not ended by then is cancelled, and its result is
    /// [`ExecutionError::TimedOut`].
    pub async fn await_all<T>(
        &self,
        executions: impl IntoIterator<Item = Execution<T>>,
        timeout: Duration,
    ) -> Vec<Result<T, ExecutionError>> {
        let deadline = Instant::now().checked_add(timeout);
        let mut results = vec![];
        for mut execution in executions {
            let Some(deadline) = deadline else {
                results.push(execution.await);
                continue;
            };
            results.push(match tokio::time::timeout_at(deadline, &mut execution).await {
                Ok(result) => result,
                Err(_) => {
                    execution.cancel();
                    Err(ExecutionError::TimedOut)
                }
            });
        }
        results
    }

    /// Returns the number of running and the number of waiting pieces of work.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        self.queue.load()
    }

    /// Stops the tasker: it accepts no more work, lets running and waiting work finish within
    /// `timeout`, and cancels the rest. Returns false when work still runs 1 s later: a blocking
    /// closure, which cannot be stopped.
    pub async fn stop(&self, timeout: Duration) -> bool {
        self.queue.close();
        if tokio::time::timeout(timeout, self.queue.empty()).await.is_ok() {
            return true;
        }
        self.queue.cancel_all();
        tokio::time::timeout(Duration::from_secs(1), self.queue.empty()).await.is_ok()
    }

    async fn admit<T>(
        &self,
        make: impl FnOnce(&CancellationToken) -> (Piece, Execution<T>),
    ) -> Result<Execution<T>, Error> {
        let room = self.queue.room(self.when_full == WhenFull::Wait).await?;
        let (piece, execution) = make(self.queue.cancellation());
        WaitQueue::put(&self.queue, piece, room)?;
        Ok(execution)
    }
}

/// Builds a [`Tasker`].
#[derive(Debug)]
#[must_use = "the tasker is made by build()"]
pub struct TaskerBuilder {
    name: String,
    limit: usize,
    queue_capacity: usize,
    when_full: WhenFull,
    hibernate_after: Option<Duration>,
}

impl TaskerBuilder {
    /// Sets how many pieces of work run at a time. Default: one per core.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sets how many pieces of work may wait. Default 1,024.
    pub fn queue_capacity(mut self, pieces: usize) -> Self {
        self.queue_capacity = pieces;
        self
    }

    /// Sets the behaviour for new work while the queue is full. Default: the caller waits for room.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Sets the idle time after which the tasker ends its tasks and frees its memory; new work
    /// starts them again. `None`, the default, stands for never.
    pub fn hibernate_after(mut self, idle: impl Into<Option<Duration>>) -> Self {
        self.hibernate_after = idle.into();
        self
    }

    /// Makes the tasker. It starts no task before the first piece of work.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a limit or a queue capacity of 0.
    pub fn build(self) -> Result<Tasker, Error> {
        let Self { name, limit, queue_capacity, when_full, hibernate_after } = self;
        if limit == 0 || queue_capacity == 0 {
            return Err(Error::invalid(format!(
                "tasker {name:?}: limit {limit} and queue_capacity {queue_capacity} must both be 1 or more"
            )));
        }
        panic_place::install();
        Ok(Tasker {
            queue: QueueOwner::new(name, limit, queue_capacity, hibernate_after),
            when_full,
        })
    }
}

#[cfg(test)]
mod tests;
