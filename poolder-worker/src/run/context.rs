//! The context of an attempt: facts about the job, its interruption, and the progress it reports.

mod interruption;

use std::any::type_name;
use std::fmt;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use poolder_client::Client;
use poolder_core::broker::Effect;
use poolder_core::{
    Attempt, Counters, Error, Failure, Headers, JobId, Lane, Partition, Policy, Tick, Timestamp,
    TraceParent,
};
use tokio::sync::Notify;
use tokio::time::Instant;

pub use interruption::Interruption;

use super::about::{About, history_of};
use crate::process::progress::JobProgress;

/// How long the settlement of a job waits until the last report of its progress is written.
const LONGEST_FLUSH: Duration = Duration::from_millis(500);

/// One attempt at a job, as its handler sees it. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
    attempt: u32,
    /// The counters of a job that has failed before.
    history: Option<Arc<Counters>>,
    started: Instant,
    deadline: Option<Instant>,
    /// The number of the slot that runs the attempt.
    slot: usize,
}

struct Inner {
    about: About,
    /// Set by the first report.
    progress: OnceLock<Arc<JobProgress>>,
    /// When the job was prepared for its slot.
    claimed: Instant,
    cancelled: AtomicU8,
    wake: Notify,
    effects: Mutex<Vec<Effect>>,
}

impl Context {
    pub(crate) fn new(about: About) -> Self {
        let (attempt, history) = (about.attempt, about.history.clone());
        let (claimed, cancelled, wake) = (Instant::now(), AtomicU8::new(0), Notify::new());
        let (progress, effects) = (OnceLock::new(), Mutex::default());
        let inner = Arc::new(Inner { about, progress, claimed, cancelled, wake, effects });
        Self::of(inner, attempt, history, claimed)
    }

    fn of(
        inner: Arc<Inner>,
        attempt: u32,
        history: Option<Arc<Counters>>,
        started: Instant,
    ) -> Self {
        let deadline = inner.about.policy.timeout.and_then(|timeout| started.checked_add(timeout));
        Self { inner, attempt, history, started, deadline, slot: 0 }
    }

