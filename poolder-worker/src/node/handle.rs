//! The handle of a node: it shows the node, and changes the pools of one that runs.

use std::sync::Arc;

use poolder_client::Client;
use poolder_core::Error;
use tokio::sync::{mpsc, oneshot};

use super::pools::{Pools, admit};
use crate::observe::health::Health;
use crate::observe::node_state::NodeState;
use crate::observe::status::{NodeStatus, PoolStatus};
use crate::run::pool::Pool;

/// Shows a node, and changes the pools of one that runs. Made by
/// [`NodeBuilder::handle`](crate::NodeBuilder::handle); cheap to clone.
///
/// A program with a router of its own answers probes with [`NodeHandle::health`], where a node
/// without a router has [`NodeBuilder::listen`](crate::NodeBuilder::listen).
#[derive(Debug, Clone)]
pub struct NodeHandle {
    client: Client,
    state: Arc<NodeState>,
    requests: mpsc::Sender<NodeRequest>,
}

/// An operation on the pools of a node, and the channel for its result.
pub(crate) struct NodeRequest {
    operation: Operation,
    answer: oneshot::Sender<Result<Vec<PoolStatus>, Error>>,
}

enum Operation {
    Add(Box<Pool>),
    Remove(String),
    Resize(String, u16),
    Stop(String),
    Start(String),
    List,
}

impl NodeHandle {
    pub(crate) fn new(
        client: Client,
        state: Arc<NodeState>,
    ) -> (Self, mpsc::Receiver<NodeRequest>) {
        let (requests, receiver) = mpsc::channel(16);
        (Self { client, state, requests }, receiver)
    }

    /// Returns whether the node is live and ready, at once, also before it has started and after it
    /// has ended.
    ///
    /// ```no_run
    /// # fn f(node: poolder_worker::NodeHandle) -> (u16, String) {
    /// let health = node.health();
    /// match health.reason {
    ///     None => (200, "ok".into()),
    ///     Some(reason) => (503, reason),
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn health(&self) -> Health {
        self.state.health()
    }

    /// Returns the metrics of the node and of its client in the text format of Prometheus, as the
    /// listener serves them at `/metrics`. `docs/metrics.md` describes them. The client counts its
    /// enqueues from the first call on.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.state.metrics_text() + &self.client.process_metrics()
    }

    /// Returns the state of the node and its pools, at once, also before it has started and after
    /// it has ended.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        self.state.status()
    }

    /// Adds a pool and starts it. After [`NodeHandle::remove`] it begins once the removed pool of the
    /// queue has finished its running jobs.
    ///
    /// # Errors
    /// Returns the errors that [`NodeBuilder::run_until`](crate::NodeBuilder::run_until) returns
    /// for such a pool. This and all other methods return [`Error::is_gone`] when the node has
    /// stopped.
    pub async fn add(&self, pool: Pool) -> Result<(), Error> {
        self.ask(Operation::Add(Box::new(pool))).await.map(|_| ())
    }

    /// Removes a pool from this node: the pool claims no more jobs, and finishes its running jobs
    /// within the shutdown timeout. An addressed pool goes on in the other processes.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the node has no pool for this queue.
    pub async fn remove(&self, queue: &str) -> Result<(), Error> {
        self.ask(Operation::Remove(queue.to_owned())).await.map(|_| ())
    }

    /// Changes the number of slots of a pool: of a shared or broadcast pool in this process, of an
    /// addressed pool in the fleet. Slots beyond the new size finish their jobs; addressed slots
    /// finish their backlog, too.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the node has no pool for this queue, [`Error::is_invalid`] for a
    /// size of 0 or above 10,000, [`Error::is_refused`] while an earlier resize of an addressed
    /// pool is still under way.
    pub async fn resize(&self, queue: &str, size: u16) -> Result<(), Error> {
        self.ask(Operation::Resize(queue.to_owned(), size)).await.map(|_| ())
    }

    /// Stops a pool, an addressed pool in the whole fleet: its slots finish their running jobs and
    /// take no more.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the node has no pool for this queue.
    pub async fn stop(&self, queue: &str) -> Result<(), Error> {
        self.ask(Operation::Stop(queue.to_owned())).await.map(|_| ())
    }

    /// Starts a stopped pool again, or the slots of a running pool that jobs have stopped. A stopped
    /// pool begins once its running jobs have finished; the call returns before.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the node has no pool for this queue.
    pub async fn start(&self, queue: &str) -> Result<(), Error> {
        self.ask(Operation::Start(queue.to_owned())).await.map(|_| ())
    }

    /// Returns the pools of the node.
    ///
    /// # Errors
    /// [`Error::is_gone`] when the node has stopped.
    pub async fn pools(&self) -> Result<Vec<PoolStatus>, Error> {
        self.ask(Operation::List).await
    }

    async fn ask(&self, operation: Operation) -> Result<Vec<PoolStatus>, Error> {
        let gone = || Error::gone("the node does not run: run() it first, or it has stopped");
        let (answer, answered) = oneshot::channel();
        self.requests.send(NodeRequest { operation, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl NodeRequest {
    /// Carries the operation out and sends its result.
    pub(crate) async fn carry_out(self, pools: &mut Pools) {
        let Self { operation, answer } = self;
        let result = match operation {
            Operation::Add(pool) => add(pools, *pool).await,
            Operation::Remove(queue) => pools.remove(&queue),
            Operation::Resize(queue, size) => pools.resize(&queue, size).await,
            Operation::Stop(queue) => pools.stop(&queue).await,
            Operation::Start(queue) => pools.start_again(&queue).await,
            Operation::List => Ok(()),
        };
        pools.publish();
        // The caller may have stopped waiting for the result.
        let _ = answer.send(result.map(|()| pools.list()));
    }
}

async fn add(pools: &mut Pools, pool: Pool) -> Result<(), Error> {
    let plan = pool.plan(pools.wide())?;
    admit(pools.client(), &plan).await?;
    pools.start(plan)
}
