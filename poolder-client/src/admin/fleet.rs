//! Lists queues and nodes; pauses and resumes queues.

use futures_util::{StreamExt, stream};
use poolder_core::broker::{NodeOrder, NodeView, ServerView, Sighting};
use poolder_core::history::JournalEvent;
use poolder_core::view::QueueView;
use poolder_core::{Error, JobId, Partition, QueueName};

use crate::admin::inspector::Inspector;
use crate::client::Client;
use crate::state::audit::Change;

/// The number of queues that are changed at the same time.
const AT_ONCE: usize = 32;

impl Client {
    /// Pauses a queue: within about a second no node claims from the queue any more. Running jobs
    /// finish; jobs that are enqueued, retried or due wait. Returns false when the queue was paused
    /// already.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name; also returns an error when the server does not
    /// answer or refuses the command.
    pub async fn pause(&self, queue: impl AsRef<str>) -> Result<bool, Error> {
        let partition = first(queue)?;
        let paused = self.broker().pause(&partition);
        let change =
            || Change::new("queue.pause", &partition.queue).event(JournalEvent::QueuePaused);
        self.auditor().record(change, |new| u64::from(*new), paused).await
    }

    /// Resumes a paused queue at once. Returns false when the queue was not paused.
    ///
    /// # Errors
    /// As [`Client::pause`].
    pub async fn resume(&self, queue: impl AsRef<str>) -> Result<bool, Error> {
        let partition = first(queue)?;
        let resumed = self.broker().resume(&partition);
        let change =
            || Change::new("queue.resume", &partition.queue).event(JournalEvent::QueueResumed);
        self.auditor().record(change, |new| u64::from(*new), resumed).await
    }

    /// Pauses several queues, as [`Client::pause`] does. Returns one result per queue, in order: false
    /// for a queue that was paused already.
    ///
    /// ```no_run
    /// # async fn f(client: poolder_client::Client) -> Result<(), poolder_core::Error> {
    /// // Everything stands still within about a second; running jobs finish.
    /// let queues = client.queues().await?;
    /// for (queue, paused) in queues.iter().zip(client.pause_many(&queues).await) {
    ///     println!("{queue}: {}", if paused? { "paused" } else { "paused before" });
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn pause_many<Q: AsRef<str>>(
        &self,
        queues: impl IntoIterator<Item = Q>,
    ) -> Vec<Result<bool, Error>> {
        let each: Vec<_> = queues.into_iter().map(|queue| self.pause(queue)).collect();
        stream::iter(each).buffered(AT_ONCE).collect().await
    }

    /// Resumes several queues, as [`Client::resume`] does. Returns one result per queue, in order:
    /// false for a queue that was not paused.
    pub async fn resume_many<Q: AsRef<str>>(
        &self,
        queues: impl IntoIterator<Item = Q>,
    ) -> Vec<Result<bool, Error>> {
        let each: Vec<_> = queues.into_iter().map(|queue| self.resume(queue)).collect();
        stream::iter(each).buffered(AT_ONCE).collect().await
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

    /// Returns the state of all queues, in order of their names: in three round trips, whatever the
    /// number of queues and of their partitions (beyond 500, one more for each 500). A partition that
    /// cannot be read is named in the view of its queue.
    ///
    /// ```no_run
    /// # async fn f(client: poolder_client::Client) -> Result<(), poolder_core::Error> {
    /// for queue in client.overview().await? {
    ///     println!("{}: {} wait, {} died", queue.queue, queue.ready(), queue.dead);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Returns an error when no partition of any queue can be read.
    pub async fn overview(&self) -> Result<Vec<QueueView>, Error> {
        self.broker().overviews(&self.queues().await?).await
    }

    /// Finds a job of which only the id is known, in all partitions of all queues: among the jobs
    /// that wait for their time and the dead, then in the lanes by a bounded search. Tells how far it
    /// looked. A job whose queue is known is found faster, and by a longer search, with
    /// [`JobId::in_queue`].
    ///
    /// ```no_run
    /// # use poolder_core::JobId;
    /// # async fn f(client: poolder_client::Client, id: JobId) -> Result<(), poolder_core::Error> {
    /// let sighting = client.find(id).await?;
    /// match &sighting.job {
    ///     Some(job) => client.job(job).cancel().await.map(|_| ())?,
    ///     None if sighting.is_partial => println!("not among the entries that were searched"),
    ///     None => println!("it has ended: {:?}", sighting.ended),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn find(&self, job: JobId) -> Result<Sighting, Error> {
        self.broker().find_anywhere(job).await
    }

    /// Returns facts about each server that has keys: memory, policy, persistence, clients, and the
    /// round trips of five pings. A server that does not answer says why.
    ///
    /// # Errors
    /// Returns an error when the servers of a cluster, or the primary behind Sentinels, are not
    /// known.
    pub async fn servers(&self) -> Result<Vec<ServerView>, Error> {
        self.broker().servers().await
    }

    /// Orders a node to take no more jobs: it finishes those that it runs, gives up its addressed
    /// slots and its leaderships, and stays in the roster until its process ends. It obeys within
    /// about 2 s. [`Client::resume_node`] is the way back.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when no node of this name lives; also returns an error when the server
    /// does not answer or refuses the command.
    pub async fn quiet_node(&self, node: impl AsRef<str>) -> Result<(), Error> {
        self.change_node("node.quiet", node.as_ref(), |node| {
            self.broker().order_node(node, NodeOrder::Quiet)
        })
        .await
    }

    /// Orders a quiet node to take jobs again. It obeys within about 2 s. Another node goes on as
    /// before, and an order to stop stands. A node of a version without this order stays quiet.
    ///
    /// # Errors
    /// As [`Client::quiet_node`].
    pub async fn resume_node(&self, node: impl AsRef<str>) -> Result<(), Error> {
        self.change_node("node.resume", node.as_ref(), |node| {
            self.broker().order_node(node, NodeOrder::Resume)
        })
        .await
    }

    /// Orders a node to stop, as a signal would: it takes no more jobs, finishes those that it runs
    /// within its shutdown timeout, and ends. It obeys within about 2 s. A supervisor may start it
    /// again.
    ///
    /// # Errors
    /// As [`Client::quiet_node`].
    pub async fn stop_node(&self, node: impl AsRef<str>) -> Result<(), Error> {
        self.change_node("node.stop", node.as_ref(), |node| {
            self.broker().order_node(node, NodeOrder::Stop)
        })
        .await
    }

    /// Declares a node dead that has been silent for 8 s or more, as the other nodes do by themselves
    /// within some seconds: its jobs are taken over at once. It is needed only where no other node
    /// lives. A node that lives after all finds out, and goes on under a new name.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the roster has no node of this name, [`Error::is_gone`] when the
    /// node is not silent; also returns an error when the server does not answer or refuses the
    /// command.
    pub async fn forget_node(&self, node: impl AsRef<str>) -> Result<(), Error> {
        self.change_node("node.forget", node.as_ref(), |node| self.broker().forget_node(node)).await
    }

    /// Makes a change of a node, and records it.
    async fn change_node<'a, F>(
        &self,
        action: &'static str,
        node: &'a str,
        make: impl FnOnce(&'a str) -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<(), Error>>,
    {
        self.auditor().record(|| Change::new(action, node), |()| 1, make(node)).await
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
