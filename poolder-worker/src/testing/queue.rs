//! The queue of a test: it needs no server, and its clock is moved by the test.

use std::sync::Arc;
use std::time::Duration;

use poolder_client::Client;
use poolder_core::captured::{Captured, ListedJob};
use poolder_core::view::JobView;
use poolder_core::{Cause, Completion, Failure, Job, JobState, Outcome, Timestamp};
use serde::Serialize;

use super::expect::{HoldsJobs, decoded};
use super::queue_node::QueueNode;
use crate::node::builder::{Node, NodeBuilder};
use crate::run::guard::text_of;
use crate::run::worker::Result;

/// A queue in the memory of a test, without a server.
///
/// The application's own code enqueues through [`TestQueue::client`]: jobs are built, encoded and
/// checked as in production, client middleware included, and stored in the queue of this one test.
/// [`assert_enqueued!`](crate::assert_enqueued) looks at them, and a [`QueueNode`] runs them.
///
/// The clock stands still until the test moves it: [`TestQueue::advance`] makes delayed jobs,
/// retries and batches due, and lets schedules tick. Nothing sleeps.
///
/// Batches, schedules and the handles of jobs work as on a server. Looks at a whole server or at
/// other processes, such as [`Client::inspect`] and leases, are
/// [unsupported](poolder_core::Error::is_unsupported): use a [`TestServer`](super::TestServer).
///
/// ```
/// # use poolder_worker::testing::TestQueue;
/// # use poolder_worker::{assert_enqueued, refute_enqueued};
/// # use poolder_client::Client;
/// # use poolder_core::{Error, Job};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Welcome { user: u64 }
/// # impl Job for Welcome { const KINDS: &'static [&'static str] = &["welcome"]; }
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Charge;
/// # impl Job for Charge { const KINDS: &'static [&'static str] = &["charge"]; }
/// async fn sign_up(client: &Client) -> Result<(), Error> {
///     client.enqueue(Welcome { user: 7 }).await?;
///     Ok(())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let queue = TestQueue::new();
/// sign_up(queue.client()).await.unwrap();
/// assert_enqueued!(queue, Welcome { user } if *user == 7);
/// refute_enqueued!(queue, Charge);
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct TestQueue {
    client: Client,
    captured: Arc<Captured>,
}

impl TestQueue {
    /// Creates an empty queue, whose clock shows the present time.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// Creates an empty queue whose clock shows this time, such as one before the tick of a
    /// schedule.
    #[must_use]
    pub fn starting_at(now: impl Into<Timestamp>) -> Self {
        let client = Client::capturing(now.into()).expect("a client without a server");
        let captured = Arc::clone(client.broker().captured().expect("it captures"));
        Self { client, captured }
    }

    /// Returns the client that the code under test uses.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the builder of a node. Add its pools and give it to [`TestQueue::start_node`].
    pub fn node(&self) -> NodeBuilder {
        Node::builder(self.client.clone())
    }

    /// Starts a node: it declares its pools, batchers and schedules, and runs its hooks. It runs a
    /// job only when the test says so.
    ///
    /// # Panics
    /// Panics when the node cannot work as it is built, with the error of
    /// [`NodeBuilder::run_until`], and when it was built with the client of another queue.
    pub async fn start_node(&self, node: NodeBuilder) -> QueueNode {
        QueueNode::start(&self.captured, node).await
    }

    /// Answers the calls of a job type: [`Client::call`] and the calls of a pool return the value,
    /// or an error that the job has died of the returned one. A call is recorded like an enqueue.
    /// Without an answer, a call waits until a drain runs it on a node of the queue
    /// (`tokio::join!(call, node.drain())`); without a node for its queue it is
    /// [unsupported](poolder_core::Error::is_unsupported).
    pub fn on_call<J: Job, T: Serialize>(
        &self,
        answer: impl Fn(J) -> Result<T> + Send + Sync + 'static,
    ) {
        self.captured.answer(J::KINDS, move |raw| {
            let value = J::decode(raw).map_err(Into::into).and_then(&answer);
            let outcome = value.and_then(|value| Ok(Outcome::result(&value)?));
            match outcome {
                Ok(Outcome::DoneWith(bytes)) => Completion::DoneWith(bytes),
                Ok(_) => Completion::Done,
                Err(error) => {
                    let own = error.downcast_ref::<Failure>().cloned();
                    let text = || Failure::new(Cause::Error, text_of(error.as_ref()));
                    Completion::Dead(own.unwrap_or_else(text))
                }
            }
        });
    }

    /// Returns the time of the queue's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.captured.now()
    }

    /// Moves the clock forward. Jobs that become due on the way are ready, open batches whose time
    /// is over are sealed, and schedules tick, each at its own time. No job runs.
    ///
    /// # Panics
    /// Panics when more than 20,000 things become due at different times on the way.
    pub fn advance(&self, by: Duration) {
        self.captured.advance(by);
    }

    /// Returns the jobs that were enqueued, in their order, those that have ended included.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobView> {
        self.listed().into_iter().map(|job| job.view).collect()
    }

    /// Returns the jobs of one type that were enqueued, in their order, those that have ended
    /// included.
    ///
    /// # Panics
    /// Panics when a stored job of one of the type's kinds cannot be read.
    #[must_use]
    pub fn enqueued<J: Job>(&self) -> Vec<J> {
        decoded(&self.jobs())
    }

    /// Returns the jobs in this state, in the order of their enqueues.
    #[must_use]
    pub fn jobs_in(&self, state: JobState) -> Vec<JobView> {
        self.jobs().into_iter().filter(|job| job.state == state).collect()
    }
}

impl HoldsJobs for TestQueue {
    fn listed(&self) -> Vec<ListedJob> {
        self.captured.jobs()
    }
}

impl Default for TestQueue {
    fn default() -> Self {
        Self::new()
    }
}
