//! The notes of a node about itself, for probes, scrapes and programs that watch over it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use poolder_core::policy::dispatch::Mode;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::health::{Facts, Health, NodePhase};
use super::metrics;
use super::status::{NodeStatus, PoolStatus};
use crate::process::activity::Activity;
use crate::process::liveness::{Liveness, NodeIdentity, ShutdownPhase};
use crate::process::meter::Meter;

/// The notes of a node about itself, which the node and its handles share.
#[derive(Debug)]
pub(crate) struct NodeState {
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) meter: Arc<Meter>,
    noted: Mutex<Noted>,
}

#[derive(Debug)]
struct Noted {
    phase: NodePhase,
    deploy: String,
    started: Option<Instant>,
    listens: Option<SocketAddr>,
    identity: Option<watch::Receiver<NodeIdentity>>,
    pools: Vec<PoolState>,
}

/// A pool of the node, and where its state is read.
#[derive(Debug, Clone)]
pub(crate) struct PoolState {
    pub(crate) queue: String,
    pub(crate) mode: Mode,
    pub(crate) size: u16,
    pub(crate) phase: watch::Receiver<ShutdownPhase>,
    pub(crate) task: AbortHandle,
}

impl Default for NodeState {
    fn default() -> Self {
        let noted = Noted {
            phase: NodePhase::Built,
            deploy: String::new(),
            started: None,
            listens: None,
            identity: None,
            pools: vec![],
        };
        let (liveness, activity, meter) = (Arc::default(), Arc::default(), Arc::default());
        Self { liveness, activity, meter, noted: Mutex::new(noted) }
    }
}

impl NodeState {
    /// Notes the deploy that the node belongs to.
    pub(crate) fn belongs_to(&self, deploy: String) {
        self.noted().deploy = deploy;
    }

    /// Returns the deploy that the node belongs to.
    pub(crate) fn deploy(&self) -> String {
        self.noted().deploy.clone()
    }

    /// Notes that the node starts. The node has ended once the returned guard
    /// is dropped.
    pub(crate) fn starts(self: &Arc<Self>) -> EndGuard {
        // A node may be built long before it is started.
        self.liveness.tick();
        let mut noted = self.noted();
        (noted.phase, noted.started) = (NodePhase::Starting, Some(Instant::now()));
        EndGuard(Arc::clone(self))
    }

    /// Notes the address of the node's listener.
    pub(crate) fn listens(&self, address: SocketAddr) {
        self.noted().listens = Some(address);
    }

    /// Notes that the node runs, and where its name is read.
    pub(crate) fn runs(&self, identity: watch::Receiver<NodeIdentity>) {
        let mut noted = self.noted();
        (noted.phase, noted.identity) = (NodePhase::Running, Some(identity));
    }

    /// Returns the metrics of the node in the text format of Prometheus.
    pub(crate) fn metrics_text(&self) -> String {
        metrics::render(&self.meter.read(), &self.pools(), &self.health())
    }

    /// Notes that the node takes no more jobs.
    pub(crate) fn quiets(&self) {
        self.noted().phase = NodePhase::Quiet;
    }

    /// Notes that the node takes jobs again.
    pub(crate) fn resumes(&self) {
        self.noted().phase = NodePhase::Running;
    }

    /// Notes that the node stops.
    pub(crate) fn drains(&self) {
        self.noted().phase = NodePhase::Draining;
    }

    /// Notes the pools, in order of their queues.
    pub(crate) fn has_pools(&self, pools: Vec<PoolState>) {
        self.noted().pools = pools;
    }

    pub(crate) fn health(&self) -> Health {
        self.health_in(self.noted().phase)
    }

    pub(crate) fn pools(&self) -> Vec<PoolStatus> {
        self.pools_in(&self.noted())
    }

    fn pools_in(&self, noted: &Noted) -> Vec<PoolStatus> {
        let (busy, held) = (self.activity.busy(), self.activity.held());
        let of = |counts: &BTreeMap<String, u32>, queue: &str| {
            counts.get(queue).copied().unwrap_or_default()
        };
        let status = |pool: &PoolState| PoolStatus {
            queue: pool.queue.clone(),
            mode: pool.mode,
            size: pool.size,
            running: *pool.phase.borrow() == ShutdownPhase::Run && !pool.task.is_finished(),
            slots: match pool.mode.is_addressed() {
                true => of(&held, &pool.queue),
                false => pool.size.into(),
            },
            busy: of(&busy, &pool.queue),
        };
        noted.pools.iter().map(status).collect()
    }

    pub(crate) fn status(&self) -> NodeStatus {
        let noted = self.noted();
        NodeStatus {
            node: noted.identity.as_ref().map(|identity| identity.borrow().name.to_string()),
            phase: noted.phase,
            health: self.health_in(noted.phase),
            version: env!("CARGO_PKG_VERSION"),
            deploy: noted.deploy.clone(),
            pid: std::process::id(),
            uptime_seconds: noted.started.map_or(0.0, |since| since.elapsed().as_secs_f64()),
            listens: noted.listens,
            pools: self.pools_in(&noted),
        }
    }

    fn health_in(&self, phase: NodePhase) -> Health {
        // Before its start a node has no ticks.
        let ticks = phase == NodePhase::Built || self.liveness.is_felt();
        Health::of(Facts { phase, ticks, beat: self.liveness.last_beat() })
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes that the node has ended when it is dropped, however the node ends.
pub(crate) struct EndGuard(Arc<NodeState>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.noted().phase = NodePhase::Ended;
    }
}
