//! Ending claims: what was decided is applied, if the claim is still ours.
//!
//! Completions go many at a time through `complete.lua`, which trusts counts within the server
//! history in which the jobs were claimed. Everything else, and completions of another history,
//! goes one by one through `move.lua`, which checks the owner and the job id.

mod effect;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use crate::broker::{Broker, NodeName, SlotLease, batcher_of};
use crate::job::{EntryId, Error, JobId, Lane, Partition};
use crate::policy::Counters;
use crate::policy::decide::Transition;
use crate::stored::{Claim, Stretch, Undecodable};

pub use effect::Effect;
pub(in crate::broker) use plan::Plan;

/// A claim that has ended, and what shall become of its job.
#[derive(Debug, Clone)]
pub struct Settlement {
    subject: Subject,
    /// The consumer that holds the claim.
    owner: NodeName,
    /// The server history in which the job was claimed; `None` to check the owner in any case.
    history: Option<Arc<str>>,
    transition: Transition,
    effects: Vec<Effect>,
    /// How long the end is kept for somebody who waits for it.
    end_kept: Option<Duration>,
    /// For a batch job: whose list is settled with it.
    batcher: Option<Box<str>>,
    /// On an addressed queue: under which lease.
    addressed: Option<Addressed>,
}

#[derive(Debug, Clone)]
struct Addressed {
    /// Its term and holder, as `move.lua` compares them.
    lease: String,
    retry: Retry,
}

/// Where a job of an addressed slot waits for its next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retry {
    /// In front of its slot, which runs nothing else meanwhile: so its key keeps its order.
    Hold,
    /// Aside, while the slot goes on with what comes after it.
    #[default]
    Aside,
}

/// What of a claim is needed to end it. The envelope is kept only where the stored entry is not
/// one.
#[derive(Debug, Clone)]
struct Subject {
    lane: Lane,
    entry: EntryId,
    job: [u8; 16],
    plain: Vec<u8>,
    body: Vec<u8>,
    bytes: usize,
    raw: bool,
    /// The schedule that must be told when the job has ended.
    alone: Option<Box<str>>,
    /// What was claimed with it.
    stretch: Option<Arc<Stretch>>,
}

/// What became of a settlement.
#[derive(Debug)]
pub enum Settled {
    /// Applied.
    Applied,
    /// Somebody took the job back before; nothing was changed.
    Fenced,
    /// The server has another history than the claim: settle it again with
    /// [`Settlement::carefully`].
    Epoch,
    /// Not applied, or its reply was lost: settle it again.
    Failed(Error),
}

/// How many dead jobs are kept, and for how long. Default 10,000 and 90 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLimits {
    /// The most that are kept; the oldest go first, and are counted.
    pub count: u64,
    /// None is kept longer.
    pub age: Duration,
}

impl Default for DeadLimits {
    fn default() -> Self {
        Self { count: 10_000, age: Duration::from_secs(90 * 24 * 60 * 60) }
    }
}

impl Settlement {
    /// Ends a claim of `owner`. `history` is the one of the connection that claimed it; without
    /// one the owner and the job id are checked in any case.
    #[must_use]
    pub fn new(
        claim: Claim,
        owner: NodeName,
        history: Option<Arc<str>>,
        transition: Transition,
    ) -> Self {
        let (bytes, end_kept) = (claim.envelope.as_bytes().len(), claim.envelope.end_kept());
        let job = *claim.envelope.id().as_bytes();
        let batcher = batcher_of(claim.envelope.kind()).map(Into::into);
        let body = match claim.plain {
            Some(_) => claim.envelope.as_bytes().to_vec(),
            None => vec![],
        };
        let tick = claim.envelope.tick().filter(|tick| tick.is_alone());
        let alone = tick.map(|tick| tick.schedule().into());
        let Claim { lane, entry, stretch, .. } = claim;
        let plain = claim.plain.unwrap_or_default();
        let subject = Subject { lane, entry, job, plain, body, bytes, raw: false, alone, stretch };
        let (effects, addressed) = (vec![], None);
        Self { subject, owner, history, transition, effects, end_kept, batcher, addressed }
    }

