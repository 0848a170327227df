//! The values that all pools of a node share.

use std::sync::Arc;

use poolder_client::Client;
use poolder_core::Partition;
use poolder_core::broker::DeadLimits;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::joint_wait::JointWait;
use super::service_context::{PartitionServices, ServiceContext};
use crate::process::activity::Activity;
use crate::process::commands::KnownCommands;
use crate::process::finished::FinishedJobs;
use crate::process::journal::Journal;
use crate::process::liveness::{DeadNodes, Liveness, NodeIdentity, ServerClock, ShutdownPhase};
use crate::process::losses::Losses;
use crate::process::meter::Meter;
use crate::process::outages::Outages;
use crate::process::poll_limit::PollLimiter;
use crate::process::progress::ProgressQueue;
use crate::run::engine::{Engine, EngineSetup};
use crate::run::pool_spec::PoolSpec;

/// The values that all pools of a node share.
#[derive(Clone)]
pub(crate) struct NodeContext {
    pub(crate) client: Client,
    pub(crate) limits: DeadLimits,
    pub(crate) clock: Arc<ServerClock>,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) outages: Arc<Outages>,
    pub(crate) progress: Arc<ProgressQueue>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) journal: Journal,
    pub(crate) finished: FinishedJobs,
    /// Its single permit lets one suspect run in the node at a time.
    pub(crate) suspects: Arc<Semaphore>,
    pub(crate) poll_limiter: Arc<PollLimiter>,
    pub(crate) identity: watch::Receiver<NodeIdentity>,
    pub(crate) dead: watch::Receiver<DeadNodes>,
    /// The number of nodes in the roster, as of the last beat.
    pub(crate) nodes: watch::Receiver<usize>,
    pub(crate) losses: Losses,
    /// The wait of the pools that have been idle for a while.
    pub(crate) joint_wait: JointWait,
    pub(crate) services: PartitionServices,
    /// Cancelled when the node stops.
    pub(crate) stops: CancellationToken,
}

impl NodeContext {
    /// Returns the engine that runs the jobs of a pool in this node; `phase` is that of the pool.
    pub(crate) fn engine(
        &self,
        spec: &Arc<PoolSpec>,
        phase: watch::Receiver<ShutdownPhase>,
    ) -> Arc<Engine> {
        let node = self.clone();
        let setup = EngineSetup {
            spec: Arc::clone(spec),
            client: node.client,
            clock: node.clock,
            liveness: node.liveness,
            outages: node.outages,
            progress: node.progress,
            phase,
            meter: node.meter,
            journal: node.journal,
            finished: node.finished,
        };
        Arc::new(Engine::new(setup).with_activity(&node.activity))
    }

    /// Returns the limits for the dead jobs of a pool. Burials are recorded if the pool or the node
    /// has a hook for them.
    pub(crate) fn dead_limits(&self, spec: &PoolSpec) -> DeadLimits {
        DeadLimits { hooks: !spec.hooks.is_empty(), ..self.limits }
    }

    /// Returns the context of the services of a partition of a pool. An `owned` partition is led
    /// from the start by this node; otherwise a leader is elected.
    pub(crate) fn service_context(
        &self,
        partition: &Partition,
        engine: &Arc<Engine>,
        owned: bool,
    ) -> ServiceContext {
        ServiceContext {
            broker: self.client.broker().clone(),
            partition: partition.clone(),
            limits: self.dead_limits(&engine.spec),
            engine: Arc::clone(engine),
            identity: self.identity.clone(),
            dead: self.dead.clone(),
            losses: self.losses.clone(),
            leads: Arc::new(watch::Sender::new(owned)),
            hints: Arc::new(watch::Sender::new(false)),
            due: Arc::new(Notify::new()),
            tick: Arc::new(Notify::new()),
            lease: Arc::new(Notify::new()),
            deaths: Arc::new(Notify::new()),
            wake: Arc::new(Notify::new()),
            rests: Arc::new(watch::Sender::new(false)),
            news: Arc::new(Notify::new()),
            commands: Arc::new(watch::Sender::new(KnownCommands::default())),
        }
    }
}
