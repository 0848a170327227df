//! [`Settlement`]: the end of a claim, and the transition of its job.

use std::sync::Arc;
use std::time::Duration;

use super::claim_parts::{BatchOf, HeldKey};
use super::effect::{Effect, charged};
use crate::broker::NodeName;
use crate::broker::jobs::finished_job::FinishedJob;
use crate::job::{EntryId, Error, Failure, JobId, Lane, MAX_STORED, Partition, Tick};
use crate::policy::Counters;
use crate::policy::decide::Transition;
use crate::stored::{Claim, ClaimedRange, Undecodable};

/// The label of a settlement without one.
const NO_LABEL: u16 = u16::MAX;

/// The end of a claim, and the transition of its job.
#[derive(Debug, Clone)]
pub struct Settlement {
    pub(super) subject: Subject,
    /// The consumer that holds the claim.
    pub(super) owner: NodeName,
    /// The server history in which the job was claimed. With `None` the owner is always checked.
    pub(super) history: Option<Arc<str>>,
    pub(super) transition: Transition,
    pub(super) effects: Vec<Effect>,
    /// Retention of the completion record; `None` writes none, except for a result.
    pub(super) completion_kept: Option<Duration>,
    /// The batch of a batch job. Its sealed list is settled together with the job.
    pub(super) batch: Option<Box<BatchOf>>,
    /// The stamp of a batch whose sealed list is left to the pruner, once the job has ended: the
    /// settlement does without the changes to its batcher.
    pub(super) leaves_list: Option<Box<str>>,
    /// The lease and the placement of retries, on an addressed queue.
    pub(super) addressed: Option<Addressed>,
    /// True when no other settlement goes in the same script call.
    pub(super) isolated: bool,
    /// The slot in which the job is stored now: the settlement only removes it from this one.
    pub(super) moved_to: Option<u16>,
    /// The trace of the job.
    #[cfg(feature = "otel")]
    pub(super) trace_parent: Option<crate::job::TraceParent>,
    /// The record of a job that is kept when it has ended.
    pub(in crate::broker::jobs) finished: Option<Arc<FinishedJob>>,
    /// A number of the caller; [`NO_LABEL`] without one.
    label: u16,
}

/// The part of a settlement for addressed queues.
#[derive(Debug, Clone)]
pub(super) struct Addressed {
    /// Term and holder of the lease, as `settle.lua` compares them.
    pub(super) lease: String,
    pub(super) retry: RetryPlacement,
}

/// The lease of a slot that this node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotLease {
    /// The slot.
    pub slot: Partition,
    /// The incarnation of the node that holds the slot.
    pub node: NodeName,
    /// The term, which grows with every new holder.
    pub term: u64,
}

/// The place where a job of an addressed slot waits for its next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RetryPlacement {
    /// In the front lane of its slot. The slot runs nothing else meanwhile, so that the jobs of a
    /// key keep their order.
    BlockSlot,
    /// In `due`, while the slot goes on with the jobs after it.
    #[default]
    Reschedule,
}

/// The data of a claim that is needed to settle it. The envelope is kept only when the stored entry
/// does not contain one.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) lane: Lane,
    pub(super) entry: EntryId,
    pub(super) job: [u8; 16],
    /// The joined text of a plain entry; `None` for an entry written by Poolder.
    pub(super) plain: Option<Vec<u8>>,
    /// The bytes of an entry that was not read.
    pub(super) unread: Option<usize>,
    /// The bytes to store at the destination; `None` for the envelope of the entry.
    pub(super) body: Option<Vec<u8>>,
    pub(super) bytes: usize,
    pub(super) raw: bool,
    /// The tick of the schedule whose job this is.
    pub(super) tick: Option<Box<Tick>>,
    /// The key of a unique job.
    pub(super) unique: Option<Box<HeldKey>>,
    /// The group of which the job holds a permit, on a limited queue.
    pub(super) group: Option<Box<[u8]>>,
    pub(super) cost: u32,
    /// The range of entries that was claimed together with this one.
    pub(super) range: Option<Arc<ClaimedRange>>,
}