    /// Puts an entry that cannot be read among the dead, as it is.
    #[must_use]
    pub fn bury_undecodable(found: Undecodable, owner: NodeName) -> Self {
        let mut counters = Counters::starting_in(found.lane);
        counters.last_failure = Some(found.reason);
        let subject = Subject {
            lane: found.lane,
            entry: found.entry,
            job: *found.id.as_bytes(),
            plain: found.raw.clone(),
            bytes: found.raw.len(),
            body: found.raw,
            raw: true,
            alone: None,
            stretch: None,
        };
        let transition = Transition::Bury { counters };
        let (history, effects, end_kept, batcher, addressed) = (None, vec![], None, None, None);
        Self { subject, owner, history, transition, effects, end_kept, batcher, addressed }
    }

    /// Adds what else shall happen in the same step, if the claim is still ours.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// The same on an addressed queue: applied only while that lease holds.
    #[must_use]
    pub fn under_lease(mut self, lease: &SlotLease, retry: Retry) -> Self {
        let lease = format!("{} {}", lease.term, lease.node);
        self.addressed = Some(Addressed { lease, retry });
        self
    }

    /// True when it does no more than remove a job that is done, so that a slot's next turn can
    /// do it on the way.
    #[must_use]
    pub fn is_plain_completion(&self) -> bool {
        self.transition == Transition::Complete
            && self.effects.is_empty()
            && self.end_kept.is_none()
            && self.batcher.is_none()
            && self.subject.alone.is_none()
            && self.addressed.is_none()
    }

    fn lease(&self) -> Option<&str> {
        self.addressed.as_ref().map(|addressed| addressed.lease.as_str())
    }

    /// The same, for a server of any history: the owner and the job id are checked.
    #[must_use]
    pub fn carefully(mut self) -> Self {
        self.history = None;
        self
    }

    /// The server history by whose counts it may be settled; `None` for a careful one.
    #[must_use]
    pub fn history(&self) -> Option<&str> {
        self.history.as_deref()
    }

    /// The lane and the entry that it settles.
    #[must_use]
    pub fn entry(&self) -> (Lane, &EntryId) {
        (self.subject.lane, &self.subject.entry)
    }

    /// The job.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        JobId::from_bytes(self.subject.job)
    }

    /// What shall become of the job.
    #[must_use]
    pub fn transition(&self) -> &Transition {
        &self.transition
    }

    /// About how many bytes a script copies for it.
    fn weight(&self) -> usize {
        let result = match &self.transition {
            Transition::CompleteWith(result) => result.len(),
            _ => 0,
        };
        self.subject.bytes.saturating_add(result)
    }

    /// The history in which counts prove ownership, if this is a completion that may rely on it.
    fn fast(&self) -> Option<&str> {
        match self.transition {
            Transition::Complete if self.is_plain_completion() => self.history.as_deref(),
            _ => None,
        }
    }
}

impl Broker {
    /// Settles many claims at a time. One result per settlement, in order.
    pub async fn settle(
        &self,
        partition: &Partition,
        limits: DeadLimits,
        settlements: &[Settlement],
    ) -> Vec<Settled> {
        let keys = self.keys(partition);
        let mut pipe = redis::pipe();
        let plan = Plan::add_to(&mut pipe, &keys, limits, settlements, false);
        match self.pipeline(&pipe).await {
            Ok(replies) => plan.read(&mut replies.into_iter(), self.address()).0,
            Err(error) => settlements
                .iter()
                .map(|_| Settled::Failed(Error::unknown(error.to_string())))
                .collect(),
        }
    }
}

/// How many jobs wait in each lane, in the order of [`Lane::ALL`].
pub type Depths = [u64; 5];
