//! Lists queues and nodes; pauses and resumes queues.

use poolder_core::broker::NodeView;
use poolder_core::{Error, Partition, QueueName};

use crate::admin::inspector::Inspector;
use crate::client::Client;

impl Client {
    /// Pauses a queue: within about a second no node claims from the queue any more. Running jobs
    /// finish; jobs that are enqueued, retried or due wait. Returns false when the queue was paused
    /// already.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name; also returns an error when the server does not
    /// answer or refuses the command.
    pub async fn pause(&self, queue: impl AsRef<str>) -> Result<bool, Error> {
        self.broker().pause(&first(queue)?).await
    }

    /// Resumes a paused queue at once. Returns false when the queue was not paused.
    ///
    /// # Errors
    /// As [`Client::pause`].
    pub async fn resume(&self, queue: impl AsRef<str>) -> Result<bool, Error> {
        self.broker().resume(&first(queue)?).await
    }

    /// Returns an [`Inspector`] of a queue.
    #[must_use]
    pub fn inspect(&self, queue: impl AsRef<str>) -> Inspector {
        Inspector::new(self.clone(), queue.as_ref().into())
    }

    /// Returns all queues that were ever used, in order of their names.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn queues(&self) -> Result<Vec<QueueName>, Error> {
        self.broker().queues().await
    }

    /// Returns the living nodes (those with a recent heartbeat) and the information that each node
    /// reports.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn nodes(&self) -> Result<Vec<NodeView>, Error> {
        self.broker().nodes().await
    }
}

fn first(queue: impl AsRef<str>) -> Result<Partition, Error> {
    QueueName::new(queue).map(Partition::first)
}
