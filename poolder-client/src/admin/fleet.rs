//! Which queues and nodes there are; stopping a queue and letting it go on.

use poolder_core::broker::NodeView;
use poolder_core::{Error, Partition, QueueName};

use crate::admin::inspector::Inspector;
use crate::client::Client;

impl Client {
    /// Pauses a queue: within about a second no node claims from it any more. What runs finishes;
    /// what is enqueued, retried or due waits. Returns false when it was paused already.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name, or whatever keeps the server from answering.
    pub async fn pause(&self, queue: &str) -> Result<bool, Error> {
        self.broker().pause(&partition(queue)?).await
    }

    /// Lets a paused queue go on, at once. Returns false when it was not paused.
    ///
    /// # Errors
    /// As [`Client::pause`].
    pub async fn resume(&self, queue: &str) -> Result<bool, Error> {
        self.broker().resume(&partition(queue)?).await
    }

    /// Looks into a queue.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name.
    pub fn inspect(&self, queue: &str) -> Result<Inspector<'_>, Error> {
        Ok(Inspector::new(self, partition(queue)?))
    }

    /// The queues that were ever used, in order.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn queues(&self) -> Result<Vec<QueueName>, Error> {
        self.broker().queues().await
    }

    /// The nodes that give signs of life, and what they say about themselves.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn nodes(&self) -> Result<Vec<NodeView>, Error> {
        self.broker().nodes().await
    }
}

fn partition(queue: &str) -> Result<Partition, Error> {
    QueueName::new(queue).map(Partition::first)
}
