//! What else happens in the step that settles a job: all of it, or nothing when the claim is lost.

use std::time::Duration;

use super::Settlement;
use crate::decide::{ORDERED, Transition};
use crate::end::End;
use crate::job::JobId;
use crate::keys::PartitionKeys;
use crate::time::clamped_millis;

/// How long a result is kept.
const RESULT_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Something that happens in the same step as a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Keeps what the handler returned, for 24 hours.
    KeepResult(Vec<u8>),
}

/// An effect in the words of `move.lua`.
pub(super) struct Spelled {
    pub(super) name: &'static str,
    /// The keys it touches, in the order in which the script takes them.
    pub(super) keys: Vec<String>,
    pub(super) value: Vec<u8>,
    pub(super) millis: i64,
}

/// The effects of a settlement, those of its transition included.
pub(super) fn spell(settlement: &Settlement, keys: &PartitionKeys) -> Vec<Spelled> {
    let job = settlement.job_id();
    let others = settlement.effects.iter().map(|effect| match effect {
        Effect::KeepResult(result) => {
            record("set", keys, job, &End::DoneWith(result.clone()), RESULT_KEPT)
        }
    });
    end_of(settlement, keys).into_iter().chain(others).collect()
}

/// The record of the end, when there is one to be kept.
fn end_of(settlement: &Settlement, keys: &PartitionKeys) -> Option<Spelled> {
    let (name, end) = match &settlement.transition {
        Transition::Complete => ("end", End::Done),
        Transition::CompleteWith(result) => ("end", End::DoneWith(result.clone())),
        Transition::Cancel(reason) => ("end", End::Cancelled(reason.clone())),
        Transition::Bury { counters } => ("end", End::Dead(counters.reason())),
        // It goes on, unless it was cancelled meanwhile.
        Transition::Later { .. } | Transition::Ready { .. } | Transition::RunAgain(_) => {
            ("stop", End::Cancelled(ORDERED.into()))
        }
    };
    let job = settlement.job_id();
    match (settlement.end_kept, &end) {
        (Some(kept), _) => Some(record(name, keys, job, &end, kept)),
        // Nobody said that they would wait, so nobody is told.
        (None, End::DoneWith(_)) => Some(record("set", keys, job, &end, RESULT_KEPT)),
        (None, _) => None,
    }
}

fn record(
    name: &'static str,
    keys: &PartitionKeys,
    job: JobId,
    end: &End,
    kept: Duration,
) -> Spelled {
    let millis = clamped_millis(kept).max(1);
    Spelled { name, keys: vec![keys.result(job)], value: end.encode(), millis }
}
