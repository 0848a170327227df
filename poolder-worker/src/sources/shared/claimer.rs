//! The claimer of a partition: decides how many jobs to claim, gives claimed jobs to free slots,
//! and collects their settlements.

use std::collections::HashSet;
use std::sync::Arc;

use poolder_core::broker::{Claimed, DeadLimits, NodeName, Settled, Settlement};
use poolder_core::policy::decide::Ending;
use poolder_core::{Error, Partition};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use super::admissions::Admissions;
use super::assign::assign;
use super::held::HeldJobs;
use super::lanes::Lanes;
use super::skipped::SkippedJobs;
use super::wait_permit::WaitPermit;
use super::waits::waits;
use crate::process::commands::KnownCommands;
use crate::process::liveness::{DeadNodes, NodeIdentity, ShutdownPhase};
use crate::process::meter::Sample;
use crate::process::watching::changed;
use crate::run::engine::{Admission, Engine, Guard, Origin};
use crate::run::events::JobEvent;
use crate::run::mailbox::{EntryKey, SlotEvent, Work};
use crate::run::settlements::{PendingSettlements, SettleOrder};
use crate::run::slot_set::{SlotSet, TargetSize};
use crate::services::joint_wait::JointWait;

/// Limits how many jobs one read claims: a reply has to fit into memory, and a claimed range that
/// has ended together is removed by one script call.
const MAX_CLAIM: usize = 250;

/// The parts of a new claimer.
pub(crate) struct ClaimerSetup {
    pub(crate) engine: Arc<Engine>,
    pub(crate) partition: Partition,
    pub(crate) limits: DeadLimits,
    pub(crate) slots: SlotSet,
    /// Its single permit lets one suspect run in the node at a time.
    pub(crate) suspects: Arc<Semaphore>,
    pub(crate) phase: watch::Receiver<ShutdownPhase>,
    /// The number of slots that the pool shall have.
    pub(crate) target: watch::Receiver<TargetSize>,
    pub(crate) identity: watch::Receiver<NodeIdentity>,
    pub(crate) commands: watch::Receiver<KnownCommands>,
    pub(crate) fleet: FleetNews,
    pub(crate) joint_wait: JointWait,
}

/// News about the other nodes of the fleet, and a report to the services of this node.
pub(crate) struct FleetNews {
    /// The number of nodes in the roster.
    pub(crate) nodes: watch::Receiver<usize>,
    pub(crate) dead: watch::Receiver<DeadNodes>,
    /// True while hints are received.
    pub(crate) hints: watch::Receiver<bool>,
    /// Notified when another node wakes this one.
    pub(crate) wake: Arc<Notify>,
    /// True while the claimer rests.
    pub(crate) rests: Arc<watch::Sender<bool>>,
}

/// The jobs and slots of a claimer. [`ClaimLoop`](super::claim_loop::ClaimLoop) has its connection.
pub(super) struct Claimer {
    pub(super) setup: ClaimerSetup,
    pub(super) held: HeldJobs,
    pub(super) settlements: PendingSettlements,
    pub(super) lanes: Lanes,
    pub(super) admissions: Admissions,
    pub(super) permit: WaitPermit,
    free: Vec<usize>,
    /// Suspects that may start, and their slots. They are not given to their slots before the
    /// server has recorded that they begin.
    starting: Vec<(usize, Work)>,
    skipped: SkippedJobs,
    /// The counts of jobs that are processed together, before they are added to the meter.
    samples: Vec<Sample>,
    /// The number of threads of the runtime.
    threads: usize,
    ready: usize,
}

impl Claimer {
    pub(super) fn new(setup: ClaimerSetup) -> Self {
        let name = setup.identity.borrow().name.clone();
        let permit = WaitPermit::new(setup.engine.spec.wait_permits, &name);
        Self {
            held: HeldJobs::default(),
            settlements: PendingSettlements::new(
                setup.partition.clone(),
                SettleOrder::Any,
                &setup.engine.events,
            ),
            lanes: Lanes::default(),
            admissions: Admissions::default(),
            permit,
            setup,
            free: vec![],
            starting: vec![],
            skipped: SkippedJobs::default(),
            samples: vec![],
            threads: tokio::runtime::Handle::current().metrics().num_workers(),
            ready: 0,
        }
    }

