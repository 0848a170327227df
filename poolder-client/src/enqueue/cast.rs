//! One job for a slot of an addressed pool, or for all of them, awaited like a future.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use poolder_core::broker::{CastReply, PoolView, Receipt, Stored, When};
use poolder_core::policy::dispatch::{Mode, Pick, hash, pick};
use poolder_core::{
    EntryId, Envelope, Error, Handle, Job, JobId, Lane, Partition, Policy, QueueName, Timestamp,
};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::client::Client;
use crate::enqueue::encode::{encode, plain};
use crate::state::pool_cache::{CachedPool, random};

/// A pool is resized now and then, not all the time.
const TRIES: usize = 10;
/// How long a call waits unless it is told otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The end is kept this much longer than the caller waits.
const MARGIN: Duration = Duration::from_secs(60);

/// A pool that jobs are given to.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) client: Client,
    pub(super) queue: String,
    /// For jobs that bring no policy of their own.
    pub(super) policy: Option<Policy>,
    /// Its slots cannot be addressed: jobs are enqueued.
    pub(super) shared: bool,
}

impl Target {
    pub(super) fn name(&self) -> Result<QueueName, Error> {
        QueueName::new(&self.queue)
    }
}

/// Where a job goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum To {
    /// To the slot that the mode picks.
    Picked,
    /// To this one.
    Slot(u16),
}

/// A job about to be given to a slot. Nothing happens until it is awaited.
#[derive(Debug)]
#[must_use = "a job is cast when this is awaited"]
pub struct Cast<J> {
    pool: Target,
    job: J,
    to: To,
    key: Option<Vec<u8>>,
    when: When,
}

/// A call about to be made. Nothing happens until it is awaited.
#[must_use = "a call is made when this is awaited"]
pub struct PoolCall<J, T> {
    cast: Cast<J>,
    timeout: Duration,
    reply: PhantomData<fn() -> T>,
}

/// What is left of a cast when its job was serialized.
struct Sending {
    pool: Target,
    queue: QueueName,
    envelope: Envelope,
    to: To,
    key: Option<Vec<u8>>,
    when: When,
}

impl<J: Job> Cast<J> {
    pub(super) fn new(pool: Target, job: J, to: To) -> Self {
        Self { pool, job, to, key: None, when: When::Now }
    }

    /// The key by which a [`Mode::Phash`] pool picks the slot: jobs of one key run one at a time,
    /// in the order in which they were cast. Default: the whole payload.
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(key.as_ref().to_vec());
        self
    }

    /// Not before this time has passed, by the server's clock. It then takes its place behind what
    /// waits for its slot.
    pub fn after(mut self, delay: Duration) -> Self {
        self.when = When::In(delay);
        self
    }

    /// Not before this moment, by the server's clock.
    pub fn at(mut self, at: impl Into<Timestamp>) -> Self {
        self.when = When::At(at.into());
        self
    }

    /// Makes it a call: the worker's `handle_call` runs it, and its reply is waited for.
    pub fn call<T: DeserializeOwned>(self) -> PoolCall<J, T> {
        PoolCall { cast: self, timeout: TIMEOUT, reply: PhantomData }
    }

    /// Serializes the job; a call's end is kept for that long.
    fn serialize(self, call: Option<Duration>) -> Result<Sending, Error> {
        let Self { pool, job, to, key, when } = self;
        let (queue, id) = (pool.name()?, JobId::generate());
        let own = job.policy();
        let policy = match &pool.policy {
            Some(policy) if own == Policy::default() => policy.clone(),
            _ => own,
        };
        let mut envelope = encode(&job, id, &queue, &policy)?;
        // Its slot must know which jobs are one key's.
        if let Some(key) = &key {
            envelope = envelope.keyed(hash(key))?;
        }
        if let Some(kept) = call {
            envelope = envelope.keeping_completion(kept)?.calling()?;
        }
        Ok(Sending { pool, queue, envelope, to, key, when })
    }
}

