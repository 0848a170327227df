//! The entries of a slot that are claimed but not settled, and the order in which they may start.

use std::collections::VecDeque;

use poolder_core::broker::{PollRequest, RetryPlacement, Settlement};
use poolder_core::policy::decide::Transition;
use poolder_core::policy::dispatch::Mode;
use poolder_core::{Claim, Entry, EntryId, Lane};

use super::step::SlotStep;

/// The jobs of a slot that must not start before the completion of an earlier job is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderGuarantee {
    /// No jobs.
    Unordered,
    /// Jobs of the same key.
    PerKey,
    /// All jobs.
    Strict,
}

impl OrderGuarantee {
    pub(super) fn of(mode: Mode, placement: RetryPlacement) -> Self {
        match (mode, placement) {
            (Mode::Phash, _) => Self::PerKey,
            (_, RetryPlacement::BlockSlot) => Self::Strict,
            _ => Self::Unordered,
        }
    }
}

/// The entries of a slot that are claimed but not settled.
#[derive(Debug)]
pub(super) struct Pending {
    order: OrderGuarantee,
    placement: RetryPlacement,
    /// Claimed entries, which are run one by one. More than one only while jobs take next to no
    /// time.
    claimed: VecDeque<Entry>,
    /// The key of the entry that runs, where the order of keys counts.
    running: Option<u64>,
    /// The settlement of the job that ran last, when a poll cannot settle it.
    ended: Option<Settlement>,
    /// Completed entries. The next poll settles them.
    done: Vec<EntryId>,
    /// The settlements of these entries.
    completions: Vec<Settlement>,
    /// Settlements of completed entries that a poll must not settle.
    by_job: Vec<Settlement>,
    /// The lane of the entries that are done: all entries of one poll come from one lane.
    lane: Lane,
    /// The keys of the jobs that are done, where the order of keys counts.
    keys: Vec<u64>,
}

impl Pending {
    pub(super) fn new(order: OrderGuarantee, placement: RetryPlacement) -> Self {
        Self {
            order,
            placement,
            claimed: VecDeque::new(),
            running: None,
            ended: None,
            done: vec![],
            completions: vec![],
            by_job: vec![],
            lane: Lane::Normal,
            keys: vec![],
        }
    }

    /// Returns the entries that the next poll settles, and their lane.
    pub(super) fn done(&self) -> (&[EntryId], Lane) {
        (&self.done, self.lane)
    }

    /// Returns the step that the entries require; `None` when the slot may poll for more. Without
    /// `may_start` the claimed entries go back. With `quick` the entries that are done may wait for
    /// more to be settled with.
    pub(super) fn next(&mut self, may_start: bool, quick: bool) -> Option<SlotStep> {
        if !self.by_job.is_empty() {
            return Some(SlotStep::Settle(std::mem::take(&mut self.by_job)));
        }
        let settled = self.done.is_empty();
        let moves = self.ended.is_some() || (!self.claimed.is_empty() && !may_start);
        if moves && !settled {
            // Earlier jobs of the slot are settled before a job moves anywhere.
            return Some(SlotStep::Poll { claim: 0 });
        }
        if moves {
            let behind = match self.ended.take() {
                // The entries that were claimed behind a job that blocks stay behind it.
                Some(ended) if !self.blocks(&ended) => return Some(SlotStep::Settle(vec![ended])),
                ended => ended.into_iter().collect(),
            };
            return Some(SlotStep::Release { behind, entries: std::mem::take(&mut self.claimed) });
        }
        let gathers = settled || (quick && self.done.len() < PollRequest::MAX_JOBS);
        if !gathers || self.claimed.front().is_some_and(|first| self.waits(first)) {
            return (!self.claimed.is_empty()).then_some(SlotStep::Poll { claim: 0 });
        }
        let entry = self.claimed.pop_front()?;
        self.running = match &entry {
            Entry::Job(claim) if self.order == OrderGuarantee::PerKey => Some(key(claim)),
            _ => None,
        };
        Some(SlotStep::Run(entry))
    }

    /// Returns true when the entry must not start before the entries that are done are settled:
    /// otherwise a crash could run an earlier job of the same key again after this job has started.
    fn waits(&self, entry: &Entry) -> bool {
        match (self.order, entry) {
            (OrderGuarantee::Strict, _) => !self.done.is_empty(),
            (OrderGuarantee::PerKey, Entry::Job(claim)) => {
                !self.keys.is_empty() && self.keys.contains(&key(claim))
            }
            _ => false,
        }
    }

    /// Returns true when no later job of the slot may start before this one runs again.
    fn blocks(&self, ended: &Settlement) -> bool {
        match ended.transition() {
            Transition::Ready { .. } => true,
            Transition::Later { .. } => self.placement == RetryPlacement::BlockSlot,
            _ => false,
        }
    }

    /// Records the end of the entry that ran. Returns true when the next poll can settle it.
    pub(super) fn ended(&mut self, settlement: Settlement) -> bool {
        let key = self.running.take();
        let plain = settlement.is_plain_completion();
        if plain {
            let (lane, entry) = settlement.entry();
            self.lane = lane;
            self.done.push(EntryId::clone(entry));
            self.completions.push(settlement);
            self.keys.extend(key);
        } else {
            self.ended = Some(settlement);
        }
        plain
    }

    /// Records that the entries that were done are settled.
    pub(super) fn settled(&mut self) {
        self.done.clear();
        self.completions.clear();
        self.keys.clear();
    }

    /// Settles the entries that are done before the next poll, with their jobs' ids compared.
    pub(super) fn settle_by_job(&mut self) {
        self.by_job.append(&mut self.completions);
        self.settled();
    }

    /// Records newly claimed entries.
    pub(super) fn claimed(&mut self, entries: Vec<Entry>) {
        self.claimed = entries.into();
    }
}

fn key(claim: &Claim) -> u64 {
    claim.envelope.key()
}
