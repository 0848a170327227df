//! One job for one slot of an addressed pool, or for all slots, awaited like a future.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use poolder_core::broker::{CastReply, PoolView, PreparedJob, Receipt, Stored, When};
use poolder_core::policy::dispatch::{Mode, Pick, hash, pick};
use poolder_core::{EntryId, Error, Handle, Job, Lane, Partition, Policy, QueueName, Timestamp};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::client::Client;
use crate::enqueue::call::{DEFAULT_TIMEOUT, RECORD_MARGIN};
use crate::enqueue::options::{EnqueueOptions, SetOptions, boxed_options, option_methods};
use crate::state::pool_cache::{CachedPool, random};
use crate::state::send_span;
use crate::state::waiters::Ends;

/// Number of attempts to send a job to a pool that is resized meanwhile.
const MAX_TRIES: usize = 10;
/// The options that a job for one slot of an addressed pool can have. Its place is the end of the
/// slot's backlog, and a resize may move it, so it has neither a lane nor an id of its own, and it
/// cannot be unique: `unique(None)` alone is allowed.
const SLOT_OPTIONS: &[&str] = &[
    "after or at",
    "policy",
    "durability",
    "keep_completion",
    "header",
    "trace_parent",
    "unique",
    "expires_in",
    "expires_at",
];
/// The options that the copies of a broadcast can have.
const BROADCAST_OPTIONS: &[&str] = &["policy", "header", "trace_parent", "unique"];

/// The pool to which jobs are sent.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) client: Client,
    pub(super) queue: String,
    /// The policy of jobs without one of their own.
    pub(super) policy: Option<Policy>,
    /// True for a shared pool, whose slots cannot be addressed: jobs are enqueued.
    pub(super) shared: bool,
}

impl Target {
    pub(super) fn name(&self) -> Result<QueueName, Error> {
        QueueName::new(&self.queue)
    }
}

/// The destination of a job in its pool.
#[derive(Debug, Clone, Copy)]
pub(crate) enum To {
    /// The slot that the pool's mode picks.
    Picked,
    /// The slot of this index.
    Slot(u16),
}

/// A job about to be cast to a slot. Awaiting it casts the job; before that nothing happens.
#[derive(Debug)]
#[must_use = "a job is cast when this is awaited"]
pub struct Cast<J> {
    pool: Target,
    job: J,
    to: To,
    key: Option<Vec<u8>>,
    options: SetOptions,
}

/// A call of a pool. Awaiting it makes the call; before that nothing happens.
#[must_use = "a call is made when this is awaited"]
pub struct PoolCall<J, T> {
    cast: Cast<J>,
    timeout: Duration,
    reply: PhantomData<fn() -> T>,
}

/// A cast whose job is serialized.
struct Sending {
    pool: Target,
    new: PreparedJob,
    to: To,
    key: Option<Vec<u8>>,
    options: SetOptions,
}

impl<J: Job> Cast<J> {
    option_methods! {
        lane after at id policy idempotent durability keep_completion header headers
        trace_parent unique expires_in expires_at options
    }

    boxed_options!();

    pub(super) fn new(pool: Target, job: J, to: To) -> Self {
        Self { pool, job, to, key: None, options: None }
    }

    /// Sets the key by which a [`Mode::Phash`] pool picks the slot. Jobs of one key run one at a
    /// time, in the order in which they were cast. Default: the whole payload.
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(key.as_ref().to_vec());
        self
    }

    /// Turns the cast into a call: the worker runs the job with `handle_call`, and the caller waits
    /// for the reply.
    pub fn call<T: DeserializeOwned>(self) -> PoolCall<J, T> {
        PoolCall { cast: self, timeout: DEFAULT_TIMEOUT, reply: PhantomData }
    }

    /// Serializes the job. For a call, `call` is the time for which the completion record is kept.
    fn serialize(self, call: Option<Duration>) -> Result<Sending, Error> {
        let Self { pool, job, to, key, options } = self;
        let set = EnqueueOptions::of(&options);
        let mut new = set.prepare(&pool.client, &job, pool.name()?, pool.policy.as_ref(), call)?;
        // The slot uses the hash to keep the jobs of one key in order.
        if let Some(key) = &key {
            new.envelope = new.envelope.keyed(hash(key))?;
        }
        Ok(Sending { pool, new, to, key, options })
    }
}

