//! Callers of this process that wait for jobs, and the connection whose hints wake them. One task
//! opens the connection for the first caller, subscribes and unsubscribes for all callers, and
//! closes the connection when no caller has waited for a while. Hints may be lost, so each caller
//! also [looks](super::wait) by itself.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use poolder_core::broker::{Broker, CompletionListener};
use poolder_core::policy::Pauses;
use poolder_core::{Error, JobId, Partition};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Time without any caller after which the connection is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// First and longest pause before the connection is opened again.
const REOPEN_PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(5)];

/// A job, and the partition in which its end is expected. A job that was moved to another slot is
/// awaited there.
type AwaitedJob = (Partition, JobId);

#[derive(Debug)]
pub(crate) struct Waiters {
    pub(super) broker: Broker,
    /// The time from which the instants are counted at which callers look.
    pub(super) created: Instant,
    state: Mutex<WaitersState>,
    /// Notifies the task that callers have come or left.
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct WaitersState {
    waits: HashMap<AwaitedJob, SharedWait>,
    /// Jobs whose first caller has come, or whose last caller has left, since the task has looked;
    /// `None` while there is no connection.
    changes: Option<HashSet<AwaitedJob>>,
    task: Option<AbortHandle>,
}

/// Shared state of all callers that wait for the same job.
#[derive(Debug, Default)]
struct SharedWait {
    count: usize,
    wait: Arc<Wait>,
}

/// How a caller is woken.
#[derive(Debug, Default)]
pub(crate) struct Wait {
    /// Notifies when the job may have ended, or when the caller has to look again.
    pub(super) ended: Notify,
    hinted: AtomicBool,
}

/// Whether the end of an awaited job leaves a completion record, and a hint with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// The enqueue asked for a completion record.
    AreRecorded,
    /// The enqueue may have asked for none: a result comes without a hint then, and a death is only
    /// found among the dead.
    MayBeSilent,
}

/// A caller that waits for a job until dropped.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(super) all: Arc<Waiters>,
    pub(super) job: AwaitedJob,
    pub(super) ends: Ends,
    pub(super) wait: Arc<Wait>,
}

/// The work of the task after callers have come and left.
struct Changes {
    /// Jobs to subscribe to.
    added: Vec<AwaitedJob>,
    /// Jobs to unsubscribe from.
    removed: Vec<AwaitedJob>,
    /// Whether no caller waits.
    unused: bool,
}

impl Wait {
    /// Returns whether the connection receives the hint of the job. Otherwise the caller has to look
    /// more often.
    pub(super) fn is_hinted(&self) -> bool {
        self.hinted.load(Ordering::Relaxed)
    }

    /// Wakes the callers, to look at the job once more.
    fn set_hinted(&self, hinted: bool) {
        self.hinted.store(hinted, Ordering::Relaxed);
        self.ended.notify_waiters();
    }
}

impl Waiters {
    pub(crate) fn new(broker: Broker) -> Self {
        let (state, changed) = (Mutex::default(), Arc::default());
        Self { broker, created: Instant::now(), state, changed }
    }

    /// Adds a caller that waits for a job. The subscription to the hint begins in the background.
    pub(crate) fn enter(self: &Arc<Self>, partition: &Partition, job: JobId, ends: Ends) -> Waiter {
        let job = (partition.clone(), job);
        let mut state = self.state();
        let shared = state.waits.entry(job.clone()).or_default();
        shared.count += 1;
        let (first, wait) = (shared.count == 1, Arc::clone(&shared.wait));
        if first {
            self.note_change(&mut state, &job);
        }
        // The runtime that ran the task may have stopped while another runtime uses the client.
        if state.task.as_ref().is_none_or(AbortHandle::is_finished) {
            state.changes = None;
            let task = listen(Arc::downgrade(self), Arc::clone(&self.changed));
            state.task = Some(tokio::spawn(task).abort_handle());
        }
        drop(state);
        Waiter { all: Arc::clone(self), job, ends, wait }
    }

    fn note_change(&self, state: &mut WaitersState, job: &AwaitedJob) {
        if let Some(changes) = &mut state.changes {
            changes.insert(job.clone());
            self.changed.notify_one();
        }
    }