    /// Returns the job's id.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.inner.about.id
    }

    /// Returns the job's kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.inner.about.kind
    }

    /// Returns the queue's name.
    #[must_use]
    pub fn queue(&self) -> &str {
        self.inner.about.partition.queue.as_str()
    }

    /// Returns the lane from which the job was claimed: high, normal or low, as it was enqueued;
    /// front after a rescue or a release, suspect after two crashes. A slot of an addressed pool has
    /// the lanes front and normal only.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.inner.about.lane
    }

    /// Returns the number of this attempt, from 1. Snoozes, releases and crashes are not counted.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns the number of attempts after which the job dies, by the policy that holds for it.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.inner.about.policy.attempts
    }

    /// Returns true when a failure of this attempt buries the job, since its policy allows no more.
    /// An earlier attempt may be the last one as well: by [`Policy::retry_for`], or by the verdict
    /// of `handle_error`.
    #[must_use]
    pub fn is_last_attempt(&self) -> bool {
        self.attempt >= self.max_attempts()
    }

    /// Returns the policy that holds for the job: its own, else that of the pool, else the default.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.inner.about.policy
    }

    /// Returns the headers that the job was enqueued with.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.inner.about.headers
    }

    /// Returns the trace context with which the job was sent; `None` for a job without. It stays the
    /// same in each attempt. With it, a handler without OpenTelemetry hands the trace on:
    ///
    /// ```no_run
    /// # use poolder_client::Client;
    /// # use poolder_core::{BoxError, Job, TraceParent};
    /// # use poolder_worker::Context;
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Next;
    /// # impl Job for Next { const KINDS: &'static [&'static str] = &["next"]; }
    /// # async fn f(cx: Context) -> Result<(), BoxError> {
    /// let next = cx.client().enqueue(Next);
    /// match cx.trace_parent() {
    ///     Some(parent) => next.trace_parent(parent).await?,
    ///     None => next.await?,
    /// };
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn trace_parent(&self) -> Option<TraceParent> {
        self.inner.about.trace_parent
    }

    /// Returns the time at which the job was enqueued.
    ///
    /// For a job whose id is derived from a name this is the time of its enqueue or last revival, by
    /// the server's clock. For any other job that Poolder enqueued it is the time in the job's id,
    /// by the clock of the producer, but no later than the job was ready. For a plain entry and for
    /// the job of a schedule it is the time at which they were ready, and `None` once such a job was
    /// tried before.
    #[must_use]
    pub fn enqueued_at(&self) -> Option<Timestamp> {
        self.inner.about.times.enqueued_at()
    }

    /// Returns how long the job was ready before this node claimed it: from its entry into the lane,
    /// which a delay, a backoff, a release or a rescue put off, until it was given to a slot. Both
    /// times are those of the server's clock, as the node follows it with its heartbeat; zero when
    /// the lane names no time. The backoff of a job that blocks its addressed slot, and that of a
    /// broadcast's copy, are part of the time.
    #[must_use]
    pub fn waited(&self) -> Duration {
        let About { times, clock, .. } = &self.inner.about;
        let claimed = clock.now() - self.inner.claimed.elapsed();
        times.ready_at().map(|ready| claimed.since(ready)).unwrap_or_default()
    }

    /// Returns the attempts so far that failed, or under which a node died, the first one first: at
    /// most the first seven and the last seven, with times and causes. A revived job keeps those
    /// from before its revival, so that there may be more than [`Context::attempt`] tells. The
    /// message is stored for the latest one: see [`Context::last_failure`].
    #[must_use]
    pub fn failures(&self) -> Vec<Attempt> {
        self.history.as_ref().map(|counters| counters.attempts()).unwrap_or_default()
    }

    /// Returns the latest failure, with its cause and its message; `None` for a job that has never
    /// failed.
    #[must_use]
    pub fn last_failure(&self) -> Option<&Failure> {
        self.history.as_ref()?.last_failure.as_ref()
    }

    /// Returns the time before which a cancellation was meant for earlier jobs of the same id;
    /// `None` when it is not known.
    pub(crate) fn began_at(&self) -> Option<Timestamp> {
        self.inner.about.times.began_at()
    }

    /// Returns a number that grows each time the job is given to a slot, within one server history;
    /// in an addressed pool it is the term of the slot's lease, which grows with every holder.
    /// Store it with the data that the handler writes, and refuse writes with a lower number: a
    /// process that was suspended and lost its job without noticing then cannot overwrite the data
    /// of its successor.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.inner.about.fence
    }

    /// Returns the tick for which a schedule enqueued the job; `None` for a job that no schedule
    /// made.
    #[must_use]
    pub fn tick(&self) -> Option<&Tick> {
        self.inner.about.tick.as_ref()
    }

    /// Returns true when a caller waits for the reply.
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.inner.about.call
    }

    /// Returns the slot that runs the job, in an addressed pool; otherwise the partition of the
    /// queue.
    #[must_use]
    pub fn slot(&self) -> u16 {
        self.inner.about.partition.index
    }

    /// Returns when the attempt times out; `None` without a timeout.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Reports how far the job has come, in units done and units in total. The report is written in
    /// the background, at most one every 100 ms: of more reports, only the last one is. The last
    /// report of an attempt is written before the end of the attempt is settled, unless the server
    /// does not answer for half a second. A report may be made as often as the handler likes.
    ///
    /// # Errors
    /// Returns the error of the write of an earlier report, once: the server did not answer or
    /// refused the command. This report is written all the same, and the job itself is not affected.
    /// The first error of a job is logged.
    pub async fn progress(&self, done: u64, total: u64) -> Result<(), Error> {
        // A handler that does nothing but report leaves its thread to other tasks now and then.
        tokio::task::consume_budget().await;
        let Inner { about, progress, .. } = &*self.inner;
        #[cfg(feature = "testing")]
        if let Some(captured) = about.client.broker().captured() {
            captured.note_progress(about.id, (done, total));
            return Ok(());
        }
        let new = || Arc::new(JobProgress::new(about.partition.clone(), about.id));
        about.progress.report(progress.get_or_init(new), (done, total))
    }

    /// Waits until the last report of the job's progress is written, for a limited time.
    pub(crate) async fn flush_progress(&self) {
        if let Some(progress) = self.inner.progress.get() {
            let flush = self.inner.about.progress.flush(progress);
            _ = tokio::time::timeout(LONGEST_FLUSH, flush).await;
        }
    }

    /// Says what the job has really cost, in units of the rates of its queue and its group, such as the
    /// tokens that an answer has used: they are taken in the step that settles the attempt, in place
    /// of the cost with which the job was enqueued. Units that are left over come back at once; where
    /// the job has taken more than there were, the next ones wait for them, at most a window longer.
    /// The last call of an attempt counts. On a queue without rates it has no effect.
    ///
    /// ```no_run
    /// # use poolder_core::{BoxError, Job, Outcome};
    /// # use poolder_worker::Context;
    /// # async fn complete(prompt: &str) -> Result<(String, u32), BoxError> { Ok((prompt.into(), 1)) }
    /// async fn ask(prompt: String, cx: Context) -> Result<Outcome, BoxError> {
    ///     let (answer, tokens) = complete(&prompt).await?;
    ///     cx.charge(tokens);
    ///     Ok(Outcome::result(&answer)?)
    /// }
    /// ```
    pub fn charge(&self, units: u32) {
        let mut effects = self.effects();
        effects.retain(|effect| !matches!(effect, Effect::Charge(_)));
        effects.push(Effect::Charge(units));
    }

    /// Returns a client, for enqueueing further jobs.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.inner.about.client
    }

    /// Returns the shared state of type `T`: that of the pool ([`Pool::state`](crate::Pool::state)),
    /// or else that of the node ([`NodeBuilder::state`](crate::NodeBuilder::state)).
    ///
    /// # Errors
    /// [`Error::is_invalid`] when neither has a value of this type. A worker that names the type in
    /// [`Worker::STATES`](crate::Worker::STATES) finds it, else its node does not start.
    pub fn state<T: Clone + Send + Sync + 'static>(&self) -> Result<&T, Error> {
        self.inner.about.states.get().ok_or_else(|| {
            let needed_by = format!("pool {}: the handler of kind {:?}", self.queue(), self.kind());
            self.inner.about.states.missing(&needed_by, type_name::<T>())
        })
    }

    /// Returns the time since the attempt was prepared.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn partition(&self) -> &Partition {
        &self.inner.about.partition
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

    /// Returns the context of the same job's next attempt, in the same slot, after a failure that
    /// made these counters. The claimer can still interrupt it through the first context, since both
    /// share the signal.
    pub(crate) fn next_attempt(&self, counters: &Counters) -> Self {
        let attempt = counters.failures.saturating_add(1);
        let next = Self::of(Arc::clone(&self.inner), attempt, history_of(counters), Instant::now());
        next.in_slot(self.slot)
    }

    /// Returns the context in the slot of this number.
    pub(super) fn in_slot(self, slot: usize) -> Self {
        Self { slot, ..self }
    }

    /// Returns the number of the slot that runs the attempt, for logs: in the whole fleet for an
    /// addressed pool, in this process for any other.
    pub(super) fn slot_number(&self) -> usize {
        self.slot
    }

    /// Returns the name of the node that has claimed the job.
    pub(super) fn node(&self) -> &str {
        &self.inner.about.node
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("id", &self.inner.about.id)
            .field("kind", &self.inner.about.kind)
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
