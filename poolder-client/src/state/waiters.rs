//! Who waits for which job in this process, and the connection whose hints wake them. It is opened
//! for the first who waits, shared by all, and closed when nobody has waited for a while. Hints may
//! be lost: whoever waits also asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use poolder_core::broker::{Broker, CompletionListener};
use poolder_core::{JobId, Partition};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// The connection is closed when nobody has waited for this long.
const IDLE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Waiters {
    broker: Broker,
    state: Mutex<WaitersState>,
    /// Only one opens the connection.
    opening: tokio::sync::Mutex<()>,
    /// Somebody stopped waiting.
    left: Arc<Notify>,
}

#[derive(Debug, Default)]
struct WaitersState {
    waits: HashMap<JobId, SharedWait>,
    leaving: Vec<(Partition, JobId)>,
    subscriber: Option<Subscriber>,
}

/// What those who wait for the same job share.
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

/// One who waits; stops to when dropped.
#[derive(Debug)]
pub(crate) struct Waiter {
    all: Arc<Waiters>,
    partition: Partition,
    job: JobId,
    /// Rings when the job may have ended, or when hints are no longer heard.
    pub(crate) ended: Arc<Notify>,
    listener: Option<Arc<CompletionListener>>,
}

impl Waiters {
    pub(crate) fn new(broker: Broker) -> Self {
        let opening = tokio::sync::Mutex::new(());
        Self { broker, state: Mutex::default(), opening, left: Arc::default() }
    }

    /// Begins to wait for a job.
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

    /// The connection, opened if need be; `None` when hints cannot be had.
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
                tracing::debug!(%error, "hints about ends cannot be heard");
                return None;
            }
        };
        let hearing = listen(Arc::downgrade(self), Arc::clone(&self.left), Arc::clone(&listener));
        let task = tokio::spawn(hearing).abort_handle();
        let subscriber = Subscriber { listener: Arc::clone(&listener), task };
        self.state().subscriber = Some(subscriber);
        Some(listener)
    }

    fn listener(&self) -> Option<Arc<CompletionListener>> {
        let state = self.state();
        // The runtime that ran it may have gone; another one uses the client now.
        let alive = state.subscriber.as_ref().filter(|subscriber| !subscriber.task.is_finished());
        alive.map(|subscriber| Arc::clone(&subscriber.listener))
    }

    fn state(&self) -> MutexGuard<'_, WaitersState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// Sees to it that the end of the job is heard of, from when this returns. True when it will
    /// be; else the caller has to ask more often.
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
                tracing::debug!(%error, "hints about an end cannot be heard");
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

/// Wakes those whose jobs have ended, until the connection breaks or nobody needs it any more. It
/// does not keep the client alive, which ends it.
async fn listen(all: Weak<Waiters>, left: Arc<Notify>, listener: Arc<CompletionListener>) {
    loop {
        let nobody = all.upgrade().is_none_or(|waiters| waiters.state().waits.is_empty());
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
            () = tokio::time::sleep(IDLE), if nobody => {
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
    tracing::debug!("hints about ends are no longer heard");
    let mut state = waiters.state();
    state.leaving.clear();
    state.subscriber = None;
    state.waits.values().for_each(|shared| shared.ended.notify_waiters());
}

/// Unsubscribes from what nobody waits for any more. Should somebody begin to at this very moment,
/// a hint is lost, and asking finds the end.
async fn leave(waiters: &Waiters, listener: &CompletionListener) {
    let leaving: Vec<_> = {
        let mut state = waiters.state();
        let left = std::mem::take(&mut state.leaving);
        left.into_iter().filter(|(_, job)| !state.waits.contains_key(job)).collect()
    };
    for (partition, job) in leaving {
        if listener.remove(&partition, job).await.is_err() {
            // A broken connection shows itself to the next who listens.
            return;
        }
    }
}
