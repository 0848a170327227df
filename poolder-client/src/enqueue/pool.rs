//! An addressed or broadcast pool, as its producers see it.

use std::marker::PhantomData;
use std::sync::Arc;

use poolder_core::broker::{PoolView, SlotView};
use poolder_core::policy::dispatch::Mode;
use poolder_core::{Error, Job, Partition, Policy, QueueName};
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::enqueue::cast::{Cast, PoolCall, Target, To, wrong_slot};

/// At most this many slots are looked at in one go.
const AT_ONCE: u16 = 64;

/// A pool in which each job goes to one certain slot of the fleet, or to all of them. Cheap to
/// make and to clone.
///
/// ```no_run
/// # use poolder_client::Client;
/// # use poolder_core::Job;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Push { channel: String }
/// # impl Job for Push { const KINDS: &'static [&'static str] = &["push"]; }
/// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
/// let pool = client.pool::<Push>("mypool");
/// pool.cast(Push { channel: "lobby".into() }).await?;
/// for i in 0..pool.size().await? {
///     pool.slot(i).cast(Push { channel: "lobby".into() }).await?;
/// }
/// # Ok(()) }
/// ```
pub struct PoolClient<J> {
    target: Target,
    /// Slots of each process, where it is they that count.
    local: Option<u16>,
    job: PhantomData<fn(J)>,
}

/// One slot of a pool.
#[derive(Debug, Clone)]
pub struct PoolSlot<J> {
    pool: PoolClient<J>,
    index: u16,
}

impl Client {
    /// The addressed or broadcast pool of this name.
    #[must_use]
    pub fn pool<J: Job>(&self, queue: impl Into<String>) -> PoolClient<J> {
        let (client, queue) = (self.clone(), queue.into());
        let target = Target { client, queue, policy: None, shared: false };
        PoolClient { target, local: None, job: PhantomData }
    }

    /// Changes the number of slots of an addressed pool: see [`PoolClient::resize`].
    ///
    /// # Errors
    /// As there.
    pub async fn resize_pool(&self, queue: &QueueName, size: u16) -> Result<(), Error> {
        let known = self.pools.get(queue);
        if known.view(self.broker()).await?.mode == Mode::Broadcast {
            return Err(Error::invalid(format!(
                "pool {queue} is a broadcast pool: each process has its own size"
            )));
        }
        self.broker().resize_pool(queue, size).await?;
        known.renew(self.broker()).await.map(|_| ())
    }

    /// Starts an addressed pool again, and all its slots that were stopped.
    ///
    /// # Errors
    /// [`Error::is_gone`] when no such pool is registered.
    pub async fn start_pool(&self, queue: &QueueName) -> Result<(), Error> {
        let view = self.pools.get(queue).renew(self.broker()).await?;
        for index in 0..view.tail {
            let slot = Partition { queue: queue.clone(), index };
            self.broker().stop_slot(&slot, false).await?;
        }
        self.broker().stop_pool(queue, false).await
    }
}

