//! The claimer of a partition: the jobs it holds, those that wait for a slot, and those that wait
//! to be settled.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use poolder_client::Client;
use poolder_core::broker::{Claimed, Commands, DeadLimits, NodeName, Settled, Settlement};
use poolder_core::mutation::mutated;
use poolder_core::policy::decide::{Ending, Transition};
use poolder_core::{Claim, Partition};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::lanes::Lanes;
use crate::process::commands::KnownCommands;
use crate::process::limits::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::process::liveness::{Liveness, NodeIdentity, ServerClock, ShutdownPhase};
use crate::run::context::{About, Context, Interruption};
use crate::run::mailbox::{EntryKey, SlotEvent, Work};
use crate::run::settle::unstarted;
use crate::run::slot_set::{SlotSet, TargetSize};

/// The parts of a new claimer.
pub(crate) struct ClaimerSetup {
    pub(crate) client: Client,
    pub(crate) partition: Partition,
    pub(crate) limits: DeadLimits,
    pub(crate) slots: SlotSet,
    pub(crate) clock: Arc<ServerClock>,
    pub(crate) liveness: Arc<Liveness>,
    /// Its single permit lets one suspect run in the node at a time.
    pub(crate) suspects: Arc<Semaphore>,
    pub(crate) phase: watch::Receiver<ShutdownPhase>,
    /// The number of slots that the pool shall have.
    pub(crate) target: watch::Receiver<TargetSize>,
    pub(crate) identity: watch::Receiver<NodeIdentity>,
    pub(crate) commands: watch::Receiver<KnownCommands>,
}

pub(crate) struct Claimer {
    pub(super) setup: ClaimerSetup,
    /// All entries that are pending for this consumer on the server, until the server has answered
    /// their settlement.
    pub(super) held: HashMap<EntryKey, Held>,
    /// Jobs claimed in excess of the free slots; they start before newly claimed ones.
    pub(super) waiting: VecDeque<Work>,
    pub(super) free: Vec<usize>,
    /// The number of threads of the runtime.
    pub(super) threads: usize,
    ready: usize,
    pub(super) settling: Vec<Settlement>,
    /// The server history that the connection saw when it was opened.
    pub(super) history: Option<Arc<str>>,
    /// True when the server has another history by now.
    pub(super) outdated: bool,
    /// The commands that were applied last.
    pub(super) applied: Option<Commands>,
    /// Held jobs for which the server must be asked whether they were cancelled.
    pub(super) to_check: Vec<EntryKey>,
    pub(super) lanes: Lanes,
    pub(super) pause: Duration,
    pub(super) not_before: Instant,
}

/// A claimed entry, with the context through which its handler is interrupted.
pub(super) struct Held {
    pub(super) cx: Context,
    pub(super) suspect: Option<OwnedSemaphorePermit>,
}

impl Claimer {
    pub(crate) fn new(setup: ClaimerSetup) -> Self {
        Self {
            setup,
            held: HashMap::new(),
            waiting: VecDeque::new(),
            free: vec![],
            threads: tokio::runtime::Handle::current().metrics().num_workers(),
            ready: 0,
            settling: vec![],
            history: None,
            outdated: false,
            applied: None,
            to_check: vec![],
            lanes: Lanes::default(),
            pause: FIRST_PAUSE,
            not_before: Instant::now(),
        }
    }

    /// Returns true while the claimer may claim new jobs.
    pub(super) fn may_claim(&self) -> bool {
        *self.setup.phase.borrow() == ShutdownPhase::Run
            && self.setup.identity.borrow().claims
            && self.setup.commands.borrow().permits_claims()
            && self.setup.liveness.is_acknowledged()
    }

