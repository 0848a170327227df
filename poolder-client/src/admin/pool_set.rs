//! Pools under one name, addressed together or one by one.

use std::future::IntoFuture;

use poolder_core::broker::Receipt;
use poolder_core::{Error, Job, QueueName};

use crate::client::Client;

/// A set of pools. Pools join it with `Pool::join_set` when their node starts, or by
/// [`PoolSet::add`]. One of them alone is addressed by [`Client::pool`].
#[derive(Debug, Clone)]
pub struct PoolSet {
    client: Client,
    name: String,
}

impl Client {
    /// The set of this name.
    #[must_use]
    pub fn pool_set(&self, name: impl Into<String>) -> PoolSet {
        PoolSet { client: self.clone(), name: name.into() }
    }
}

impl PoolSet {
    /// The queues of its pools by name, at most 500.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name of the set.
    pub async fn pools(&self) -> Result<Vec<QueueName>, Error> {
        self.client.broker().pools_of_set(&self.name).await
    }

    /// Puts a pool into the set.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name.
    pub async fn add(&self, queue: &str) -> Result<(), Error> {
        self.client.broker().change_pool_set(&self.name, &QueueName::new(queue)?, true).await
    }

    /// Takes a pool out of the set.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name.
    pub async fn remove(&self, queue: &str) -> Result<(), Error> {
        self.client.broker().change_pool_set(&self.name, &QueueName::new(queue)?, false).await
    }

    /// Gives a job to each of its pools: by its mode to an addressed one, into the queue of a
    /// shared one. One result per pool.
    ///
    /// # Errors
    /// [`Error::is_gone`] for a set without pools, or whatever keeps them from being listed.
    pub async fn cast<J: Job + Clone>(
        &self,
        job: J,
    ) -> Result<Vec<(QueueName, Result<Receipt, Error>)>, Error> {
        let queues = self.pools().await?;
        if queues.is_empty() {
            return Err(Error::gone(format!(
                "pool set {:?} has no pools: put one in with Pool::join_set or PoolSet::add",
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
