//! A claim that has ended, and what shall become of its job.

use std::sync::Arc;
use std::time::Duration;

use crate::broker::NodeName;
use crate::job::{EntryId, Error, Failure, JobId, Lane, Partition, batcher_of};
use crate::policy::Counters;
use crate::policy::decide::Transition;
use crate::stored::{Claim, ClaimedRange, Undecodable};

/// A claim that has ended, and what shall become of its job.
#[derive(Debug, Clone)]
pub struct Settlement {
    pub(super) subject: Subject,
    /// The consumer that holds the claim.
    pub(super) owner: NodeName,
    /// The server history in which the job was claimed; `None` to check the owner in any case.
    pub(super) history: Option<Arc<str>>,
    pub(super) transition: Transition,
    pub(super) effects: Vec<Effect>,
    /// How long the end is kept for somebody who waits for it.
    pub(super) completion_kept: Option<Duration>,
    /// For a batch job: whose list is settled with it.
    pub(super) batcher: Option<Box<str>>,
    /// On an addressed queue: under which lease.
    pub(super) addressed: Option<Addressed>,
}

#[derive(Debug, Clone)]
pub(super) struct Addressed {
    /// Its term and holder, as `move.lua` compares them.
    pub(super) lease: String,
    pub(super) retry: RetryPlacement,
}

/// A slot that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotLease {
    /// The slot.
    pub slot: Partition,
    /// The incarnation that holds it.
    pub node: NodeName,
    /// Grows with every holder.
    pub term: u64,
}

/// Where a job of an addressed slot waits for its next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetryPlacement {
    /// In front of its slot, which runs nothing else meanwhile: so its key keeps its order.
    BlockSlot,
    /// Aside, while the slot goes on with what comes after it.
    #[default]
    Reschedule,
}

/// Something that happens in the same step as a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A batch goes on with the entries that were set apart under this name, and no others.
    KeepEntries(String),
    /// The entries of a batch that were set apart under this name become a dead batch of their
    /// own.
    BuryEntries {
        /// Under which name they were set apart.
        part: String,
        /// The id of the dead batch.
        id: JobId,
        /// Why.
        failure: Failure,
    },
}

/// What of a claim is needed to end it. The envelope is kept only where the stored entry is not
/// one.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) lane: Lane,
    pub(super) entry: EntryId,
    pub(super) job: [u8; 16],
    pub(super) plain: Vec<u8>,
    pub(super) body: Vec<u8>,
    pub(super) bytes: usize,
    pub(super) raw: bool,
    /// The schedule that must be told when the job has ended.
    pub(super) alone: Option<Box<str>>,
    /// What was claimed with it.
    pub(super) range: Option<Arc<ClaimedRange>>,
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
        let (bytes, completion_kept) =
            (claim.envelope.as_bytes().len(), claim.envelope.completion_kept());
        let job = *claim.envelope.id().as_bytes();
        let batcher = batcher_of(claim.envelope.kind()).map(Into::into);
        let body = match claim.plain {
            Some(_) => claim.envelope.as_bytes().to_vec(),
            None => vec![],
        };
        let tick = claim.envelope.tick().filter(|tick| tick.is_alone());
        let alone = tick.map(|tick| tick.schedule().into());
        let Claim { lane, entry, range, .. } = claim;
        let plain = claim.plain.unwrap_or_default();
        let subject = Subject { lane, entry, job, plain, body, bytes, raw: false, alone, range };
        let (effects, addressed) = (vec![], None);
        Self { subject, owner, history, transition, effects, completion_kept, batcher, addressed }
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
            range: None,
        };
        let transition = Transition::Bury { counters };
        let (history, effects, completion_kept, batcher, addressed) =
            (None, vec![], None, None, None);
        Self { subject, owner, history, transition, effects, completion_kept, batcher, addressed }
    }

    /// Adds what else shall happen in the same step, if the claim is still ours.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// The same on an addressed queue: applied only while that lease holds.
    #[must_use]
    pub fn under_lease(mut self, lease: &SlotLease, retry: RetryPlacement) -> Self {
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
            && self.completion_kept.is_none()
            && self.batcher.is_none()
            && self.subject.alone.is_none()
            && self.addressed.is_none()
    }

    pub(super) fn lease(&self) -> Option<&str> {
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
    pub(super) fn weight(&self) -> usize {
        let result = match &self.transition {
            Transition::CompleteWith(result) => result.len(),
            _ => 0,
        };
        self.subject.bytes.saturating_add(result)
    }

    /// The history in which counts prove ownership, if this is a completion that may rely on it.
    pub(super) fn fast(&self) -> Option<&str> {
        match self.transition {
            Transition::Complete if self.is_plain_completion() => self.history.as_deref(),
            _ => None,
        }
    }
}

/// How many jobs wait in each lane, in the order of [`Lane::ALL`].
pub type Depths = [u64; 5];
