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

use crate::process::limits::{FIRST_PAUSE, LAST_CALL, LONGEST_PAUSE};
use crate::process::liveness::ShutdownPhase;
use crate::run::context::{About, Context, Interruption};
use crate::run::mailbox::{Mailbox, SlotEvent, Work};
use crate::run::pool::PoolPlan;
use crate::run::pool_spec::PoolSpec;
use crate::run::slot::Slot;
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
        spec: Arc::clone(&spec),
        node: node.clone(),
        counts: Arc::clone(&counts),
        phase: phase.subscribe(),
        inboxes: vec![],
        tasks: JoinSet::new(),
    };
    let mut last = None;
    let (mut open_reader, mut pause, mut report_at) =
        (None, FIRST_PAUSE, tokio::time::Instant::now() + REPORT_INTERVAL);
    while *phases.borrow_and_update() == ShutdownPhase::Run {
        slots.resize(target.borrow_and_update().size);
        let mut reader: BroadcastReader = match open_reader.take() {
            Some(reader) => reader,
            None => {
                match BroadcastReader::open(node.client.broker(), &spec.queue, last.clone()).await {
                    Ok(reader) => reader,
                    Err(error) => {
                        tracing::warn!(queue = %spec.queue, %error, "broadcasts cannot be read");
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                        continue;
                    }
                }
            }
        };
        last = Some(reader.position());
        let read = tokio::select! {
            read = reader.read() => Some(read),
            _ = phases.changed() => None,
            _ = target.changed() => None,
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
                pause = FIRST_PAUSE;
                if copies.missed > 0 {
                    counts.miss(&spec, copies.missed, "they were trimmed before they were read");
                }
                copies.entries.into_iter().for_each(|entry| slots.deliver(entry));
                last = Some(reader.position());
                open_reader = Some(reader);
            }
            Some(Err(error)) => {
                tracing::warn!(queue = %spec.queue, %error, "broadcasts cannot be read");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
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
    spec: Arc<PoolSpec>,
    node: NodeContext,
    counts: Arc<BroadcastCounts>,
    phase: watch::Receiver<ShutdownPhase>,
    inboxes: Vec<mpsc::Sender<Claim>>,
    tasks: JoinSet<()>,
}

impl BroadcastRunners {
    fn resize(&mut self, size: usize) {
        self.inboxes.retain(|inbox| !inbox.is_closed());
        self.inboxes.truncate(size);
        while self.inboxes.len() < size {
            let (inbox, copies) = mpsc::channel(MAX_WAITING);
            let runner = BroadcastRunner {
                index: self.inboxes.len(),
                spec: Arc::clone(&self.spec),
                node: self.node.clone(),
                counts: Arc::clone(&self.counts),
                phase: self.phase.clone(),
            };
            self.tasks.spawn(runner.run(copies));
            self.inboxes.push(inbox);
        }
    }

    /// Gives every slot its copy.
    fn deliver(&self, entry: Entry) {
        let claim = match entry {
            Entry::Job(claim) => claim,
            Entry::Undecodable(found) => {
                let why = found.reason.to_string();
                return self.counts.miss(&self.spec, self.inboxes.len() as u64, &why);
            }
        };
        if !self.spec.can_run(claim.envelope.kind(), claim.envelope.version()) {
            let why = format!("no worker here for kind {:?}", claim.envelope.kind());
            return self.counts.miss(&self.spec, self.inboxes.len() as u64, &why);
        }
        for inbox in &self.inboxes {
            if let Err(mpsc::error::TrySendError::Full(_)) = inbox.try_send(claim.clone()) {
                self.counts.miss(&self.spec, 1, "a slot has a thousand copies waiting");
            }
        }
    }

    async fn stop(mut self) -> bool {
        self.inboxes.clear();
        let mut phase = self.phase.clone();
        loop {
            tokio::select! {
                ended = self.tasks.join_next() => if ended.is_none() {
                    return true;
                },
                () = reaches(&mut phase, ShutdownPhase::Release) => break,
            }
        }
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(LAST_CALL, ended).await.is_ok()
    }
}

/// One slot of a broadcast pool.
struct BroadcastRunner {
    index: usize,
    spec: Arc<PoolSpec>,
    node: NodeContext,
    counts: Arc<BroadcastCounts>,
    phase: watch::Receiver<ShutdownPhase>,
}

impl BroadcastRunner {
    async fn run(mut self, mut copies: mpsc::Receiver<Claim>) {
        let (mailbox, mut tasks) = (Arc::new(Mailbox::default()), JoinSet::new());
        let inbox = Slot::spawn(self.index, &self.spec, &mailbox, &self.node.clock, &mut tasks);
        while let Some(claim) = copies.recv().await {
            if *self.phase.borrow() == ShutdownPhase::Release
                || !self.copy(&inbox, &mailbox, claim).await
            {
                break;
            }
        }
        drop(inbox);
        while tasks.join_next().await.is_some() {}
    }

    /// Runs a copy until its transition is final; false when the slot was stopped.
    async fn copy(
        &mut self,
        inbox: &mpsc::Sender<Work>,
        mailbox: &Mailbox,
        mut claim: Claim,
    ) -> bool {
        let policy = self.spec.policy(&claim.envelope);
        self.node.liveness.allow(policy.timeout);
        loop {
            let (client, partition) = (&self.node.client, self.spec.queue.clone());
            let partition = Partition::first(partition);
            let about = About::of_claim(&claim, &partition, policy.timeout, client);
            // A copy has no reply, and no schedule waits for it.
            let cx = Context::new(About { call: false, tick: None, ..about });
            let owner: NodeName = self.node.identity.borrow().name.clone();
            let work = Work { claim: claim.clone(), cx: cx.clone(), owner, history: None };
            if inbox.send(work).await.is_err() {
                return false;
            }
            let Some(transition) = self.finished(mailbox, &cx).await else { return true };
            match transition {
                Transition::Later { delay, counters, .. } => {
                    claim.counters = counters;
                    tokio::select! {
                        () = tokio::time::sleep(delay) => {}
                        () = reaches(&mut self.phase, ShutdownPhase::Drain) => return true,
                    }
                }
                Transition::Bury { counters } => {
                    let reason = counters.last_failure.as_ref().map(ToString::to_string);
                    tracing::error!(
                        queue = %self.spec.queue, slot = self.index, job = %claim.job_id(),
                        reason = reason.as_deref().unwrap_or_default(), "a broadcast copy died"
                    );
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

    async fn finished(&mut self, mailbox: &Mailbox, cx: &Context) -> Option<Transition> {
        loop {
            for event in mailbox.drain_events() {
                if let SlotEvent::Finished(_, _, settlement) = event {
                    return settlement.map(|settlement| settlement.transition().clone());
                }
            }
            tokio::select! {
                () = mailbox.notified() => {}
                () = reaches(&mut self.phase, ShutdownPhase::Release) => {
                    cx.interrupt(Interruption::Shutdown);
                    mailbox.notified().await;
                }
            }
        }
    }
}

/// Waits until the phase is `at_least` or later, or the pool is gone.
async fn reaches(phase: &mut watch::Receiver<ShutdownPhase>, at_least: ShutdownPhase) {
    // The value that the watch lends must not be held across an await.
    let _ = phase.wait_for(|phase| *phase >= at_least).await.map(drop);
}
