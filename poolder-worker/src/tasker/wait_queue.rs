//! What waits, and the hands that take from it: as many as there is work for, up to the limit.

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

pub(super) struct WaitQueue {
    name: String,
    limit: usize,
    hibernate_after: Option<Duration>,
    state: Mutex<QueueState>,
    /// Room for what waits.
    room: Arc<Semaphore>,
    /// Something was put in while a hand was idle, or no more will come.
    bell: Notify,
    /// A hand has ended a piece of work.
    ended: Notify,
    cancellation: CancellationToken,
}

#[derive(Default)]
struct QueueState {
    waiting: VecDeque<(Piece, OwnedSemaphorePermit)>,
    /// Hands that there are, and those of them that work.
    workers: usize,
    busy: usize,
    closed: bool,
}

impl WaitQueue {
    pub(super) fn new(
        name: String,
        limit: usize,
        queue: usize,
        hibernate_after: Option<Duration>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            limit,
            hibernate_after,
            state: Mutex::default(),
            room: Arc::new(Semaphore::new(queue.min(Semaphore::MAX_PERMITS))),
            bell: Notify::new(),
            ended: Notify::new(),
            cancellation: CancellationToken::new(),
        })
    }

    pub(super) fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }

    /// Room for one more piece that waits.
    pub(super) async fn room(&self, wait: bool) -> Result<OwnedSemaphorePermit, Error> {
        let room = Arc::clone(&self.room);
        if wait {
            return room.acquire_owned().await.map_err(|_| self.gone());
        }
        room.try_acquire_owned().map_err(|error| match error {
            tokio::sync::TryAcquireError::Closed => self.gone(),
            tokio::sync::TryAcquireError::NoPermits => Error::refused(format!(
                "the queue of tasker {:?} is full: try later, give it a longer one, or let it wait",
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
            this.bell.notify_one();
        }
        Ok(())
    }

    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.state();
        (state.busy, state.waiting.len())
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.room.close();
        self.bell.notify_waiters();
    }

    /// Cancels what runs; what waits is told the same when a hand comes to it.
    pub(super) fn cancel_all(&self) {
        self.cancellation.cancel();
    }

    /// Waits until nothing runs or waits.
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

    /// One hand: takes the next piece, until none has come for long enough.
    async fn work(self: Arc<Self>) {
        loop {
            let bell = self.bell.notified();
            tokio::pin!(bell);
            bell.as_mut().enable();
            if let Some((piece, room)) = self.take() {
                // It no longer waits.
                drop(room);
                piece.await;
                self.state().busy -= 1;
                self.ended.notify_waiters();
                continue;
            }
            let idle = self.hibernate_after.unwrap_or(Duration::MAX);
            if tokio::time::timeout(idle, bell).await.is_err() && self.leave() {
                return;
            }
            let closed = self.state().closed;
            if closed && self.leave() {
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

    /// Ends a hand, unless there is work after all. The last one gives the memory back.
    fn leave(&self) -> bool {
        let mut state = self.state();
        if !state.waiting.is_empty() {
            return false;
        }
        state.workers -= 1;
        if state.workers == 0 {
            state.waiting = VecDeque::new();
            tracing::debug!(tasker = self.name, "hibernates");
        }
        true
    }

    fn gone(&self) -> Error {
        Error::gone(format!("tasker {:?} was stopped, it takes nothing more", self.name))
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line")
            .field("name", &self.name)
            .field("limit", &self.limit)
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}
