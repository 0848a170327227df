//! The process: what it starts, what it watches, and the order in which it stops.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use poolder_client::Client;
use poolder_core::broker::{DeadLimits, NodeInfo};
use poolder_core::{Error, Partition};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::claimer::{Claimer, Setup};
use crate::erased::BoxFuture;
use crate::orders::Standing;
use crate::pool::{Plan, Pool, Slots};
use crate::services::{self, Post};
use crate::vitals::{Clock, Phase, Pulse};

/// How long handlers that were told to stop may take before the process leaves without them.
const LAST_CALL: Duration = Duration::from_secs(5);

/// A process that runs jobs. Built with [`Node::builder`].
#[derive(Debug)]
pub struct Node;

impl Node {
    /// Starts to describe a node.
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
            before_start: vec![],
            shutdown_timeout: Duration::from_secs(25),
            limits: DeadLimits::default(),
        }
    }
}

/// Something that a node can be given: a pool, or what builds on one.
pub trait Component {
    /// Adds it to the node.
    fn install(self, node: NodeBuilder) -> NodeBuilder;
}

impl Component for Pool {
    fn install(self, node: NodeBuilder) -> NodeBuilder {
        node.pool(self)
    }
}

type BeforeStart = Box<dyn Fn(Client) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// A node that is being described.
#[must_use = "a node runs when run() is awaited"]
pub struct NodeBuilder {
    client: Client,
    pools: Vec<Pool>,
    before_start: Vec<BeforeStart>,
    shutdown_timeout: Duration,
    limits: DeadLimits,
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
    /// Adds a component: a [`Pool`], or what the macros build.
    #[expect(clippy::should_implement_trait, reason = "nobody adds nodes with +")]
    pub fn add(self, component: impl Component) -> Self {
        component.install(self)
    }

    /// Adds a pool. A queue has one pool in a process.
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pools.push(pool);
        self
    }

    /// Does something when the server was found fit, before the first job is claimed: declares
    /// schedules, or checks a database. While the server does not answer it is tried again; any
    /// other error ends the node.
    pub fn before_start<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(Client) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.before_start.push(Box::new(move |client| Box::pin(hook(client))));
        self
    }

    /// How long running jobs may take to finish once the node is told to stop; then they are
    /// cancelled and handed back. Default 25 s: keep it below what your supervisor grants.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// How many dead jobs are kept per queue, and how long. Default 10,000 and 90 days.
    pub fn keep_dead(mut self, count: u64, age: Duration) -> Self {
        self.limits = DeadLimits { count, age };
        self
    }

    /// Runs until SIGTERM or SIGINT, then stops in order. A second signal exits at once.
    ///
    /// # Errors
    /// As [`NodeBuilder::run_until`].
    pub async fn run(self) -> Result<(), Error> {
        let stop = async {
            signal().await;
            tracing::info!("told to stop: finishing what runs; a second signal exits at once");
            tokio::spawn(async {
                signal().await;
                std::process::exit(130);
            });
        };
        self.run_until(stop).await
    }

    /// Runs until the future ends, then stops in order: no more claims, running jobs finish within
    /// the shutdown timeout, the rest is cancelled and handed back, leases are resigned, the node
    /// leaves the roster.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a node that cannot work as described, [`Error::is_auth`] and
    /// [`Error::is_unsupported`] for a server that will not have it. An unreachable server is no
    /// error: the node waits for it.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let plans = plan(self.pools)?;
        tokio::pin!(stop);
        tokio::select! {
            prepared = prepare(&self.client, &self.before_start) => prepared?,
            () = &mut stop => return Ok(()),
        }
        let running = Running::start(self.client, self.limits, plans)?;
        stop.await;
        running.stop(self.shutdown_timeout).await;
        Ok(())
    }
}

fn plan(pools: Vec<Pool>) -> Result<Vec<Plan>, Error> {
    if pools.is_empty() {
        return Err(Error::invalid("the node has no pool: add one with .pool(…)"));
    }
    let plans = pools.into_iter().map(Pool::plan).collect::<Result<Vec<_>, _>>()?;
    let mut served = BTreeSet::new();
    for plan in &plans {
        if !served.insert(plan.partition.clone()) {
            return Err(Error::invalid(format!(
                "queue {} has two pools in this node, it can have one: add both workers to it",
                plan.partition.queue
            )));
        }
    }
    Ok(plans)
}

struct Running {
    client: Client,
    phase: watch::Sender<Phase>,
    claimers: JoinSet<Slots>,
    services: JoinSet<()>,
    stop_services: CancellationToken,
    heartbeat: services::Heartbeat,
}

