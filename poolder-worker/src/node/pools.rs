//! The pools of a running node: starts, stops, resizes, adds and removes each of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use poolder_client::Client;
use poolder_core::history::{JournalEvent, JournalRecord};
use poolder_core::policy::dispatch::Mode;
use poolder_core::{Error, QueueName};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::running_pool::{RunningPool, ShutdownTimes, patience};
use crate::observe::node_state::{NodeState, PoolState};
use crate::observe::status::PoolStatus;
use crate::process::liveness::ShutdownPhase;
use crate::run::erased::BoxFuture;
use crate::run::pool::{NodeWide, PoolPlan, check_size};
use crate::run::published::{PublishedPool, PublishedPools};
use crate::run::slot_set::TargetSize;
use crate::services::node_context::NodeContext;
use crate::sources::addressed::assign;
use crate::sources::broadcast::run_broadcast;
use crate::sources::shared::serve::run_shared;

pub(crate) struct Pools {
    node: NodeContext,
    wide: NodeWide,
    timeout: Duration,
    /// The pools for the roster, which shows them to operators.
    published: watch::Sender<PublishedPools>,
    /// The notes of the node, for those who watch over it.
    state: Arc<NodeState>,
    running: BTreeMap<QueueName, RunningPool>,
    /// Removed and stopped pools that still finish their jobs; each task returns false when its pool
    /// could not release everything.
    leaving: JoinSet<bool>,
    /// Cancelled when the pools that leave must release their jobs.
    release: CancellationToken,
    /// Cancelled when the last pool of a queue has ended: its successor begins only then, since two
    /// claimers of one node and queue would take each other's jobs.
    ended: BTreeMap<QueueName, CancellationToken>,
    /// False once a pool has left that could not release everything.
    clean: bool,
    /// The pools that an order of an operator to take no more jobs has stopped; `None` without one.
    quiet: Option<Vec<QueueName>>,
}

impl Pools {
    pub(crate) fn new(
        node: NodeContext,
        wide: NodeWide,
        timeout: Duration,
        published: watch::Sender<PublishedPools>,
        state: Arc<NodeState>,
    ) -> Self {
        Self {
            node,
            wide,
            timeout,
            published,
            state,
            running: BTreeMap::new(),
            leaving: JoinSet::new(),
            release: CancellationToken::new(),
            ended: BTreeMap::new(),
            clean: true,
            quiet: None,
        }
    }

    /// Publishes the pools: to operators with the next heartbeat, and to those who watch over this
    /// node at once.
    pub(crate) fn publish(&self) {
        let state = |pool: &RunningPool| PoolState {
            queue: pool.plan.spec.queue.to_string(),
            mode: pool.plan.spec.mode,
            size: pool.plan.size,
            phase: pool.phase.subscribe(),
            task: pool.ended.abort_handle(),
        };
        self.state.has_pools(self.running.values().map(state).collect());
        // A quiet node serves no queue.
        let served = self.running.values().filter(|_| self.quiet.is_none());
        let pools = served.map(|pool| PublishedPool::of(&pool.plan)).collect();
        self.published.send_if_modified(|published| {
            let changed = *published != pools;
            *published = pools;
            changed
        });
    }

    /// Returns the plans of the pools, with the sizes that the code declares.
    pub(super) fn declared(&self) -> Vec<PoolPlan> {
        let plan = |pool: &RunningPool| PoolPlan { size: pool.declared, ..pool.plan.clone() };
        self.running.values().map(plan).collect()
    }

    /// Returns the parts that all pools of the node share.
    pub(crate) fn wide(&self) -> &NodeWide {
        &self.wide
    }

    pub(crate) fn client(&self) -> &Client {
        &self.node.client
    }