impl Sending {
    async fn send(mut self) -> Result<Receipt, Error> {
        if self.pool.shared {
            return self.enqueue(0).await;
        }
        let client = self.pool.client.clone();
        let known = client.pools().get(self.queue());
        let view = known.view(client.broker()).await?;
        self.check_options(view.mode)?;
        if view.mode != Mode::Broadcast {
            client.publish(&mut self.new).await?;
        }
        // The key stays the same while the pool's size changes.
        let key = self.dispatch_key(&known, &view);
        if let To::Slot(index) = self.to
            && view.mode == Mode::Phash
            && pick(view.mode, key, view.size) != Pick::One(index)
        {
            // The job belongs to the slot that was named, not to that of its key.
            self.new.envelope = self.new.envelope.unkeyed()?;
        }
        let registration = client.begin_registration(&[&self.new.partition]);
        // A delayed job is enqueued, in a span of its own.
        let span = match self.new.when {
            When::Now => send_span::send(&mut self.new),
            _ => Span::none(),
        };
        let stored = self.store(&known, view, key).instrument(span).await;
        registration.settle().await;
        stored
    }

    /// Refuses the options that a pool of this mode cannot honour.
    fn check_options(&self, mode: Mode) -> Result<(), Error> {
        let queue = self.queue();
        if self.new.envelope.unique_key().is_some() {
            return Err(Error::invalid(format!(
                "pool {queue} has slots, and a job of a slot cannot be unique: leave the rule out \
                 with unique(None), or enqueue the job into a shared pool"
            )));
        }
        let options = EnqueueOptions::of(&self.options);
        match mode {
            Mode::Broadcast => options.check_only(
                BROADCAST_OPTIONS,
                format_args!("broadcast pool {queue}"),
                "leave it out; a broadcast goes out at once, to the slots that run then",
            ),
            _ => options.check_only(
                SLOT_OPTIONS,
                format_args!("addressed pool {queue}"),
                "leave it out, or enqueue the job into a shared pool",
            ),
        }
    }

    fn queue(&self) -> &QueueName {
        &self.new.partition.queue
    }

    async fn store(
        self,
        known: &CachedPool,
        mut view: Arc<PoolView>,
        key: u64,
    ) -> Result<Receipt, Error> {
        let client = self.pool.client.clone();
        let broker = client.broker();
        for _ in 0..MAX_TRIES {
            let index = match self.place(&view, key) {
                Ok(index) => index,
                // The cached view may be outdated.
                Err(_) => {
                    view = known.renew(broker).await?;
                    self.place(&view, key)?
                }
            };
            let Some(index) = index else {
                let entry = broker.broadcast(self.queue(), &self.new.envelope).await;
                return self.counted(entry.map(|entry| self.receipt(0, entry)));
            };
            if self.new.when != When::Now {
                return self.enqueue(index).await;
            }
            let PreparedJob { envelope, durability, .. } = &self.new;
            let slot = Partition { queue: self.queue().clone(), index };
            match broker.cast(view.generation, &slot, envelope, *durability).await {
                Ok(CastReply::Stored(entry)) => {
                    return self.counted(Ok(self.receipt(index, entry)));
                }
                Ok(CastReply::Stale) => view = known.renew(broker).await?,
                Err(error) => return self.counted(Err(error)),
            }
        }
        Err(Error::refused(format!(
            "pool {} was resized during each of {MAX_TRIES} attempts, the job is not stored: try \
             again",
            self.queue()
        )))
    }

    /// Counts the job for the metrics of the client.
    fn counted(&self, stored: Result<Receipt, Error>) -> Result<Receipt, Error> {
        self.pool.client.count(&self.new, &stored);
        stored
    }

