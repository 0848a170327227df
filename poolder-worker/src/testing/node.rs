//! A node of a test, on a thread and a runtime of its own, so that it can end as a process does.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use poolder_core::Error;
use tokio::sync::oneshot;

use super::node_log::NodeLog;
use crate::node::builder::NodeBuilder;

/// A node that runs in a test. Dropping it kills it.
#[derive(Debug)]
pub struct TestNode {
    order: Option<oneshot::Sender<Order>>,
    ended: Option<oneshot::Receiver<Result<(), Error>>>,
    thread: Option<JoinHandle<()>>,
}

/// How the node ends.
#[derive(Debug)]
enum Order {
    Stop,
    Kill,
}

impl TestNode {
    pub(super) async fn start(node: NodeBuilder, log: &Arc<NodeLog>) -> Self {
        let (order, orders) = oneshot::channel();
        let (ready, claims) = oneshot::channel();
        let (end, mut ended) = oneshot::channel();
        let log = Arc::clone(log);
        let thread = thread::Builder::new()
            .name("poolder-test-node".into())
            .spawn(move || log.record(|| live(node, ready, orders, end)))
            .expect("a thread for the node");
        tokio::select! {
            biased;
            result = &mut ended => match result {
                Ok(Err(error)) => panic!("the node does not start: {error}"),
                _ => panic!("the node ended before it started"),
            },
            Ok(()) = claims => {}
        }
        Self { order: Some(order), ended: Some(ended), thread: Some(thread) }
    }

    /// Stops the node as SIGTERM does, and waits for its end: running jobs finish within the
    /// shutdown timeout of the node, or are released.
    ///
    /// # Panics
    /// Panics when the node ended with an error.
    pub async fn stop(mut self) {
        self.send(Order::Stop);
        let ended = self.ended.take().expect("it is taken once");
        match ended.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("the node ended with an error: {error}"),
            Err(_) => panic!("the node panicked"),
        }
    }

    /// Ends the node as `kill -9` ends a process: its handlers are dropped at the point where they
    /// wait, and its jobs stay claimed. Other nodes take the jobs over once the node has been silent
    /// for some ten seconds. A handler that blocks its thread is waited for.
    pub fn kill(mut self) {
        self.end();
    }

    fn send(&mut self, order: Order) {
        if let Some(orders) = self.order.take() {
            // A node that has ended takes no order.
            let _ = orders.send(order);
        }
    }

    fn end(&mut self) {
        self.send(Order::Kill);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a node on this thread until it is told to end.
fn live(
    node: NodeBuilder,
    ready: oneshot::Sender<()>,
    mut orders: oneshot::Receiver<Order>,
    end: oneshot::Sender<Result<(), Error>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime for the node");
    let result = runtime.block_on(async {
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { _ = stopped.await };
        let mut running = std::pin::pin!(node.run_reporting(stopped, Some(ready)));
        tokio::select! {
            result = &mut running => return Some(result),
            order = &mut orders => match order {
                Ok(Order::Stop) => {}
                // The node and its connections are dropped as they are.
                Ok(Order::Kill) | Err(_) => return None,
            },
        }
        drop(stop);
        Some(running.await)
    });
    // Tasks are dropped where they wait.
    runtime.shutdown_background();
    if let Some(result) = result {
        let _ = end.send(result);
    }
}
