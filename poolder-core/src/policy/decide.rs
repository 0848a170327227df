//! The decision about a job whose claim has ended. All such decisions are made here, for slots and
//! for the rescue alike, without I/O and without reading a clock.

use std::time::Duration;

use crate::job::{Cause, Failure, Lane, Outcome, Policy, Verdict};
use crate::mutation::mutated;
use crate::policy::{Counters, Facts};

/// The reason recorded for a job that did not start in time.
pub(crate) const EXPIRED: &str = "expired: it did not start in time";

/// The reason recorded for a job that was cancelled by a request.
pub(crate) const CANCELLED_ON_REQUEST: &str = "cancelled on request";

/// The end of a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// The handler returned an outcome.
    Outcome(Outcome),
    /// The attempt failed; `handle_error` returned the verdict.
    Failed(Failure, Verdict),
    /// This node has no worker for the kind, or only for older versions of it.
    UnknownKind,
    /// The node released the job before it was finished, for example at its shutdown.
    Released,
    /// The job was cancelled by a request, and it has been stopped or was not started.
    Cancelled,
    /// The job was not started, since the time was over within which it had to start.
    Expired,
    /// The node died; the text is its name.
    Crashed(String),
}

/// The next step of a job. The broker applies the transition only while the claim is still held by
/// the node that ran the job.
#[derive(Debug, Clone, PartialEq)]
pub enum Transition {
    /// The job is done: it is removed and counted.
    Complete,
    /// The job is done: it is removed and counted, and the handler's result is kept.
    CompleteWith(Vec<u8>),
    /// The same slot runs the job again at once.
    RunAgain(Counters),
    /// The job waits in `due`.
    Later {
        /// The time to wait, counted from when the server executes the transition.
        delay: Duration,
        /// The new counters of the job.
        counters: Counters,
        /// The reason why the job waits.
        why: Wait,
    },
    /// The job returns to a ready lane.
    Ready {
        /// The lane.
        lane: Lane,
        /// The new counters of the job.
        counters: Counters,
        /// The reason why the job returns.
        why: Return,
    },
    /// The job is kept among the dead.
    Bury {
        /// The new counters of the job; their last failure is the reason.
        counters: Counters,
    },
    /// The job was cancelled for this reason: it is removed.
    Cancel(String),
    /// The job did not start in time: it is removed as one that was cancelled.
    Expire,
}

impl Transition {
    /// Returns true when the job will not run again by itself.
    #[must_use]
    pub fn ends(&self) -> bool {
        match self {
            Self::Complete
            | Self::CompleteWith(_)
            | Self::Bury { .. }
            | Self::Cancel(_)
            | Self::Expire => true,
            Self::RunAgain(_) | Self::Later { .. } | Self::Ready { .. } => false,
        }
    }

    /// Returns the reason for which the job is removed without being done; `None` for other
    /// transitions.
    #[must_use]
    pub fn cancellation(&self) -> Option<&str> {
        match self {
            Self::Cancel(reason) => Some(reason),
            Self::Expire => Some(EXPIRED),
            _ => None,
        }
    }

    /// Returns true when the job is done.
    #[must_use]
    pub fn completes(&self) -> bool {
        matches!(self, Self::Complete | Self::CompleteWith(_))
    }
}

/// The reason why a job waits in `due`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// An attempt failed.
    Retry,
    /// The handler snoozed the job.
    Snooze,
    /// The attempt met a limit of another system, and the group of the job is held.
    HoldGroup,
    /// The attempt met a limit of another system, and the queue is held.
    HoldQueue,
    /// This node has no worker for the kind or its version; another node may have one.
    UnknownKind,
}

/// The reason why a job returns to a ready lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    /// The node that held the job died.
    Rescue,
    /// The node that held the job released it.
    Release,
}

