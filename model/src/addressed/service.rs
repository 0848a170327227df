//! The service of a slot by a node: the claimed jobs and the next step. Names follow
//! `poolder-worker/src/sources/addressed` (`holder.rs`, `progress.rs`, `pending.rs`).

use poolder_core::Lane;

use super::few::Few;
use super::guards::{SlotGuard, SlotGuards};
use super::pool::{PoolRecord, Progress};
use super::scripts::{Held, Place, PollReply};
use super::slot::{List, MoveRecord, SlotNumber};
use crate::server::{Bits, Job, Name};

/// The service of a slot under a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Service {
    /// The node, and the term of its lease.
    pub lease: (Name, u8),
    /// How far the service is.
    pub stage: Stage,
    /// Claimed entries, in order.
    pub claimed: List<Held>,
    /// The job that runs.
    pub running: Option<Held>,
    /// The job that ran last, and its destination, if a poll cannot settle it.
    pub ended: Option<(Held, Place)>,
    /// The completed entries that the next poll settles.
    pub done: List<Held>,
    /// The pool, as it was read before the first claimed job, which comes from the front.
    pub read: Option<PoolRecord>,
    /// The move that the node makes.
    pub moving: Option<Moving>,
    /// The settlements that are sent until the server has answered them.
    pub settling: List<(Held, Place)>,
    /// True when the node may hold entries that it does not know.
    pub look: bool,
    /// The number of polls that failed.
    pub lost_polls: u8,
    /// Why the last poll claimed nothing.
    pub standstill: Option<Standstill>,
    /// The reports of the present generation that were accepted.
    pub reported: [bool; 2],
    /// The job whose move an earlier holder has recorded.
    pub resumes: Option<Job>,
    /// True when no job waited for its time after the last empty poll.
    pub nothing_due: bool,
}

/// A move that the node makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Moving {
    /// The job.
    pub held: Held,
    /// The slot to which the job belongs, as the node sees it.
    pub to: SlotNumber,
    /// The move, once it is recorded.
    pub plan: Option<MoveRecord>,
}

/// How far a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The consumers with entries are to be listed.
    List,
    /// The consumers of earlier holders with entries are to be listed once more.
    ListOthers,
    /// These consumers are to be rescued: pairs of lane and name.
    Rescue(Few<(Lane, Name), 4>),
    /// The entries of the first of these consumers are read.
    TakeBack(Few<(Lane, Name), 4>, List<Held>),
    /// The slot is served.
    Serve,
}

/// Why a poll claimed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standstill {
    /// Other slots drain.
    Resize,
    /// The lanes are empty.
    Empty,
}

/// The facts outside of a service that decide its next step.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The guards that are on.
    pub guards: SlotGuards,
    /// True when the node shall leave the slot.
    pub leaving: bool,
    /// True when the node may start jobs.
    pub permitted: bool,
    /// The pool, as the node knows it.
    pub view: &'a PoolRecord,
    /// True when the slot is beyond the size.
    pub beyond: bool,
    /// True when all producers know of the resize.
    pub known: bool,
    /// The most jobs that a poll claims.
    pub batch: u8,
    /// The jobs of the key that moves; jobs of the other key may run while these are not settled.
    pub staying: Bits,
}

/// The next step of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Rescue the jobs of earlier holders.
    Rescue,
    /// Go on with the move of a job.
    Move,
    /// Run this job, or move it.
    Run(Held),
    /// Settle these jobs, in order.
    Settle(List<(Held, Place)>),
    /// Poll, and claim at most this many jobs.
    Poll(u8),
    /// Report the progress of the slot.
    Report(Progress),
    /// Count the jobs that wait for their time.
    CountDue,
    /// Release the slot.
    Leave,
    /// Wait for the end of a job, or for a change.
    Wait,
}

impl Service {
    /// Returns the service of a slot that was just acquired.
    #[must_use]
    pub fn start(lease: (Name, u8)) -> Self {
        Self {
            lease,
            stage: Stage::List,
            claimed: List::default(),
            running: None,
            ended: None,
            done: List::default(),
            read: None,
            moving: None,
            settling: List::default(),
            look: false,
            lost_polls: 0,
            standstill: None,
            reported: [false; 2],
            resumes: None,
            nothing_due: false,
        }
    }

    /// Returns the next step, as `SlotProgress::next` does.
    #[must_use]
    pub fn next(&self, facts: &Facts<'_>) -> Next {
        if self.stage != Stage::Serve {
            return if facts.leaving { Next::Leave } else { Next::Rescue };
        }
        if !self.settling.is_empty() {
            return Next::Settle(self.settling);
        }
        if self.moving.is_some() {
            return Next::Move;
        }
        if self.running.is_some() {
            return Next::Wait;
        }
        if self.look && !self.done.is_empty() && facts.guards.has(SlotGuard::ByJob) {
            return Next::Settle(self.done.iter().map(|held| (held, Place::Gone)).collect());
        }
        let may_start = facts.permitted && !facts.leaving;
        if let Some(step) = self.next_of_claimed(facts, may_start) {
            return step;
        }
        if may_start {
            return self.next_claim(facts);
        }
        match (self.done.is_empty(), facts.leaving) {
            (false, _) => Next::Poll(0),
            (true, true) => Next::Leave,
            (true, false) => Next::Wait,
        }
    }