impl Sending {
    async fn send(self) -> Result<Receipt, Error> {
        if self.pool.shared {
            return self.enqueue(0).await;
        }
        let client = &self.pool.client;
        let (broker, known) = (client.broker(), client.pools.get(&self.queue));
        let mut view = known.view(broker).await?;
        // The key stays the same while the size changes.
        let key = self.dispatch_key(&known, &view);
        client.register(&Partition::first(self.queue.clone())).await;
        for _ in 0..TRIES {
            let index = match self.place(&view, key) {
                Ok(index) => index,
                // What is known may be old.
                Err(_) => {
                    view = known.renew(broker).await?;
                    self.place(&view, key)?
                }
            };
            let Some(index) = index else {
                let entry = broker.broadcast(&self.queue, &self.envelope).await?;
                return Ok(self.receipt(0, entry));
            };
            if self.when != When::Now {
                return self.enqueue(index).await;
            }
            let slot = Partition { queue: self.queue.clone(), index };
            match broker.cast(view.generation, &slot, &self.envelope).await? {
                CastReply::Stored(entry) => return Ok(self.receipt(index, entry)),
                CastReply::Stale => view = known.renew(broker).await?,
            }
        }
        Err(Error::refused(format!(
            "pool {} changes its size all the time, the job is not stored: try again",
            self.queue
        )))
    }

    /// Stores it as a shared queue does, in that partition.
    async fn enqueue(self, index: u16) -> Result<Receipt, Error> {
        if let To::Slot(slot) = self.to
            && self.pool.shared
        {
            return Err(Error::invalid(format!(
                "pool {} is shared: its slots cannot be addressed, not even slot {slot}",
                self.queue
            )));
        }
        let mut new = plain(self.envelope, self.queue);
        (new.partition.index, new.when) = (index, self.when);
        self.pool.client.register(&new.partition).await;
        self.pool.client.broker().enqueue(&new).await
    }

    fn dispatch_key(&self, known: &CachedPool, view: &PoolView) -> u64 {
        match view.mode {
            Mode::RoundRobin => known.next(),
            Mode::Random => random(),
            Mode::Monotonic => Timestamp::now().millis().unsigned_abs(),
            Mode::Phash | Mode::Shared | Mode::Broadcast => match &self.key {
                Some(key) => hash(key),
                None => hash(self.envelope.raw_job().payload),
            },
        }
    }

    /// The slot; `None` for all of them.
    fn place(&self, view: &PoolView, key: u64) -> Result<Option<u16>, Error> {
        let queue = self.queue.as_str();
        match (self.to, pick(view.mode, key, view.size)) {
            (To::Slot(index), _) if index >= view.size => Err(wrong_slot(queue, index, view.size)),
            (To::Slot(index), _) => Ok(Some(index)),
            (To::Picked, Pick::One(index)) => Ok(Some(index)),
            (To::Picked, Pick::Any) => Ok(Some(0)),
            (To::Picked, Pick::All) if self.when == When::Now && !self.envelope.is_call() => {
                Ok(None)
            }
            (To::Picked, Pick::All) => Err(Error::invalid(format!(
                "pool {queue} is a broadcast pool: a broadcast goes out at once and has no reply"
            ))),
        }
    }

    fn receipt(&self, index: u16, entry: EntryId) -> Receipt {
        let (job, lane, stored) = (self.envelope.id(), Lane::Normal, Stored::Ready(entry));
        Receipt { job, partition: Partition { queue: self.queue.clone(), index }, lane, stored }
    }
}

impl<J: Job> IntoFuture for Cast<J> {
    /// Where the job is; of a broadcast, only its entry. Errors: [`Error::is_gone`] when no such
    /// pool is registered, [`Error::is_invalid`] for a slot that is none, and those of an enqueue.
    type Output = Result<Receipt, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let sending = self.serialize(None);
        Box::pin(async move { sending?.send().await })
    }
}

impl<J: Job, T> PoolCall<J, T> {
    /// How long to wait. Default 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// As [`Cast::key`].
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.cast = self.cast.key(key);
        self
    }
}

impl<J: Job, T: DeserializeOwned + 'static> IntoFuture for PoolCall<J, T> {
    /// The reply. Errors as of a cast, and as of [`Client::call`](crate::Client::call); when the
    /// time is up, the job goes on.
    type Output = Result<T, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { cast, timeout, .. } = self;
        let (client, sending) =
            (cast.pool.client.clone(), cast.serialize(Some(timeout.saturating_add(MARGIN))));
        Box::pin(async move {
            let deadline = Instant::now().checked_add(timeout);
            let handle = Handle::from(sending?.send().await?);
            let waiter = client.waiters().enter(&handle.partition, handle.job);
            client.wait_on(&handle, waiter, deadline, timeout).await?.into_result(handle.job)
        })
    }
}

/// The error for a slot that is none.
pub(super) fn wrong_slot(queue: &str, index: u16, size: u16) -> Error {
    let most = size.saturating_sub(1);
    Error::invalid(format!("pool {queue} has no slot {index}: it has {size}, from 0 to {most}"))
}

impl<J, T> std::fmt::Debug for PoolCall<J, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolCall").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
