//! Reads the history of a namespace: counters of kinds over time, and groups of equal errors.

use poolder_core::broker::DeployMark;
use poolder_core::history::{ErrorGroup, ErrorId, History, HistoryRange, QueueHistory};
use poolder_core::{Error, QueueName, Timestamp};

use crate::client::Client;

impl Client {
    /// Returns the history of all kinds, of those of a queue, of a kind in all queues, or of a kind
    /// of a queue: how many attempts ended in which way, how long they ran, and how long jobs waited,
    /// in each period of a range up to now. Nodes add their counts once a minute, and every 5 s after
    /// [`Client::watch_history`].
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use poolder_client::Client;
    /// # use poolder_core::history::HistoryRange;
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// let hour = HistoryRange::last(Duration::from_secs(3_600));
    /// for kind in client.history(Some("mail"), None, hour).await?.series {
    ///     let total = kind.total;
    ///     println!("{}: {} done, p95 {} µs", kind.kind, total.attempts.done, total.run.p95);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::is_too_large`] when the range holds more than 64 MiB; also returns an error when the
    /// server does not answer or refuses the command.
    pub async fn history(
        &self,
        queue: Option<&str>,
        kind: Option<&str>,
        range: HistoryRange,
    ) -> Result<History, Error> {
        self.broker().history(queue, kind, range).await
    }

    /// Returns how many jobs of all queues, or of one, were ready, running, due and dead in each
    /// period of a range up to now: the last sample of each. A node takes one at the end of each
    /// minute, of at most 200 queues and 1,000 partitions. Periods without a sample are left out.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use poolder_client::Client;
    /// # use poolder_core::history::HistoryRange;
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// let hour = HistoryRange::last(Duration::from_secs(3_600));
    /// for queue in client.queue_history(Some("mail"), hour).await? {
    ///     for minute in queue.points {
    ///         println!("{}: {} ready, {} dead", minute.at, minute.gauges.ready, minute.gauges.dead);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name, [`Error::is_too_large`] when the range holds more
    /// than 64 MiB; also returns an error when the server does not answer or refuses the command.
    pub async fn queue_history(
        &self,
        queue: Option<&str>,
        range: HistoryRange,
    ) -> Result<Vec<QueueHistory>, Error> {
        let queue = queue.map(QueueName::new).transpose()?;
        self.broker().queue_history(queue.as_ref(), range).await
    }

    /// Asks all nodes to add their counts to the history every 5 s (more rarely in a fleet of more
    /// than 76 nodes), for the next 15 s. A program that shows the present calls this with each look.
    /// A node learns it with its next flush, up to a minute later.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn watch_history(&self) -> Result<(), Error> {
        self.broker().watch_history().await
    }

    /// Returns the deploys whose nodes have run, the earliest first, each with the time at which its
    /// first node started: at most the last 100. A node belongs to the deploy that
    /// `NodeBuilder::deploy` names.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn deploys(&self) -> Result<Vec<DeployMark>, Error> {
        self.broker().deploys().await
    }

    /// Returns the groups of equal errors, the one seen last first: at most 500, of which the oldest
    /// are dropped. Errors are equal when their kind, their cause and their message are equal, apart
    /// from numbers, ids and quoted names.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn errors(&self) -> Result<Vec<ErrorGroup>, Error> {
        self.broker().errors().await
    }

    /// Returns how often the errors of a group were seen in each period of a range up to now, the
    /// earliest first: the start of the period and the number. Periods without them are left out.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn error_history(
        &self,
        id: ErrorId,
        range: HistoryRange,
    ) -> Result<Vec<(Timestamp, u64)>, Error> {
        self.broker().error_history(id, range).await
    }
}
