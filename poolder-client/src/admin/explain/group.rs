//! A job that waits in a group of a limited queue: the limits, the rates, the jobs before it and the
//! turns.

use poolder_core::Timestamp;
use poolder_core::broker::Rate;

use crate::admin::explain::checks::Checks;
use crate::admin::explain::explanation::Why;
use crate::admin::explain::facts::Facts;
use crate::admin::explain::ready;
use crate::admin::words::{group_named, many, many_do, number, span, when};

const RECORD: &str = "HGET limits:groups, limits:own and limits";
const LANES: &str = "XLEN of the lanes front and suspect";

/// Checks what keeps the job waiting in its group, in the order in which it comes to a start.
pub(super) fn check(facts: &Facts, checks: &mut Checks) {
    let Some(group) = &facts.group else { return };
    let taken = |running: u64, limit: Option<u32>| match limit {
        Some(limit) => format!("limit: {running} of {limit} taken"),
        None => format!("no limit, {}", many_do(running, "job", "run")),
    };
    let is_full = |running: u64, limit: Option<u32>| limit.is_some_and(|it| running >= it.into());

    if let Some(at) = group.paused {
        let text = format!("{} was paused {}", group_named(&group.name), when(at, facts.now));
        let hint = "resume the group when the reason for the pause is gone";
        checks.fail("pause", RECORD, (Why::GroupPaused, text), None, Some(hint.into()));
    }
    let text = format!(
        "it waits for {}: {} before it, {}",
        group_named(&group.name),
        many(group.before, "job"),
        taken(group.running, group.limit)
    );
    if is_full(group.running, group.limit) {
        let hint = "it starts when jobs of the group have ended; raise the limit of the group if \
                    it may run more at a time";
        checks.fail("group", RECORD, (Why::GroupFull, text), None, Some(hint.into()));
    } else if let Some(until) = group.held.filter(|until| *until > facts.now) {
        let text =
            format!("{text}; an attempt met a limit: held, it goes on {}", when(until, facts.now));
        checks.fail("group", RECORD, (Why::GroupHeld, text), Some(until), None);
    } else if let Some(later) = group.later.filter(|later| *later > facts.now) {
        let starts = (later, group.rate, group.before);
        let (until, rate) = by_rate(starts, facts.now);
        let text = format!("{text}; {rate}");
        let hint = "raise the rate of the group if it may start more";
        checks.fail("group", RECORD, (Why::GroupRate, text), until, Some(hint.into()));
    } else if group.before > 0 {
        checks.fail("group", RECORD, (Why::BehindOthers, text), None, None);
    } else {
        checks.pass("group", RECORD, text);
    }
    let text = format!("the queue: {}", taken(group.queue_running, group.queue_limit));
    if is_full(group.queue_running, group.queue_limit) {
        let hint = "it starts when jobs of the queue have ended; raise the limit of the queue if \
                    it may run more at a time";
        checks.fail("queue", LANES, (Why::QueueFull, text), None, Some(hint.into()));
    } else if let Some(until) = group.queue_held.filter(|until| *until > facts.now) {
        let text =
            format!("{text}; an attempt met a limit: held, it goes on {}", when(until, facts.now));
        checks.fail("queue", LANES, (Why::QueueHeld, text), Some(until), None);
    } else if let Some(later) = group.queue_later.filter(|later| *later > facts.now) {
        let (until, rate) = by_rate((later, group.queue_rate, 0), facts.now);
        let text = format!("{text}; {rate}");
        let hint = "raise the rate of the queue if it may start more";
        checks.fail("queue", LANES, (Why::QueueRate, text), until, Some(hint.into()));
    } else {
        checks.pass("queue", LANES, text);
    }
    let (running, slots) = (facts.queue.running(), slots(facts));
    let text = format!("busy slots: {running} of {slots}{}", ready::longest(facts));
    if running >= slots && slots > 0 {
        let hint = "add slots or nodes if jobs wait for too long";
        checks.fail("slots", ready::SLOTS, (Why::SlotsBusy, text), None, Some(hint.into()));
    } else {
        checks.pass("slots", ready::SLOTS, text);
    }
    let text = match group.turns {
        0 => "no group may start a job".to_owned(),
        turns => format!("{} may start a job, in turn", many(turns, "group")),
    };
    checks.pass("turn", "LLEN limits:turns", text);
}

/// Says when the job starts by a rate that lets the next job start at this time, behind so many others.
fn by_rate(
    (later, rate, before): (Timestamp, Option<Rate>, u64),
    now: Timestamp,
) -> (Option<Timestamp>, String) {
    let Some(rate) = rate else {
        return (Some(later), format!("the next may start {}", when(later, now)));
    };
    let each = rate.window / rate.count.max(1);
    let until = later + each.saturating_mul(u32::try_from(before).unwrap_or(u32::MAX));
    let about = if before > 0 { "about " } else { "" };
    let (count, window) = (number(rate.count.into()), span(rate.window));
    let text = format!("rate: {count} in {window}, it may start {about}{}", when(until, now));
    (Some(until), text)
}

fn slots(facts: &Facts) -> u64 {
    facts.nodes.iter().filter(|node| !node.is_silent).map(|node| node.slots).sum()
}
