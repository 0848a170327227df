//! The state that the service of a slot keeps between polls: the entries that it has claimed, and
//! those that it has yet to settle.

use std::collections::VecDeque;
use std::time::Duration;

use poolder_core::broker::{PollRequest, SlotWait};
use poolder_core::policy::Pauses;
use poolder_core::{Claim, Entry, EntryId, Lane};
use tokio::time::Instant;

use crate::process::limits::request_pauses;

/// Only jobs faster than this are claimed several at a time. The completions of such jobs wait no
/// longer than this to be settled together.
const QUICK: Duration = Duration::from_millis(2);

/// Which jobs of a slot must not start before the completion of an earlier job is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderGuarantee {
    /// No jobs.
    Unordered,
    /// Jobs of the same key.
    PerKey,
    /// All jobs.
    Strict,
}

pub(super) struct SlotProgress {
    order: OrderGuarantee,
    /// Claimed entries, which are run one by one. More than one only while jobs take next to no
    /// time.
    pub(super) claimed: VecDeque<Entry>,
    /// Entries that are done, but not settled yet.
    pub(super) done: Vec<EntryId>,
    pub(super) lane: Lane,
    /// The keys of the jobs that are done, where the order of keys counts.
    keys: Vec<u64>,
    /// When the last poll was answered.
    pub(super) polled_at: Instant,
    /// How many jobs the last poll could claim.
    batch: usize,
    /// True when the jobs that were claimed last took next to no time.
    quick: bool,
    /// True after a lost reply: this node may hold entries that it does not know.
    pub(super) look: bool,
    /// The last ids of the front and the normal lane, as long as all entries added since the server
    /// reported them were claimed here.
    last: Option<[EntryId; 2]>,
    pub(super) pauses: Pauses,
    pub(super) wait: Option<SlotWait>,
    /// The pool's generation, and since when it is known here.
    pub(super) generation: (u64, Instant),
    /// True once the slot was reported as drained in this generation.
    pub(super) drained: bool,
    /// True when the last check found no job in `due`.
    pub(super) nothing_due: bool,
    /// True once the slot was reported as retired in this generation.
    pub(super) retired: bool,
}

impl SlotProgress {
    pub(super) fn new(order: OrderGuarantee) -> Self {
        Self {
            order,
            claimed: VecDeque::new(),
            done: vec![],
            lane: Lane::Normal,
            keys: vec![],
            polled_at: Instant::now(),
            batch: 0,
            quick: false,
            look: false,
            last: None,
            pauses: request_pauses(),
            wait: None,
            generation: (0, Instant::now()),
            drained: false,
            nothing_due: false,
            retired: false,
        }
    }

    /// Returns how many jobs to claim: twice as many as before, at most [`PollRequest::MAX_JOBS`],
    /// while jobs take next to no time, otherwise one.
    pub(super) fn next_batch(&mut self) -> usize {
        self.batch = match self.quick && self.order != OrderGuarantee::Strict {
            true => (self.batch * 2).clamp(1, PollRequest::MAX_JOBS),
            false => 1,
        };
        self.batch
    }

    /// Returns the next entry, unless entries that are done must be settled first: otherwise a
    /// crash could run an earlier job of the same key again after this job has started.
    pub(super) fn next(&mut self) -> Option<Entry> {
        match self.claimed.front() {
            Some(Entry::Job(claim)) if self.waits(claim) => None,
            _ => self.claimed.pop_front(),
        }
    }

    fn waits(&self, claim: &Claim) -> bool {
        match self.order {
            OrderGuarantee::Unordered => false,
            OrderGuarantee::PerKey => {
                !self.keys.is_empty() && self.keys.contains(&claim.envelope.key())
            }
            OrderGuarantee::Strict => !self.done.is_empty(),
        }
    }

    /// Returns the key to note when this job is done; `None` when the order of keys does not count.
    pub(super) fn key(&self, claim: &Claim) -> Option<u64> {
        (self.order == OrderGuarantee::PerKey).then(|| claim.envelope.key())
    }

    /// Notes that a job is done; it is settled later.
    pub(super) fn note_done(&mut self, lane: Lane, entry: EntryId, key: Option<u64>) {
        // All entries of one poll come from one lane.
        self.lane = lane;
        self.done.push(entry);
        self.keys.extend(key);
        self.quick = self.polled_at.elapsed() < QUICK;
    }

    /// Notes that the entries that were done are settled.
    pub(super) fn settled(&mut self) {
        self.done.clear();
        self.keys.clear();
        self.polled_at = Instant::now();
    }

    /// Returns true while the entries that are done may wait for more to be settled with.
    pub(super) fn goes_on(&self) -> bool {
        let early = self.done.len() < PollRequest::MAX_JOBS && self.quick;
        !self.claimed.is_empty() && (self.done.is_empty() || early)
    }

    /// Records newly claimed entries. They are contiguous: no older entry of this lane is
    /// unclaimed.
    pub(super) fn note_claimed(&mut self, entries: Vec<Entry>) {
        if let (Some(last), Some(newest)) = (&mut self.last, entries.last()) {
            let (lane, id) = match newest {
                Entry::Job(claim) => (claim.lane, &claim.entry),
                Entry::Undecodable(found) => (found.lane, &found.entry),
            };
            last[usize::from(lane != Lane::Front)] = EntryId::clone(id);
        }
        (self.claimed, self.quick) = (entries.into(), false);
    }

    /// Returns true when the server need not report the last ids.
    pub(super) fn knows_last(&self) -> bool {
        self.last.is_some() && !self.look
    }

    /// Notes that the lanes are empty. Returns the last ids of the lanes, after which new entries
    /// come.
    pub(super) fn empty(&mut self, last_ids: Option<[EntryId; 2]>) -> [EntryId; 2] {
        if last_ids.is_some() {
            self.last = last_ids;
        }
        self.last.clone().unwrap_or_else(|| ["0-0".into(), "0-0".into()])
    }

    /// Notes that the contents of the lanes are no longer known.
    pub(super) fn doubt(&mut self) {
        (self.look, self.last) = (true, None);
    }
}