    /// Returns true while the claimer may claim new jobs.
    pub(super) fn may_claim(&self) -> bool {
        *self.setup.phase.borrow() == ShutdownPhase::Run
            && self.setup.identity.borrow().claims
            && self.setup.commands.borrow().permits_claims()
            && self.setup.engine.liveness.is_acknowledged()
    }

    /// Returns how many jobs to claim: one per free slot that has no job waiting for it. A job whose
    /// settlement raises errors counts as in its slot, so that only a few such jobs are held.
    pub(super) fn wanted(&self) -> usize {
        if !self.may_claim() {
            return 0;
        }
        let given =
            self.held.waiting() + self.setup.slots.mailbox.offered() + self.settlements.waiting();
        self.skipped.wanted(self.free.len().saturating_sub(given), MAX_CLAIM)
    }

    /// Returns true when a suspect could start at once.
    pub(super) fn suspects_welcome(&self) -> bool {
        self.setup.suspects.available_permits() > 0 && !self.held.has_suspect()
    }

    /// Returns true if settling should be delayed for a moment: fewer jobs than runtime threads
    /// still run and no handler has waited, so the rest will end soon. A claimed range is removed
    /// most cheaply as a whole.
    pub(super) fn should_delay_settling(&self) -> bool {
        let running = self.held.len().saturating_sub(self.settlements.len());
        (1..self.threads).contains(&running)
            && !self.settlements.is_empty()
            && !self.setup.slots.mailbox.has_waiting_handler()
    }

    /// Processes the events of the slots.
    pub(super) fn collect(&mut self) {
        let target = *self.setup.target.borrow_and_update();
        if self.setup.slots.follow(target) {
            self.free.retain(|slot| self.setup.slots.is_open(*slot));
        }
        let events = self.setup.slots.mailbox.drain_events(&mut self.samples);
        self.setup.engine.events.meter().add(&mut self.samples);
        for event in events {
            match event {
                SlotEvent::Idle(slot) => {
                    if self.setup.slots.is_open(slot) {
                        self.free.push(slot);
                    }
                    self.ready += 1;
                    if self.ready == self.setup.slots.first_size() {
                        self.setup.slots.announce_ready();
                    }
                }
                SlotEvent::Finished(slot, key, settlement) => {
                    if self.setup.slots.is_open(slot) {
                        self.free.push(slot);
                    }
                    self.finished(&key, settlement);
                }
                SlotEvent::FinishedAndContinued(key, settlement) => self.finished(&key, settlement),
            }
        }
    }

    fn finished(&mut self, key: &EntryKey, settlement: Option<Settlement>) {
        let Some(settlement) = settlement else { return self.held.remove(key) };
        self.settlements.push(settlement);
    }

    /// Takes over the entries of a claim.
    pub(super) fn take_claims(
        &mut self,
        claimed: Claimed,
        owner: &NodeName,
        history: Option<&Arc<str>>,
    ) {
        let Self { setup, held, settlements, free, samples, .. } = self;
        let (engine, mut known, mut unknown) = (&setup.engine, 0, 0);
        let origin = Origin { partition: &setup.partition, owner, guard: Guard::Claim(history) };
        for found in claimed.undecodable {
            if held.hold_settled((found.lane, found.entry.clone())) {
                settlements.push(engine.bury(origin, found));
            }
        }
        let commands = setup.commands.borrow().clone();
        let waits = waits(&claimed.jobs, engine.clock.now());
        held.reserve(claimed.jobs.len());
        for (claim, wait) in claimed.jobs.into_iter().zip(waits) {
            let key = (claim.lane, claim.entry.clone());
            // The same entry was claimed again, since its group was lost and created again. It is
            // held already.
            if held.contains(&key) {
                continue;
            }
            match engine.admit(origin, claim) {
                Admission::Run(work) => {
                    samples.push(Sample::Waited(work.kind, wait));
                    held.hold(key, work.cx.clone(), commands.may_cancel(work.claim.job_id()));
                    held.wait(work);
                    known += 1;
                }
                Admission::Settle(settlement) => {
                    held.hold_settled(key);
                    settlements.push(settlement);
                    unknown += 1;
                }
            }
        }
        engine.events.meter().add(samples);
        if self.skipped.went_beyond() && known > 0 {
            // Jobs that were claimed beyond the free slots are for other nodes.
            let room = free.len().saturating_sub(setup.slots.mailbox.offered());
            let beyond = held.take_beyond(room);
            self.settle_unstarted(beyond, &Ending::Released);
        }
        self.skipped.note(known, unknown, MAX_CLAIM);
    }

