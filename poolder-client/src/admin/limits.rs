//! The limits of a queue and of its groups: set, read and ended.

use poolder_core::broker::{GroupLimits, Precedence, QueueLimits};
use poolder_core::{Error, Partition, QueueName};

use crate::client::Client;

/// The limits of a queue: how many of its jobs, and of each group of them, run at a time in all nodes
/// together, and how many start in a time. From [`Client::limits`].
#[derive(Debug, Clone)]
pub struct LimitsHandle {
    client: Client,
    queue: String,
}

impl Client {
    /// Returns a handle of the limits of a queue.
    ///
    /// ```no_run
    /// # use poolder_client::Client;
    /// # use poolder_core::broker::{GroupLimits, QueueLimits};
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// let reports = client.limits("reports");
    /// reports.set(QueueLimits::new().concurrency(200).group_concurrency(4)).await?;
    /// reports.set_group("acme", GroupLimits::new().concurrency(20).weight(5)).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn limits(&self, queue: impl AsRef<str>) -> LimitsHandle {
        LimitsHandle { client: self.clone(), queue: queue.as_ref().into() }
    }
}

impl LimitsHandle {
    /// Limits the queue, or replaces its limits. They hold from the next claim on: jobs that run
    /// already end, and count. A queue that gets its first limits keeps its waiting jobs, which are
    /// put into their groups in their order; jobs that run at this moment end, and do not count.
    ///
    /// # Errors
    /// [`Error::is_refused`] while a living node of the queue runs a version that knows no limits;
    /// the error names it. [`Error::is_invalid`] for an illegal name, a limit of 0 or above a
    /// million, a rate that is not allowed, and the queue of an addressed or broadcast pool. Also
    /// returns an error when the server does not answer or refuses the command.
    pub async fn set(&self, limits: QueueLimits) -> Result<(), Error> {
        self.define(limits, Precedence::Given).await.map(drop)
    }

    /// Limits the queue, unless it has limits. Returns whether the limits were set.
    ///
    /// # Errors
    /// As [`LimitsHandle::set`].
    pub async fn declare(&self, limits: QueueLimits) -> Result<bool, Error> {
        self.define(limits, Precedence::Stored).await
    }

    /// Returns the limits of the queue; `None` for a queue without, and while they end.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name; also returns an error when the server does not
    /// answer or refuses the command.
    pub async fn get(&self) -> Result<Option<QueueLimits>, Error> {
        self.client.broker().queue_limits(&self.partition()?).await
    }

    /// Ends the limits. Jobs that wait in groups may start at once, in turn; once none of them waits
    /// the queue is one without limits. Returns how many wait.
    ///
    /// # Errors
    /// As [`LimitsHandle::get`].
    pub async fn end(&self) -> Result<u64, Error> {
        self.client.broker().end_limits(&self.partition()?).await
    }

    /// Sets the own limits of a group, in place of those of the queue. With none set the group has
    /// those of the queue again. Returns false when the queue has no limits: nothing is changed then.
    ///
    /// # Errors
    /// As [`LimitsHandle::get`], and [`Error::is_invalid`] for the name of a group above 128 bytes or
    /// with control characters, a concurrency of 0 or above a million, a weight of 0 or above 100,
    /// and a rate that is not allowed.
    pub async fn set_group(&self, group: &str, limits: GroupLimits) -> Result<bool, Error> {
        self.client.broker().limit_group(&self.partition()?, group, limits).await
    }

    async fn define(&self, limits: QueueLimits, precedence: Precedence) -> Result<bool, Error> {
        let partition = self.partition()?;
        if let Some(pool) = self.client.broker().pool_view(&partition.queue).await? {
            return Err(Error::invalid(format!(
                "queue {} has a pool of the mode {}, whose slots run one job at a time: only a shared \
                 queue has limits",
                partition.queue, pool.mode
            )));
        }
        let old = self.nodes_without_limits(&partition.queue).await?;
        if !old.is_empty() {
            return Err(Error::refused(format!(
                "queue {} cannot be limited while nodes serve it that know no limits: update {}",
                partition.queue,
                old.join(", ")
            )));
        }
        self.client.broker().define_limits(&partition, limits, precedence).await
    }

    /// Returns the living nodes that serve a queue and do not announce that they know limits.
    async fn nodes_without_limits(&self, queue: &QueueName) -> Result<Vec<String>, Error> {
        let nodes = self.client.nodes().await?.into_iter();
        let lacks = nodes.filter(|node| {
            let info = node.info.as_ref();
            info.is_some_and(|info| {
                !info.limits && info.pools.iter().any(|(name, _)| name == queue.as_str())
            })
        });
        Ok(lacks.map(|node| node.name).collect())
    }

    fn partition(&self) -> Result<Partition, Error> {
        QueueName::new(&self.queue).map(Partition::first)
    }
}
