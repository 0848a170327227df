//! Producer's handle of an addressed or broadcast pool.

use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::try_join_all;
use poolder_core::broker::{PoolView, SlotView};
use poolder_core::history::JournalEvent;
use poolder_core::policy::dispatch::Mode;
use poolder_core::{Error, Job, Partition, Policy, QueueName};
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::enqueue::cast::{Cast, PoolCall, Target, To, wrong_slot};
use crate::state::audit::Change;

/// Number of slots that are read at the same time.
const SLOTS_AT_ONCE: u16 = 64;

/// Handle of a pool in which each job goes to one slot of the fleet, or to all slots. Cheap to make
/// and to clone.
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
    /// Number of slots of each process, for shared and broadcast pools.
    local: Option<u16>,
    job: PhantomData<fn(J)>,
}

/// Handle of one slot of a pool.
#[derive(Debug, Clone)]
pub struct PoolSlot<J> {
    pool: PoolClient<J>,
    index: u16,
}

impl Client {
    /// Returns the handle of the addressed or broadcast pool of this name, for jobs of type `J`; any
    /// type will do to read and change the pool, such as `()`.
    #[must_use]
    pub fn pool<J>(&self, queue: impl AsRef<str>) -> PoolClient<J> {
        let (client, queue) = (self.clone(), queue.as_ref().into());
        let target = Target { client, queue, policy: None, shared: false };
        PoolClient { target, local: None, job: PhantomData }
    }
}

impl<J> PoolClient<J> {
    /// Sets the policy for jobs that are cast from this handle and have no policy of their own.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.target.policy = Some(policy);
        self
    }

    /// Declares the pool to be shared, with `size` slots in each process. Its jobs are enqueued,
    /// and any free slot takes them.
    #[must_use]
    pub fn with_shared_slots(mut self, size: u16) -> Self {
        (self.local, self.target.shared) = (Some(size), true);
        self
    }

    /// Sets the number of slots that a broadcast pool has in each process.
    #[must_use]
    pub fn with_size(mut self, size: u16) -> Self {
        self.local = Some(size);
        self
    }

    /// Returns the number of slots: of an addressed pool in the whole fleet; of a shared or
    /// broadcast pool in each process, as set by [`PoolClient::with_shared_slots`] or
    /// [`PoolClient::with_size`],
    /// else 0.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when no such pool is registered.
    pub async fn size(&self) -> Result<u16, Error> {
        match self.local {
            Some(size) => Ok(size),
            None => Ok(self.cached_view().await?.size),
        }
    }

    /// Returns the handle of one slot, counted from 0.
    #[must_use]
    pub fn slot(&self, index: u16) -> PoolSlot<J> {
        PoolSlot { pool: self.clone(), index }
    }

    /// Changes the number of slots while the pool runs. Slots beyond the new size finish their
    /// jobs. In a [`Mode::Phash`] pool, jobs stored after the resize wait until the jobs stored
    /// before it have run, so that jobs of one key never run in two slots at once.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a size of 0 or above 10,000, [`Error::is_not_found`] when no such
    /// pool is registered, [`Error::is_refused`] while an earlier resize is still in progress.
    pub async fn resize(&self, size: u16) -> Result<(), Error> {
        let (client, queue) = (&self.target.client, self.name()?);
        let known = client.pools().get(&queue);
        if known.view(client.broker()).await?.mode == Mode::Broadcast {
            return Err(Error::invalid(format!(
                "pool {queue} is a broadcast pool: each process has its own size"
            )));
        }
        let change = || {
            let change = Change::new("pool.resize", &queue).event(JournalEvent::PoolResized);
            change.detail(format_args!("to {size} slots"))
        };
        let resized = client.broker().resize_pool(&queue, size);
        client.auditor().record(change, |_| 1, resized).await?;
        known.renew(client.broker()).await.map(|_| ())
    }

    /// Stops the pool in the whole fleet: its slots finish their running jobs and claim no more.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when no such pool is registered.
    pub async fn stop(&self) -> Result<(), Error> {
        self.cached_view().await?;
        let (client, queue) = (&self.target.client, self.name()?);
        let stopped = client.broker().stop_pool(&queue, true);
        let change = || Change::new("pool.stop", &queue).event(JournalEvent::PoolStopped);
        client.auditor().record(change, |()| 1, stopped).await
    }

    /// Starts the stopped pool again, with all its stopped slots.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when no such pool is registered.
    pub async fn start(&self) -> Result<(), Error> {
        let (client, queue) = (&self.target.client, self.name()?);
        let started = async {
            for index in 0..self.view().await?.tail {
                let slot = Partition { queue: queue.clone(), index };
                client.broker().stop_slot(&slot, false).await?;
            }
            client.broker().stop_pool(&queue, false).await
        };
        let change = || Change::new("pool.start", &queue).event(JournalEvent::PoolStarted);
        client.auditor().record(change, |()| 1, started).await
    }

    /// Reads the pool's mode, size and state, and the nodes that serve it.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when no such pool is registered.
    pub async fn view(&self) -> Result<PoolView, Error> {
        let known = self.target.client.pools().get(&self.name()?);
        Ok(known.renew(self.target.client.broker()).await?.as_ref().clone())
    }

    /// Reads all slots of the pool: each slot's node, running job and backlog.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when no such pool is registered.
    pub async fn slots(&self) -> Result<Vec<SlotView>, Error> {
        let (queue, tail) = (self.name()?, self.view().await?.tail);
        let queue = &queue;
        let mut views = vec![];
        for first in (0..tail).step_by(usize::from(SLOTS_AT_ONCE)) {
            let read = self.target.client.read_together(|client| async move {
                let some = (first..tail.min(first.saturating_add(SLOTS_AT_ONCE))).map(|index| {
                    let slot = Partition { queue: queue.clone(), index };
                    let client = &client;
                    async move { client.broker().view_slot(&slot).await }
                });
                try_join_all(some).await
            });
            views.extend(read.await?);
        }
        Ok(views)
    }

    fn name(&self) -> Result<QueueName, Error> {
        self.target.name()
    }

    async fn cached_view(&self) -> Result<Arc<PoolView>, Error> {
        self.target.client.pools().get(&self.name()?).view(self.target.client.broker()).await
    }
}