    /// Processes the events of the slots.
    pub(super) async fn collect(&mut self) {
        let target = *self.setup.target.borrow_and_update();
        if self.setup.slots.follow(target) {
            self.free.retain(|slot| self.setup.slots.is_open(*slot));
        }
        for event in self.setup.slots.mailbox.drain_events() {
            match event {
                SlotEvent::Idle(slot) => {
                    if self.setup.slots.is_open(slot) {
                        self.free.push(slot);
                    }
                    self.ready += 1;
                    if self.ready == self.setup.slots.first_size() {
                        self.setup.slots.announce_ready().await;
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
        let Some(settlement) = settlement else {
            self.held.remove(key);
            return;
        };
        // The next suspect need not wait for the server's answer to this settlement.
        if key.0.is_suspect()
            && let Some(held) = self.held.get_mut(key)
        {
            held.suspect = None;
        }
        self.settling.push(settlement);
    }

    /// Takes over the entries of a claim.
    pub(super) fn take_claims(
        &mut self,
        claimed: Claimed,
        owner: &NodeName,
        history: Option<&Arc<str>>,
    ) {
        for found in claimed.undecodable {
            let key = (found.lane, found.entry.clone());
            if self.held.contains_key(&key) {
                continue;
            }
            tracing::error!(
                partition = %self.setup.partition, entry = %found.entry, reason = %found.reason,
                "an entry cannot be decoded, it is buried as it is"
            );
            let cx = self.context_of_undecodable();
            self.held.insert(key, Held { cx, suspect: None });
            self.settling.push(Settlement::bury_undecodable(found, owner.clone()));
        }
        let commands = self.setup.commands.borrow().clone();
        for claim in claimed.jobs {
            let key = (claim.lane, claim.entry.clone());
            // The same entry was claimed again, since its group was lost and created again. It is
            // held already.
            let std::collections::hash_map::Entry::Vacant(place) = self.held.entry(key) else {
                continue;
            };
            let known = self.setup.slots.can_run(claim.envelope.kind(), claim.envelope.version());
            let policy = self.setup.slots.policy(&claim.envelope);
            self.setup.liveness.allow(policy.timeout);
            let cx = context(&self.setup, &claim, policy.timeout);
            if commands.may_cancel(claim.job_id()) {
                self.to_check.push(place.key().clone());
            }
            place.insert(Held { cx: cx.clone(), suspect: None });
            let work = Work { claim, cx, owner: owner.clone(), history: history.cloned() };
            if known {
                self.waiting.push_back(work);
            } else {
                tracing::error!(
                    job = %work.claim.job_id(), kind = work.claim.envelope.kind(),
                    version = work.claim.envelope.version(), partition = %self.setup.partition,
                    "no worker here for this kind and version, the job waits for another node"
                );
                self.settling.push(unstarted(work, Ending::UnknownKind, &self.setup.clock));
            }
        }
    }

    /// Returns a context for an undecodable entry. It has no handler, but it is held until the
    /// server has answered its burial.
    fn context_of_undecodable(&self) -> Context {
        Context::new(About {
            id: poolder_core::JobId::from_bytes([0; 16]),
            kind: "".into(),
            partition: self.setup.partition.clone(),
            attempt: 0,
            fence: 0,
            tick: None,
            call: false,
            timeout: None,
            client: self.setup.client.clone(),
        })
    }

    /// Processes the results of settlements. A settlement that the server did not answer is
    /// repeated.
    pub(super) fn apply_settled(&mut self, batch: Vec<Settlement>, results: Vec<Settled>) {
        let mut failed = None;
        for (settlement, result) in batch.into_iter().zip(results) {
            let key = {
                let (lane, entry) = settlement.entry();
                (lane, entry.clone())
            };
            tracing::trace!(
                target: "poolder::settled", job = %settlement.job_id(),
                applied = matches!(result, Settled::Applied),
                completes = settlement.transition().completes(), "the server answered a settlement"
            );
            match result {
                Settled::Applied => {
                    if let Transition::Bury { counters } = settlement.transition() {
                        let reason = counters.last_failure.as_ref().map(ToString::to_string);
                        tracing::error!(
                            partition = %self.setup.partition, job = %settlement.job_id(),
                            reason = reason.as_deref().unwrap_or_default(), "a job died"
                        );
                    }
                    self.held.remove(&key);
                }
                Settled::Fenced => {
                    tracing::warn!(
                        partition = %self.setup.partition, job = %settlement.job_id(),
                        "settled before, or taken back: this settlement changed nothing"
                    );
                    self.held.remove(&key);
                }
                // The mutation `verification` leaves out the careful settlement.
                Settled::Epoch if mutated("verification") => {
                    self.held.remove(&key);
                }
                Settled::Epoch => {
                    self.outdated |= settlement.history() == self.history.as_deref();
                    self.settling.push(settlement.carefully());
                }
                Settled::Failed(error) => {
                    failed = Some(error);
                    self.settling.push(settlement);
                }
            }
        }
        match failed {
            Some(error) => self.back_off(&error.to_string()),
            None => self.pause = FIRST_PAUSE,
        }
    }

    /// Logs a failure and delays the next request, longer after each further failure.
    pub(super) fn back_off(&mut self, error: &str) {
        tracing::warn!(
            partition = %self.setup.partition, error, retry_in = ?self.pause,
            held = self.held.len(), "a request to the server failed, running jobs go on"
        );
        self.not_before = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Moves offered jobs that no slot has taken back in front of the waiting jobs.
    pub(super) fn reclaim_offered(&mut self) {
        let mut jobs = self.setup.slots.mailbox.reclaim();
        jobs.append(&mut self.waiting);
        self.waiting = jobs;
    }

    /// At shutdown, releases the jobs that have not started; in [`ShutdownPhase::Release`] also
    /// interrupts all running jobs.
    pub(super) fn wind_down(&mut self, phase: ShutdownPhase) {
        self.reclaim_offered();
        for work in std::mem::take(&mut self.waiting) {
            self.settling.push(unstarted(work, Ending::Released, &self.setup.clock));
        }
        if phase == ShutdownPhase::Release {
            self.held.values().for_each(|held| held.cx.interrupt(Interruption::Shutdown));
        }
    }

    /// Drops all claims of the old name: the node was declared dead, and other nodes run its jobs.
    pub(super) fn abandon_claims(&mut self, old: &str, new: &str) {
        tracing::error!(
            partition = %self.setup.partition, old, new, jobs = self.held.len(),
            "this node was declared dead; it stops what it held and goes on under a new name"
        );
        self.reclaim_offered();
        for work in std::mem::take(&mut self.waiting) {
            self.held.remove(&(work.claim.lane, work.claim.entry));
        }
        self.held.values().for_each(|held| held.cx.interrupt(Interruption::Lost));
    }
}

/// Returns the context for the handler of a claim.
fn context(setup: &ClaimerSetup, claim: &Claim, timeout: Option<Duration>) -> Context {
    Context::new(About {
        id: claim.job_id(),
        kind: claim.envelope.kind().into(),
        partition: setup.partition.clone(),
        attempt: claim.attempt(),
        fence: claim.fence(),
        call: claim.envelope.is_call(),
        tick: claim.envelope.tick().cloned(),
        timeout,
        client: setup.client.clone(),
    })
}
