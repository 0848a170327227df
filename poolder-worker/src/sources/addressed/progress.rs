//! The state machine of a slot: decides the next step from the results of the steps before. It
//! neither reads a clock nor asks the server.

use std::collections::HashSet;
use std::time::Duration;

use poolder_core::Entry;
use poolder_core::broker::{PollRequest, Report, RetryPlacement, Settlement, SlotPoll};
use poolder_core::mutation::mutated;
use poolder_core::policy::dispatch::Mode;
use tokio::time::Instant;

use super::drain_reports::DrainReports;
use super::known_lanes::KnownLanes;
use super::pacing::Pacing;
use super::pending::{OrderGuarantee, Pending};
use super::slot_context::HoldEnd;
use super::step::{SlotFacts, SlotStep};
use crate::process::limits::LONGEST_PAUSE;
use crate::run::mailbox::EntryKey;

/// How often the slot polls while its front waits for a retry, which operators may end.
const HOLD_INTERVAL: Duration = Duration::from_secs(1);
/// How often the slot polls while other slots drain.
const DRAIN_INTERVAL: Duration = Duration::from_millis(250);

/// The reason why the last poll claimed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standstill {
    /// The job at the front waits this long for its next attempt.
    Hold(Duration),
    /// Other slots have yet to run the jobs from before the last resize.
    Resize,
    /// The lanes are empty.
    Empty,
}

/// The state of a slot between its steps.
#[derive(Debug)]
pub(super) struct SlotProgress {
    pending: Pending,
    pacing: Pacing,
    lanes: KnownLanes,
    reports: DrainReports,
    /// Entries that cannot be settled. The server still holds them for this node.
    given_up: HashSet<EntryKey>,
    /// The reason why the last poll claimed nothing, until the slot has acted on it.
    standstill: Option<Standstill>,
    /// True once the server has replied that operators have stopped the slot.
    stopped: bool,
    /// True once the server has replied that this node no longer holds the slot.
    lost: bool,
    /// The number of polls that failed: any of them may still reach the server.
    lost_polls: u64,
}

impl SlotProgress {
    pub(super) fn new(mode: Mode, placement: RetryPlacement, now: Instant) -> Self {
        let order = OrderGuarantee::of(mode, placement);
        let most = if order == OrderGuarantee::Strict { 1 } else { PollRequest::MAX_JOBS };
        Self {
            pending: Pending::new(order, placement),
            pacing: Pacing::new(most, now),
            lanes: KnownLanes::new(now),
            reports: DrainReports::new(now),
            given_up: HashSet::new(),
            standstill: None,
            stopped: false,
            lost: false,
            lost_polls: 0,
        }
    }

    /// Returns the next step. Report its result before the next call.
    pub(super) fn next(&mut self, facts: &SlotFacts) -> SlotStep {
        if self.lost || facts.lost {
            return SlotStep::End(HoldEnd::Lost);
        }
        self.lanes.audit(facts.now);
        if self.reports.follow(facts) {
            self.standstill = None;
        }
        if let Some(pause) = self.pacing.take_pause() {
            return SlotStep::Pause(pause);
        }
        // The mutation `slot-by-job` leaves out this guard and that of the script.
        if self.lanes.look() && !mutated("slot-by-job") {
            // A poll that completes by ids might complete a job that this node does not know: one
            // that it has claimed from a server with another history, by a poll whose reply was
            // lost.
            self.pending.settle_by_job();
        }
        let leaving = facts.leaving || facts.stopped || self.stopped;
        let may_start = facts.permitted && !leaving;
        if let Some(step) = self.pending.next(may_start, self.pacing.is_quick()) {
            return step;
        }
        if may_start {
            return self.next_claim(facts);
        }
        let (done, _) = self.pending.done();
        match (done.is_empty(), leaving) {
            (false, _) => SlotStep::Poll { claim: 0 },
            (true, true) if facts.stopped => SlotStep::End(HoldEnd::Stopped),
            // A slot that operators have stopped is left, so that it is free when they start it
            // again.
            (true, true) => SlotStep::End(HoldEnd::Left),
            (true, false) => {
                self.stand_still(None);
                SlotStep::Pause(LONGEST_PAUSE)
            }
        }
    }

