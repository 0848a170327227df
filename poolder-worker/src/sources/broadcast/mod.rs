//! Broadcast pools: one reader per process, and every slot of the process runs its copy. Errors are
//! retried in place; a process misses the broadcasts that are sent while it is down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poolder_core::broker::{BroadcastReader, NodeName};
use poolder_core::policy::decide::Transition;
use poolder_core::{Claim, Entry, Partition};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::process::limits::request_pauses;
use crate::process::liveness::{NodeIdentity, ShutdownPhase};
use crate::process::watching::{changed, reaches};
use crate::run::engine::{Engine, Guard, Origin};
use crate::run::events::{JobEvent, emit};
use crate::run::pool::PoolPlan;
use crate::run::pool_spec::PoolSpec;
use crate::run::single_slot::SingleSlot;
use crate::run::slot_set::TargetSize;
use crate::services::node_context::NodeContext;

/// Limits how many copies wait for one slot; a slower slot misses further copies.
const MAX_WAITING: usize = 1_000;
/// How often the counts are reported to the server.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The numbers of copies that were delivered, failed and missed since the last report.
#[derive(Default)]
struct BroadcastCounts {
    delivered: AtomicU64,
    failed: AtomicU64,
    missed: AtomicU64,
}

/// Runs this process's part of a broadcast pool until its phase ends it; false when a slot did not
/// end.
pub(crate) async fn run_broadcast(
    plan: PoolPlan,
    node: NodeContext,
    phase: watch::Sender<ShutdownPhase>,
    mut target: watch::Receiver<TargetSize>,
) -> bool {
    let (spec, counts) = (Arc::clone(&plan.spec), Arc::new(BroadcastCounts::default()));
    let mut phases = phase.subscribe();
    let mut slots = BroadcastRunners {
        engine: node.engine(&spec, phase.subscribe()),
        partition: plan.partition(),
        identity: node.identity.clone(),
        counts: Arc::clone(&counts),
        phase: phase.subscribe(),
        inboxes: vec![],
        tasks: JoinSet::new(),
    };
    let mut last = None;
    let (mut open_reader, mut pauses, mut report_at) =
        (None, request_pauses(), tokio::time::Instant::now() + REPORT_INTERVAL);
    while *phases.borrow_and_update() == ShutdownPhase::Run {
        slots.resize(target.borrow_and_update().size);
        let mut reader: BroadcastReader = match open_reader.take() {
            Some(reader) => reader,
            None => {
                match BroadcastReader::open(node.client.broker(), &spec.queue, last.clone()).await {
                    Ok(reader) => reader,
                    Err(error) => {
                        node.outages.failed(&spec.queue, "broadcasts cannot be read", &error);
                        pause(&mut phases, pauses.after_failure()).await;
                        continue;
                    }
                }
            }
        };
        last = Some(reader.position());
        let read = tokio::select! {
            read = reader.read() => Some(read),
            () = changed(&mut phases) => None,
            () = changed(&mut target) => None,
            () = spec.stop.notified() => {
                phase.send_replace(ShutdownPhase::Drain);
                None
            }
            () = tokio::time::sleep_until(report_at) => {
                report_at = tokio::time::Instant::now() + REPORT_INTERVAL;
                counts.report(&node, &spec).await;
                None
            }
        };
        match read {
            // A dropped read has not moved the position, but its connection is not used again.
            None => {}
            Some(Ok(copies)) => {
                pauses.after_success();
                if copies.missed > 0 {
                    counts.miss(&spec, copies.missed, "they were trimmed before they were read");
                }
                copies.entries.into_iter().for_each(|entry| slots.deliver(entry));
                last = Some(reader.position());
                open_reader = Some(reader);
            }
            Some(Err(error)) => {
                node.outages.failed(&spec.queue, "broadcasts cannot be read", &error);
                pause(&mut phases, pauses.after_failure()).await;
            }
        }
    }
    let clean = slots.stop().await;
    counts.report(&node, &spec).await;
    clean
}

impl BroadcastCounts {
    async fn report(&self, node: &NodeContext, spec: &PoolSpec) {
        let counters = [
            ("broadcast_delivered", &self.delivered),
            ("broadcast_failed", &self.failed),
            ("broadcast_missed", &self.missed),
        ];
        for (name, counter) in counters {
            let copies = counter.swap(0, Ordering::Relaxed);
            let broker = node.client.broker();
            if copies > 0
                && let Err(error) = broker.count_copies(&spec.queue, name, copies).await
            {
                tracing::debug!(
                    queue = %spec.queue, %error, copies, name, "copies were not counted"
                );
            }
        }
    }

    fn miss(&self, spec: &PoolSpec, copies: u64, why: &str) {
        tracing::error!(queue = %spec.queue, copies, why, "broadcast copies were missed");
        self.missed.fetch_add(copies, Ordering::Relaxed);
    }
}