    /// Starts a pool that [`admit`] has accepted. It begins once an earlier pool of its queue has
    /// ended.
    pub(crate) fn start(&mut self, plan: PoolPlan) -> Result<(), Error> {
        let queue = plan.spec.queue.clone();
        self.check_not_quiet()?;
        if self.running.get(&queue).is_some_and(|pool| !pool.ended.is_finished()) {
            return Err(two_pools(&queue));
        }
        tracing::info!(%queue, slots = plan.size, mode = %plan.spec.mode, "pool starts");
        let phase = watch::Sender::new(ShutdownPhase::Run);
        let target = watch::Sender::new(TargetSize { size: plan.size.into(), round: 0 });
        let node = self.node.clone();
        let (phases, targets) = (phase.clone(), target.subscribe());
        let started = plan.clone();
        let run: BoxFuture<'static, bool> = match plan.spec.mode {
            Mode::Shared => Box::pin(run_shared(started, node, phases, targets)),
            Mode::Broadcast => Box::pin(run_broadcast(started, node, phases, targets)),
            _ => Box::pin(assign::run(started, node, phases)),
        };
        self.ended.retain(|_, ended| !ended.is_cancelled());
        let end = CancellationToken::new();
        let predecessor = self.ended.insert(queue.clone(), end.clone());
        let end = end.drop_guard();
        let ended = AbortOnDropHandle::new(tokio::spawn(async move {
            let _end = end;
            if let Some(predecessor) = predecessor {
                predecessor.cancelled().await;
            }
            run.await
        }));
        let declared = plan.size;
        self.running.insert(queue, RunningPool { plan, declared, phase, target, ended });
        Ok(())
    }

    /// Lets the node take no more jobs: its pools finish their running ones.
    pub(super) fn quiet(&mut self) {
        if self.quiet.is_none() {
            let runs = |pool: &&RunningPool| *pool.phase.borrow() == ShutdownPhase::Run;
            let running = self.running.values().filter(runs);
            self.quiet = Some(running.map(|pool| pool.plan.spec.queue.clone()).collect());
        }
        self.running.values().for_each(RunningPool::drain);
        self.publish();
    }

    /// Lets a quiet node take jobs again: the pools start that the order to be quiet has stopped, each
    /// once its jobs from before have ended.
    pub(super) fn resume(&mut self) -> Result<(), Error> {
        for queue in self.quiet.take().unwrap_or_default() {
            if let Some(stopped) = self.running.remove(&queue) {
                let plan = stopped.plan.clone();
                self.leave(stopped, None);
                self.start(plan)?;
            }
        }
        self.publish();
        Ok(())
    }

    fn check_not_quiet(&self) -> Result<(), Error> {
        if self.quiet.is_some() {
            return Err(Error::refused(
                "an operator has ordered this node to take no more jobs: resume it",
            ));
        }
        Ok(())
    }

    /// Removes a pool. Its running jobs finish in the background, within the shutdown timeout.
    pub(crate) fn remove(&mut self, queue: &str) -> Result<(), Error> {
        let pool = self.take(queue)?;
        self.leave(pool, Some(patience(self.timeout)));
        Ok(())
    }

    /// Lets a pool end in the background. Its running jobs may finish within `patience`.
    fn leave(&mut self, pool: RunningPool, patience: Option<Duration>) {
        while let Some(left) = self.leaving.try_join_next() {
            self.clean &= left.unwrap_or(false);
        }
        pool.drain();
        self.leaving.spawn(pool.ended(patience, self.release.clone()));
    }

    /// Changes the number of slots of a running pool.
    pub(crate) async fn resize(&mut self, queue: &str, size: u16) -> Result<(), Error> {
        let (client, journal) = (self.node.client.clone(), self.node.journal.clone());
        let name = self.node.identity.borrow().name.clone();
        let pool = self.find(queue)?;
        check_size(&pool.plan.spec.queue, size)?;
        if pool.plan.spec.mode.is_addressed() {
            client.pool::<()>(&pool.plan.spec.queue).resize(size).await?;
        } else if pool.plan.size != size {
            let detail = format!("to {size} slots on this node");
            let record = JournalRecord::new(JournalEvent::PoolResized).node(&name);
            journal.note(record.partition(&pool.plan.spec.queue).detail(&detail));
        }
        pool.plan.size = size;
        pool.target.send_modify(|target| target.size = size.into());
        Ok(())
    }

    /// Stops a pool; an addressed pool stops in the whole fleet.
    pub(crate) async fn stop(&mut self, queue: &str) -> Result<(), Error> {
        let broker = self.node.client.broker().clone();
        let pool = self.find(queue)?;
        if pool.plan.spec.mode.is_addressed() {
            return broker.stop_pool(&pool.plan.spec.queue, true).await;
        }
        pool.drain();
        Ok(())
    }

    /// Starts a stopped pool again, or the stopped slots of a running pool.
    pub(crate) async fn start_again(&mut self, queue: &str) -> Result<(), Error> {
        let client = self.node.client.clone();
        self.check_not_quiet()?;
        let pool = self.find(queue)?;
        if pool.plan.spec.mode.is_addressed() {
            return client.pool::<()>(&pool.plan.spec.queue).start().await;
        }
        if *pool.phase.borrow() == ShutdownPhase::Run {
            pool.target.send_modify(|target| target.round += 1);
            return Ok(());
        }
        // The stopped pool may still be finishing its running jobs.
        let stopped = self.take(queue)?;
        let plan = stopped.plan.clone();
        self.leave(stopped, None);
        self.start(plan)
    }

    /// Returns the pools as they were published last.
    pub(crate) fn list(&self) -> Vec<PoolStatus> {
        self.state.pools()
    }

    /// Stops all pools, the removed ones included. Returns false when a pool could not release
    /// everything in time, for example since a handler does not end.
    pub(super) async fn stop_all(mut self, times: ShutdownTimes) -> bool {
        self.node.stops.cancel();
        for pool in std::mem::take(&mut self.running).into_values() {
            self.leave(pool, None);
        }
        if timeout_at(times.interrupt, self.all_left()).await.is_err() {
            self.release.cancel();
            if timeout_at(times.give_up, self.all_left()).await.is_err() {
                return false;
            }
        }
        self.clean
    }

    async fn all_left(&mut self) {
        while let Some(left) = self.leaving.join_next().await {
            self.clean &= left.unwrap_or(false);
        }
    }

    fn find(&mut self, queue: &str) -> Result<&mut RunningPool, Error> {
        let known: Vec<String> = self.running.keys().map(ToString::to_string).collect();
        self.running
            .iter_mut()
            .find_map(|(name, pool)| (name.as_str() == queue).then_some(pool))
            .ok_or_else(|| {
                Error::not_found(format!("this node has no pool {queue:?}; it has {known:?}"))
            })
    }

    fn take(&mut self, queue: &str) -> Result<RunningPool, Error> {
        let name = self.find(queue)?.plan.spec.queue.clone();
        self.running.remove(&name).ok_or_else(|| two_pools(&name))
    }
}

/// Registers the queue of a pool, and an addressed or broadcast pool itself, on the server, and adds
/// the pool to its sets. Refuses a pool whose mode differs from the registered one. A pool with
/// another size keeps the registered one, and its assigner says so.
pub(crate) async fn admit(client: &Client, plan: &PoolPlan) -> Result<(), Error> {
    let (broker, spec) = (client.broker(), &plan.spec);
    broker.register_queue(&plan.partition()).await?;
    if spec.mode == Mode::Shared {
        if let Some(view) = broker.pool_view(&spec.queue).await? {
            return Err(Error::invalid(format!(
                "pool {} is registered with mode {}, not shared: give this one another name, or \
                 the same mode",
                spec.queue, view.mode
            )));
        }
    } else {
        broker.define_pool(&spec.queue, spec.mode, plan.size).await?;
    }
    for set in &plan.sets {
        broker.change_pool_set(set, &spec.queue, true).await?;
    }
    Ok(())
}

pub(crate) fn two_pools(queue: &QueueName) -> Error {
    Error::invalid(format!(
        "queue {queue} has two pools in this node, it can have one: add both workers to it"
    ))
}
