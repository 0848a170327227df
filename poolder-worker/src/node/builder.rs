//! The builder of a node.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use poolder_client::Client;
use poolder_core::Error;
use poolder_core::broker::DeadLimits;
use tokio::sync::mpsc;

use super::declarations::{Hook, Occasion};
use super::handle::{NodeHandle, NodeRequest};
use super::signals::stop_signal;
use crate::observe::node_state::NodeState;
use crate::run::dead_job::{DeadJob, dead_hook};
use crate::run::erased::BoxFuture;
use crate::run::middleware::Middleware;
use crate::run::pool::{NodeWide, Pool};
use crate::services::history_writer::HistoryOptions;

/// A process that runs jobs. Built with [`Node::builder`].
#[derive(Debug)]
pub struct Node;

impl Node {
    /// Returns a builder for a node whose pools claim jobs through `client`.
    ///
    /// ```no_run
    /// # use poolder_worker::{worker_fn, Context, Node, Pool, Result};
    /// # use poolder_core::{Job, Outcome};
    /// # use poolder_client::Client;
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Welcome { user: u64 }
    /// # impl Job for Welcome { const KINDS: &'static [&'static str] = &["welcome"]; }
    /// # async fn welcome(_job: Welcome, _cx: Context) -> Result<Outcome> { Ok(Outcome::Done) }
    /// # async fn f() -> std::result::Result<(), poolder_core::Error> {
    /// let client = Client::from_env().await?;
    /// Node::builder(client).pool(Pool::new("mail").size(10).worker(worker_fn(welcome))).run().await
    /// # }
    /// ```
    pub fn builder(client: Client) -> NodeBuilder {
        NodeBuilder {
            client,
            pools: vec![],
            hooks: vec![],
            wide: NodeWide::default(),
            shutdown_timeout: Duration::from_secs(25),
            limits: DeadLimits::default(),
            deploy: None,
            listen: None,
            state: Arc::default(),
            history: HistoryOptions::default(),
            requests: None,
        }
    }
}

/// A part that a node can be built from: a pool, or a type that adds pools and hooks.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a component of a node",
    label = "not a component",
    note = "components are a `Pool`, `Batcher`, `Scheduler`, `Crontab`, and types with \
            `#[poolder::pool]`, `#[poolder::batcher]` or `#[poolder::scheduler]`",
    note = "a worker joins a pool first: `Pool::new(\"queue\").worker(…)`"
)]
pub trait Component {
    /// Adds this component to the node.
    fn install(self, node: NodeBuilder) -> NodeBuilder;
}

impl Component for Pool {
    fn install(self, node: NodeBuilder) -> NodeBuilder {
        node.pool(self)
    }
}

/// Builds a node: its pools, its hooks and its limits.
#[must_use = "a node runs when run() is awaited"]
pub struct NodeBuilder {
    pub(super) client: Client,
    pub(super) pools: Vec<Pool>,
    pub(super) hooks: Vec<Hook>,
    pub(super) wide: NodeWide,
    pub(super) shutdown_timeout: Duration,
    pub(super) limits: DeadLimits,
    pub(super) history: HistoryOptions,
    pub(super) deploy: Option<String>,
    pub(super) listen: Option<String>,
    pub(super) state: Arc<NodeState>,
    pub(super) requests: Option<(NodeHandle, mpsc::Receiver<NodeRequest>)>,
}

impl std::fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeBuilder")
            .field("client", &self.client)
            .field("pools", &self.pools)
            .field("shutdown_timeout", &self.shutdown_timeout)
            .finish_non_exhaustive()
    }
}

impl NodeBuilder {
    /// Adds a component: a [`Pool`], a [`Batcher`](crate::Batcher), a
    /// [`Scheduler`](crate::Scheduler), a [`Crontab`](crate::Crontab), or a type that a macro has
    /// made a component.
    #[expect(clippy::should_implement_trait, reason = "adding a component is not arithmetic")]
    pub fn add(self, component: impl Component) -> Self {
        component.install(self)
    }