/// The slots, each with the copies that wait for it.
struct BroadcastRunners {
    engine: Arc<Engine>,
    partition: Partition,
    identity: watch::Receiver<NodeIdentity>,
    counts: Arc<BroadcastCounts>,
    phase: watch::Receiver<ShutdownPhase>,
    inboxes: Vec<mpsc::Sender<Claim>>,
    tasks: JoinSet<bool>,
}

impl BroadcastRunners {
    fn resize(&mut self, size: usize) {
        self.inboxes.retain(|inbox| !inbox.is_closed());
        self.inboxes.truncate(size);
        while self.inboxes.len() < size {
            let (inbox, copies) = mpsc::channel(MAX_WAITING);
            let runner = BroadcastRunner {
                index: self.inboxes.len(),
                engine: Arc::clone(&self.engine),
                partition: self.partition.clone(),
                identity: self.identity.clone(),
                counts: Arc::clone(&self.counts),
                phase: self.phase.clone(),
            };
            self.tasks.spawn(runner.run(copies));
            self.inboxes.push(inbox);
        }
    }

    /// Gives every slot its copy.
    fn deliver(&self, entry: Entry) {
        let spec = &self.engine.spec;
        let claim = match entry {
            Entry::Job(claim) => claim,
            Entry::Undecodable(found) => {
                let why = found.reason.to_string();
                return self.counts.miss(spec, self.inboxes.len() as u64, &why);
            }
        };
        if !spec.can_run(&claim.envelope) {
            let why = match claim.envelope.unknown_requirement() {
                Some(option) => format!("this version of Poolder does not know option {option:?}"),
                None => format!("no worker here for kind {:?}", claim.envelope.kind()),
            };
            return self.counts.miss(spec, self.inboxes.len() as u64, &why);
        }
        for inbox in &self.inboxes {
            if let Err(mpsc::error::TrySendError::Full(_)) = inbox.try_send(claim.clone()) {
                self.counts.miss(spec, 1, "a slot has a thousand copies waiting");
            }
        }
    }

    /// Waits until every slot has ended; false when one still runs, since it blocks its thread.
    async fn stop(mut self) -> bool {
        self.inboxes.clear();
        let mut clean = true;
        while let Some(ended) = self.tasks.join_next().await {
            clean &= ended.unwrap_or(true);
        }
        clean
    }
}

/// One slot of a broadcast pool.
struct BroadcastRunner {
    index: usize,
    engine: Arc<Engine>,
    partition: Partition,
    identity: watch::Receiver<NodeIdentity>,
    counts: Arc<BroadcastCounts>,
    phase: watch::Receiver<ShutdownPhase>,
}

impl BroadcastRunner {
    /// Runs the copies; false when the slot could not be stopped.
    async fn run(mut self, mut copies: mpsc::Receiver<Claim>) -> bool {
        let slot = SingleSlot::start(self.index, &self.engine);
        while let Some(claim) = copies.recv().await {
            if *self.phase.borrow() == ShutdownPhase::Release || !self.copy(&slot, claim).await {
                break;
            }
        }
        slot.stop().await
    }

    /// Runs a copy until its transition is final; false when the slot was stopped.
    async fn copy(&mut self, slot: &SingleSlot, mut claim: Claim) -> bool {
        loop {
            let owner: NodeName = self.identity.borrow().name.clone();
            let origin = Origin { partition: &self.partition, owner: &owner, guard: Guard::Copy };
            let work = self.engine.prepare(origin, claim.clone());
            if slot.give(work).is_some() {
                return false;
            }
            let Some(settlement) = slot.ended().await else { return true };
            match settlement.transition().clone() {
                Transition::Later { delay, counters, .. } => {
                    claim.counters = counters;
                    tokio::select! {
                        () = tokio::time::sleep(delay) => {}
                        () = reaches(&mut self.phase, ShutdownPhase::Drain) => return true,
                    }
                }
                Transition::Bury { counters } => {
                    emit(&self.partition, JobEvent::Died(claim.job_id(), &counters));
                    self.counts.failed.fetch_add(1, Ordering::Relaxed);
                    return true;
                }
                Transition::Ready { .. } | Transition::RunAgain(_) => return true,
                Transition::Complete | Transition::CompleteWith(_) | Transition::Cancel(_) => {
                    self.counts.delivered.fetch_add(1, Ordering::Relaxed);
                    return true;
                }
            }
        }
    }
}

/// Waits for this time, or until the pool ends.
async fn pause(phase: &mut watch::Receiver<ShutdownPhase>, time: Duration) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = reaches(phase, ShutdownPhase::Drain) => {}
    }
}
