//! A job that was not found: whether it has ended, was cancelled, or never was.

use std::time::Duration;

use poolder_core::view::JobView;
use poolder_core::{Completion, Timestamp};

use crate::admin::explain::checks::Checks;
use crate::admin::explain::explanation::Why;
use crate::admin::words::{many, span, when};

/// The traces that were read of a job that was not found.
#[derive(Debug)]
pub(super) struct Traces {
    pub(super) now: Timestamp,
    /// The completion record.
    pub(super) record: Option<Completion>,
    /// The job, if its pool keeps finished ones.
    pub(super) finished: Option<JobView>,
    /// How long the receipt of an idempotent enqueue still counts.
    pub(super) receipt: Option<Duration>,
    pub(super) cancelled: Option<Timestamp>,
    /// True when a lane has more entries than were looked at.
    pub(super) is_partial: bool,
}

/// Answers the questions about a job that was not found.
pub(super) fn decide(traces: &Traces) -> Checks {
    let mut checks = Checks::default();
    let not_there = "it is neither in a lane, nor waiting for its time, nor among the dead";
    let ended = match &traces.record {
        Some(Completion::Done) => Some((Why::Done, "it is done".to_owned())),
        Some(Completion::DoneWith(result)) => {
            Some((Why::Done, format!("it is done, with a result of {} bytes", result.len())))
        }
        Some(Completion::Dead(failure)) => {
            Some((Why::Dead, format!("it died, and is no longer kept among the dead: {failure}")))
        }
        Some(Completion::Cancelled(reason)) => {
            Some((Why::Cancelled, format!("it was cancelled: {reason}")))
        }
        _ => traces.finished.as_ref().map(|job| finished(job, traces.now)),
    };
    if let Some((why, text)) = ended {
        checks.fail("there", "find", (why, text), None, None);
        return checks;
    }
    if let Some(at) = traces.cancelled {
        let text = format!(
            "{not_there}; its id was cancelled {}: if the job appears within 7 days of that, it \
             does not run",
            when(at, traces.now)
        );
        checks.fail("there", "find, ZSCORE cancelled", (Why::Cancelled, text), None, None);
        return checks;
    }
    let text = match traces.is_partial {
        false => format!("{not_there}: it has ended and left no record, or was never enqueued"),
        true => "it is not among the 10,000 entries of each lane that were looked at: it waits \
                 further back, has ended, or was never enqueued"
            .to_owned(),
    };
    let hint =
        "a receipt or a handle finds a job at once; keep_completion keeps a record of its end";
    checks.fail("there", "find", (Why::NotFound, text), None, Some(hint.into()));
    if let Some(left) = traces.receipt {
        let text = format!(
            "it was enqueued idempotently: its receipt counts for another {}, so that it has \
             ended, or was removed",
            span(left)
        );
        checks.pass("receipt", "PTTL sent", text);
    }
    checks
}

/// Tells how a finished job has ended.
fn finished(job: &JobView, now: Timestamp) -> (Why, String) {
    let end = job.end.as_ref();
    let took = span(end.map(|end| end.took).unwrap_or_default());
    let on = job.node.as_ref().map(|node| format!(" on node {node}")).unwrap_or_default();
    let ended = format!("{}{on} after a run of {took}", when(job.at, now));
    match end.and_then(|end| end.reason.as_ref()) {
        Some(reason) => (Why::Cancelled, format!("it was cancelled {ended}: {reason}")),
        None => (Why::Done, format!("it is done: it ended {ended}")),
    }
}

/// Answers the question where a job is of which only the id is known, and which no queue has.
pub(super) fn nowhere(partitions: u64, is_partial: bool, unreachable: u64) -> Checks {
    let mut checks = Checks::default();
    let mut text = format!("no queue has it ({} searched)", many(partitions, "partition"));
    if is_partial {
        text.push_str(
            "; lanes with over 10,000 entries were not searched whole, and it may be there",
        );
    }
    if unreachable > 0 {
        text.push_str(&format!("; {} did not answer", many(unreachable, "partition")));
    }
    let hint = "it has ended and left no record, or was never enqueued in this namespace; with its \
                queue it is looked for more closely";
    checks.fail("there", "find", (Why::NotFound, text), None, Some(hint.into()));
    checks
}
