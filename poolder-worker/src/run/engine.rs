//! The run engine: the part of running a job that is the same for every source. It checks claimed
//! entries, makes their contexts, and decides how claims end. A source says where its entries come
//! from, when a job may start, and under which guard its end is settled.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use poolder_client::Client;
use poolder_core::broker::{FinishedJob, NodeName, Settlement};
use poolder_core::policy::decide::{Ending, Transition, decide};
use poolder_core::{Claim, Counters, Entry, Facts, Partition, Policy, Timestamp, Undecodable};
use tokio::sync::watch;

use super::about::{About, SharedParts};
use super::context::Context;
use super::events::{Events, JobEvent};
use super::given_up::GivenUpEntries;
use super::mailbox::Work;
use super::pool_spec::{KindPlace, PoolSpec};
use super::unknown_kinds::UnknownKinds;
use crate::process::activity::Activity;
use crate::process::finished::FinishedJobs;
use crate::process::journal::Journal;
use crate::process::liveness::{Liveness, ServerClock, ShutdownPhase};
use crate::process::meter::{KindNumber, Meter, Sample};
use crate::process::outages::Outages;
use crate::process::progress::ProgressQueue;

/// Runs the jobs of one pool in this process, whatever their source.
pub(crate) struct Engine {
    pub(crate) spec: Arc<PoolSpec>,
    pub(crate) client: Client,
    pub(crate) clock: Arc<ServerClock>,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) outages: Arc<Outages>,
    progress: Arc<ProgressQueue>,
    pub(super) activity: Arc<Activity>,
    /// The shutdown phase of the pool. Slots read it themselves, so that a claimer that waits for the
    /// server delays no interruption.
    pub(crate) phase: watch::Receiver<ShutdownPhase>,
    /// Where the events of jobs are reported.
    pub(crate) events: Arc<Events>,
    /// The numbers under which the kinds of the pool are counted, by their index in the pool.
    kinds: Box<[KindNumber]>,
    unknown_kinds: UnknownKinds,
    /// The entries that rescues have given up.
    pub(crate) given_up: Arc<GivenUpEntries>,
}

/// The parts of a new engine.
pub(crate) struct EngineSetup {
    pub(crate) spec: Arc<PoolSpec>,
    pub(crate) client: Client,
    pub(crate) clock: Arc<ServerClock>,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) outages: Arc<Outages>,
    pub(crate) progress: Arc<ProgressQueue>,
    /// The shutdown phase of the pool.
    pub(crate) phase: watch::Receiver<ShutdownPhase>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) journal: Journal,
    pub(crate) finished: FinishedJobs,
}

/// The place from which entries come, and the right that this node has on them.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) partition: &'a Partition,
    /// The consumer that holds the entries.
    pub(crate) owner: &'a NodeName,
    pub(crate) guard: Guard<'a>,
}

/// The guard under which the end of a job is settled.
#[derive(Clone, Copy)]
pub(crate) enum Guard<'a> {
    /// The claim of the owner. In the given server history, counts prove ownership; without one the
    /// owner of each entry is checked.
    Claim(Option<&'a Arc<str>>),
    /// The lease of a slot. Its term, which grows with every holder, is the fence of all jobs: the
    /// deliveries of one job need not show that the slot had another holder meanwhile.
    Lease(u64),
    /// None: the job is a copy of a broadcast, which the server does not keep. It has no reply, and
    /// no schedule waits for it.
    Copy,
}

/// An attempt that has ended.
#[derive(Clone, Copy)]
pub(super) struct Ran<'a> {
    /// The node that ran it.
    pub(super) node: &'a NodeName,
    pub(super) cx: &'a Context,
    /// The jitter of the delay before the next attempt; `None` for a random one.
    pub(super) jitter: Option<f64>,
}

/// The next step of a claimed job.
pub(crate) enum Admission {
    /// A slot runs the job.
    Run(Work),
    /// The job does not run here; its claim is to be settled.
    Settle(Settlement),
}

impl Origin<'_> {
    fn history(&self) -> Option<Arc<str>> {
        match self.guard {
            Guard::Claim(history) => history.cloned(),
            Guard::Lease(_) | Guard::Copy => None,
        }
    }
}

impl Engine {
    pub(crate) fn new(setup: EngineSetup) -> Self {
        let EngineSetup { spec, client, clock, liveness, outages, progress, phase, .. } = setup;
        let meter = setup.meter.queue(&spec.queue);
        let mut kinds: Vec<_> = spec.kinds.iter().collect();
        kinds.sort_unstable_by_key(|(_, place)| place.index);
        let kinds = kinds.into_iter().map(|(kind, _)| meter.number(kind)).collect();
        Self {
            spec,
            client,
            clock,
            liveness,
            outages,
            progress,
            activity: Arc::default(),
            phase,
            events: Arc::new(Events::new(meter, setup.journal, setup.finished)),
            kinds,
            unknown_kinds: UnknownKinds::default(),
            given_up: Arc::default(),
        }
    }

    /// Returns the engine with its slots counted among those of the node.
    pub(crate) fn with_activity(self, activity: &Arc<Activity>) -> Self {
        Self { activity: Arc::clone(activity), ..self }
    }

