//! Sets of pools: several pools under one name, addressed together.

use std::future::IntoFuture;

use poolder_core::broker::Receipt;
use poolder_core::{Error, Job, QueueName};

use crate::client::Client;

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
    pub fn pool_set(&self, name: impl Into<String>) -> PoolSet {
        PoolSet { client: self.clone(), name: name.into() }
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
    pub async fn add(&self, queue: &str) -> Result<(), Error> {
        self.client.broker().change_pool_set(&self.name, &QueueName::new(queue)?, true).await
    }

    /// Removes a pool from the set.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name.
    pub async fn remove(&self, queue: &str) -> Result<(), Error> {
        self.client.broker().change_pool_set(&self.name, &QueueName::new(queue)?, false).await
    }

    /// Sends a copy of the job to each pool of the set: an addressed pool picks the slot by its
    /// mode, a shared pool gets the job in its queue. Returns one result per pool.
    ///
    /// # Errors
    /// [`Error::is_gone`] for a set without pools; also returns an error when the pools cannot be
    /// listed.
    pub async fn cast<J: Job + Clone>(
        &self,
        job: J,
    ) -> Result<Vec<(QueueName, Result<Receipt, Error>)>, Error> {
        let queues = self.pools().await?;
        if queues.is_empty() {
            return Err(Error::gone(format!(
                "pool set {:?} has no pools: add one with Pool::join_set or PoolSet::add",
                self.name
            )));
        }
        let mut results = vec![];
        for queue in queues {
            let view = self.client.broker().pool_view(&queue).await;
            let (pool, name) = (self.client.pool(queue.as_str()), queue.as_str());
            let result = match view {
                Ok(Some(_)) => pool.cast(job.clone()).into_future().await,
                Ok(None) => self.client.enqueue(job.clone()).queue(name).into_future().await,
                Err(error) => Err(error),
            };
            results.push((queue, result));
        }
        Ok(results)
    }
}