    /// Gives waiting jobs to free slots, and picks the suspects that may start: one when no other
    /// suspect of this node has begun, see [`Claimer::start_suspects`].
    /// While handlers end without waiting, no more slots are woken than the runtime has threads;
    /// the awake slots also run the jobs of the slots that sleep. Returns true when jobs were
    /// offered to awake slots, even if these have run them by now: the events have to be processed
    /// first.
    pub(super) fn dispatch(&mut self) -> bool {
        let mut offered = self.setup.slots.mailbox.offered();
        if self.held.waiting() == 0 && offered == 0 {
            return false;
        }
        let mut woken = self.threads;
        if self.setup.slots.mailbox.take_waited() {
            (woken, offered) = (usize::MAX, 0);
            self.reclaim_offered();
        }
        let waiting = self.held.take_waiting();
        let Self { setup, held, free, .. } = self;
        let is_suspect = |work: &Work| work.claim.lane.is_suspect();
        let start_suspect = |work: &Work| {
            let permit = Arc::clone(&setup.suspects).try_acquire_owned().ok();
            let key = (work.claim.lane, work.claim.entry.clone());
            permit.map(|permit| held.start_suspect(&key, permit)).is_some()
        };
        let mut assigned = assign(waiting, free, offered, woken, is_suspect, start_suspect);
        let offers = offered + assigned.offered.len() > 0;
        // Offered first, so that a slot that is woken and done before the next statement finds
        // these jobs.
        self.setup.slots.mailbox.offer(assigned.offered);
        self.starting = assigned.given.extract_if(.., |(_, work)| is_suspect(work)).collect();
        for (slot, work) in assigned.given {
            // A slot that reported to be free has room; a slot that is gone is not used again.
            assigned.kept.extend(self.setup.slots.give(slot, work));
        }
        self.held.put_back(assigned.kept);
        self.settle_unstarted(assigned.released, &Ending::Released);
        offers
    }

    /// Starts the suspects that may start. Each is recorded on the server first: if the node dies,
    /// only the suspect that it had begun to run is blamed.
    pub(super) async fn start_suspects(&mut self) {
        for (slot, work) in std::mem::take(&mut self.starting) {
            let (broker, entry) = (self.setup.engine.client.broker(), &work.claim.entry);
            let noted = broker.begin_suspect(&self.setup.partition, &work.owner, entry).await;
            match noted {
                Ok(true) => {
                    let refused = self.setup.slots.give(slot, work);
                    self.settle_unstarted(refused, &Ending::Released);
                }
                // The claim was lost.
                Ok(false) => {
                    self.held.remove(&(work.claim.lane, work.claim.entry));
                    self.free.push(slot);
                }
                Err(error) => {
                    self.settle_unstarted([work], &Ending::Released);
                    self.free.push(slot);
                    self.back_off(&error);
                }
            }
        }
    }

