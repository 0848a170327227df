//! Sets of pools: several pools under one name, addressed together.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use poolder_core::broker::Receipt;
use poolder_core::{Error, Job, QueueName};

use crate::client::Client;
use crate::enqueue::EnqueueOptions;
use crate::enqueue::options::{SetOptions, boxed_options, option_methods};
use crate::state::audit::Change;

/// A named set of pools. A pool joins the set with `Pool::join_set` when its node starts, or with
/// [`PoolSet::add`]. [`Client::pool`] addresses a single pool.
#[derive(Debug, Clone)]
pub struct PoolSet {
    client: Client,
    name: String,
}

impl Client {
    /// Returns the handle of the set of this name.
    #[must_use]
    pub fn pool_set(&self, name: impl AsRef<str>) -> PoolSet {
        PoolSet { client: self.clone(), name: name.as_ref().into() }
    }
}

impl PoolSet {
    /// Returns the queues of the set's pools, ordered by name, at most 500.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name of the set.
    pub async fn pools(&self) -> Result<Vec<QueueName>, Error> {
        self.client.broker().pools_of_set(&self.name).await
    }

    /// Adds a pool to the set.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name.
    pub async fn add(&self, queue: impl AsRef<str>) -> Result<(), Error> {
        self.change("pool_set.add", &QueueName::new(queue)?, true).await
    }

    /// Removes a pool from the set.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name.
    pub async fn remove(&self, queue: impl AsRef<str>) -> Result<(), Error> {
        self.change("pool_set.remove", &QueueName::new(queue)?, false).await
    }

    async fn change(
        &self,
        action: &'static str,
        queue: &QueueName,
        member: bool,
    ) -> Result<(), Error> {
        let changed = self.client.broker().change_pool_set(&self.name, queue, member);
        let change = || Change::new(action, &self.name).detail(format_args!("pool {queue}"));
        self.client.auditor().record(change, |()| 1, changed).await
    }

    /// Sends a copy of the job to each pool of the set when awaited: an addressed pool picks the
    /// slot by its mode, a shared pool gets the job in its queue.
    pub fn cast<J: Job + Clone>(&self, job: J) -> SetCast<J> {
        SetCast { set: self.clone(), job, options: None }
    }
}

/// A job about to be sent to each pool of a set. Awaiting it sends the copies; before that nothing
/// happens.
#[derive(Debug)]
#[must_use = "the copies are sent when this is awaited"]
pub struct SetCast<J> {
    set: PoolSet,
    job: J,
    options: SetOptions,
}

impl<J: Job + Clone> SetCast<J> {
    option_methods! { after at policy durability keep_completion header headers trace_parent options }

    boxed_options!();

    async fn send(self) -> Result<Vec<(QueueName, Result<Receipt, Error>)>, Error> {
        let Self { set: PoolSet { client, name }, job, options } = self;
        let queues = client.broker().pools_of_set(&name).await?;
        if queues.is_empty() {
            return Err(Error::not_found(format!(
                "pool set {name:?} has no pools: add one with Pool::join_set or PoolSet::add"
            )));
        }
        let options = EnqueueOptions::of(&options);
        let mut results = vec![];
        for queue in queues {
            let (view, job) = (client.broker().pool_view(&queue).await, job.clone());
            let sent = match view {
                Ok(Some(_)) => client.pool(&queue).cast(job).options(options.clone()).into_future(),
                Ok(None) => {
                    client.enqueue(job).queue(&queue).options(options.clone()).into_future()
                }
                Err(error) => Box::pin(std::future::ready(Err(error))),
            };
            results.push((queue, sent.await));
        }
        Ok(results)
    }
}

impl<J: Job + Clone> IntoFuture for SetCast<J> {
    /// One result per pool. Errors: [`Error::is_not_found`] for a set without pools; also an error
    /// when the pools cannot be listed. A pool that cannot honour an option has the error as its
    /// result.
    type Output = Result<Vec<(QueueName, Result<Receipt, Error>)>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
