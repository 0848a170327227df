//! The order of the questions. Pure: from facts to checks.

use poolder_core::{JobState, Lane};

use crate::admin::explain::checks::Checks;
use crate::admin::explain::explanation::Why;
use crate::admin::explain::facts::Facts;
use crate::admin::explain::{group, ready, running, serving, slot, waiting};
use crate::admin::words::{group_named, many, when};

/// Answers the questions about a job that was found, in their order. Without a verdict nothing is in
/// its way.
pub(super) fn decide(facts: &Facts) -> Checks {
    let mut checks = Checks::default();
    let job = &facts.job;
    let kind = match &job.kind {
        Some((kind, version)) => format!("{kind} v{version}"),
        None => "an entry that is no job".into(),
    };
    let place = match job.state {
        JobState::Dead => "among the dead".into(),
        JobState::Scheduled | JobState::Retrying => "among the waiting jobs".into(),
        _ => match &facts.group {
            Some(group) => format!("in {}", group_named(&group.name)),
            None => format!("in lane {}", job.lane),
        },
    };
    checks.pass("there", "find", format!("{kind} is {place}, attempt {}", job.attempt));
    if let Some(entries) = facts.batch {
        let text = format!("its batch has {}", many(entries, "entry"));
        checks.pass("batch", "LLEN batch:sealed", text);
    }
    unique(facts, &mut checks);
    if job.state == JobState::Dead {
        dead(facts, &mut checks);
        return checks;
    }
    if job.state == JobState::Running {
        running::check(facts, &mut checks);
    }
    cancelled(facts, &mut checks);
    if job.state == JobState::Running {
        checks.decide(Why::Running, running::sentence(facts), None, None);
        return checks;
    }
    expires(facts, &mut checks);
    if matches!(job.state, JobState::Scheduled | JobState::Retrying) {
        waiting::check(facts, &mut checks);
    }
    serving::paused(facts, &mut checks);
    serving::served(facts, &mut checks);
    serving::kind(facts, &mut checks);
    if job.state == JobState::Ready {
        match &facts.slot {
            Some(slot) => slot::check(facts, slot, &mut checks),
            None if facts.group.is_some() => group::check(facts, &mut checks),
            None => {
                if job.lane == Lane::Suspect {
                    ready::suspect(facts, &mut checks);
                }
                ready::check(facts, &mut checks);
            }
        }
    }
    checks
}

/// Says who holds the key of a unique job. It keeps no job that is there from running.
fn unique(facts: &Facts, checks: &mut Checks) {
    let Some(unique) = &facts.job.unique else { return };
    let (key, mode) = (unique.key, unique.mode);
    let text = match unique.holder {
        Some(holder) if unique.is_behind => {
            format!("it waits behind job {holder}, which holds its unique key {key} ({mode})")
        }
        Some(holder) if holder == facts.job.id => {
            format!("it holds the unique key {key} ({mode}): others of this key are not stored")
        }
        Some(holder) => format!("job {holder} holds its unique key {key} ({mode})"),
        None => format!("its unique key {key} ({mode}) is free: the next of this key is stored"),
    };
    checks.pass("unique", "HGET unique", text);
}

fn dead(facts: &Facts, checks: &mut Checks) {
    let job = &facts.job;
    let on = job.node.as_ref().map(|node| format!(" on node {node}")).unwrap_or_default();
    let group = job.error.map(|it| format!(", error group {it}")).unwrap_or_default();
    let failure = job.failure.as_deref().unwrap_or("no reason was recorded");
    let counts = match job.crashes {
        0 => many(u64::from(job.failures), "failed attempt"),
        crashes => format!(
            "{} and {}",
            many(u64::from(job.failures), "failed attempt"),
            many(u64::from(crashes), "crash")
        ),
    };
    let text = format!("it died {}{on} after {counts}: {failure}{group}", when(job.at, facts.now));
    let hint = "a dead job runs again when it is revived; mend what it died of first";
    checks.fail("alive", "dead and its bodies", (Why::Dead, text), None, Some(hint.into()));
}

/// Checks the time within which the job has to start.
fn expires(facts: &Facts, checks: &mut Checks) {
    let (now, Some(at)) = (facts.now, facts.job.expires_at) else { return };
    let read = "option x of the job";
    if at > now {
        let text =
            format!("it expires {}: it is cancelled unless it has started by then", when(at, now));
        checks.pass("expires", read, text);
    } else {
        let text = format!("it expired {}: the node that claims it cancels it", when(at, now));
        let hint = "raise its expires_in, or add slots or nodes, if it should have run";
        checks.fail("expires", read, (Why::Expired, text), None, Some(hint.into()));
    }
}

fn cancelled(facts: &Facts, checks: &mut Checks) {
    if !facts.job.cancelling {
        checks.pass("cancelled", "ZSCORE cancelled", "no request to cancel it is stored".into());
        return;
    }
    let text = match facts.job.state {
        JobState::Running => {
            "a request to cancel it is stored: its handler is told to stop, and has 3 s to clean up"
        }
        _ => "a request to cancel it is stored: it does not run, and is removed when it is claimed",
    };
    checks.fail("cancelled", "ZSCORE cancelled", (Why::Stopping, text.into()), None, None);
}