    /// Adds a pool. A node can have one pool per queue.
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pools.push(pool);
        self
    }

    /// Adds a middleware around the attempts of all pools of the node, batchers and schedulers
    /// included, and of pools that are added while it runs. The first added is the outermost; the
    /// middleware of a pool runs inside of all of these.
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.wide.chain.push(Arc::new(middleware));
        self
    }

    /// Adds a hook that is told of each dead job of all pools of the node, as
    /// [`Pool::on_dead`] describes. The hooks of a node and of a pool are called together, and
    /// together again when one of them has failed.
    pub fn on_dead<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(DeadJob) -> R + Send + Sync + 'static,
        R: Future<Output = crate::Result<()>> + Send + 'static,
    {
        self.wide.hooks.push(dead_hook(hook));
        self
    }

    /// Gives the node a value of shared state, which the handlers of all its pools find by its
    /// type: functions take it as an argument [`State<T>`](crate::State), all others ask
    /// [`Context::state`](crate::Context::state). A pool with a value of the same type
    /// ([`Pool::state`]) uses that. A node can have one value of each type.
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.wide.states.add(value);
        self
    }

    /// Adds a hook that runs after the server has passed its checks and before the first job is
    /// claimed, for example to check a database. While the server does not answer, the checks and
    /// all hooks are repeated; any other error ends the node. A hook does not run again when the
    /// server has lost its data: declare schedules with a [`Scheduler`](crate::Scheduler) or a
    /// [`Crontab`](crate::Crontab), which come back by themselves.
    pub fn before_start<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(Client) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let run = Box::new(move |client, _| Box::pin(hook(client)) as BoxFuture<'static, _>);
        self.hooks.push(Hook { run, declares: false });
        self
    }

    /// Adds a hook like [`NodeBuilder::before_start`] that declares something on the server. It
    /// runs again when the server has lost what it declared.
    pub(crate) fn declares<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(Client, Occasion) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let run = Box::new(move |client, why| Box::pin(hook(client, why)) as BoxFuture<'static, _>);
        self.hooks.push(Hook { run, declares: true });
        self
    }

    /// Sets how long a stop of the node takes at most; one below 6 s may take up to 1.5 s longer.
    /// Running jobs may finish within three quarters of it, or all of it but 4 s if that is more.
    /// Those that still run then are cancelled and released. Default 25 s: keep it below the time
    /// that your supervisor grants.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Limits the dead jobs that are kept per queue, by their count and their age. Default 10,000
    /// and 90 days.
    pub fn keep_dead(mut self, count: u64, age: Duration) -> Self {
        self.limits = DeadLimits { count, age, ..self.limits };
        self
    }

    /// Names the deploy that the node belongs to, such as a version or a commit, at most 128 bytes.
    /// Operators see it in the roster, and which deploys run side by side. Default: the environment
    /// variable `POOLDER_DEPLOY`, else the time at which the program was built.
    pub fn deploy(mut self, deploy: impl Into<String>) -> Self {
        self.deploy = Some(deploy.into());
        self
    }

    /// Sets whether the node adds the counts of its attempts to the history in Redis, which
    /// [`Client::history`] reads, its deploy, and the events of [`Client::journal`]. Default true: one
    /// command a minute, and one every five seconds while the history is watched.
    pub fn keep_history(mut self, keep: bool) -> Self {
        self.history.keep = keep;
        self
    }

    /// Sets whether the messages of errors are kept in the groups of errors that
    /// [`Client::errors`] reads. Default true. Without them a group has its cause, its kind, its
    /// times and a job; the message in the counters of a job that failed is another one, and stays.
    pub fn keep_error_samples(mut self, keep: bool) -> Self {
        self.history.keep_samples = keep;
        self
    }

    /// Lets the node answer HTTP requests for its health and metrics on an address such as
    /// `0.0.0.0:9636`, from its start until it has ended, on a thread of its own. Off by default.
    ///
    /// | path | answer |
    /// |---|---|
    /// | `/livez` | 200, or 503 when the process should be restarted: [`Health::live`] |
    /// | `/readyz` | 200 while the node may claim jobs, else 503: [`Health::ready`] |
    /// | `/statusz` | the node and its pools in JSON: [`NodeStatus`] |
    /// | `/metrics` | what the node and its client have counted, for Prometheus |
    ///
    /// The body of a 503 is the reason. A connection serves one request, of `GET` or `HEAD`, which
    /// must arrive within a second, and is closed. 64 connections are open at most; the oldest is
    /// closed for the next one. There is no encryption and no password: listen on an address that
    /// only your probes can reach. With port 0 the system chooses a port, which
    /// [`NodeHandle::status`] returns.
    ///
    /// A node whose address is in use, or cannot be listened on, does not start.
    ///
    /// [`Health::live`]: crate::Health::live
    /// [`Health::ready`]: crate::Health::ready
    /// [`NodeStatus`]: crate::NodeStatus
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Returns a handle that shows the health of the node, and that changes its pools while it runs.
    /// A node with a handle may start without a pool.
    #[must_use]
    pub fn handle(&mut self) -> NodeHandle {
        let (client, state) = (&self.client, &self.state);
        let new = || NodeHandle::new(client.clone(), Arc::clone(state));
        self.requests.get_or_insert_with(new).0.clone()
    }

    /// Runs the node until SIGTERM or SIGINT, then shuts it down as [`NodeBuilder::run_until`]
    /// does. A second signal exits the process at once, with code 128 plus its number: 130 for
    /// SIGINT, 143 for SIGTERM.
    ///
    /// From then on these signals no longer end the process by themselves, also when the returned
    /// future is dropped.
    ///
    /// # Errors
    /// Returns the errors of [`NodeBuilder::run_until`].
    pub async fn run(self) -> Result<(), Error> {
        self.run_until(stop_signal()).await
    }

    /// Runs the node until `stop` ends, then shuts it down in order, within the shutdown timeout:
    /// the node claims no more jobs, running jobs finish, jobs that still run are cancelled and
    /// released, leases are resigned, and the node leaves the roster.
    ///
    /// When the returned future is dropped, as `select!` and a timeout do, the node stops at once:
    /// handlers are dropped at their next await point, and nothing is released. Other nodes take the
    /// jobs over once the node has been silent for some ten seconds, as after a crash.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a node that cannot work as built, or that cannot listen on its
    /// address; [`Error::is_auth`] when the server refuses the login, [`Error::is_unsupported`] when the server cannot be used. An
    /// unreachable server is no error: the node waits for it.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        self.run_reporting(stop, None).await
    }
}
