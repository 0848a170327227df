//! A job that waits for its time: for how long, why, and what happens when it is up.

use std::time::Duration;

use poolder_core::JobState;

use crate::admin::explain::checks::Checks;
use crate::admin::explain::explanation::Why;
use crate::admin::explain::facts::Facts;
use crate::admin::words::{span, when};

/// A job that is due for longer than this is overdue.
pub(crate) const OVERDUE: Duration = Duration::from_secs(2);

/// Checks the time of the job, and whether a leader moves it once that is up.
pub(super) fn check(facts: &Facts, checks: &mut Checks) {
    let (job, now) = (&facts.job, facts.now);
    if let Some(unique) = job.unique.as_ref().filter(|unique| unique.is_behind) {
        let holder = unique.holder.map_or_else(String::new, |holder| format!(" {holder}"));
        let text = format!(
            "it is due when the job{holder}, which holds its unique key, has ended, and has the \
             newest data until then"
        );
        checks.fail("time", READ, (Why::BehindUnique, text), None, None);
        return;
    }
    let (why, text) = match job.state {
        JobState::Retrying => {
            let of = job.policy.map(|(attempts, _)| format!(" of {attempts}")).unwrap_or_default();
            let failure = job.failure.as_deref().unwrap_or("no reason was recorded");
            (Why::Retrying, format!("it waits for attempt {}{of}, after: {failure}", job.attempt))
        }
        _ if job.deliveries > 0 => {
            let text = "its handler snoozed it, or a node without a worker for it put it off";
            (Why::Snoozed, text.to_owned())
        }
        _ => (Why::Scheduled, "it was enqueued for a later time".to_owned()),
    };
    if job.at > now {
        let text = format!("it is due {}: {text}", when(job.at, now));
        checks.fail("time", READ, (why, text), Some(job.at), None);
        return;
    }
    checks.pass("time", READ, format!("its time came {}", when(job.at, now)));
    let late = now.since(job.at);
    let late_text = format!("it is due for {}", span(late));
    match (&facts.queue.leader, late > OVERDUE) {
        (Some(leader), false) => {
            checks.pass(
                "promoted",
                LEADER,
                format!("node {leader} leads and moves it to its lane"),
            );
        }
        (Some(leader), true) => {
            let text = format!("{late_text}, and node {leader}, which leads, has not moved it");
            let hint = "look at the log of that node: moving due jobs fails there, or it is busy \
                        with many that are due at once";
            checks.fail("promoted", LEADER, (Why::Overdue, text), None, Some(hint.into()));
        }
        (None, _) => {
            let text = format!("{late_text}, and no node leads the queue and moves due jobs");
            let hint = "start a node that serves the queue; a leader that died is replaced within \
                        15 s";
            checks.fail("promoted", LEADER, (Why::Overdue, text), None, Some(hint.into()));
        }
    }
}

const READ: &str = "ZSCORE due, HGET bodies";
const LEADER: &str = "GET leader";
