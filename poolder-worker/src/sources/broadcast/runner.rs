//! The slots of a broadcast pool in this process, each with the copies that wait for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use poolder_core::broker::NodeName;
use poolder_core::policy::decide::Transition;
use poolder_core::{Claim, Entry, Partition};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::counts::BroadcastCounts;
use crate::process::commands::KnownCommands;
use crate::process::limits::RESTART_PAUSE;
use crate::process::liveness::{NodeIdentity, ShutdownPhase};
use crate::process::watching::{changed, reaches};
use crate::run::context::{Context, Interruption};
use crate::run::engine::{Admission, Engine, Guard, Origin};
use crate::run::events::JobEvent;
use crate::run::guard::{guarded, logged};
use crate::run::single_slot::SingleSlot;
use crate::run::slot_set::TargetSize;

/// Limits how many copies wait for one slot; a slower slot misses further copies.
const MAX_WAITING: usize = 1_000;

/// The slots, each with the copies that wait for it.
pub(super) struct BroadcastRunners {
    /// The values that each runner gets.
    setup: RunnerSetup,
    target: TargetSize,
    /// By slot. A closed one belongs to a slot that a job has stopped.
    inboxes: Vec<mpsc::Sender<Claim>>,
    tasks: JoinSet<bool>,
    /// The number of slots that have become ready.
    ready: watch::Sender<usize>,
    /// True once `all_ready` has ended.
    announced: bool,
}

/// The values that each runner gets.
#[derive(Clone)]
pub(super) struct RunnerSetup {
    pub(super) engine: Arc<Engine>,
    pub(super) partition: Partition,
    pub(super) identity: watch::Receiver<NodeIdentity>,
    pub(super) counts: Arc<BroadcastCounts>,
    pub(super) phase: watch::Receiver<ShutdownPhase>,
    pub(super) commands: watch::Receiver<KnownCommands>,
}

impl BroadcastRunners {
    pub(super) fn new(setup: RunnerSetup, target: TargetSize) -> Self {
        let (inboxes, tasks) = (vec![], JoinSet::new());
        Self { setup, target, inboxes, tasks, ready: watch::Sender::new(0), announced: false }
    }

    /// Starts and stops slots to reach the target. A new round starts the slots again that jobs
    /// have stopped.
    pub(super) fn resize(&mut self, target: TargetSize) {
        if target.round != self.target.round {
            for index in 0..self.inboxes.len() {
                if self.inboxes[index].is_closed() {
                    self.inboxes[index] = self.start(index);
                }
            }
        }
        self.target = target;
        self.inboxes.truncate(target.size);
        while self.inboxes.len() < target.size {
            let inbox = self.start(self.inboxes.len());
            self.inboxes.push(inbox);
        }
    }

    fn start(&mut self, index: usize) -> mpsc::Sender<Claim> {
        let (inbox, copies) = mpsc::channel(MAX_WAITING);
        let setup = self.setup.clone();
        let runner = BroadcastRunner { index, setup, has_copy: false, announced: false };
        self.tasks.spawn(runner.run(copies, self.ready.clone()));
        inbox
    }

    /// Waits until as many slots have become ready as the pool began with. Never ends after that.
    pub(super) async fn all_ready(&mut self, first_size: usize) {
        if self.announced {
            std::future::pending::<()>().await;
        }
        reaches(&mut self.ready.subscribe(), first_size).await;
        self.announced = true;
    }

    /// Gives every slot its copy.
    pub(super) fn deliver(&self, entry: Entry) {
        let (engine, counts) = (&self.setup.engine, &self.setup.counts);
        let spec = &engine.spec;
        let claim = match entry {
            Entry::Job(claim) => claim,
            Entry::Undecodable(found) => {
                let why = found.reason.to_string();
                return counts.miss(spec, self.inboxes.len() as u64, &why);
            }
        };
        if spec.place(&claim.envelope).is_none() {
            let why = match claim.envelope.unknown_requirement() {
                Some(option) => format!("this version of Poolder does not know option {option:?}"),
                None => format!("no worker here for kind {:?}", claim.envelope.kind()),
            };
            return counts.miss(spec, self.inboxes.len() as u64, &why);
        }
        for inbox in &self.inboxes {
            // A slot that was stopped does not live, so it misses nothing.
            if let Err(mpsc::error::TrySendError::Full(_)) = inbox.try_send(claim.clone()) {
                counts.miss(spec, 1, "a slot has a thousand copies waiting");
            }
        }
    }

