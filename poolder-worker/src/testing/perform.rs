//! One attempt of a job that is about to run.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use poolder_client::{Enqueue, EnqueueOptions};
use poolder_core::broker::PreparedJob;
use poolder_core::{Cause, Failure, Job, Lane, Partition, Policy};

use super::queue_node::{How, QueueNode};
use super::run::Run;

/// The failure of the attempts before the one that a test performs.
const EARLIER: &str = "an earlier attempt, which the test leaves out";

/// One attempt of a job that is about to run, made by [`QueueNode::perform`]. Awaiting it runs the
/// attempt and returns a [`Run`].
///
/// Awaiting it panics when the job could not be enqueued, when the node has no pool for its queue,
/// and when the `handle_init` of a worker fails.
#[derive(Debug)]
#[must_use = "the attempt runs when this is awaited"]
pub struct Perform<'a, J> {
    node: &'a QueueNode,
    job: Enqueue<J>,
    attempt: u32,
    jitter: f64,
    slot: u16,
    call: bool,
}

impl QueueNode {
    /// Runs one attempt of a job when awaited, and returns how it has ended. The job is built and
    /// checked as an enqueue does it, but it is not enqueued: it leaves nothing in the queue but the
    /// jobs that its handler enqueues.
    ///
    /// ```
    /// # use poolder_worker::testing::TestQueue;
    /// # use poolder_worker::{worker_fn, Context, Pool};
    /// # use poolder_core::{BoxError, Job};
    /// # use std::time::Duration;
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Welcome { user: u64 }
    /// # impl Job for Welcome {
    /// #     const KINDS: &'static [&'static str] = &["welcome"];
    /// #     const QUEUE: &'static str = "mail";
    /// # }
    /// async fn welcome(_job: Welcome, cx: Context) -> Result<(), BoxError> {
    ///     if cx.attempt() < 3 { Err("451 mailbox full".into()) } else { Ok(()) }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let queue = TestQueue::new();
    /// let mail = Pool::new("mail").worker(worker_fn(welcome));
    /// let node = queue.start_node(queue.node().pool(mail)).await;
    ///
    /// let run = node.perform(Welcome { user: 7 }).attempt(2).await;
    /// assert!(run.failed_with("451") && run.is_retried_after(Duration::from_secs(1)..));
    /// assert!(node.perform(Welcome { user: 7 }).attempt(3).await.is_done());
    /// # });
    /// ```
    pub fn perform<J: Job>(&self, job: J) -> Perform<'_, J> {
        Perform::new(self, job)
    }
}

impl<'a, J: Job> Perform<'a, J> {
    pub(super) fn new(node: &'a QueueNode, job: J) -> Self {
        let job = node.client().enqueue(job);
        Self { node, job, attempt: 1, jitter: 0.0, slot: 0, call: false }
    }

    /// Sets the number of the attempt, from 1: the job has failed before as often as this says.
    /// Default 1.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sets the jitter of the delay before the next attempt, from −1 for the shortest delay of the
    /// policy to 1 for the longest. Default 0.
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter.clamp(-1.0, 1.0);
        self
    }

    /// Runs the job as a call: with `handle_call`.
    pub fn call(mut self) -> Self {
        self.call = true;
        self
    }

    /// Sets the slot of an addressed pool that runs the job. Default 0.
    pub fn slot(mut self, slot: u16) -> Self {
        self.slot = slot;
        self
    }

    /// Sets the queue. Default: the queue of the job's type.
    pub fn queue(mut self, queue: impl AsRef<str>) -> Self {
        self.job = self.job.queue(queue);
        self
    }

    /// Sets the lane from which the job is claimed. Default [`Lane::Normal`].
    pub fn lane(mut self, lane: Lane) -> Self {
        self.job = self.job.lane(lane);
        self
    }

    /// Sets the policy, in place of that of the job or its pool.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.job = self.job.policy(policy);
        self
    }

    /// Adds a header to the job.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.job = self.job.header(name, value);
        self
    }

    /// Sets the options of the enqueue, in place of those that were set before.
    pub fn options(mut self, options: EnqueueOptions) -> Self {
        self.job = self.job.options(options);
        self
    }

    async fn run(self) -> Run {
        let Self { node, job, attempt, jitter, slot, call } = self;
        let prepared = job.prepare();
        let prepared = prepared.unwrap_or_else(|error| panic!("the job cannot run: {error}"));
        let PreparedJob { partition, lane, envelope, .. } = prepared;
        let called = if call { envelope.calling() } else { Ok(envelope) };
        let envelope = called.unwrap_or_else(|error| panic!("the job cannot run: {error}"));
        let partition = Partition { index: slot, ..partition };
        // The pool is looked for first, so that a missing one leaves nothing behind.
        node.pool(&partition.queue);
        let captured = node.captured();
        let (id, before) = (envelope.id(), captured.last_number());
        let earlier = Failure::new(Cause::Error, EARLIER);
        let (number, claim) = captured.hold(&partition, lane, envelope, attempt.max(1), earlier);
        let end = node.run(&partition, number, claim, How { once: true, jitter, copy: 0 }).await;
        let progress = captured.progress(id);
        captured.forget(number);
        Run::new(end, progress, captured.jobs_after(before))
    }
}

impl<'a, J: Job + Send + 'a> IntoFuture for Perform<'a, J> {
    type Output = Run;
    type IntoFuture = Pin<Box<dyn Future<Output = Run> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
