//! Encodes the effects that `move.lua` applies together with a settlement: all of them, or none
//! when the claim is lost.

use std::time::Duration;

use super::settlement::{Effect, RetryPlacement, Settlement};
use crate::broker::keys::{PartitionKeys, ScheduleKeys};
use crate::job::{Failure, JobId, Lane, clamped_millis};
use crate::policy::Counters;
use crate::policy::decide::{CANCELLED_ON_REQUEST, Transition, Wait};
use crate::stored::{Completion, Death, head};

/// The retention of a result when the enqueue did not ask for a completion record.
const RESULT_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// An effect as `move.lua` takes it.
pub(super) struct EncodedEffect {
    pub(super) name: &'static str,
    /// The keys of the effect, in the order in which the script takes them.
    pub(super) keys: Vec<String>,
    pub(super) value: Vec<u8>,
    pub(super) millis: i64,
}

/// Returns the effects of a settlement, including those that follow from its transition.
pub(super) fn encode(settlement: &Settlement, keys: &PartitionKeys) -> Vec<EncodedEffect> {
    let job = settlement.job_id();
    let hold = settlement.addressed.as_ref().and_then(|addressed| {
        let Transition::Later { delay, .. } = &settlement.transition else { return None };
        (addressed.retry == RetryPlacement::BlockSlot).then(|| EncodedEffect {
            name: "hold_slot",
            keys: vec![keys.lease.clone()],
            value: vec![],
            millis: clamped_millis(*delay),
        })
    });
    let entries = settlement.effects.iter().map(|effect| match effect {
        Effect::KeepEntries(part) => {
            let batcher = settlement.batcher.as_deref().unwrap_or_default();
            let rest = keys.batch_rest(job, part);
            let keys = vec![keys.batch_sealed(job), keys.batcher(batcher), rest];
            EncodedEffect { name: "batch_keep_rest", keys, value: vec![], millis: 0 }
        }
        Effect::BuryEntries { part, id, failure } => {
            bury_entries(settlement, keys, (part, *id), failure)
        }
    });
    // The effect on the sealed list comes after those on entries, which read the list.
    let list = settlement.batcher.as_deref().and_then(|batcher| {
        let (name, value) = match settlement.transition {
            Transition::Complete | Transition::CompleteWith(_) => ("batch_done", "done"),
            Transition::Cancel(_) => ("batch_done", ""),
            Transition::Bury { .. } => ("batch_dead", ""),
            _ => return None,
        };
        let keys = vec![keys.batch_sealed(job), keys.batcher(batcher)];
        Some(EncodedEffect { name, keys, value: value.into(), millis: 0 })
    });
    let count = settlement.batcher.as_deref().map(|batcher| {
        let counter = match &settlement.transition {
            Transition::Complete | Transition::CompleteWith(_) => "completed",
            Transition::Cancel(_) => "cancelled",
            Transition::Bury { .. } => "buried",
            Transition::Later { why: Wait::Retry, .. } | Transition::RunAgain(_) => "retried",
            // A batch that was snoozed, rescued or released is not counted.
            Transition::Later { .. } | Transition::Ready { .. } => "",
        };
        let keys = vec![keys.batcher(batcher)];
        EncodedEffect { name: "batch_count", keys, value: counter.into(), millis: 0 }
    });
    let schedule = settlement.subject.alone.as_ref().map(|schedule| {
        let ends = settlement.transition.ends();
        schedule_done(keys, job, schedule, ends)
    });
    let ends = completion_of(settlement, keys).into_iter().chain(schedule);
    ends.chain(hold).chain(entries).chain(list).chain(count).collect()
}

/// Returns the effect that writes the completion record, if one is kept.
fn completion_of(settlement: &Settlement, keys: &PartitionKeys) -> Option<EncodedEffect> {
    let (name, end) = match &settlement.transition {
        Transition::Complete => ("completion", Completion::Done),
        Transition::CompleteWith(result) => ("completion", Completion::DoneWith(result.clone())),
        Transition::Cancel(reason) => ("completion", Completion::Cancelled(reason.clone())),
        Transition::Bury { counters } => ("completion", Completion::Dead(counters.reason())),
        // The job goes on, unless it was cancelled meanwhile.
        Transition::Later { .. } | Transition::Ready { .. } | Transition::RunAgain(_) => {
            ("completion_if_cancelled", Completion::Cancelled(CANCELLED_ON_REQUEST.into()))
        }
    };
    let job = settlement.job_id();
    match (settlement.completion_kept, &end) {
        (Some(kept), _) => Some(record(name, keys, job, &end, kept)),
        // The enqueue asked for no completion record, so no hint is published.
        (None, Completion::DoneWith(_)) => {
            Some(record("result", keys, job, &end, RESULT_RETENTION))
        }
        (None, _) => None,
    }
}

/// Encodes an effect that writes a completion record, kept for at least 1 ms.
fn record(
    name: &'static str,
    keys: &PartitionKeys,
    job: JobId,
    end: &Completion,
    kept: Duration,
) -> EncodedEffect {
    let millis = clamped_millis(kept).max(1);
    EncodedEffect { name, keys: vec![keys.result(job)], value: end.encode(), millis }
}

/// Encodes the burial of the entries of a part as a dead batch with the id `id`.
fn bury_entries(
    settlement: &Settlement,
    keys: &PartitionKeys,
    (part, id): (&str, JobId),
    failure: &Failure,
) -> EncodedEffect {
    let node = settlement.owner.as_ref().to_owned();
    let death = Death { failure: failure.clone(), node, raw: false };
    let mut counters = Counters::starting_in(Lane::Normal);
    counters.last_failure = Some(failure.clone());
    let mut value = id.as_bytes().to_vec();
    value.extend(death.encode());
    value.extend(head(Lane::Normal, &counters));
    let batcher = keys.batcher(settlement.batcher.as_deref().unwrap_or_default());
    let rest = keys.batch_rest(settlement.job_id(), part);
    let keys = vec![rest, keys.batch_sealed(id), batcher];
    EncodedEffect { name: "batch_bury_part", keys, value, millis: 0 }
}

/// Encodes the end of the running job of a schedule whose jobs must not overlap. The job ends by
/// this settlement if `ends` is true, else only if it was cancelled meanwhile.
fn schedule_done(keys: &PartitionKeys, job: JobId, schedule: &str, ends: bool) -> EncodedEffect {
    let ScheduleKeys { running, queued, .. } = &keys.schedules;
    EncodedEffect {
        name: "schedule_done",
        keys: vec![running.clone(), queued.clone()],
        value: [job.as_bytes(), schedule.as_bytes()].concat(),
        millis: i64::from(ends),
    }
}