    /// Prepares a claimed job for a slot, or settles one that no worker here can run.
    pub(crate) fn admit(&self, origin: Origin<'_>, claim: Claim) -> Admission {
        if self.has_expired(&claim) && claim.envelope.unknown_requirement().is_none() {
            self.events.emit(origin.partition, JobEvent::Expired(&claim));
            let kind = self.events.meter().number(claim.envelope.kind());
            self.events.not_started(kind, &Ending::Expired);
            return Admission::Settle(self.settle_unstarted(origin, claim, Ending::Expired));
        }
        if let Some(place) = self.spec.place(&claim.envelope) {
            return Admission::Run(self.prepare(origin, claim, place));
        }
        self.events.emit(origin.partition, JobEvent::UnknownKind(&claim));
        self.unknown_kinds.note(origin.partition, &claim.envelope);
        Admission::Settle(self.settle_unstarted(origin, claim, Ending::UnknownKind))
    }

    /// Returns true when the time is over within which a job had to start.
    pub(super) fn has_expired(&self, claim: &Claim) -> bool {
        claim.expires_at().is_some_and(|at| self.clock.now() >= at)
    }

    /// Prepares a claimed job for a slot.
    fn prepare(&self, origin: Origin<'_>, claim: Claim, place: KindPlace) -> Work {
        self.events.emit(origin.partition, JobEvent::Claimed(&claim));
        let policy = self.spec.policy(&claim.envelope);
        self.liveness.allow(policy.timeout);
        let shared = SharedParts {
            clock: &self.clock,
            client: &self.client,
            progress: &self.progress,
            states: &self.spec.states,
            node: origin.owner,
        };
        let about = About::of_claim(&claim, origin.partition, policy, &shared);
        let cx = Context::new(match origin.guard {
            Guard::Claim(_) => about,
            Guard::Lease(term) => About { fence: term, ..about },
            Guard::Copy => About { call: false, tick: None, ..about },
        });
        let (owner, history) = (origin.owner.clone(), origin.history());
        Work { claim, cx, owner, history, worker: place.worker, kind: self.kinds[place.index] }
    }

    /// Counts how long a job has waited until now, for sources that take one job at a time.
    pub(crate) fn count_wait(&self, work: &Work) {
        if let Some(ready) = work.claim.times().ready_at() {
            let waited = self.clock.now().since(ready).as_micros();
            let waited = u64::try_from(waited).unwrap_or(u64::MAX);
            self.events.meter().add_one(Sample::Waited(work.kind, waited));
        }
    }

    /// Returns the record of a job that has ended here, if the pool keeps finished jobs, and there is
    /// room for it until the next write.
    pub(super) fn finished(
        &self,
        claim: &Claim,
        transition: &Transition,
        (cx, node): (&Context, &NodeName),
    ) -> Option<Arc<FinishedJob>> {
        let keep = self.spec.keep_finished?;
        if !self.events.finished().has_room() {
            return None;
        }
        FinishedJob::of(claim, transition, cx.elapsed(), node, keep).map(Arc::new)
    }

    /// Returns the settlement that buries an entry which cannot be decoded.
    pub(crate) fn bury(&self, origin: Origin<'_>, found: Undecodable) -> Settlement {
        self.events.emit(origin.partition, JobEvent::Undecodable(&found));
        Settlement::bury_undecodable(found, origin.owner.clone())
    }

    /// Returns the settlement of a job that was prepared, but that no slot has started.
    pub(crate) fn unstarted(&self, work: Work, ending: Ending) -> Settlement {
        self.events.not_started(work.kind, &ending);
        let kind = work.kind;
        let policy = self.spec.policy(&work.claim.envelope);
        let transition = self.decide(&policy, &work.claim.counters, ending, None);
        Settlement::new(work.claim, work.owner, work.history, transition).labelled(kind.label())
    }

    /// Returns the settlements of entries that no slot of this node runs; `ending` tells how the
    /// claim of each job has ended.
    pub(crate) fn settle_held(
        &self,
        origin: Origin<'_>,
        entries: impl IntoIterator<Item = Entry>,
        ending: impl Fn(&Claim) -> Ending,
    ) -> Vec<Settlement> {
        let settle = |entry| match entry {
            Entry::Undecodable(found) => self.bury(origin, found),
            Entry::Job(claim) => {
                let ending = ending(&claim);
                self.settle_unstarted(origin, claim, ending)
            }
        };
        entries.into_iter().map(settle).collect()
    }

    /// Decides about a job whose claim has ended. `policy` is the one that holds for it in this
    /// pool; `ran` is `None` when no attempt has ended here.
    pub(super) fn decide(
        &self,
        policy: &Policy,
        counters: &Counters,
        ending: Ending,
        ran: Option<Ran<'_>>,
    ) -> Transition {
        // Only the transition of an attempt that failed or crashed depends on the time, and only
        // that of a failed one on jitter.
        let facts = match (&ending, ran) {
            (Ending::Failed(..), Some(Ran { node, cx, jitter })) => {
                let jitter = jitter.unwrap_or_else(random_jitter);
                Facts { now: self.clock.now(), took: cx.elapsed(), node, jitter }
            }
            (Ending::Failed(..) | Ending::Crashed(_), _) => Facts::at(self.clock.now()),
            _ => Facts::at(Timestamp::from_millis(0)),
        };
        decide(policy, counters, ending, facts)
    }

    fn settle_unstarted(&self, origin: Origin<'_>, claim: Claim, ending: Ending) -> Settlement {
        let policy = self.spec.policy(&claim.envelope);
        let transition = self.decide(&policy, &claim.counters, ending, None);
        let kind = self.events.meter().number(claim.envelope.kind());
        Settlement::new(claim, origin.owner.clone(), origin.history(), transition)
            .labelled(kind.label())
    }
}

/// Returns a random number from −1 to 1. The keys of the standard library's hash are random enough
/// to spread retries.
fn random_jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX) * 2.0 - 1.0
}
