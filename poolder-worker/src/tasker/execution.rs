//! One piece of work: the handle of its caller, and the sender of its result.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::wait_queue::Piece;
use crate::run::guard::{GuardedDrop, caught, discard, guarded};

/// The reason why a piece of work has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecutionError {
    /// The work panicked, with this message. It ends with the place of the panic where that is known.
    Panicked(String),
    /// The work was cancelled, or its tasker was stopped.
    Cancelled,
    /// The work had not ended before the timeout.
    TimedOut,
}

impl fmt::Display for ExecutionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "it panicked: {message}"),
            Self::Cancelled => f.write_str("it was cancelled"),
            Self::TimedOut => f.write_str("it did not end in time"),
        }
    }
}

impl std::error::Error for ExecutionError {}

/// The handle of a piece of work that a [`Tasker`](super::Tasker) has accepted: await it for the
/// result. The work goes on when the handle is dropped.
#[derive(Debug)]
pub struct Execution<T> {
    result: oneshot::Receiver<Result<T, ExecutionError>>,
    cancellation: CancellationToken,
}

impl<T> Execution<T> {
    /// Cancels the work: a running future is dropped, and waiting work never starts. A blocking
    /// closure that has started runs to its end, and its result is discarded.
    pub fn cancel(&self) {
        self.cancellation.cancel();
    }

    /// Returns true when the work has ended, so that awaiting the handle does not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        !self.result.is_empty() || self.result.is_terminated()
    }
}

impl<T> Future for Execution<T> {
    type Output = Result<T, ExecutionError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The recorder is dropped without a result only when its runtime shuts down.
        let received = Pin::new(&mut self.result).poll(cx);
        received.map(|result| result.unwrap_or(Err(ExecutionError::Cancelled)))
    }
}

/// Sends the result of a piece of work to its [`Execution`].
pub(super) struct Recorder<T> {
    result: oneshot::Sender<Result<T, ExecutionError>>,
    cancellation: CancellationToken,
}

impl<T> Recorder<T> {
    pub(super) fn record(self, result: Result<T, ExecutionError>) {
        // The caller may have dropped the execution.
        if let Err(unwanted) = self.result.send(result) {
            discard(unwanted);
        }
    }
}

/// Returns the recorder and the execution of a new piece of work, which `stop` cancels, too.
pub(super) fn pair<T>(stop: &CancellationToken) -> (Recorder<T>, Execution<T>) {
    let cancellation = stop.child_token();
    let (sender, result) = oneshot::channel();
    let recorder = Recorder { result: sender, cancellation: cancellation.clone() };
    (recorder, Execution { result, cancellation })
}

/// Makes a piece of work of a future; `done` gets the result.
pub(super) fn steady<F, T, D>(future: F, recorder: Recorder<T>, done: D) -> Piece
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    T: Send + 'static,
    D: FnOnce(Recorder<T>, Result<F::Output, ExecutionError>) + Send + 'static,
{
    // Guarded from here on, since work may be dropped before it has started.
    let future = guarded(|| Box::pin(future));
    Box::pin(async move {
        let cancellation = recorder.cancellation.clone();
        let result = tokio::select! {
            biased;
            () = cancellation.cancelled() => Err(ExecutionError::Cancelled),
            result = future => result.map_err(ExecutionError::Panicked),
        };
        done(recorder, result);
    })
}

/// Makes a piece of work of a closure that blocks its thread.
pub(super) fn blocking<T, F>(closure: F, recorder: Recorder<T>) -> Piece
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let closure = GuardedDrop::new(closure);
    Box::pin(async move {
        let cancellation = recorder.cancellation.clone();
        if cancellation.is_cancelled() {
            return recorder.record(Err(ExecutionError::Cancelled));
        }
        let mut ended = tokio::task::spawn_blocking(move || closure.take().map(caught));
        tokio::select! {
            biased;
            result = &mut ended => recorder.record(match result {
                Ok(Some(result)) => result.map_err(ExecutionError::Panicked),
                Ok(None) | Err(_) => Err(ExecutionError::Cancelled),
            }),
            () = cancellation.cancelled() => {
                recorder.record(Err(ExecutionError::Cancelled));
                // The closure still runs, and counts against the limit until it ends.
                let _ = ended.await;
            }
        }
    })
}
