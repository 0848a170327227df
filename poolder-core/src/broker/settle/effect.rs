//! What else happens in the step that settles a job: all of it, or nothing when the claim is lost.

use std::time::Duration;

use super::Settlement;
use crate::decide::Transition;
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

/// The effects of a settlement, the one of its transition included.
pub(super) fn spell(settlement: &Settlement, keys: &PartitionKeys) -> Vec<Spelled> {
    let job = settlement.job_id();
    let result = match &settlement.transition {
        Transition::CompleteWith(result) => Some(keep_result(keys, job, result)),
        _ => None,
    };
    let others = settlement.effects.iter().map(|effect| match effect {
        Effect::KeepResult(result) => keep_result(keys, job, result),
    });
    result.into_iter().chain(others).collect()
}

fn keep_result(keys: &PartitionKeys, job: JobId, result: &[u8]) -> Spelled {
    Spelled {
        name: "set",
        keys: vec![keys.result(job)],
        value: result.to_vec(),
        millis: clamped_millis(RESULT_KEPT),
    }
}
