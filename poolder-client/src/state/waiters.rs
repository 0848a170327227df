//! Callers of this process that wait for jobs, and the connection whose hints wake them. The
//! connection opens for the first caller, is shared by all callers, and closes when no caller has
//! waited for a while. Hints may be lost, so each caller also polls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use poolder_core::broker::{Broker, CompletionListener};
use poolder_core::{JobId, Partition};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Time without any caller after which the connection is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Waiters {
    broker: Broker,
    state: Mutex<WaitersState>,
    /// Serializes the opening of the connection.
    opening: tokio::sync::Mutex<()>,
    /// Notifies the listening task that a job has no callers any more.
    left: Arc<Notify>,
}

#[derive(Debug, Default)]
struct WaitersState {
    waits: HashMap<JobId, SharedWait>,
    leaving: Vec<(Partition, JobId)>,
    subscriber: Option<Subscriber>,
}

/// Shared state of all callers that wait for the same job.
#[derive(Debug)]
struct SharedWait {
    count: usize,
    ended: Arc<Notify>,
}

#[derive(Debug)]
struct Subscriber {
    listener: Arc<CompletionListener>,
    task: AbortHandle,
}

/// A caller that waits for a job until dropped.
#[derive(Debug)]
pub(crate) struct Waiter {
    all: Arc<Waiters>,
    partition: Partition,
    job: JobId,
    /// Notifies when the job may have ended, or when the connection for hints is closed.
    pub(crate) ended: Arc<Notify>,
    listener: Option<Arc<CompletionListener>>,
}

impl Waiters {
    pub(crate) fn new(broker: Broker) -> Self {
        let opening = tokio::sync::Mutex::new(());
        Self { broker, state: Mutex::default(), opening, left: Arc::default() }
    }

    /// Adds a caller that waits for a job.
    pub(crate) fn enter(self: &Arc<Self>, partition: &Partition, job: JobId) -> Waiter {
        let mut state = self.state();
        let shared = state
            .waits
            .entry(job)
            .or_insert_with(|| SharedWait { count: 0, ended: Arc::new(Notify::new()) });
        shared.count += 1;
        let ended = Arc::clone(&shared.ended);
        Waiter { all: Arc::clone(self), partition: partition.clone(), job, ended, listener: None }
    }

    /// Returns the connection, opened if need be; `None` when it cannot be opened.
    async fn subscriber(self: &Arc<Self>) -> Option<Arc<CompletionListener>> {
        if let Some(listener) = self.listener() {
            return Some(listener);
        }
        let _one_at_a_time = self.opening.lock().await;
        if let Some(listener) = self.listener() {
            return Some(listener);
        }
        let listener = match self.broker.listen_completions().await {
            Ok(listener) => Arc::new(listener),
            Err(error) => {
                tracing::debug!(%error, "could not open the connection for completion hints");
                return None;
            }
        };
        let listening = listen(Arc::downgrade(self), Arc::clone(&self.left), Arc::clone(&listener));
        let task = tokio::spawn(listening).abort_handle();
        let subscriber = Subscriber { listener: Arc::clone(&listener), task };
        self.state().subscriber = Some(subscriber);
        Some(listener)
    }

    fn listener(&self) -> Option<Arc<CompletionListener>> {
        let state = self.state();
        // The runtime that ran the task may have stopped while another runtime uses the client.
        let alive = state.subscriber.as_ref().filter(|subscriber| !subscriber.task.is_finished());
        alive.map(|subscriber| Arc::clone(&subscriber.listener))
    }

    fn state(&self) -> MutexGuard<'_, WaitersState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// Subscribes to the hint that the job has ended. Returns true when hints arrive from now on;
    /// otherwise the caller has to poll more often.
    pub(crate) async fn listen(&mut self) -> bool {
        let Some(listener) = self.all.subscriber().await else { return false };
        if self.listener.as_ref().is_some_and(|known| Arc::ptr_eq(known, &listener)) {
            return true;
        }
        match listener.add(&self.partition, self.job).await {
            Ok(()) => {
                self.listener = Some(listener);
                true
            }
            Err(error) => {
                tracing::debug!(%error, "could not subscribe to the completion hint of a job");
                false
            }
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.all.state();
        let Some(shared) = state.waits.get_mut(&self.job) else { return };
        shared.count -= 1;
        if shared.count == 0 {
            state.waits.remove(&self.job);
            if self.listener.is_some() {
                state.leaving.push((self.partition.clone(), self.job));
            }
            self.all.left.notify_one();
        }
    }
}

impl Drop for Waiters {
    fn drop(&mut self) {
        if let Some(subscriber) = self.state().subscriber.take() {
            subscriber.task.abort();
        }
    }
}

/// Wakes the callers whose jobs have ended, until the connection breaks or has had no callers for a
/// while. Holds only a weak reference to the client's state, so that dropping the client ends the
/// task.
async fn listen(all: Weak<Waiters>, left: Arc<Notify>, listener: Arc<CompletionListener>) {
    loop {
        let unused = all.upgrade().is_none_or(|waiters| waiters.state().waits.is_empty());
        tokio::select! {
            job = listener.next() => {
                let (Some(job), Some(waiters)) = (job, all.upgrade()) else { break };
                if let Some(shared) = waiters.state().waits.get(&job) {
                    shared.ended.notify_waiters();
                }
            }
            () = left.notified() => {
                let Some(waiters) = all.upgrade() else { break };
                leave(&waiters, &listener).await;
            }
            () = tokio::time::sleep(IDLE_TIMEOUT), if unused => {
                let Some(waiters) = all.upgrade() else { break };
                let mut state = waiters.state();
                if state.waits.is_empty() {
                    state.leaving.clear();
                    state.subscriber = None;
                    return;
                }
            }
        }
    }
    let Some(waiters) = all.upgrade() else { return };
    tracing::debug!("the connection for completion hints is closed");
    let mut state = waiters.state();
    state.leaving.clear();
    state.subscriber = None;
    state.waits.values().for_each(|shared| shared.ended.notify_waiters());
}

/// Unsubscribes from jobs that have no callers any more. If a caller begins to wait for such a job
/// at this moment, its hint is lost, and its poll finds the completion.
async fn leave(waiters: &Waiters, listener: &CompletionListener) {
    let leaving: Vec<_> = {
        let mut state = waiters.state();
        let left = std::mem::take(&mut state.leaving);
        left.into_iter().filter(|(_, job)| !state.waits.contains_key(job)).collect()
    };
    for (partition, job) in leaving {
        if listener.remove(&partition, job).await.is_err() {
            // The next caller that subscribes notices the broken connection.
            return;
        }
    }
}