/// Returns the next step of a job whose claim has ended in this way, under these circumstances.
#[must_use]
pub fn decide(
    policy: &Policy,
    counters: &Counters,
    ending: Ending,
    facts: Facts<'_>,
) -> Transition {
    match ending {
        // The slot has run the callbacks and noted that it or its pool stops: the job is done.
        Ending::Outcome(
            Outcome::Done | Outcome::Callbacks(_) | Outcome::StopSlot | Outcome::StopPool,
        ) => Transition::Complete,
        Ending::Outcome(Outcome::DoneWith(result)) => Transition::CompleteWith(result),
        Ending::Outcome(Outcome::Cancel(reason)) => Transition::Cancel(reason),
        Ending::Cancelled => Transition::Cancel(CANCELLED_ON_REQUEST.into()),
        Ending::Expired => Transition::Expire,
        Ending::Outcome(Outcome::Snooze(delay)) => {
            Transition::Later { delay, counters: counters.returned(), why: Wait::Snooze }
        }
        Ending::Outcome(Outcome::Limited(limited)) => {
            if counters.limited() >= limited.at_most {
                let why = format!("{limited}, {} times in a row before", limited.at_most);
                let failure = Failure::new(Cause::Error, why);
                return failed(policy, &counters.failed(failure, facts), Verdict::Policy, facts);
            }
            Transition::Later {
                delay: limited.wait,
                counters: counters.met_limit(),
                why: if limited.is_queue { Wait::HoldQueue } else { Wait::HoldGroup },
            }
        }
        Ending::Failed(failure, verdict) => {
            failed(policy, &counters.failed(failure, facts), verdict, facts)
        }
        Ending::UnknownKind => Transition::Later {
            delay: unknown_kind_delay(counters.deliveries),
            counters: counters.returned(),
            why: Wait::UnknownKind,
        },
        // A released job has waited once already: it goes to the front, a suspect to its lane.
        Ending::Released => Transition::Ready {
            lane: if counters.is_suspect() { Lane::Suspect } else { Lane::Front },
            counters: counters.returned(),
            why: Return::Release,
        },
        Ending::Crashed(node) => {
            let was_suspect = counters.is_suspect();
            let crash = counters.crashes.saturating_add(1);
            let message = format!("node {node} died while it ran (crash {crash})");
            let counters = counters
                .crashed(Failure::new(Cause::Crash, message), Facts { node: &node, ..facts });
            if was_suspect && crash >= policy.crashes && !mutated("crash-limit") {
                return Transition::Bury { counters };
            }
            let lane = if counters.is_suspect() { Lane::Suspect } else { Lane::Front };
            Transition::Ready { lane, counters, why: Return::Rescue }
        }
    }
}

fn failed(policy: &Policy, counters: &Counters, verdict: Verdict, facts: Facts<'_>) -> Transition {
    let delay = match verdict {
        Verdict::Halt => return Transition::Bury { counters: counters.returned() },
        Verdict::RetryNow => Duration::ZERO,
        Verdict::Backoff(delay) => delay,
        Verdict::Policy => policy.backoff.delay(counters.failures, facts.jitter),
    };
    let too_late = policy
        .retry_for
        .zip(counters.first_failed())
        .is_some_and(|(window, first)| facts.now + delay > first + window);
    if counters.failures >= policy.attempts || too_late {
        return Transition::Bury { counters: counters.returned() };
    }
    if verdict == Verdict::RetryNow {
        return Transition::RunAgain(counters.clone());
    }
    Transition::Later { delay, counters: counters.returned(), why: Wait::Retry }
}

/// Returns the wait of a job for which this node has no worker: 1 s, 2 s, 4 s … at most 60 s,
/// doubled with each delivery. The wait is long enough not to keep the queue busy, and short enough
/// for the job to be claimed soon after a deploy that brings the worker.
fn unknown_kind_delay(deliveries: u64) -> Duration {
    let doublings = u32::try_from(deliveries.min(6)).unwrap_or(6);
    Duration::from_secs(1 << doublings).min(Duration::from_secs(60))
}

#[cfg(test)]
mod tests;