impl<J: Job> PoolClient<J> {
    /// Casts a job to the slot that the pool's mode picks, or to all slots of a broadcast pool.
    /// Await it, or set a key or a time first.
    pub fn cast(&self, job: J) -> Cast<J> {
        Cast::new(self.target.clone(), job, To::Picked)
    }

    /// Casts a job to the slot that the pool's mode picks, and waits for the reply of the worker's
    /// `handle_call`.
    pub fn call<T: DeserializeOwned>(&self, job: J) -> PoolCall<J, T> {
        self.cast(job).call()
    }
}

impl<J> PoolSlot<J> {
    /// Returns the slot's number.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Reads the slot's node, running job and backlog.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the pool has no such slot.
    pub async fn view(&self) -> Result<SlotView, Error> {
        let slot = self.partition().await?;
        self.pool.target.client.broker().view_slot(&slot).await
    }

    /// Stops the slot. Its running job may finish, and no other job is claimed once this returns.
    /// The slot's backlog stays, and grows, until the slot is started again.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the pool has no such slot.
    pub async fn stop(&self) -> Result<(), Error> {
        self.set_stopped("slot.stop", true).await
    }

    /// Starts the stopped slot again; within a second or two a process leases it.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the pool has no such slot.
    pub async fn start(&self) -> Result<(), Error> {
        self.set_stopped("slot.start", false).await
    }

    async fn set_stopped(&self, action: &'static str, stop: bool) -> Result<(), Error> {
        let (client, slot) = (&self.pool.target.client, self.partition().await?);
        let set = client.broker().stop_slot(&slot, stop);
        client.auditor().record(|| Change::new(action, &slot), |()| 1, set).await
    }

    async fn partition(&self) -> Result<Partition, Error> {
        let view = self.pool.view().await?;
        if self.index >= view.tail {
            return Err(wrong_slot(&self.pool.target.queue, self.index, view.size));
        }
        Ok(Partition { queue: self.pool.name()?, index: self.index })
    }
}

impl<J: Job> PoolSlot<J> {
    /// Casts a job to the slot.
    pub fn cast(&self, job: J) -> Cast<J> {
        Cast::new(self.pool.target.clone(), job, To::Slot(self.index))
    }

    /// Casts a job to the slot, and waits for the reply of the worker's `handle_call`.
    pub fn call<T: DeserializeOwned>(&self, job: J) -> PoolCall<J, T> {
        self.cast(job).call()
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
