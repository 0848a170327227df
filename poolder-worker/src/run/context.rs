//! The context of an attempt: facts about the job, its interruption, and the progress it reports.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use poolder_client::Client;
use poolder_core::broker::Effect;
use poolder_core::{Claim, Error, JobId, Partition, Tick, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

/// One attempt at a job, as its handler sees it. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
    attempt: u32,
    started: Instant,
    deadline: Option<Instant>,
}

struct Inner {
    id: JobId,
    kind: Box<str>,
    partition: Partition,
    fence: u64,
    enqueued_at: Option<Timestamp>,
    tick: Option<Tick>,
    call: bool,
    client: Client,
    cancelled: AtomicU8,
    wake: Notify,
    effects: Mutex<Vec<Effect>>,
}

/// Why a running job should stop. A timeout is not among the reasons: it drops the handler at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Interruption {
    /// The node is shutting down, or the slot moves to another node: the job is released, and no
    /// attempt is counted.
    Shutdown = 1,
    /// The node was declared dead: other nodes run the job, and this node can no longer settle it.
    Lost = 2,
    /// The job was cancelled: it ends, and does not run again.
    Cancelled = 3,
}

/// The parts of a new context.
pub(crate) struct About {
    pub(crate) id: JobId,
    pub(crate) kind: Box<str>,
    pub(crate) partition: Partition,
    pub(crate) attempt: u32,
    pub(crate) fence: u64,
    pub(crate) enqueued_at: Option<Timestamp>,
    pub(crate) tick: Option<Tick>,
    pub(crate) call: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) client: Client,
}

impl About {
    /// Returns the parts that a claim gives.
    pub(crate) fn of_claim(
        claim: &Claim,
        partition: &Partition,
        timeout: Option<Duration>,
        client: &Client,
    ) -> Self {
        Self {
            id: claim.job_id(),
            kind: claim.envelope.kind().into(),
            partition: partition.clone(),
            attempt: claim.attempt(),
            fence: claim.fence(),
            enqueued_at: claim.enqueued_at(),
            tick: claim.envelope.tick().cloned(),
            call: claim.envelope.is_call(),
            timeout,
            client: client.clone(),
        }
    }
}

impl Context {
    pub(crate) fn new(about: About) -> Self {
        let About { id, kind, partition, attempt, fence, .. } = about;
        let About { enqueued_at, call, tick, timeout, client, .. } = about;
        let started = Instant::now();
        let deadline = timeout.and_then(|timeout| started.checked_add(timeout));
        let (cancelled, wake) = (AtomicU8::new(0), Notify::new());
        let effects = Mutex::default();
        let inner = Inner {
            id,
            kind,
            partition,
            fence,
            enqueued_at,
            call,
            tick,
            client,
            cancelled,
            wake,
            effects,
        };
        Self { inner: Arc::new(inner), attempt, started, deadline }
    }

    /// Returns the job's id.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.inner.id
    }

    /// Returns the job's kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.inner.kind
    }

    /// Returns the queue's name.
    #[must_use]
    pub fn queue(&self) -> &str {
        self.inner.partition.queue.as_str()
    }

    /// Returns the time of the job's enqueue, as far as its claim tells it: an older cancellation
    /// was meant for earlier jobs of the same id.
    pub(crate) fn enqueued_at(&self) -> Option<Timestamp> {
        self.inner.enqueued_at
    }

    /// Returns the number of this attempt, from 1. Snoozes, releases and crashes are not counted.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns a number that grows each time the job is given to a slot, within one server history;
    /// in an addressed pool it is the term of the slot's lease, which grows with every holder.
    /// Store it with the data that the handler writes, and refuse writes with a lower number: a
    /// process that was suspended and lost its job without noticing then cannot overwrite the data
    /// of its successor.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.inner.fence
    }

    /// Returns the tick for which a schedule enqueued the job; `None` for a job that no schedule
    /// made.
    #[must_use]
    pub fn tick(&self) -> Option<&Tick> {
        self.inner.tick.as_ref()
    }

    /// Returns true when a caller waits for the reply.
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.inner.call
    }

    /// Returns the slot that runs the job, in an addressed pool; otherwise the partition of the
    /// queue.
    #[must_use]
    pub fn slot(&self) -> u16 {
        self.inner.partition.index
    }

    /// Returns when the attempt times out; `None` without a timeout.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns true when the handler should stop; [`Context::interruption`] says why.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.interruption().is_some()
    }

    /// Waits until the handler should stop. The handler's future is dropped if it has not ended a
    /// quarter of a second later, or three seconds later when the job was cancelled.
    pub async fn cancelled(&self) {
        loop {
            let woken = self.inner.wake.notified();
            tokio::pin!(woken);
            // From here on no wake-up is missed, so that the flag can be checked safely.
            woken.as_mut().enable();
            if self.is_cancelled() {
                return;
            }
            woken.await;
        }
    }

    /// Publishes how far the job has come.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; the job itself is
    /// not affected.
    pub async fn progress(&self, done: u64, total: u64) -> Result<(), Error> {
        let broker = self.inner.client.broker();
        broker.report_progress(&self.inner.partition, self.inner.id, done, total).await
    }

    /// Returns a client, for enqueueing further jobs.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Returns the time since the attempt was prepared.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn partition(&self) -> &Partition {
        &self.inner.partition
    }

    /// Adds effects that are applied in the step that settles the job, however its attempt ends.
    pub(crate) fn add_effects(&self, effects: Vec<Effect>) {
        self.effects().extend(effects);
    }

    pub(crate) fn has_effects(&self) -> bool {
        !self.effects().is_empty()
    }

    pub(crate) fn take_effects(&self) -> Vec<Effect> {
        std::mem::take(&mut *self.effects())
    }

    fn effects(&self) -> MutexGuard<'_, Vec<Effect>> {
        self.inner.effects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the context of the same job's next attempt, in the same slot. The claimer can still
    /// interrupt it through the first context, since both share the signal.
    pub(crate) fn next_attempt(&self, attempt: u32, timeout: Option<Duration>) -> Self {
        let started = Instant::now();
        let deadline = timeout.and_then(|timeout| started.checked_add(timeout));
        Self { inner: Arc::clone(&self.inner), attempt, started, deadline }
    }

    pub(crate) fn interrupt(&self, why: Interruption) {
        let first = self.inner.cancelled.compare_exchange(
            0,
            why as u8,
            Ordering::Release,
            Ordering::Relaxed,
        );
        if first.is_ok() {
            self.inner.wake.notify_waiters();
        }
    }

    /// Returns why the handler should stop; `None` while it should go on.
    #[must_use]
    pub fn interruption(&self) -> Option<Interruption> {
        match self.inner.cancelled.load(Ordering::Acquire) {
            1 => Some(Interruption::Shutdown),
            2 => Some(Interruption::Lost),
            3 => Some(Interruption::Cancelled),
            _ => None,
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("id", &self.inner.id)
            .field("kind", &self.inner.kind)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// Ends when the deadline has passed; never ends without a deadline.
pub(crate) async fn past(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
