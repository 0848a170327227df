//! A private server for one test, and the nodes on it.

use std::sync::Arc;
use std::thread;

use poolder_client::Client;
use poolder_core::broker::Config;
use poolder_devserver::Server;

use super::idle::UntilIdle;
use super::node::TestNode;
use super::node_log::NodeLog;
use crate::node::builder::{Node, NodeBuilder};

/// A private Redis or Valkey server for one test, with a namespace that no other test has.
///
/// The server runs on a unix socket in a temporary directory and keeps nothing on disk. Dropping
/// the value kills the nodes that still run and stops the server. When the test panics, the log of
/// the nodes and the end of the server's log are printed.
///
/// Nothing is installed: the program is that of `POOLDER_REDIS_SERVER`, one in the `PATH`, or one
/// that `cargo xtask redis` has fetched.
///
/// ```no_run
/// # use poolder_worker::{worker_fn, Context, Pool, Result};
/// # use poolder_worker::testing::TestServer;
/// # use poolder_core::{Job, Outcome};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Welcome { user: u64 }
/// # impl Job for Welcome { const KINDS: &'static [&'static str] = &["welcome"]; }
/// # async fn welcome(_job: Welcome, _cx: Context) -> Result<Outcome> { Ok(Outcome::Done) }
/// # async fn f() -> Result<()> {
/// let server = TestServer::start().await;
/// let mail = || Pool::new("mail").worker(worker_fn(welcome));
/// let first = server.start_node(server.node().pool(mail())).await;
/// let _second = server.start_node(server.node().pool(mail())).await;
/// server.client().enqueue(Welcome { user: 7 }).queue("mail").await?;
/// first.kill();
/// server.until_idle("mail").await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct TestServer {
    server: Server,
    namespace: String,
    client: Client,
    log: Arc<NodeLog>,
}

impl TestServer {
    /// Starts a server.
    ///
    /// # Panics
    /// Panics when no server program is found, or when it does not start; the text says what to do.
    pub async fn start() -> Self {
        let started = tokio::task::spawn_blocking(Server::start).await;
        let server = started.expect("a start does not panic").unwrap_or_else(|e| panic!("{e}"));
        let test = thread::current().name().unwrap_or("test").to_owned();
        let namespace = poolder_devserver::namespace(&test);
        let client = connect(&server, &namespace);
        Self { server, namespace, client, log: NodeLog::new() }
    }

    /// Returns a client of the server, which the tests and the code under test share.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the URL of the server.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the namespace of the test.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the builder of a node with a client of its own, as another process has one. Add its
    /// pools and give it to [`TestServer::start_node`].
    pub fn node(&self) -> NodeBuilder {
        Node::builder(connect(&self.server, &self.namespace))
    }

    /// Starts a node on a thread and a runtime of its own, and waits until it claims jobs.
    ///
    /// # Panics
    /// Panics when the node cannot work as it is built, with the error of
    /// [`NodeBuilder::run_until`].
    pub async fn start_node(&self, node: NodeBuilder) -> TestNode {
        TestNode::start(node, &self.log).await
    }

    /// Waits until a queue has no job that is ready, runs, or waits for its time; panics with the
    /// counts of the queue when that takes longer than 30 s, or than [`UntilIdle::within`] says.
    pub fn until_idle(&self, queue: &str) -> UntilIdle {
        UntilIdle::new(self.client.clone(), queue)
    }
}

fn connect(server: &Server, namespace: &str) -> Client {
    let config = Config::new(server.url()).namespace(namespace);
    Client::new(config).unwrap_or_else(|error| panic!("{error}"))
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.log.text());
            eprintln!("--- the server's log ends with:\n{}", self.server.log_tail());
        }
    }
}