    /// Returns what has changed since the last call, or since the connection was opened.
    fn changes(&self, subscribed: &HashSet<AwaitedJob>) -> Changes {
        let mut state = self.state();
        let changes = match state.changes.replace(HashSet::new()) {
            Some(changes) => changes,
            None => state.waits.keys().cloned().collect(),
        };
        let (mut added, mut removed) = (vec![], vec![]);
        for job in changes {
            match (state.waits.get(&job), subscribed.contains(&job)) {
                (Some(_), false) => added.push(job),
                // Another caller has come before the last one was noticed to have left.
                (Some(shared), true) => shared.wait.set_hinted(true),
                (None, true) => removed.push(job),
                (None, false) => {}
            }
        }
        Changes { added, removed, unused: state.waits.is_empty() }
    }

    /// Tells the callers that the connection is closed. Returns whether no caller waits; the task
    /// then ends.
    fn disconnected(&self) -> bool {
        let mut state = self.state();
        state.changes = None;
        state.waits.values().for_each(|shared| shared.wait.set_hinted(false));
        if state.waits.is_empty() {
            state.task = None;
        }
        state.waits.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, WaitersState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.all.state();
        let Some(shared) = state.waits.get_mut(&self.job) else { return };
        shared.count -= 1;
        if shared.count == 0 {
            self.all.note_change(&mut state, &self.job);
            state.waits.remove(&self.job);
        }
    }
}

impl Drop for Waiters {
    fn drop(&mut self) {
        if let Some(task) = self.state().task.take() {
            task.abort();
        }
    }
}

/// Keeps a connection for hints open while callers wait. Holds only a weak reference to the
/// client's state, so that dropping the client ends the task.
async fn listen(all: Weak<Waiters>, changed: Arc<Notify>) {
    let [first, longest] = REOPEN_PAUSES;
    let mut pauses = Pauses::new(first, longest);
    loop {
        let Some(broker) = all.upgrade().map(|waiters| waiters.broker.clone()) else { return };
        let ended = match broker.listen_completions().await {
            Ok(listener) => serve(&all, &changed, listener, &mut pauses).await,
            Err(error) => Err(error),
        };
        let Some(waiters) = all.upgrade() else { return };
        if let Err(error) = ended {
            tracing::debug!(%error, "there is no connection for completion hints");
        }
        if waiters.disconnected() {
            return;
        }
        drop(waiters);
        tokio::time::sleep(pauses.after_failure()).await;
    }
}

/// Subscribes for the callers and wakes those whose jobs have ended, until no caller has waited for
/// a while.
async fn serve(
    all: &Weak<Waiters>,
    changed: &Notify,
    mut listener: CompletionListener,
    pauses: &mut Pauses,
) -> Result<(), Error> {
    let mut subscribed = HashSet::new();
    loop {
        let Some(changes) = all.upgrade().map(|all| all.changes(&subscribed)) else {
            return Ok(());
        };
        let Changes { added, removed, unused } = changes;
        if !removed.is_empty() {
            removed.iter().for_each(|job| _ = subscribed.remove(job));
            listener.remove(&removed).await?;
        }
        if !added.is_empty() {
            listener.add(&added).await?;
            pauses.after_success();
            let Some(waiters) = all.upgrade() else { return Ok(()) };
            let state = waiters.state();
            for job in added {
                // The job may have ended before the subscription.
                if let Some(shared) = state.waits.get(&job) {
                    shared.wait.set_hinted(true);
                }
                subscribed.insert(job);
            }
        }
        tokio::select! {
            job = listener.next() => {
                let Some(job) = job else { return Err(Error::unknown("the connection has ended")) };
                let Some(waiters) = all.upgrade() else { return Ok(()) };
                if let Some(shared) = waiters.state().waits.get(&job) {
                    shared.wait.ended.notify_waiters();
                }
            }
            () = changed.notified() => {}
            () = tokio::time::sleep(IDLE_TIMEOUT), if unused => return Ok(()),
        }
    }
}
