//! A node: its builder, its start, and the order of its shutdown.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use poolder_client::Client;
use poolder_core::Error;
use poolder_core::broker::DeadLimits;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::declarations::{Hook, Occasion, declare, declare_again, pauses};
use super::handle::{NodeHandle, NodeRequest};
use super::pools::two_pools;
use super::queue_check::misplaced;
use super::running_node::{RunningNode, tick};
use super::running_pool::ShutdownTimes;
use super::signals::stop_signal;
use crate::observe::node_state::NodeState;
use crate::observe::routes::listen;
use crate::process::deploy::this_deploy;
use crate::process::losses::Losses;
use crate::run::dead_job::{DeadJob, dead_hook};
use crate::run::erased::BoxFuture;
use crate::run::middleware::Middleware;
use crate::run::panic_place;
use crate::run::pool::{NodeWide, Pool, PoolPlan};

/// The longest name of a deploy, in bytes.
const MAX_DEPLOY: usize = 128;

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
    client: Client,
    pools: Vec<Pool>,
    hooks: Vec<Hook>,
    wide: NodeWide,
    shutdown_timeout: Duration,
    limits: DeadLimits,
    deploy: Option<String>,
    listen: Option<String>,
    state: Arc<NodeState>,
    requests: Option<(NodeHandle, mpsc::Receiver<NodeRequest>)>,
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

    /// Lets the node answer HTTP requests for its health on an address such as `0.0.0.0:9636`, from
    /// its start until it has ended, on a thread of its own. Off by default.
    ///
    /// | path | answer |
    /// |---|---|
    /// | `/livez` | 200, or 503 when the process should be restarted: [`Health::live`] |
    /// | `/readyz` | 200 while the node may claim jobs, else 503: [`Health::ready`] |
    /// | `/statusz` | the node and its pools in JSON: [`NodeStatus`] |
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
        let state = &self.state;
        self.requests.get_or_insert_with(|| NodeHandle::new(Arc::clone(state))).0.clone()
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

    /// Runs the node as [`NodeBuilder::run_until`] does, and sends `ready` when it may claim jobs.
    pub(crate) async fn run_reporting(
        self,
        stop: impl Future<Output = ()>,
        ready: Option<oneshot::Sender<()>>,
    ) -> Result<(), Error> {
        panic_place::install();
        let plans = plan(self.pools, &self.wide, self.requests.is_some())?;
        for warning in misplaced(&plans) {
            tracing::warn!("{warning}");
        }
        let state = self.state;
        state.belongs_to(deploy_of(self.deploy)?);
        let listener = match &self.listen {
            Some(address) => Some(listen(address, &state).await?),
            None => None,
        };
        let ends = state.starts();
        let ticks = AbortOnDropHandle::new(tokio::spawn(tick(Arc::clone(&state.liveness))));
        tokio::pin!(stop);
        tokio::select! {
            prepared = prepare(&self.client, &self.hooks, &plans) => prepared?,
            () = &mut stop => return Ok(()),
        }
        let (client, hooks): (_, Arc<[Hook]>) = (self.client.clone(), self.hooks.into());
        let losses = Losses::default();
        let mut lost = losses.subscribe();
        let (wide, timeout) = (self.wide, self.shutdown_timeout);
        let mut running =
            RunningNode::start(self.client, self.limits, timeout, wide, plans, losses, &state)?;
        if let Some(ready) = ready {
            running.report(ready);
        }
        let mut declaring: Option<BoxFuture<'static, ()>> = None;
        let mut requests = self.requests.map(|(_, requests)| requests);
        let next = async |requests: &mut Option<mpsc::Receiver<NodeRequest>>| match requests {
            Some(requests) => requests.recv().await,
            None => std::future::pending().await,
        };
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(request) = next(&mut requests) => tokio::select! {
                    () = request.carry_out(&mut running.pools) => {}
                    () = &mut stop => break,
                },
                Ok(()) = lost.changed(), if declaring.is_none() => {
                    let (client, hooks) = (client.clone(), Arc::clone(&hooks));
                    let again = declare_again(client, hooks, running.pools.declared());
                    declaring = Some(Box::pin(again));
                }
                () = async {
                    match &mut declaring {
                        Some(declaring) => declaring.await,
                        None => std::future::pending().await,
                    }
                } => declaring = None,
            }
        }
        state.drains();
        running.stop(ShutdownTimes::new(Instant::now(), self.shutdown_timeout)).await;
        drop((ends, ticks));
        if let Some(listener) = listener {
            listener.close().await;
        }
        Ok(())
    }
}

/// Returns the name of the deploy, or the error of one that is too long.
fn deploy_of(given: Option<String>) -> Result<String, Error> {
    let deploy = given.unwrap_or_else(this_deploy);
    if deploy.len() > MAX_DEPLOY {
        return Err(Error::invalid(format!(
            "the name of the deploy has {} bytes, the most is {MAX_DEPLOY}",
            deploy.len()
        )));
    }
    Ok(deploy)
}

#[cfg(feature = "testing")]
impl NodeBuilder {
    /// Checks the node, declares what its code declares and runs its hooks, as a start of the node
    /// does. Returns the client and the pools.
    pub(crate) async fn prepared(self) -> Result<(Client, Vec<PoolPlan>), Error> {
        panic_place::install();
        let plans = plan(self.pools, &self.wide, false)?;
        declare(&self.client, &self.hooks, &plans).await?;
        Ok((self.client, plans))
    }
}

fn plan(pools: Vec<Pool>, wide: &NodeWide, may_be_empty: bool) -> Result<Vec<PoolPlan>, Error> {
    if pools.is_empty() && !may_be_empty {
        return Err(Error::invalid("the node has no pool: add one with .pool(…)"));
    }
    wide.states.check("the node")?;
    let plans = pools.into_iter().map(|pool| pool.plan(wide)).collect::<Result<Vec<_>, _>>()?;
    let mut served = BTreeSet::new();
    for plan in &plans {
        if !served.insert(plan.spec.queue.clone()) {
            return Err(two_pools(&plan.spec.queue));
        }
    }
    Ok(plans)
}

/// Checks the server, declares the pools and runs the hooks. All of this is repeated while the
/// server does not answer.
async fn prepare(client: &Client, hooks: &[Hook], plans: &[PoolPlan]) -> Result<(), Error> {
    let mut waits = pauses();
    loop {
        match check(client, hooks, plans).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_refused() || error.is_unknown() => {
                let wait = waits.after_failure();
                tracing::warn!(%error, retry_in = ?wait, "waiting for the server");
                tokio::time::sleep(wait).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn check(client: &Client, hooks: &[Hook], plans: &[PoolPlan]) -> Result<(), Error> {
    let findings = client.broker().check_server().await?;
    tracing::info!(server = findings.server, "the server has passed its checks");
    for warning in findings.warnings {
        tracing::warn!("{warning}");
    }
    declare(client, hooks, plans).await
}
