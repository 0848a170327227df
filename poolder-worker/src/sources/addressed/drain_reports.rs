//! The reports of a slot after a resize of its pool: that the slot has run the jobs from before the
//! resize, and that a slot beyond the pool's size is empty for good.

use std::time::Duration;

use poolder_core::broker::Report;
use tokio::time::Instant;

use super::step::{SlotFacts, SlotStep};

/// All producers know of a resize after this time at the latest.
const RESIZE_KNOWN_AFTER: Duration = Duration::from_secs(10);

/// A report that the server has accepted is repeated after this time, if it has had no effect: a
/// failover may undo the last writes of a server.
const REPEAT_AFTER: Duration = Duration::from_secs(10);

/// The reports of a slot about the present generation of its pool.
#[derive(Debug)]
pub(super) struct DrainReports {
    generation: u64,
    /// Since when the generation is known here.
    since: Instant,
    /// True when jobs stored in this generation may run.
    open: bool,
    /// When the slot was last reported as drained in this generation.
    drained: Option<Instant>,
    /// When the slot was last reported as retired in this generation.
    retired: Option<Instant>,
    /// True when no job waited for its time after the last empty poll.
    nothing_due: bool,
    /// When a report or a count was requested since the last poll.
    requested: Option<Instant>,
}

impl DrainReports {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            generation: 0,
            since: now,
            open: false,
            drained: None,
            retired: None,
            nothing_due: false,
            requested: None,
        }
    }

    /// Returns the pool's generation, and whether jobs stored in it may run.
    pub(super) fn generation(&self) -> (u64, bool) {
        (self.generation, self.open)
    }

    /// Follows the pool. Returns true when the last poll does not hold for the pool as it is now.
    pub(super) fn follow(&mut self, facts: &SlotFacts) -> bool {
        if (self.generation, self.open) == (facts.generation, facts.open) {
            return false;
        }
        if self.generation != facts.generation {
            let new = Self::new(facts.now);
            *self = Self { generation: facts.generation, ..new };
        }
        self.open = facts.open;
        true
    }

    /// Records the end of a poll. A count of the due jobs holds only from one empty poll to the
    /// next: a job that runs in between may be due again.
    pub(super) fn polled(&mut self, empty: bool) {
        self.requested = None;
        self.nothing_due &= empty;
    }

    /// Returns the request that a slot makes after a poll that found no job to run, at most one.
    /// `empty` is true when no job is left in the lanes.
    pub(super) fn next(&mut self, facts: &SlotFacts, empty: bool) -> Option<SlotStep> {
        if self.requested.is_some() {
            return None;
        }
        let known = facts.now.duration_since(self.since) >= RESIZE_KNOWN_AFTER;
        let reported =
            |at: Option<Instant>| at.is_some_and(|at| facts.now.duration_since(at) < REPEAT_AFTER);
        let step = if !self.open {
            (!reported(self.drained)).then_some(SlotStep::Report(Report::Drained, self.generation))
        } else if !empty || !facts.beyond || reported(self.retired) || !known {
            None
        } else if std::mem::take(&mut self.nothing_due) {
            Some(SlotStep::Report(Report::Retired, self.generation))
        } else {
            Some(SlotStep::CountDue)
        };
        self.requested = step.is_some().then_some(facts.now);
        step
    }

    /// Records a report that the server has accepted.
    pub(super) fn reported(&mut self, report: Report) {
        match report {
            Report::Drained => self.drained = self.requested,
            Report::Retired => self.retired = self.requested,
        }
    }

    /// Records whether jobs wait for their time. Returns true when another poll must show first
    /// that none of them came due before the count.
    pub(super) fn counted(&mut self, nothing_due: bool) -> bool {
        self.nothing_due = nothing_due;
        nothing_due
    }
}
