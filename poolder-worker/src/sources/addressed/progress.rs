//! What the service of a slot remembers from turn to turn: what it has claimed and what it has yet
//! to settle.

use std::collections::VecDeque;
use std::time::Duration;

use poolder_core::broker::{PollRequest, SlotWait};
use poolder_core::{Claim, Entry, EntryId, Lane};
use tokio::time::Instant;

use crate::process::limits::FIRST_PAUSE;

/// What is done waits no longer than this for more to be settled with, and only jobs that are
/// quicker are claimed several at a time.
const QUICK: Duration = Duration::from_millis(2);

/// Which jobs of a slot must not start before another's end is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderGuarantee {
    /// None.
    Unordered,
    /// Those of its key.
    PerKey,
    /// All.
    Strict,
}

pub(super) struct SlotProgress {
    order: OrderGuarantee,
    /// Claimed, and run one by one: more than one only while they take no time.
    pub(super) claimed: VecDeque<Entry>,
    /// Done, but not settled yet; and their keys, where the order of those counts.
    pub(super) done: Vec<EntryId>,
    pub(super) lane: Lane,
    keys: Vec<u64>,
    /// When the last turn was, and how many jobs it could claim.
    pub(super) turned: Instant,
    batch: usize,
    /// What was claimed last took next to no time.
    quick: bool,
    /// A reply was lost: we may hold what we do not know.
    pub(super) look: bool,
    /// The last ids of the lanes, while all that came since they were told was claimed here.
    last: Option<[EntryId; 2]>,
    pub(super) pause: Duration,
    pub(super) wait: Option<SlotWait>,
    /// The generation, and since when it is known here.
    pub(super) generation: (u64, Instant),
    pub(super) drained: bool,
    /// Nothing waited for its time when it was last looked at.
    pub(super) nothing_due: bool,
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
            turned: Instant::now(),
            batch: 0,
            quick: false,
            look: false,
            last: None,
            pause: FIRST_PAUSE,
            wait: None,
            generation: (0, Instant::now()),
            drained: false,
            nothing_due: false,
            retired: false,
        }
    }

    /// How many jobs to claim: twice as many as before while that took next to no time.
    pub(super) fn next_batch(&mut self) -> usize {
        self.batch = match self.quick && self.order != OrderGuarantee::Strict {
            true => (self.batch * 2).clamp(1, PollRequest::MOST),
            false => 1,
        };
        self.batch
    }

    /// The next job, unless what is done must be settled first: a crash must never lead back
    /// behind a job of the same key that has started.
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

    /// The key to note when this job is done.
    pub(super) fn key(&self, claim: &Claim) -> Option<u64> {
        (self.order == OrderGuarantee::PerKey).then(|| claim.envelope.key())
    }

    /// A job is done, and is settled later.
    pub(super) fn note_done(&mut self, lane: Lane, entry: EntryId, key: Option<u64>) {
        // One turn claims from one lane.
        self.lane = lane;
        self.done.push(entry);
        self.keys.extend(key);
        self.quick = self.turned.elapsed() < QUICK;
    }

    /// What was done is settled.
    pub(super) fn settled(&mut self) {
        self.done.clear();
        self.keys.clear();
        self.turned = Instant::now();
    }

    /// True while what is done may wait for more.
    pub(super) fn goes_on(&self) -> bool {
        let early = self.done.len() < PollRequest::MOST && self.quick;
        !self.claimed.is_empty() && (self.done.is_empty() || early)
    }

    /// These were claimed, and are all that was there up to them.
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

    /// True when the server need not find out the last ids.
    pub(super) fn knows_last(&self) -> bool {
        self.last.is_some() && !self.look
    }

    /// Nothing is there; the ids after which something new comes.
    pub(super) fn empty(&mut self, told: Option<[EntryId; 2]>) -> [EntryId; 2] {
        if told.is_some() {
            self.last = told;
        }
        self.last.clone().unwrap_or_else(|| ["0-0".into(), "0-0".into()])
    }

    /// What is in the lanes is not known any more.
    pub(super) fn doubt(&mut self) {
        (self.look, self.last) = (true, None);
    }
}
