//! One piece of work, seen from both sides.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::wait_queue::Piece;
use crate::run::guard::guarded;

/// Why a piece of work has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interrupted {
    /// It panicked, with this message.
    Panicked(String),
    /// It was cancelled, or its tasker was stopped.
    Cancelled,
    /// It had not ended in time.
    TimedOut,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(message) => write!(f, "it panicked: {message}"),
            Self::Cancelled => f.write_str("it was cancelled"),
            Self::TimedOut => f.write_str("it did not end in time"),
        }
    }
}

impl std::error::Error for Interrupted {}

/// A piece of work that a [`Tasker`](super::Tasker) has taken: await it for its result. Dropping
/// it lets the work go on.
#[derive(Debug)]
pub struct Execution<T> {
    result: oneshot::Receiver<Result<T, Interrupted>>,
    cancellation: CancellationToken,
}

impl<T> Execution<T> {
    /// Cancels it: a future is dropped where it stands, what still waits never starts. A blocking
    /// closure that has started runs to its end, and its result is thrown away.
    pub fn cancel(&self) {
        self.cancellation.cancel();
    }

    /// True when it has ended, so that awaiting it does not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        !self.result.is_empty() || self.result.is_terminated()
    }
}

impl<T> Future for Execution<T> {
    type Output = Result<T, Interrupted>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A teller that went without a word belonged to a runtime that has shut down.
        Pin::new(&mut self.result).poll(cx).map(|told| told.unwrap_or(Err(Interrupted::Cancelled)))
    }
}

/// The other side of an [`Execution`].
pub(super) struct Recorder<T> {
    result: oneshot::Sender<Result<T, Interrupted>>,
    cancellation: CancellationToken,
}

impl<T> Recorder<T> {
    pub(super) fn record(self, result: Result<T, Interrupted>) {
        // Nobody may be waiting any more.
        let _ = self.result.send(result);
    }
}

/// Both sides; the work is also cancelled with `stop`.
pub(super) fn pair<T>(stop: &CancellationToken) -> (Recorder<T>, Execution<T>) {
    let cancellation = stop.child_token();
    let (sender, result) = oneshot::channel();
    let recorder = Recorder { result: sender, cancellation: cancellation.clone() };
    (recorder, Execution { result, cancellation })
}

/// Work that is a future; `done` gets its result.
pub(super) fn steady<F, T, D>(future: F, recorder: Recorder<T>, done: D) -> Piece
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    T: Send + 'static,
    D: FnOnce(Recorder<T>, Result<F::Output, Interrupted>) + Send + 'static,
{
    Box::pin(async move {
        let cancellation = recorder.cancellation.clone();
        let result = tokio::select! {
            biased;
            () = cancellation.cancelled() => Err(Interrupted::Cancelled),
            result = guarded(future) => result.map_err(Interrupted::Panicked),
        };
        done(recorder, result);
    })
}

/// Work that blocks its thread.
pub(super) fn blocking<T, F>(closure: F, recorder: Recorder<T>) -> Piece
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Box::pin(async move {
        let cancellation = recorder.cancellation.clone();
        if cancellation.is_cancelled() {
            return recorder.record(Err(Interrupted::Cancelled));
        }
        let run = async move { closure() };
        let runtime = tokio::runtime::Handle::current();
        // The guard makes a panic a message here as well.
        let mut ended = tokio::task::spawn_blocking(move || runtime.block_on(guarded(run)));
        tokio::select! {
            biased;
            result = &mut ended => recorder.record(match result {
                Ok(result) => result.map_err(Interrupted::Panicked),
                Err(_) => Err(Interrupted::Cancelled),
            }),
            () = cancellation.cancelled() => {
                recorder.record(Err(Interrupted::Cancelled));
                // It still runs, and counts until it has really ended.
                let _ = ended.await;
            }
        }
    })
}