    /// Notes the commands that are known. Returns true when the partition is paused: then no job
    /// starts.
    pub(super) fn apply_pause(&mut self) -> bool {
        let paused = {
            let commands = self.setup.commands.borrow();
            self.held.note_commands(&commands);
            commands.is_paused()
        };
        if paused {
            // Jobs that have not started go back to the queue, and so do jobs claimed while the
            // pause began.
            self.release_waiting();
        }
        paused
    }

    /// Asks which of the held jobs were cancelled: a cancelled job does not start, or is
    /// interrupted.
    pub(super) async fn apply_cancellations(&mut self) {
        if self.held.has_to_check()
            && Instant::now() >= self.settlements.not_before()
            && let Err(error) = self.check_cancelled().await
        {
            // The same jobs are checked again later; a job that starts meanwhile is interrupted
            // then.
            self.back_off(&error);
        }
    }

    async fn check_cancelled(&mut self) -> Result<(), Error> {
        let jobs = self.held.jobs_to_check();
        let (broker, partition) = (self.setup.engine.client.broker(), &self.setup.partition);
        let verdicts = broker.check_cancelled(partition, &jobs).await?;
        let cancelled = self.held.interrupt_cancelled(&verdicts);
        if cancelled.is_empty() {
            return Ok(());
        }
        for (_, job) in &cancelled {
            self.setup.engine.events.emit(&self.setup.partition, JobEvent::Cancelled(*job));
        }
        self.reclaim_offered();
        let cancelled: HashSet<EntryKey> = cancelled.into_iter().map(|(key, _)| key).collect();
        let unstarted = self.held.take_waiting_of(&cancelled);
        self.settle_unstarted(unstarted, &Ending::Cancelled);
        Ok(())
    }

    /// Processes the answers to a batch of settlements.
    pub(super) fn apply_settled(&mut self, batch: Vec<Settlement>, results: Vec<Settled>) {
        let answers = self.settlements.answer(batch, results);
        answers.ended.iter().for_each(|ended| self.held.remove(&ended.key));
        answers.given_up.into_iter().for_each(|key| self.held.give_up(key));
        if let Some(error) = answers.failed {
            self.back_off(&error);
        }
    }

    /// Reports a failure and delays the next request, longer after each further failure.
    pub(super) fn back_off(&mut self, error: &Error) {
        let Self { setup, settlements, .. } = self;
        settlements.back_off();
        setup.engine.outages.failed(&setup.partition, "jobs are not claimed or settled", error);
    }

    /// Drops all claims of the old name: the node was declared dead, and other nodes run its jobs.
    pub(super) fn abandon_claims(&mut self, old: &str, new: &str) {
        tracing::error!(
            partition = %self.setup.partition, old, new, jobs = self.held.len(),
            "this node was declared dead; it stops what it held and goes on under a new name"
        );
        self.reclaim_offered();
        self.held.abandon();
    }

    /// Waits for an event of a slot, a change of phase, target, name or commands, or the given
    /// time.
    pub(super) async fn until_something(&mut self, time: Instant) {
        let setup = &mut self.setup;
        let timed = time > Instant::now();
        tokio::select! {
            () = setup.slots.mailbox.notified() => {}
            () = changed(&mut setup.phase) => {}
            () = changed(&mut setup.target) => {}
            () = changed(&mut setup.identity) => {}
            () = changed(&mut setup.commands) => {}
            () = setup.fleet.wake.notified() => self.permit.woken(),
            () = tokio::time::sleep_until(time), if timed => {}
        }
    }

    /// Releases the jobs that have not started.
    pub(super) fn release_waiting(&mut self) {
        self.reclaim_offered();
        let waiting = self.held.take_waiting();
        self.settle_unstarted(waiting, &Ending::Released);
    }

    /// Moves offered jobs that no slot has taken back in front of the waiting jobs.
    fn reclaim_offered(&mut self) {
        self.held.put_back(self.setup.slots.mailbox.reclaim());
    }

    fn settle_unstarted(&mut self, jobs: impl IntoIterator<Item = Work>, ending: &Ending) {
        for work in jobs {
            self.settlements.push(self.setup.engine.unstarted(work, ending.clone()));
        }
    }
}