    /// Enqueues the job as for a shared queue, in the partition of this index.
    async fn enqueue(mut self, index: u16) -> Result<Receipt, Error> {
        if let To::Slot(slot) = self.to
            && self.pool.shared
        {
            return Err(Error::invalid(format!(
                "pool {} is shared: its slots cannot be addressed, not even slot {slot}",
                self.queue()
            )));
        }
        self.new.partition.index = index;
        self.pool.client.store(&mut self.new).await
    }

    fn dispatch_key(&self, known: &CachedPool, view: &PoolView) -> u64 {
        match view.mode {
            Mode::RoundRobin => known.next(),
            Mode::Random => random(),
            Mode::Monotonic => Timestamp::now().millis().unsigned_abs(),
            _ => match &self.key {
                Some(key) => hash(key),
                None => hash(self.new.envelope.raw_job().payload),
            },
        }
    }

    /// Returns the slot of the job; `None` for all slots.
    fn place(&self, view: &PoolView, key: u64) -> Result<Option<u16>, Error> {
        let (queue, new) = (self.queue(), &self.new);
        match (self.to, pick(view.mode, key, view.size)) {
            (To::Slot(index), _) if index >= view.size => {
                Err(wrong_slot(queue.as_str(), index, view.size))
            }
            (To::Slot(index), _) => Ok(Some(index)),
            (To::Picked, Pick::One(index)) => Ok(Some(index)),
            (To::Picked, Pick::Any) => Ok(Some(0)),
            (To::Picked, Pick::All) if !new.envelope.is_call() => Ok(None),
            (To::Picked, Pick::All) => Err(Error::invalid(format!(
                "pool {queue} is a broadcast pool: a broadcast has no reply, so cast the job"
            ))),
        }
    }

    fn receipt(&self, index: u16, entry: EntryId) -> Receipt {
        let (job, lane, stored) = (self.new.envelope.id(), Lane::Normal, Stored::Ready(entry));
        let partition = Partition { queue: self.queue().clone(), index };
        Receipt::new(job, partition, lane, stored)
    }
}

impl<J: Job> IntoFuture for Cast<J> {
    /// The receipt of the stored job; for a broadcast only its entry is meaningful. Errors:
    /// [`Error::is_not_found`] when no such pool is registered, [`Error::is_invalid`] for a slot
    /// that does not exist and for an option that the pool cannot honour, and the errors of an
    /// enqueue. An addressed pool refuses a lane, an id and idempotence, a broadcast pool all but
    /// the policy and headers.
    type Output = Result<Receipt, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let sending = self.serialize(None);
        Box::pin(async move { sending?.send().await })
    }
}

impl<J: Job, T> PoolCall<J, T> {
    option_methods! {
        lane after at id policy idempotent durability keep_completion header headers
        trace_parent unique options
    }

    fn options_mut(&mut self) -> &mut EnqueueOptions {
        self.cast.options_mut()
    }

    /// Sets how long to wait: for the job to be stored, and for its reply. Default 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the key, as [`Cast::key`].
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.cast = self.cast.key(key);
        self
    }
}

impl<J: Job, T: DeserializeOwned + 'static> IntoFuture for PoolCall<J, T> {
    /// The reply, or an error of a cast or of [`Client::call`](crate::Client::call). When the time
    /// is up, the job continues.
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { cast, timeout, .. } = self;
        let (client, sending) =
            (cast.pool.client.clone(), cast.serialize(Some(timeout.saturating_add(RECORD_MARGIN))));
        Box::pin(async move {
            let deadline = Instant::now().checked_add(timeout);
            let sending = sending?;
            let job = sending.new.envelope.id();
            let stored = Client::stored(job, sending.send(), deadline, timeout).await?;
            let handle = Handle::from(stored);
            let waiter = client.waiters().enter(&handle.partition, handle.job, Ends::AreRecorded);
            client.wait_on(&handle, waiter, deadline, timeout).await?.into_result(handle.job)
        })
    }
}

/// Returns the error for a slot that does not exist.
pub(super) fn wrong_slot(queue: &str, index: u16, size: u16) -> Error {
    let most = size.saturating_sub(1);
    Error::invalid(format!("pool {queue} has no slot {index}: it has {size}, from 0 to {most}"))
}

impl<J, T> std::fmt::Debug for PoolCall<J, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolCall").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
