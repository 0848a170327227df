//! Turns the end of an attempt into its settlement.

use std::hash::{BuildHasher, Hasher, RandomState};

use poolder_core::broker::Settlement;
use poolder_core::policy::decide::{Ending, decide};
use poolder_core::{BoxError, Cause, Counters, Failure, Policy};

use super::context::Interruption;
use super::mailbox::Work;
use crate::process::liveness::ServerClock;

/// Returns the settlement of a claim that no slot has started.
pub(crate) fn unstarted(work: Work, ending: Ending, clock: &ServerClock) -> Settlement {
    let (policy, counters): (Policy, Counters) =
        (work.claim.envelope.policy(), work.claim.counters.clone());
    let transition = decide(&policy, &counters, ending, clock.now(), 0.0);
    Settlement::new(work.claim, work.owner, work.history, transition)
}

/// Returns how an interrupted attempt ends; `None` when the node has lost the job.
pub(super) fn given_up(why: Interruption) -> Option<Ending> {
    match why {
        Interruption::Shutdown => Some(Ending::Released),
        Interruption::Lost => None,
        Interruption::Cancelled => Some(Ending::Cancelled),
    }
}

/// Returns the failure that a handler gave as its error, or makes one of the error's text.
pub(super) fn failure_of(error: &BoxError) -> Failure {
    match error.downcast_ref::<Failure>() {
        Some(failure) => failure.clone(),
        None => Failure::new(Cause::Error, error.to_string()),
    }
}

/// Returns a random number from −1 to 1. The keys of the standard library's hash are random enough
/// to spread retries.
pub(super) fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX) * 2.0 - 1.0
}