    /// Returns the step that the claimed entries require, as `Pending::next` does.
    fn next_of_claimed(&self, facts: &Facts<'_>, may_start: bool) -> Option<Next> {
        let moves = self.ended.is_some() || (!self.claimed.is_empty() && !may_start);
        if moves && !self.done.is_empty() {
            return Some(Next::Poll(0));
        }
        if moves {
            let blocks = |(_, place): &(Held, Place)| matches!(place, Place::Front { .. });
            let mut rows: List<_> = self.ended.into_iter().collect();
            // The entries that were claimed behind a job that blocks go back behind it.
            let behind = facts.guards.has(SlotGuard::Blocks) && self.ended.iter().all(blocks);
            if behind || self.ended.is_none() {
                let released = self.claimed.iter().map(|held| (held, RELEASED));
                released.for_each(|row| rows.push(row));
            }
            return Some(Next::Settle(rows));
        }
        let first = self.claimed.first()?;
        let same_key = |done: Held| is_staying(done.job, facts) == is_staying(first.job, facts);
        let waits = facts.guards.has(SlotGuard::KeyWaits) && self.done.iter().any(same_key);
        Some(if waits { Next::Poll(0) } else { Next::Run(first) })
    }

    /// Returns the step of a slot that holds no claimed entry and may claim.
    fn next_claim(&self, facts: &Facts<'_>) -> Next {
        let poll = Next::Poll(facts.batch);
        let Some(standstill) = self.standstill else { return poll };
        let known = facts.known || !facts.guards.has(SlotGuard::ResizeKnown);
        let again = facts.guards.has(SlotGuard::ReportAgain);
        let [drained, retired] = self.reported.map(|reported| reported && !again);
        if !facts.view.is_open() {
            return if drained { poll } else { Next::Report(Progress::Drained) };
        }
        if standstill != Standstill::Empty || !facts.beyond || retired || !known {
            return poll;
        }
        if self.nothing_due || !facts.guards.has(SlotGuard::NothingDue) {
            return Next::Report(Progress::Retired);
        }
        Next::CountDue
    }

    /// Records the reply to a poll.
    pub fn polled(&mut self, claim: u8, reply: &PollReply) {
        self.done.clear();
        if claim > 0 && !matches!(reply, PollReply::Found(_)) {
            self.look = false;
        }
        let standstill = match reply {
            PollReply::Wait => Some(Standstill::Resize),
            PollReply::Empty => Some(Standstill::Empty),
            PollReply::Claimed(claimed) | PollReply::Found(claimed) => {
                self.claimed = *claimed;
                None
            }
            _ => None,
        };
        self.stand_still(standstill);
    }

    /// Records that a poll failed.
    pub fn poll_failed(&mut self, guards: SlotGuards) {
        self.look = guards.has(SlotGuard::LookForClaims);
        self.lost_polls += 1;
        self.stand_still(None);
    }

    /// Sets why the last poll claimed nothing. A count of due jobs holds from one empty poll to the
    /// next.
    fn stand_still(&mut self, reason: Option<Standstill>) {
        self.standstill = reason;
        self.nothing_due &= reason == Some(Standstill::Empty);
    }

    /// Follows the pool from one view to the next.
    pub fn follow(&mut self, old: &PoolRecord, new: &PoolRecord) {
        if old.generation != new.generation {
            (self.reported, self.nothing_due) = ([false; 2], false);
        }
        if (old.generation, old.is_open()) != (new.generation, new.is_open()) {
            self.standstill = None;
        }
    }

    /// Records that a job is stored at the destination of its move.
    pub fn moved(&mut self, held: Held) {
        (self.moving, self.ended) = (None, Some((held, Place::Moved)));
    }

    /// Records that the server has answered settlements.
    pub fn settled(&mut self, rows: &List<(Held, Place)>) {
        self.settling.clear();
        let is_settled = |held: &Held| rows.iter().any(|(row, _)| row == *held);
        self.claimed.retain(|held| !is_settled(held));
        self.done.retain(|held| !is_settled(held));
        self.ended = self.ended.filter(|(held, _)| !is_settled(held));
    }
}

/// The destination of a job that was not started.
pub const RELEASED: Place = Place::Front { hold: false };

fn is_staying(job: Job, facts: &Facts<'_>) -> bool {
    facts.staying & crate::server::bit(job) != 0
}
