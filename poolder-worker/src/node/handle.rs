//! Operation can be asked of a running node.

use poolder_core::Error;
use tokio::sync::{mpsc, oneshot};

use super::pools::{PoolStatus, Pools, admit};
use crate::run::pool::Pool;

/// Asks a running node to change its pools. Made by
/// [`NodeBuilder::handle`](crate::NodeBuilder::handle); cheap to clone.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    requests: mpsc::Sender<NodeRequest>,
}

/// A change, and where to say what became of it.
pub(crate) struct NodeRequest {
    operation: Operation,
    answer: oneshot::Sender<Result<Vec<PoolStatus>, Error>>,
}

enum Operation {
    Add(Box<Pool>),
    Remove(String),
    Resize(String, usize),
    Stop(String),
    Start(String),
    List,
}

impl NodeHandle {
    pub(crate) fn new() -> (Self, mpsc::Receiver<NodeRequest>) {
        let (requests, receiver) = mpsc::channel(16);
        (Self { requests }, receiver)
    }

    /// Adds a pool and starts it.
    ///
    /// # Errors
    /// Those of [`NodeBuilder::run_until`](crate::NodeBuilder::run_until) for such a pool; and
    /// [`Error::is_gone`], as for all that follows, when the node has stopped.
    pub async fn add(&self, pool: Pool) -> Result<(), Error> {
        self.ask(Operation::Add(Box::new(pool))).await.map(|_| ())
    }

    /// Removes a pool: it claims no more, and finishes what it runs within the shutdown timeout.
    /// An addressed pool goes on in the other processes.
    ///
    /// # Errors
    /// [`Error::is_gone`] when there is none.
    pub async fn remove(&self, queue: &str) -> Result<(), Error> {
        self.ask(Operation::Remove(queue.to_owned())).await.map(|_| ())
    }

    /// Gives a pool another size: a shared or broadcast one in this process, an addressed one in
    /// the fleet. SlotSet that are too many finish their jobs, and an addressed one its backlog.
    ///
    /// # Errors
    /// [`Error::is_gone`] when there is none, [`Error::is_invalid`] for a size of 0 or above
    /// 10,000, [`Error::is_refused`] while an addressed pool is still being resized.
    pub async fn resize(&self, queue: &str, size: usize) -> Result<(), Error> {
        self.ask(Operation::Resize(queue.to_owned(), size)).await.map(|_| ())
    }

    /// Stops a pool: it finishes what it runs and takes no more, an addressed one in the whole
    /// fleet.
    ///
    /// # Errors
    /// [`Error::is_gone`] when there is none.
    pub async fn stop(&self, queue: &str) -> Result<(), Error> {
        self.ask(Operation::Stop(queue.to_owned())).await.map(|_| ())
    }

    /// Starts a pool again that was stopped, and slots that jobs have stopped.
    ///
    /// # Errors
    /// [`Error::is_gone`] when there is none.
    pub async fn start(&self, queue: &str) -> Result<(), Error> {
        self.ask(Operation::Start(queue.to_owned())).await.map(|_| ())
    }

    /// The pools of the node.
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
    /// Does it, and answers.
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
        pools.publish_sizes();
        // Who asked may have gone.
        let _ = answer.send(result.map(|()| pools.list()));
    }
}

async fn add(pools: &mut Pools, pool: Pool) -> Result<(), Error> {
    let plan = pool.plan()?;
    admit(pools.client(), &plan).await?;
    pools.start(plan)
}
