//! Use a [`Tasker`] for work that may die with this process; use a job for work that must not.
//!
//! A tasker runs futures and blocking closures of this process, so many at a time and no more. It
//! knows nothing of Redis: what waits in it is gone with the process, and no other process helps.
//! What must survive a crash, be retried, or run elsewhere is a job. Imports `run::guard` only.
//!
//! | file | what |
//! |---|---|
//! | `execution` | one piece of work: its result, its cancellation |
//! | `queue` | what waits, and the hands that take from it |

mod execution;
mod wait_queue;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use poolder_core::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use execution::{Execution, Interrupted};
use execution::{blocking, pair, steady};
use wait_queue::{Piece, WaitQueue};

/// What to do with work that comes while the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Wait for room.
    #[default]
    Wait,
    /// Refuse it: the error says [`Error::is_refused`].
    Reject,
}

/// Runs futures and blocking closures in this process, at most `limit` at a time. Cheap to clone;
/// all clones are the same tasker.
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
    queue: Arc<WaitQueue>,
    when_full: WhenFull,
}

impl Tasker {
    /// Starts to describe a tasker. The name is for logs.
    pub fn builder(name: impl Into<String>) -> TaskerBuilder {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        TaskerBuilder {
            name: name.into(),
            limit: cores,
            queue: 1024,
            when_full: WhenFull::Wait,
            hibernate_after: None,
        }
    }

    /// Hands over a future. It starts as soon as fewer than `limit` others run, in the order of
    /// arrival, whether or not its [`Execution`] is awaited.
    ///
    /// # Errors
    /// [`Error::is_refused`] when the queue is full and the tasker is to reject,
    /// [`Error::is_gone`] when it was stopped.
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

    /// Hands over a closure that blocks its thread. It runs on a thread for such work and counts
    /// against `limit` until it has really ended; cancelling it only stops the waiting.
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

    /// Hands over a future and what to do with its result, for which nobody waits then. A panic
    /// of the callback is logged.
    ///
    /// # Errors
    /// As [`Tasker::execute`].
    pub async fn callback<F, C>(&self, future: F, callback: C) -> Result<Execution<()>, Error>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        C: FnOnce(Result<F::Output, Interrupted>) + Send + 'static,
    {
        self.admit(|stop| {
            let (recorder, execution) = pair(stop);
            let done = |recorder: execution::Recorder<()>, result| {
                let run = std::panic::AssertUnwindSafe(|| callback(result));
                if std::panic::catch_unwind(run).is_err() {
                    tracing::error!("the callback of a tasker panicked");
                }
                recorder.record(Ok(()));
            };
            (steady(future, recorder, done), execution)
        })
        .await
    }

    /// Waits for all of them, but no longer than `timeout`. The results come in the order of the
    /// executions; what has not ended by then is cancelled, as [`Interrupted::TimedOut`].
    pub async fn await_all<T>(
        &self,
        executions: impl IntoIterator<Item = Execution<T>>,
        timeout: Duration,
    ) -> Vec<Result<T, Interrupted>> {
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
                    Err(Interrupted::TimedOut)
                }
            });
        }
        results
    }

    /// How many pieces of work run, and how many wait.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        self.queue.load()
    }

    /// Takes nothing more, lets what runs and waits finish within `timeout`, and cancels the rest.
    /// False when a blocking closure is still running then, which nobody can stop.
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

/// A tasker that is being described.
#[derive(Debug)]
#[must_use = "a tasker is there when build() was called"]
pub struct TaskerBuilder {
    name: String,
    limit: usize,
    queue: usize,
    when_full: WhenFull,
    hibernate_after: Option<Duration>,
}

impl TaskerBuilder {
    /// How many run at a time. Default: one per core.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// How many may wait. Default 1,024.
    pub fn queue(mut self, queue: usize) -> Self {
        self.queue = queue;
        self
    }

    /// What happens when the queue is full. Default: wait for room.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// After this long without work the tasker gives back what it holds, and takes it again with
    /// the next piece. Default: never.
    pub fn hibernate_after(mut self, idle: Duration) -> Self {
        self.hibernate_after = Some(idle);
        self
    }

    /// Makes the tasker. Nothing runs before the first piece of work.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a limit or a queue of 0.
    pub fn build(self) -> Result<Tasker, Error> {
        let Self { name, limit, queue, when_full, hibernate_after } = self;
        if limit == 0 || queue == 0 {
            return Err(Error::invalid(format!(
                "tasker {name:?}: limit {limit} and queue {queue} must both be 1 or more"
            )));
        }
        Ok(Tasker { queue: WaitQueue::new(name, limit, queue, hibernate_after), when_full })
    }
}

#[cfg(test)]
mod tests;