impl Running {
    fn start(client: Client, limits: DeadLimits, plans: Vec<Plan>) -> Result<Self, Error> {
        let clock = Arc::new(Clock::default());
        let (phase, phases) = watch::channel(Phase::Run);
        let pulse = Arc::new(Pulse::default());
        let info = about(&plans);
        let heartbeat = services::Heartbeat::start(
            client.broker(),
            Arc::clone(&clock),
            Arc::clone(&pulse),
            info,
        )?;
        let suspects = Arc::new(Semaphore::new(1));
        let stop_services = CancellationToken::new();
        let (mut claimers, mut services) = (JoinSet::new(), JoinSet::new());
        let mut posts = vec![];
        for plan in plans {
            let partition = plan.partition.clone();
            tracing::info!(queue = %partition.queue, slots = plan.size, "pool starts");
            let post = post(&client, &partition, limits, &clock, &heartbeat);
            let setup = Setup {
                client: client.clone(),
                partition,
                limits,
                slots: plan.start(&clock),
                clock: Arc::clone(&clock),
                pulse: Arc::clone(&pulse),
                suspects: Arc::clone(&suspects),
                phase: phases.clone(),
                identity: heartbeat.identity(),
                orders: post.orders.subscribe(),
            };
            posts.push(post);
            claimers.spawn(Claimer::new(setup).run());
        }
        services::spawn_all(&mut services, posts, &stop_services);
        services.spawn(tick(pulse, stop_services.clone()));
        Ok(Self { client, phase, claimers, services, stop_services, heartbeat })
    }

    /// The order of shutdown.
    async fn stop(mut self, timeout: Duration) {
        self.phase.send_replace(Phase::Drain);
        let mut ended = vec![];
        let mut clean = true;
        for (next, patience) in [(Some(Phase::HandBack), timeout), (None, LAST_CALL)] {
            let all = async {
                while let Some(slots) = self.claimers.join_next().await {
                    match slots {
                        Ok(slots) => ended.push(slots),
                        Err(error) => tracing::error!(%error, "a claimer broke"),
                    }
                }
            };
            if tokio::time::timeout(patience, all).await.is_ok() {
                break;
            }
            match next {
                Some(phase) => {
                    tracing::warn!("time is up: what still runs is cancelled and handed back");
                    self.phase.send_replace(phase);
                }
                None => clean = false,
            }
        }
        for slots in ended {
            clean &= slots.stop(LAST_CALL).await;
        }
        self.stop_services.cancel();
        while self.services.join_next().await.is_some() {}
        if !clean {
            tracing::error!(
                "a handler blocks its thread and cannot be stopped; the roster keeps this node, so \
                 that its job is rescued once the process is gone"
            );
        }
        self.heartbeat.stop(clean).await;
        drop(self.client);
    }
}

/// Shows that the runtime runs, once a second.
async fn tick(pulse: Arc<Pulse>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        pulse.tick();
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// What operators are told of this node.
fn about(plans: &[Plan]) -> NodeInfo {
    NodeInfo {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").into(),
        started: 0,
        pools: plans.iter().map(|plan| (plan.partition.queue.to_string(), plan.size)).collect(),
    }
}

fn post(
    client: &Client,
    partition: &Partition,
    limits: DeadLimits,
    clock: &Arc<Clock>,
    heartbeat: &services::Heartbeat,
) -> Post {
    Post {
        broker: client.broker().clone(),
        partition: partition.clone(),
        limits,
        clock: Arc::clone(clock),
        identity: heartbeat.identity(),
        dead: heartbeat.dead(),
        leads: Arc::new(watch::Sender::new(false)),
        hints: Arc::new(watch::Sender::new(false)),
        due: Arc::new(Notify::new()),
        tick: Arc::new(Notify::new()),
        lease: Arc::new(Notify::new()),
        news: Arc::new(Notify::new()),
        orders: Arc::new(watch::Sender::new(Standing::default())),
    }
}

/// Waits for a server that answers and is fit, and does what must be done before the start.
async fn prepare(client: &Client, hooks: &[BeforeStart]) -> Result<(), Error> {
    let mut wait = Duration::from_millis(500);
    loop {
        match check(client, hooks).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_refused() || error.is_unknown() => {
                tracing::warn!(%error, retry_in = ?wait, "waiting for the server");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(5));
            }
            Err(error) => return Err(error),
        }
    }
}

async fn check(client: &Client, hooks: &[BeforeStart]) -> Result<(), Error> {
    let findings = client.broker().check_server().await?;
    tracing::info!(server = findings.server, "the server is fit");
    for warning in findings.warnings {
        tracing::warn!("{warning}");
    }
    for hook in hooks {
        hook(client.clone()).await?;
    }
    Ok(())
}

/// Ends at the first SIGTERM or SIGINT.
async fn signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    if let Err(error) = interrupt.await {
        tracing::error!(%error, "signals cannot be heard; stop the process another way");
        std::future::pending::<()>().await;
    }
}