/// The result of a settlement.
#[derive(Debug)]
pub enum Settled {
    /// The settlement was applied.
    Applied,
    /// The consumer no longer held the claim or the slot lease, for example after a rescue. Nothing
    /// was changed.
    Fenced,
    /// The server has another history than the claim. Nothing was changed: settle again with
    /// [`Settlement::carefully`].
    Epoch,
    /// The settlement was not applied, or its reply was lost: settle again.
    Failed(Error),
    /// The script of the call raised an error, for this settlement or for another one of the same
    /// call. Settlements before that one may have been applied. The same call will most likely raise
    /// the error again: settle each alone, with [`Settlement::isolated`].
    Broken(Error),
}

impl Settlement {
    /// Creates a settlement for a claim of `owner`. `history` is that of the connection that
    /// claimed the job; with `None` the owner and the job id are always checked.
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
        let batch = BatchOf::read(&claim.envelope);
        #[cfg(feature = "otel")]
        let trace_parent = claim.envelope.trace_parent();
        let body = claim.plain.as_ref().map(|_| claim.envelope.as_bytes().to_vec());
        let tick = claim.envelope.tick().cloned().map(Box::new);
        let unique = HeldKey::of(&claim);
        let cost = claim.envelope.cost();
        let Claim { lane, entry, plain, group, range, .. } = claim;
        let (unread, raw) = (None, false);
        let subject = Subject {
            lane,
            entry,
            job,
            plain,
            unread,
            body,
            bytes,
            raw,
            tick,
            unique,
            group,
            cost,
            range,
        };
        Self {
            subject,
            owner,
            history,
            transition,
            effects: vec![],
            completion_kept,
            batch,
            addressed: None,
            leaves_list: None,
            isolated: false,
            moved_to: None,
            #[cfg(feature = "otel")]
            trace_parent,
            finished: None,
            label: NO_LABEL,
        }
    }

    /// Creates a settlement that buries an unreadable entry unchanged. An entry that is too large
    /// is moved by the server, without its bytes.
    #[must_use]
    pub fn bury_undecodable(found: Undecodable, owner: NodeName) -> Self {
        let mut counters = Counters::starting_in(found.lane);
        counters.last_failure = Some(found.reason);
        // The server moves an entry that was not read. Without its joined text, the entry is
        // recognized by its size.
        let (plain, body) = match found.unread {
            Some(_) => (None, None),
            None => (Some(found.raw.clone()), Some(found.raw)),
        };
        let subject = Subject {
            lane: found.lane,
            entry: found.entry,
            job: *found.id.as_bytes(),
            bytes: found.unread.or(plain.as_ref().map(Vec::len)).unwrap_or(0),
            plain,
            unread: found.unread,
            body,
            raw: found.unread.is_none_or(|bytes| bytes > MAX_STORED),
            tick: None,
            unique: None,
            group: found.group,
            cost: 1,
            range: None,
        };
        Self {
            subject,
            owner,
            history: None,
            transition: Transition::Bury { counters },
            effects: vec![],
            completion_kept: None,
            batch: None,
            addressed: None,
            leaves_list: None,
            isolated: false,
            moved_to: None,
            #[cfg(feature = "otel")]
            trace_parent: None,
            finished: None,
            label: NO_LABEL,
        }
    }

    /// Labels the settlement with a number of the caller, which does not reach the server.
    #[must_use]
    pub fn labelled(mut self, label: u16) -> Self {
        self.label = label;
        self
    }

    /// Returns the number that the caller has given; `None` without one.
    #[must_use]
    pub fn label(&self) -> Option<u16> {
        (self.label != NO_LABEL).then_some(self.label)
    }

    /// Adds a change that is applied in the same step, if the owner still holds the claim.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// Makes this a settlement on an addressed queue, which is applied only while the lease holds.
    #[must_use]
    pub fn under_lease(mut self, lease: &SlotLease, retry: RetryPlacement) -> Self {
        let lease = format!("{} {}", lease.term, lease.node);
        self.addressed = Some(Addressed { lease, retry });
        self
    }

    /// Makes this the settlement of a job that was moved to this slot of its pool: the job is removed
    /// from its former slot, and a record there leads callers to the new one.
    #[must_use]
    pub fn moved_to(mut self, slot: u16) -> Self {
        (self.transition, self.moved_to) = (Transition::Complete, Some(slot));
        self
    }

    /// Makes this a settlement that goes to the server in a call without others: an error of the
    /// script is then its own.
    #[must_use]
    pub fn isolated(mut self) -> Self {
        self.isolated = true;
        self
    }

    /// Returns whether the settlement goes to the server in a call without others.
    #[must_use]
    pub fn is_isolated(&self) -> bool {
        self.isolated
    }

    /// Returns the names of the changes that are applied together with the transition; none when
    /// the settlement only moves or removes its job.
    #[must_use]
    pub fn effect_names(&self) -> Vec<&'static str> {
        let result = matches!(self.transition, Transition::CompleteWith(_));
        let all = [
            (self.moved_to.is_some(), "record of the move"),
            (result, "result"),
            (self.completion_kept.is_some(), "completion record"),
            (self.batch.is_some(), "batch"),
            (self.leaves_list.is_some(), "list of the batch"),
            (self.subject.tick.is_some(), "schedule"),
            (self.subject.unique.is_some(), "unique key"),
            (charged(&self.effects).is_some(), "charge"),
        ];
        all.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect()
    }

    /// Leaves out all changes but the transition. The list of a batch, if any, is left to the pruner;
    /// when this was left out already, the list stays in Redis.
    #[must_use]
    pub fn without_effects(mut self) -> Self {
        if let Transition::CompleteWith(_) = self.transition {
            self.transition = Transition::Complete;
        }
        self.effects.clear();
        self.leaves_list = self.batch.take().map(|batch| batch.stamp);
        (self.completion_kept, self.subject.tick, self.subject.unique) = (None, None, None);
        self.moved_to = None;
        self
    }

    /// Buries the job for this reason, in place of the transition. The stored envelope is kept.
    #[must_use]
    pub fn into_burial(mut self, reason: Failure) -> Self {
        let mut counters = match self.transition {
            Transition::Later { counters, .. }
            | Transition::Ready { counters, .. }
            | Transition::RunAgain(counters)
            | Transition::Bury { counters } => counters,
            Transition::Complete
            | Transition::CompleteWith(_)
            | Transition::Cancel(_)
            | Transition::Expire => Counters::starting_in(self.subject.lane),
        };
        counters.last_failure = Some(reason);
        self.transition = Transition::Bury { counters };
        self.finished = None;
        self
    }

    /// Returns whether the settlement only removes a completed job. The next poll of an addressed
    /// slot can then do it in the same round trip.
    #[must_use]
    pub fn is_plain_completion(&self) -> bool {
        self.transition == Transition::Complete
            && self.leaves_list.is_none()
            && self.effects.is_empty()
            && self.completion_kept.is_none()
            && self.batch.is_none()
            && self.subject.tick.is_none()
            && self.subject.unique.is_none()
            && self.addressed.is_none()
            && self.moved_to.is_none()
    }

    /// Returns term and holder of the lease on an addressed queue, as `settle.lua` compares them.
    pub(super) fn lease(&self) -> Option<&str> {
        self.addressed.as_ref().map(|addressed| addressed.lease.as_str())
    }

    /// Makes the settlement valid for a server of any history: the owner and the job id are
    /// checked.
    #[must_use]
    pub fn carefully(mut self) -> Self {
        self.history = None;
        self
    }

    /// Returns the server history in which counts prove ownership; `None` when the owner and the
    /// job id are checked.
    #[must_use]
    pub fn history(&self) -> Option<&str> {
        self.history.as_deref()
    }

    /// Returns the lane and the entry that are settled.
    #[must_use]
    pub fn entry(&self) -> (Lane, &EntryId) {
        (self.subject.lane, &self.subject.entry)
    }

    /// Returns the id of the job.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        JobId::from_bytes(self.subject.job)
    }

    /// Returns the transition of the job.
    #[must_use]
    pub fn transition(&self) -> &Transition {
        &self.transition
    }

    /// Returns about how many bytes a script copies for this settlement.
    pub(super) fn weight(&self) -> usize {
        let result = match &self.transition {
            Transition::CompleteWith(result) => result.len(),
            _ => 0,
        };
        self.subject.bytes.saturating_add(result)
    }

    /// Returns the history in which counts prove ownership, if this is a plain completion.
    pub(super) fn fast(&self) -> Option<&str> {
        match self.transition {
            Transition::Complete if self.is_plain_completion() => self.history.as_deref(),
            _ => None,
        }
    }
}
