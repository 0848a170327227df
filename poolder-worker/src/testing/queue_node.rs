//! A node of a test's queue: it runs jobs one by one, when the test says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use poolder_client::Client;
use poolder_core::broker::{NodeName, Settlement, SlotLease};
use poolder_core::captured::{Captured, JobNumber};
use poolder_core::policy::decide::Transition;
use poolder_core::policy::dispatch::Mode;
use poolder_core::{Claim, Partition, QueueName};
use tokio::sync::watch;

use crate::node::builder::NodeBuilder;
use crate::process::finished::FinishedJobs;
use crate::process::journal::Journal;
use crate::process::liveness::{ServerClock, ShutdownPhase};
use crate::run::context::Interruption;
use crate::run::dead_job::{DeadJob, tell};
use crate::run::engine::{Admission, Engine, EngineSetup, Guard, Origin};
use crate::run::pool::PoolPlan;
use crate::run::slot::Slot;

/// A node of a [`TestQueue`](super::TestQueue): its pools run jobs when the test says so, in the test's own task,
/// through the code that runs them in production: middleware, timeout, guard, policy, hooks.
///
/// Made by [`TestQueue::start_node`](super::TestQueue::start_node).
pub struct QueueNode {
    client: Client,
    captured: Arc<Captured>,
    pools: Vec<QueuePool>,
    /// Tells the slots that the node runs.
    _phase: watch::Sender<ShutdownPhase>,
}

/// A pool of the node, and its slots that are free.
pub(super) struct QueuePool {
    pub(super) plan: PoolPlan,
    engine: Arc<Engine>,
    /// By the number of the slot, which keeps the state of its workers; all slots of a shared pool
    /// have the number 0.
    free: Mutex<BTreeMap<u16, Vec<Slot>>>,
}

/// How an attempt is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// False to run the job again at once where a slot would do so.
    pub(super) once: bool,
    /// The jitter of the delay before the next attempt, from −1 to 1.
    pub(super) jitter: f64,
    /// The slot that runs a copy of a broadcast; 0 for all other jobs.
    pub(super) copy: u16,
}

/// The end of an attempt.
pub(super) struct AttemptEnd {
    pub(super) transition: Transition,
    pub(super) stops_pool: bool,
    /// The error of a hook that was told of the death.
    pub(super) hook_error: Option<String>,
}

impl QueueNode {
    pub(super) async fn start(captured: &Arc<Captured>, node: NodeBuilder) -> Self {
        let prepared = node.prepared().await;
        let (client, plans) =
            prepared.unwrap_or_else(|error| panic!("the node does not start: {error}"));
        let same = client.broker().captured().is_some_and(|own| Arc::ptr_eq(own, captured));
        assert!(same, "the node does not start: build it with TestQueue::node, or with its client");
        let phase = watch::Sender::new(ShutdownPhase::Run);
        let clock = Arc::new(ServerClock::of_test(Arc::clone(captured)));
        let mut pools = vec![];
        for plan in plans {
            plan.spec.announce_ready().await;
            let engine = Engine::new(EngineSetup {
                spec: Arc::clone(&plan.spec),
                client: client.clone(),
                clock: Arc::clone(&clock),
                liveness: Arc::default(),
                outages: Arc::default(),
                progress: Arc::default(),
                phase: phase.subscribe(),
                meter: Arc::default(),
                journal: Journal::default(),
                finished: FinishedJobs::default(),
            });
            pools.push(QueuePool { plan, engine: Arc::new(engine), free: Mutex::default() });
        }
        captured.serve(pools.iter().map(|pool| pool.plan.spec.queue.clone()));
        Self { client, captured: Arc::clone(captured), pools, _phase: phase }
    }

    /// Stops the workers of all slots: calls their `handle_stop`.
    pub async fn stop(self) {
        for pool in self.pools {
            let free = pool.free.into_inner().unwrap_or_else(PoisonError::into_inner);
            for slot in free.into_values().flatten() {
                slot.end().await;
            }
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn captured(&self) -> &Arc<Captured> {
        &self.captured
    }

    pub(super) fn pools(&self) -> &[QueuePool] {
        &self.pools
    }

    /// Returns the pool of a queue.
    pub(super) fn pool(&self, queue: &QueueName) -> &QueuePool {
        let found = self.pools.iter().find(|pool| pool.plan.spec.queue == *queue);
        found.unwrap_or_else(|| {
            let known = self.pools.iter().map(|pool| pool.plan.spec.queue.as_str());
            let known: Vec<_> = known.collect();
            panic!("the node has no pool for queue {queue}; it has {known:?}")
        })
    }

    /// Runs a claimed job, and settles it.
    pub(super) async fn run(
        &self,
        partition: &Partition,
        number: JobNumber,
        claim: Claim,
        how: How,
    ) -> AttemptEnd {
        let (captured, pool) = (&self.captured, self.pool(&partition.queue));
        let (spec, mode) = (&pool.plan.spec, pool.plan.spec.mode);
        let owner: NodeName = "test".into();
        let term = 1;
        let guard = if mode.is_addressed() { Guard::Lease(term) } else { Guard::Claim(None) };
        let guard = if mode == Mode::Broadcast { Guard::Copy } else { guard };
        let origin = Origin { partition, owner: &owner, guard };
        let (settlement, stops_pool) = match pool.engine.admit(origin, claim) {
            Admission::Settle(settlement) => (Some(settlement), false),
            Admission::Run(work) => {
                let cx = work.cx.clone();
                captured.on_cancel(number, move || cx.interrupt(Interruption::Cancelled));
                let at = partition.index.max(how.copy);
                let mut slot = pool.slot(at);
                let performed = slot.perform(work, how.once, how.jitter).await;
                pool.free().entry(at).or_default().push(slot);
                performed.unwrap_or_else(|why| {
                    panic!("a worker of pool {} could not be initialized: {why}", spec.queue)
                })
            }
        };
        let settlement = settlement.expect("the node of a test loses no job");
        let lease = SlotLease { slot: partition.clone(), node: owner, term };
        let placed = |settlement: Settlement| match mode.is_addressed() {
            true => settlement.under_lease(&lease, spec.retry_placement),
            false => settlement,
        };
        let settlement = placed(settlement);
        let transition = settlement.transition().clone();
        if mode == Mode::Broadcast {
            return AttemptEnd { transition, stops_pool, hook_error: None };
        }
        let broker = self.client.broker();
        broker.settle(partition, Default::default(), &[settlement]).await;
        let view = captured.job(number).filter(|_| matches!(transition, Transition::Bury { .. }));
        let hook_error = match view {
            Some(view) => tell(&spec.hooks, &DeadJob::new(view)).await.err(),
            None => None,
        };
        AttemptEnd { transition, stops_pool, hook_error }
    }
}

impl QueuePool {
    /// Takes a free slot, or makes one.
    fn slot(&self, at: u16) -> Slot {
        let free = self.free().get_mut(&at).and_then(Vec::pop);
        free.unwrap_or_else(|| Slot::alone(at.into(), &self.engine))
    }

    fn free(&self) -> std::sync::MutexGuard<'_, BTreeMap<u16, Vec<Slot>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for QueueNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let queues: Vec<_> = self.pools.iter().map(|pool| pool.plan.spec.queue.as_str()).collect();
        f.debug_struct("QueueNode").field("pools", &queues).finish_non_exhaustive()
    }
}