impl<J: Job> PoolClient<J> {
    /// The policy for jobs cast from here that bring none of their own.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.target.policy = Some(policy);
        self
    }

    /// Says that the pool is a shared one with that many slots in each process: its jobs are
    /// enqueued, and whichever slot is free takes them.
    #[must_use]
    pub fn shared(mut self, size: u16) -> Self {
        (self.local, self.target.shared) = (Some(size), true);
        self
    }

    /// Says how many slots of a broadcast pool each process has.
    #[must_use]
    pub fn sized(mut self, size: u16) -> Self {
        self.local = Some(size);
        self
    }

    /// How many slots it has: an addressed pool in the whole fleet, another one in each process,
    /// as was said here, or 0.
    ///
    /// # Errors
    /// [`Error::is_gone`] when no such pool is registered.
    pub async fn size(&self) -> Result<u16, Error> {
        match self.local {
            Some(size) => Ok(size),
            None => Ok(self.view().await?.size),
        }
    }

    /// Gives a job to the slot that the pool's mode picks, or to all of them: await it as it is,
    /// or say first by which key, or when.
    pub fn cast(&self, job: J) -> Cast<J> {
        Cast::new(self.target.clone(), job, To::Picked)
    }

    /// Gives a job to the slot that the pool's mode picks, and waits for what the worker's
    /// `handle_call` replies.
    pub fn call<T: DeserializeOwned>(&self, job: J) -> PoolCall<J, T> {
        self.cast(job).call()
    }

    /// A certain slot, from 0.
    #[must_use]
    pub fn slot(&self, index: u16) -> PoolSlot<J> {
        PoolSlot { pool: self.clone(), index }
    }

    /// Changes the number of slots, live. Slots beyond the size finish what they have. In a
    /// [`Mode::Phash`] pool jobs stored from now on wait until those stored before have run, so
    /// that no key is in two slots at once.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a size of 0 or above 10,000, [`Error::is_gone`] when no such
    /// pool is registered, [`Error::is_refused`] while a resize before it is still under way.
    pub async fn resize(&self, size: u16) -> Result<(), Error> {
        self.target.client.resize_pool(&self.name()?, size).await
    }

    /// Stops the pool in the whole fleet: its slots finish what they run and take no more.
    ///
    /// # Errors
    /// [`Error::is_gone`] when no such pool is registered.
    pub async fn stop(&self) -> Result<(), Error> {
        self.view().await?;
        self.target.client.broker().stop_pool(&self.name()?, true).await
    }

    /// Starts again what was stopped: the pool, and slots of it.
    ///
    /// # Errors
    /// [`Error::is_gone`] when no such pool is registered.
    pub async fn start(&self) -> Result<(), Error> {
        self.target.client.start_pool(&self.name()?).await
    }

    /// What the pool is like, and which nodes serve it.
    ///
    /// # Errors
    /// [`Error::is_gone`] when no such pool is registered.
    pub async fn inspect(&self) -> Result<PoolView, Error> {
        let known = self.target.client.pools.get(&self.name()?);
        Ok(known.renew(self.target.client.broker()).await?.as_ref().clone())
    }

    /// All its slots: where each lives, what it runs, and what waits for it.
    ///
    /// # Errors
    /// [`Error::is_gone`] when no such pool is registered.
    pub async fn slots(&self) -> Result<Vec<SlotView>, Error> {
        let (queue, tail) = (self.name()?, self.inspect().await?.tail);
        let mut views = vec![];
        for first in (0..tail).step_by(usize::from(AT_ONCE)) {
            let some = (first..tail.min(first.saturating_add(AT_ONCE))).map(|index| {
                let slot = Partition { queue: queue.clone(), index };
                async move { self.target.client.broker().view_slot(&slot).await }
            });
            views.extend(futures_util::future::try_join_all(some).await?);
        }
        Ok(views)
    }

    fn name(&self) -> Result<QueueName, Error> {
        self.target.name()
    }

    async fn view(&self) -> Result<Arc<PoolView>, Error> {
        self.target.client.pools.get(&self.name()?).view(self.target.client.broker()).await
    }
}

impl<J: Job> PoolSlot<J> {
    /// Its number.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Gives it a job.
    pub fn cast(&self, job: J) -> Cast<J> {
        Cast::new(self.pool.target.clone(), job, To::Slot(self.index))
    }

    /// Gives it a job, and waits for what the worker's `handle_call` replies.
    pub fn call<T: DeserializeOwned>(&self, job: J) -> PoolCall<J, T> {
        self.cast(job).call()
    }

    /// Where it lives, what it runs, and what waits for it.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the pool has no such slot.
    pub async fn inspect(&self) -> Result<SlotView, Error> {
        let slot = self.partition().await?;
        self.pool.target.client.broker().view_slot(&slot).await
    }

    /// Stops it: the job that it runs may end, and no other is claimed once this has returned. Its
    /// backlog stays, and grows, until it is started again.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the pool has no such slot.
    pub async fn stop(&self) -> Result<(), Error> {
        let slot = self.partition().await?;
        self.pool.target.client.broker().stop_slot(&slot, true).await
    }

    /// Starts it again; within a second or two some process takes it.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the pool has no such slot.
    pub async fn start(&self) -> Result<(), Error> {
        let slot = self.partition().await?;
        self.pool.target.client.broker().stop_slot(&slot, false).await
    }

    async fn partition(&self) -> Result<Partition, Error> {
        let view = self.pool.inspect().await?;
        if self.index >= view.tail {
            return Err(wrong_slot(&self.pool.target.queue, self.index, view.size));
        }
        Ok(Partition { queue: self.pool.name()?, index: self.index })
    }
}

impl<J> Clone for PoolClient<J> {
    fn clone(&self) -> Self {
        Self { target: self.target.clone(), local: self.local, job: PhantomData }
    }
}

impl<J> std::fmt::Debug for PoolClient<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolClient").field("queue", &self.target.queue).finish_non_exhaustive()
    }
}
