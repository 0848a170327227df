//! The parts of a node that runs: their start, and the order in which they stop.

use std::sync::Arc;
use std::time::Duration;

use poolder_client::Client;
use poolder_core::broker::{Broker, DeadLimits, NodeInfo, NodeOrder};
use poolder_core::mutation::mutated;
use poolder_core::{Error, host};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::pools::Pools;
use super::running_pool::ShutdownTimes;
use crate::observe::node_state::NodeState;
use crate::process::finished::FinishedJobs;
use crate::process::journal::Journal;
use crate::process::liveness::{Liveness, ServerClock};
use crate::process::losses::Losses;
use crate::process::outages::Outages;
use crate::run::pool::{NodeWide, PoolPlan};
use crate::run::published::PublishedPool;
use crate::services::finished_writer;
use crate::services::heartbeat::Heartbeat;
use crate::services::history_writer::{HistoryOptions, HistoryWriter};
use crate::services::joint_wait::JointWait;
use crate::services::journal_writer::JournalWriter;
use crate::services::node_context::NodeContext;
use crate::services::service_context::PartitionServices;
use crate::services::spawn::{
    spawn_finished_writer, spawn_history_writer, spawn_joint_wait, spawn_listener,
    spawn_progress_writer,
};

/// How long a stopping node waits for the last flush of its history at most.
const LAST_FLUSH: Duration = Duration::from_millis(500);

/// The most characters of a machine's name in the roster.
const MAX_HOST: usize = 255;

/// The parts of a node that runs.
pub(super) struct RunningNode {
    pub(super) pools: Pools,
    services: JoinSet<()>,
    stop_services: CancellationToken,
    broker: Broker,
    /// The finished jobs that are not written yet.
    finished: FinishedJobs,
    /// The writers of the counts and of the events of the node.
    history: Option<(Arc<HistoryWriter>, JournalWriter)>,
    heartbeat: Heartbeat,
}

impl RunningNode {
    pub(super) fn start(
        client: Client,
        (limits, history): (DeadLimits, HistoryOptions),
        timeout: Duration,
        wide: NodeWide,
        plans: Vec<PoolPlan>,
        losses: Losses,
        state: &Arc<NodeState>,
    ) -> Result<Self, Error> {
        let clock = Arc::new(ServerClock::default());
        let liveness = Arc::clone(&state.liveness);
        let outages = Arc::new(Outages::default());
        let activity = Arc::clone(&state.activity);
        let published = watch::Sender::new(plans.iter().map(PublishedPool::of).collect());
        let journal = Journal::default();
        let heartbeat = Heartbeat::start(
            client.broker(),
            Arc::clone(&clock),
            Arc::clone(&liveness),
            Arc::clone(&outages),
            (about(state.deploy()), published.subscribe()),
            Arc::clone(&activity),
            (losses.clone(), journal.clone()),
        )?;
        let (mut services, stop_services) = (JoinSet::new(), CancellationToken::new());
        let node = NodeContext {
            joint_wait: JointWait::new(client.broker()),
            client,
            limits,
            clock,
            liveness,
            outages,
            progress: Arc::default(),
            activity,
            meter: Arc::clone(&state.meter),
            journal,
            finished: FinishedJobs::default(),
            suspects: Arc::new(Semaphore::new(if mutated("suspect-permit") { 9 } else { 1 })),
            poll_limiter: Arc::default(),
            identity: heartbeat.identity(),
            dead: heartbeat.dead(),
            nodes: heartbeat.nodes(),
            losses,
            services: PartitionServices::default(),
            stops: CancellationToken::new(),
        };
        spawn_listener(&mut services, node.services.clone(), &stop_services);
        spawn_joint_wait(&mut services, &node, &stop_services);
        spawn_progress_writer(&mut services, &node, &stop_services);
        spawn_finished_writer(&mut services, &node, &stop_services);
        let history = history
            .keep
            .then(|| Arc::new(HistoryWriter::new(&node, state.deploy(), history.keep_samples)))
            .map(|counts| (counts, JournalWriter::new(&node)));
        if let Some((counts, events)) = &history {
            spawn_history_writer(&mut services, (counts, events), &stop_services);
        }
        let (broker, finished) = (node.client.broker().clone(), node.finished.clone());
        let mut pools = Pools::new(node, wide, timeout, published, Arc::clone(state));
        for plan in plans {
            pools.start(plan)?;
        }
        pools.publish();
        state.runs(heartbeat.identity());
        Ok(Self { pools, services, stop_services, broker, finished, history, heartbeat })
    }

    /// Returns the order of an operator for this node.
    pub(super) fn order(&self) -> watch::Receiver<Option<NodeOrder>> {
        self.heartbeat.order()
    }

    /// Sends `ready` once the node may claim jobs.
    pub(super) fn report(&mut self, ready: oneshot::Sender<()>) {
        let (mut identity, stop) = (self.heartbeat.identity(), self.stop_services.clone());
        self.services.spawn(async move {
            tokio::select! {
                Ok(_) = identity.wait_for(|identity| identity.claims) => {
                    let _ = ready.send(());
                }
                () = stop.cancelled() => {}
            }
        });
    }

    /// Stops the pools, then the services, then the heartbeat. The counts of the last jobs are added
    /// to the history in between. The node leaves the roster only when its pools have released
    /// everything.
    pub(super) async fn stop(mut self, times: ShutdownTimes) {
        let clean = self.pools.stop_all(times).await;
        self.stop_services.cancel();
        // They ask the server nothing more, and end at once.
        while self.services.join_next().await.is_some() {}
        let last = async {
            finished_writer::write(&self.broker, &self.finished).await;
            if let Some((counts, events)) = &self.history {
                events.write_end(clean).await;
                _ = counts.flush().await;
            }
        };
        _ = timeout_at(times.end.min(Instant::now() + LAST_FLUSH), last).await;
        if !clean {
            tracing::error!(
                "not all jobs could be released: a handler blocks its thread, the server does not \
                 answer, or the reply to a claim was lost; the node stays in the roster, so that \
                 its jobs are rescued once it is declared dead"
            );
        }
        self.heartbeat.stop(clean, times.end).await;
    }
}

/// Records once a second that the runtime still polls its tasks.
pub(super) async fn tick(liveness: Arc<Liveness>) {
    loop {
        liveness.tick();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Returns the part of the node's description in the roster that does not change; the heartbeat
/// fills in the rest.
fn about(deploy: String) -> NodeInfo {
    let mut info = NodeInfo::default();
    (info.pid, info.version) = (std::process::id(), env!("CARGO_PKG_VERSION").into());
    (info.deploy, info.host, info.limits) = (deploy, host(MAX_HOST), true);
    info
}