    /// Waits until every slot has ended; false when one still runs, since it blocks its thread.
    pub(super) async fn stop(mut self) -> bool {
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
    setup: RunnerSetup,
    /// True while a copy runs or waits in the slot.
    has_copy: bool,
    /// True once the slot has been counted among those that are ready.
    announced: bool,
}

/// The end of a copy.
#[derive(PartialEq, Eq)]
enum CopyEnd {
    /// The slot goes on with the next copy.
    Next,
    /// The copy did not run to its end, and the slot goes on with no other.
    Dropped,
    /// The job has stopped the slot.
    Stopped,
}

impl BroadcastRunner {
    /// Runs the copies; false when the slot could not be stopped. After a panic it goes on with the
    /// next copy, in a new slot.
    async fn run(mut self, mut copies: mpsc::Receiver<Claim>, ready: watch::Sender<usize>) -> bool {
        loop {
            let run = Box::pin(self.run_slot(&mut copies, &ready));
            let panic = match guarded(|| run).await {
                Ok(clean) => return clean,
                Err(panic) => panic,
            };
            let (spec, index) = (Arc::clone(&self.setup.engine.spec), self.index);
            logged(|| {
                tracing::error!(
                    queue = %spec.queue, slot = index, panic, "a slot panicked and is restarted"
                );
            });
            if std::mem::take(&mut self.has_copy) {
                logged(|| self.setup.counts.miss(&spec, 1, "their slot panicked"));
            }
            tokio::select! {
                () = tokio::time::sleep(RESTART_PAUSE) => {}
                () = reaches(&mut self.setup.phase, ShutdownPhase::Drain) => {}
            }
        }
    }

    async fn run_slot(
        &mut self,
        copies: &mut mpsc::Receiver<Claim>,
        ready: &watch::Sender<usize>,
    ) -> bool {
        let slot = SingleSlot::start(self.index, &self.setup.engine);
        let mut phase = self.setup.phase.clone();
        tokio::select! {
            () = slot.ready() => {
                if !std::mem::replace(&mut self.announced, true) {
                    ready.send_modify(|ready| *ready += 1);
                }
                self.run_copies(&slot, copies).await;
            }
            // A slot that never becomes ready runs nothing.
            () = reaches(&mut phase, ShutdownPhase::Drain) => {}
        }
        copies.close();
        let mut left = 0;
        while copies.try_recv().is_ok() {
            left += 1;
        }
        if left > 0 {
            let why = "their slot was stopped before it ran them";
            self.setup.counts.miss(&self.setup.engine.spec, left, why);
        }
        slot.stop().await
    }

    async fn run_copies(&mut self, slot: &SingleSlot, copies: &mut mpsc::Receiver<Claim>) {
        while let Some(claim) = copies.recv().await {
            self.has_copy = true;
            let end = match self.until_permitted().await {
                true => self.copy(slot, claim).await,
                false => CopyEnd::Dropped,
            };
            self.has_copy = false;
            if end == CopyEnd::Dropped {
                let why = "the node stopped before they had run to their end";
                self.setup.counts.miss(&self.setup.engine.spec, 1, why);
            }
            if end != CopyEnd::Next {
                return;
            }
        }
    }

    /// Waits while the queue is paused, or its commands are not known yet; false when the copy shall
    /// not run any more.
    async fn until_permitted(&mut self) -> bool {
        loop {
            let phase = *self.setup.phase.borrow_and_update();
            let permitted = self.setup.commands.borrow_and_update().permits_claims();
            match phase {
                ShutdownPhase::Release => return false,
                _ if permitted => return true,
                ShutdownPhase::Drain => return false,
                ShutdownPhase::Run => {}
            }
            tokio::select! {
                () = changed(&mut self.setup.phase) => {}
                () = changed(&mut self.setup.commands) => {}
            }
        }
    }

