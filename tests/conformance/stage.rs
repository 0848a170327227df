//! The two places in which a scenario is played: a queue without a server, and a real server.

use std::time::Duration;

use poolder::testing::{QueueNode, TestNode, TestQueue, TestServer};
use poolder::{Client, NodeBuilder};

/// The longest time that a server may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A queue of a test, or a server, and the node that runs the jobs.
pub(crate) enum Stage {
    Queue(TestQueue, Option<QueueNode>),
    Server(Box<TestServer>, Option<TestNode>),
}

impl Stage {
    pub(crate) fn queue() -> Self {
        Self::Queue(TestQueue::new(), None)
    }

    pub(crate) async fn server() -> Self {
        Self::Server(Box::new(TestServer::start().await), None)
    }

    pub(crate) fn client(&self) -> &Client {
        match self {
            Self::Queue(queue, _) => queue.client(),
            Self::Server(server, _) => server.client(),
        }
    }

    pub(crate) fn node(&self) -> NodeBuilder {
        match self {
            Self::Queue(queue, _) => queue.node(),
            Self::Server(server, _) => server.node(),
        }
    }

    /// Starts the node.
    pub(crate) async fn start(&mut self, node: NodeBuilder) {
        match self {
            Self::Queue(queue, running) => *running = Some(queue.start_node(node).await),
            Self::Server(server, running) => *running = Some(server.start_node(node).await),
        }
    }

    /// Lets the node work until something has happened.
    pub(crate) async fn until(&self, what: &str, happened: impl Fn() -> bool) {
        let end = tokio::time::Instant::now() + PATIENCE;
        self.work().await;
        while !happened() {
            assert!(tokio::time::Instant::now() < end, "{what}");
            self.work().await;
        }
    }

    /// Lets the node work off all that is there, or for a moment.
    pub(crate) async fn work(&self) {
        match self {
            Self::Queue(_, Some(node)) => _ = node.drain().with_due().recursive().await,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }

    /// Waits for a future, while the node works.
    pub(crate) async fn during<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                biased;
                done = &mut future => return done,
                () = self.work() => tokio::task::yield_now().await,
            }
        }
    }
}