    /// Returns the next step of a slot that holds no claimed entry and may claim.
    fn next_claim(&mut self, facts: &SlotFacts) -> SlotStep {
        let Some(standstill) = self.standstill else {
            return SlotStep::Poll { claim: self.pacing.next_batch() };
        };
        let report = match standstill {
            Standstill::Hold(_) => None,
            Standstill::Resize => self.reports.next(facts, false),
            Standstill::Empty => self.reports.next(facts, true),
        };
        if let Some(report) = report {
            return report;
        }
        self.standstill = None;
        match standstill {
            Standstill::Hold(time) => SlotStep::Pause(time.min(HOLD_INTERVAL)),
            Standstill::Resize => SlotStep::Pause(DRAIN_INTERVAL),
            Standstill::Empty => SlotStep::Wait(self.lanes.last()),
        }
    }

    /// Returns the request of [`SlotStep::Poll`].
    pub(super) fn request(&self, claim: usize) -> PollRequest<'_> {
        let ((complete, lane), (generation, open)) =
            (self.pending.done(), self.reports.generation());
        let (look, known) = (self.lanes.look(), self.lanes.knows_last());
        let lost = self.lost_polls;
        PollRequest { complete, lane, claim, look, generation, open, known, lost }
    }

    /// Returns when the last poll was answered.
    pub(super) fn polled_at(&self) -> Instant {
        self.pacing.polled_at()
    }

    /// Records the reply to [`SlotStep::Poll`].
    pub(super) fn polled(&mut self, claim: usize, reply: SlotPoll, now: Instant) {
        self.pending.settled();
        self.pacing.answered(now);
        if claim > 0 && !matches!(reply, SlotPoll::Found(_)) {
            self.lanes.found_all();
        }
        let standstill = match reply {
            SlotPoll::Hold(time) => Some(Standstill::Hold(time)),
            SlotPoll::Wait => Some(Standstill::Resize),
            SlotPoll::Empty(last) => {
                self.lanes.empty(last);
                Some(Standstill::Empty)
            }
            // The server reports the oldest entries only: until the lease ends, the slot does not
            // look for lost claims behind entries that were given up.
            SlotPoll::Found(mut entries) => {
                entries.retain(|entry| !self.has_given_up(entry));
                match entries.is_empty() {
                    true => self.lanes.found_all(),
                    false => self.claimed(entries),
                }
                None
            }
            SlotPoll::Claimed(entries) => {
                self.claimed(entries);
                None
            }
            SlotPoll::Idle => None,
            SlotPoll::Stopped => {
                self.stopped = true;
                None
            }
            SlotPoll::Lost => {
                self.lost = true;
                None
            }
        };
        self.stand_still(standstill);
    }

    fn claimed(&mut self, entries: Vec<Entry>) {
        self.lanes.claimed(&entries);
        self.pacing.claimed(entries.len(), entries.iter().map(Entry::bytes).sum());
        self.pending.claimed(entries);
    }

    /// Records that [`SlotStep::Poll`] failed, or its reply was lost. The next poll comes after a
    /// pause.
    pub(super) fn poll_failed(&mut self) {
        self.lanes.doubt();
        self.lost_polls += 1;
        self.stand_still(None);
        self.pacing.failed();
    }

    /// Records the end of [`SlotStep::Run`]: the settlement of the entry.
    pub(super) fn ran(&mut self, settlement: Settlement, now: Instant) {
        if self.pending.ended(settlement) {
            self.pacing.completed(now);
        }
    }

    /// Records entries that cannot be settled. They are not run again under this lease.
    pub(super) fn gave_up(&mut self, entries: Vec<EntryKey>) {
        self.given_up.extend(entries);
    }

    fn has_given_up(&self, entry: &Entry) -> bool {
        let (lane, entry) = entry.key();
        self.given_up.contains(&(lane, entry.clone()))
    }

    /// Records that the server has accepted a [`SlotStep::Report`].
    pub(super) fn reported(&mut self, report: Report) {
        self.reports.reported(report);
    }

    /// Records the result of [`SlotStep::CountDue`]; false also when the server did not answer.
    pub(super) fn counted(&mut self, nothing_due: bool) {
        if self.reports.counted(nothing_due) {
            self.standstill = None;
        }
    }

    fn stand_still(&mut self, reason: Option<Standstill>) {
        self.standstill = reason;
        self.reports.polled(reason == Some(Standstill::Empty));
    }
}

#[cfg(test)]
mod tests;