    /// Runs a copy until its transition is final.
    async fn copy(&mut self, slot: &SingleSlot, mut claim: Claim) -> CopyEnd {
        let (engine, mut first) = (Arc::clone(&self.setup.engine), true);
        loop {
            if self.is_cancelled(&claim).await {
                engine.events.emit(&self.setup.partition, JobEvent::Cancelled(claim.job_id()));
                return CopyEnd::Next;
            }
            let owner: NodeName = self.setup.identity.borrow().name.clone();
            let partition = self.setup.partition.clone();
            let origin = Origin { partition: &partition, owner: &owner, guard: Guard::Copy };
            // Only copies of known kinds are delivered.
            let Admission::Run(work) = engine.admit(origin, claim.clone()) else {
                return CopyEnd::Dropped;
            };
            if std::mem::replace(&mut first, false) {
                engine.count_wait(&work);
            }
            let (cx, kind) = (work.cx.clone(), work.kind);
            if slot.give(work).is_some() {
                return CopyEnd::Stopped;
            }
            let Some(transition) = self.ended(slot, &cx, &claim).await else {
                return CopyEnd::Next;
            };
            let counts = &self.setup.counts;
            match transition {
                Transition::Later { delay, counters, .. } => {
                    claim.counters = counters;
                    tokio::select! {
                        () = tokio::time::sleep(delay) => {}
                        () = reaches(&mut self.setup.phase, ShutdownPhase::Drain) => {
                            return CopyEnd::Dropped;
                        }
                    }
                    if !self.until_permitted().await {
                        return CopyEnd::Dropped;
                    }
                }
                Transition::Bury { counters } => {
                    let died = JobEvent::Died(claim.job_id(), &counters, kind);
                    engine.events.emit(&partition, died);
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                    return CopyEnd::Next;
                }
                Transition::Ready { .. } | Transition::RunAgain(_) => return CopyEnd::Dropped,
                Transition::Complete
                | Transition::CompleteWith(_)
                | Transition::Cancel(_)
                | Transition::Expire => {
                    counts.delivered.fetch_add(1, Ordering::Relaxed);
                    return CopyEnd::Next;
                }
            }
        }
    }

    /// Returns true when operators have cancelled the job. Without an answer of the server it runs.
    async fn is_cancelled(&mut self, claim: &Claim) -> bool {
        if !self.setup.commands.borrow_and_update().may_cancel(claim.job_id()) {
            return false;
        }
        let jobs = [(claim.job_id(), None)];
        let broker = self.setup.engine.client.broker();
        match broker.check_cancelled(&self.setup.partition, &jobs).await {
            Ok(verdicts) => verdicts.first() == Some(&true),
            Err(error) => {
                let request = "could not check whether a broadcast was cancelled";
                self.setup.engine.outages.failed(&self.setup.partition, request, &error);
                false
            }
        }
    }

    /// Waits until the copy has ended. Interrupts it when the node no longer waits for it, or when
    /// operators have cancelled it.
    async fn ended(
        &mut self,
        slot: &SingleSlot,
        cx: &Context,
        claim: &Claim,
    ) -> Option<Transition> {
        let ended = slot.ended();
        tokio::pin!(ended);
        let settlement = loop {
            tokio::select! {
                settlement = &mut ended => break settlement,
                () = reaches(&mut self.setup.phase, ShutdownPhase::Release) => {
                    cx.interrupt(Interruption::Shutdown);
                    break ended.await;
                }
                () = changed(&mut self.setup.commands) => {
                    if self.is_cancelled(claim).await {
                        cx.interrupt(Interruption::Cancelled);
                    }
                }
            }
        };
        settlement.map(|settlement| settlement.transition().clone())
    }
}
