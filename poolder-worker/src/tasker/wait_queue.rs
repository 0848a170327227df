//! The waiting work, and the workers (tokio tasks) that run it: one for each piece of work, up to
//! the limit.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use poolder_core::Error;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// A piece of work that catches its own panics.
pub(super) type Piece = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The share of a tasker's clones in its queue. The queue is closed when the last one is dropped.
pub(super) struct QueueOwner(Arc<WaitQueue>);

impl Drop for QueueOwner {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl std::ops::Deref for QueueOwner {
    type Target = Arc<WaitQueue>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// The queue of a tasker, shared by its clones and its workers.
pub(super) struct WaitQueue {
    name: String,
    limit: usize,
    hibernate_after: Option<Duration>,
    state: Mutex<QueueState>,
    /// One permit for each further piece of work that may wait.
    room: Arc<Semaphore>,
    /// Wakes idle workers: a piece of work was added, or the queue was closed.
    wake: Notify,
    /// Notified when a worker has ended a piece of work.
    ended: Notify,
    cancellation: CancellationToken,
}

#[derive(Default)]
struct QueueState {
    waiting: VecDeque<(Piece, OwnedSemaphorePermit)>,
    /// The number of workers, idle or busy.
    workers: usize,
    /// The number of workers that run a piece of work.
    busy: usize,
    closed: bool,
}

impl QueueOwner {
    pub(super) fn new(
        name: String,
        limit: usize,
        queue: usize,
        hibernate_after: Option<Duration>,
    ) -> Arc<Self> {
        let queue = WaitQueue {
            name,
            limit,
            hibernate_after,
            state: Mutex::default(),
            room: Arc::new(Semaphore::new(queue.min(Semaphore::MAX_PERMITS))),
            wake: Notify::new(),
            ended: Notify::new(),
            cancellation: CancellationToken::new(),
        };
        Arc::new(Self(Arc::new(queue)))
    }
}

impl WaitQueue {
    pub(super) fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }

    /// Reserves room for one more waiting piece of work. A full queue is an error unless `wait` is
    /// set.
    pub(super) async fn room(&self, wait: bool) -> Result<OwnedSemaphorePermit, Error> {
        let room = Arc::clone(&self.room);
        if wait {
            return room.acquire_owned().await.map_err(|_| self.gone());
        }
        room.try_acquire_owned().map_err(|error| match error {
            tokio::sync::TryAcquireError::Closed => self.gone(),
            tokio::sync::TryAcquireError::NoPermits => Error::refused(format!(
                "the queue of tasker {:?} is full: try later, make it longer, or let callers wait",
                self.name
            )),
        })
    }

    pub(super) fn put(
        this: &Arc<Self>,
        piece: Piece,
        room: OwnedSemaphorePermit,
    ) -> Result<(), Error> {
        let mut state = this.state();
        if state.closed {
            return Err(this.gone());
        }
        state.waiting.push_back((piece, room));
        if state.workers < this.limit && state.busy + state.waiting.len() > state.workers {
            state.workers += 1;
            drop(state);
            tokio::spawn(Arc::clone(this).work());
        } else {
            drop(state);
            this.wake.notify_one();
        }
        Ok(())
    }

    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.state();
        (state.busy, state.waiting.len())
    }

    /// Closes the queue: it accepts no more work, and idle workers end.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.room.close();
        self.wake.notify_waiters();
    }

    /// Cancels all work. Waiting work ends as cancelled as soon as a worker takes it.
    pub(super) fn cancel_all(&self) {
        self.cancellation.cancel();
    }

    /// Waits until no work runs or waits.
    pub(super) async fn empty(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.load() == (0, 0) {
                return;
            }
            ended.await;
        }
    }

    /// Runs a worker: takes one piece of work after the other, until the queue is closed and empty,
    /// or no work has come for `hibernate_after`.
    async fn work(self: Arc<Self>) {
        loop {
            let woken = self.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            if let Some((piece, room)) = self.take() {
                // The piece no longer waits, so another one may.
                drop(room);
                piece.await;
                self.state().busy -= 1;
                self.ended.notify_waiters();
                continue;
            }
            // The queue may have been closed while this worker was busy.
            let closed = self.state().closed;
            if closed && self.leave() {
                return;
            }
            let idle = self.hibernate_after.unwrap_or(Duration::MAX);
            if tokio::time::timeout(idle, woken).await.is_err() && self.leave() {
                return;
            }
        }
    }

    fn take(&self) -> Option<(Piece, OwnedSemaphorePermit)> {
        let mut state = self.state();
        let next = state.waiting.pop_front()?;
        state.busy += 1;
        Some(next)
    }

    /// Removes an idle worker; false when work is waiting after all. The last worker frees the
    /// memory of the queue.
    fn leave(&self) -> bool {
        let mut state = self.state();
        if !state.waiting.is_empty() {
            return false;
        }
        state.workers -= 1;
        if state.workers == 0 {
            state.waiting = VecDeque::new();
            tracing::debug!(tasker = self.name, "the tasker hibernates");
        }
        true
    }

    fn gone(&self) -> Error {
        Error::gone(format!("tasker {:?} was stopped and accepts no more work", self.name))
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for QueueOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueueOwner")
            .field("name", &self.name)
            .field("limit", &self.limit)
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}
