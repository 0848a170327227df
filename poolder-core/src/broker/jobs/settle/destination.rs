//! The place to which a settlement moves its job.

use std::time::Duration;

use super::hold::Hold;
use super::op::SettleOp;
use super::settlement::RetryPlacement;
use crate::job::Lane;
use crate::policy::Counters;
use crate::policy::decide::{Return, Transition, Wait};
use crate::stored::{Death, head};

/// The place to which a settlement moves its job, with the counters of the job there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination<'a> {
    /// The job is removed.
    Gone,
    /// A lane of a shared queue.
    Lane(Lane, &'a Counters),
    /// The lane front or suspect of a limited queue, where the job keeps the permit of this group.
    Held(Lane, &'a Counters, &'a [u8]),
    /// The front lane of an addressed slot.
    SlotFront(&'a Counters),
    /// `due`, for this time; then the lane.
    Due(Duration, Lane, &'a Counters),
    /// The front of its group on a limited queue, where the group, or the queue, is held.
    Back(Hold<'a>, &'a Counters),
    /// The dead jobs. A revived job goes to the lane.
    Dead(Lane, &'a Counters),
}

impl<'a> Destination<'a> {
    /// Returns the destination on a shared queue of a job that was claimed from this lane.
    pub(super) fn on_shared_queue(transition: &'a Transition, claimed_from: Lane) -> Self {
        match transition {
            Transition::Complete
            | Transition::CompleteWith(_)
            | Transition::Cancel(_)
            | Transition::Expire => Self::Gone,
            Transition::Later { delay, counters, .. } => {
                Self::Due(*delay, counters.lane(), counters)
            }
            Transition::Ready { lane, counters, .. } => Self::Lane(*lane, counters),
            Transition::Bury { counters } => Self::Dead(counters.home(), counters),
            // The slot runs such a job again without a settlement. If a settlement has this
            // transition all the same, the job goes to the front or stays suspect, with its
            // counters.
            Transition::RunAgain(counters) if claimed_from == Lane::Suspect => {
                Self::Lane(Lane::Suspect, counters)
            }
            Transition::RunAgain(counters) => Self::Lane(Lane::Front, counters),
        }
    }

    /// Returns the destination on a limited queue of a job that holds a permit of this group. A job
    /// that waits for its time comes back through a lane from which it is put behind its group, a
    /// suspect as well; one of this cost that met a limit goes back at once.
    pub(super) fn on_limited_queue(
        self,
        transition: &Transition,
        group: &'a [u8],
        cost: u32,
    ) -> Self {
        let why = match transition {
            Transition::Later { why, .. } => Some(*why),
            _ => None,
        };
        let is_queue = why == Some(Wait::HoldQueue);
        match self {
            Self::Due(wait, _, counters) if is_queue || why == Some(Wait::HoldGroup) => {
                Self::Back(Hold { group, cost, wait, is_queue }, counters)
            }
            Self::Lane(lane @ (Lane::Front | Lane::Suspect), counters) => {
                Self::Held(lane, counters, group)
            }
            Self::Due(delay, _, counters) => Self::Due(delay, counters.home(), counters),
            other => other,
        }
    }

    /// Returns the destination in an addressed slot, which has only the lanes front and normal.
    pub(super) fn in_addressed_slot(transition: &'a Transition, retry: RetryPlacement) -> Self {
        match transition {
            Transition::Complete
            | Transition::CompleteWith(_)
            | Transition::Cancel(_)
            | Transition::Expire => Self::Gone,
            Transition::Later { delay, counters, .. } => match retry {
                RetryPlacement::BlockSlot => Self::SlotFront(counters),
                RetryPlacement::Reschedule => Self::Due(*delay, Lane::Normal, counters),
            },
            Transition::Ready { counters, .. } | Transition::RunAgain(counters) => {
                Self::SlotFront(counters)
            }
            Transition::Bury { counters } => Self::Dead(Lane::Normal, counters),
        }
    }

    /// Returns the operation that stores the job there; `None` for a job that is removed. `node`
    /// settles the job, and `raw` says that its entry is buried as it was found.
    pub(super) fn op(self, node: &str, raw: bool) -> Option<SettleOp<'a>> {
        Some(match self {
            Self::Gone => return None,
            Self::Lane(lane, counters) => SettleOp::ToLane { head: head(lane, counters) },
            Self::Held(lane, counters, group) => {
                SettleOp::ToLaneHeld { head: head(lane, counters), group }
            }
            Self::Back(hold, counters) => {
                SettleOp::ToGroup { head: head(counters.home(), counters), hold }
            }
            Self::SlotFront(counters) => {
                SettleOp::ToSlotFront { head: head(Lane::Front, counters) }
            }
            Self::Due(delay, lane, counters) => {
                SettleOp::ToDue { head: head(lane, counters), delay }
            }
            Self::Dead(lane, counters) => SettleOp::ToDead {
                death: Death::new(counters.reason(), node, raw).encode(),
                head: head(lane, counters),
            },
        })
    }
}

/// Returns the counter of the partition that a transition raises.
pub(super) fn counter(transition: &Transition) -> &'static str {
    match transition {
        Transition::Complete | Transition::CompleteWith(_) => "completed",
        Transition::Cancel(_) => "cancelled",
        Transition::Expire => "expired",
        Transition::Later { why: Wait::Retry, .. } | Transition::RunAgain(_) => "retried",
        Transition::Later { why: Wait::Snooze, .. } => "snoozed",
        Transition::Later { why: Wait::HoldGroup | Wait::HoldQueue, .. } => "limited",
        Transition::Later { why: Wait::UnknownKind, .. } => "not_for_us",
        Transition::Ready { why: Return::Rescue, .. } => "rescued",
        Transition::Ready { why: Return::Release, .. } => "handed_back",
        Transition::Bury { .. } => "buried",
    }
}
