//! Faults of a partition, or of a slot of an addressed pool. Pure.

use std::time::Duration;

use poolder_core::broker::{LaneFacts, Membership};
use poolder_core::{EntryId, Timestamp};

use crate::admin::doctor::facts::{PartitionSeen, QueueFacts};
use crate::admin::finding::{Finding, Repair, Severity};
use crate::admin::words::{many, span};

/// A job that is due for longer than this is overdue.
const OVERDUE: Duration = Duration::from_secs(2);
/// A claim older than this while the lane moves on keeps the memory of all that was between.
const PINNED: Duration = Duration::from_secs(60 * 60);
/// How long a job may be over its timeout before that is a fault.
const GRACE: Duration = Duration::from_secs(60);

/// Finds the faults of a partition.
pub(super) fn check(
    queue: &QueueFacts,
    part: &PartitionSeen,
    is_served: bool,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) {
    let subject = match queue.is_addressed {
        true => format!("slot {} of pool {}", part.partition.index, queue.queue),
        false => format!("queue {}", queue.queue),
    };
    let mut found = |code, severity, texts: (String, &str, &str), repair| {
        let found = Finding::new(code, severity, subject.clone(), texts);
        findings.push(Finding { repair, ..found });
    };
    damage(part, &mut found);
    if !part.faults.wrong_types.is_empty() {
        // Nothing else of the partition was read.
        return;
    }
    late(queue, part, now, &mut found);
    for lane in &part.lanes {
        group(part, lane, is_served, &mut found);
        pinned(lane, &mut found);
    }
    consumers(queue, part, &mut found);
    slow(part, now, &mut found);
    if part.faults.old_cancels > 0 {
        found(
            "old_cancels",
            Severity::Note,
            (
                format!("{} older than a week", many_are(part.faults.old_cancels)),
                "they take memory, and mean no job any more",
                "a leader removes them: start a node that serves the queue, or let them be removed",
            ),
            Some(Repair::ExpireCancellations(part.partition.clone())),
        );
    }
}

fn many_are(count: u64) -> String {
    format!("{} {}", many(count, "cancellation"), if count == 1 { "is" } else { "are" })
}

type Found<'a> = &'a mut dyn FnMut(&'static str, Severity, (String, &str, &str), Option<Repair>);

/// Returns true when a node of this state no longer takes part.
fn is_gone(membership: Membership) -> bool {
    membership != Membership::Alive
}

fn late(queue: &QueueFacts, part: &PartitionSeen, now: Timestamp, found: Found<'_>) {
    if let Some((holder, state)) = part.holder.as_ref().filter(|(_, state)| is_gone(*state)) {
        let text = match state {
            Membership::Dead => "was declared dead",
            _ => "is not in the roster",
        };
        found(
            "holder_gone",
            Severity::Problem,
            (
                format!("its holder {holder} {text}"),
                "nothing runs in the slot until another node takes it",
                "start a node that serves the pool: it takes the slot over within half a minute",
            ),
            None,
        );
    }
    let late = part.faults.first_due.map(|first| now.since(first)).unwrap_or_default();
    if part.faults.due_now > 0 && late > OVERDUE && queue.paused.is_none() {
        found(
            "overdue",
            Severity::Problem,
            (
                format!(
                    "{} due, the first for {}",
                    match part.faults.due_now {
                        1 => "1 job or timer is".to_owned(),
                        count => format!("{count} jobs and timers are"),
                    },
                    span(late)
                ),
                "retries, scheduled jobs and batches start late",
                "without a node or a leader start one; else look at the log of the leader",
            ),
            None,
        );
    }
}

fn damage(part: &PartitionSeen, found: Found<'_>) {
    for (key, kind) in &part.faults.wrong_types {
        found(
            "wrong_type",
            Severity::Problem,
            (
                format!("the key of {key} holds a value of the type {kind}"),
                "each script that needs the key fails",
                "another program has written it: rename the key, so that it is made anew, and find \
             that program",
            ),
            None,
        );
    }
    if !part.faults.bad_counters.is_empty() {
        found(
            "bad_counter",
            Severity::Warning,
            (
                format!("no numbers: the counters {}", part.faults.bad_counters.join(", ")),
                "they are left out of each overview",
                "another program has written them; each starts again when it is next counted",
            ),
            None,
        );
    }
}

fn group(part: &PartitionSeen, lane: &LaneFacts, is_served: bool, found: Found<'_>) {
    if !lane.is_stream || lane.has_group || lane.len == 0 || !is_served {
        return;
    }
    found(
        "no_group",
        Severity::Problem,
        (
            format!("lane {} has {} and no consumer group", lane.lane, many(lane.len, "entry")),
            "no node can claim them",
            "a node that claims makes the group anew; if none does, let it be created",
        ),
        Some(Repair::CreateGroup(part.partition.clone(), lane.lane)),
    );
}

fn pinned(lane: &LaneFacts, found: Found<'_>) {
    let (Some(first), Some(delivered)) = (&lane.first_pending, &lane.delivered) else { return };
    let at = |entry: &EntryId| entry.split_once('-').and_then(|(ms, _)| ms.parse::<i64>().ok());
    let (Some(from), Some(to)) = (at(&first.entry), at(delivered)) else { return };
    let between = Timestamp::from_millis(to).since(Timestamp::from_millis(from));
    if between > PINNED && first.held > PINNED {
        found(
            "pinned",
            Severity::Note,
            (
                format!(
                    "lane {}: entry {} is claimed by {} for {}, and the lane has moved on",
                    lane.lane,
                    first.entry,
                    first.consumer,
                    span(first.held)
                ),
                "the stream keeps the memory of the entries around it",
                "look at that job: cancel it if it hangs",
            ),
            None,
        );
    }
}

fn consumers(queue: &QueueFacts, part: &PartitionSeen, found: Found<'_>) {
    let gone = |name: &str| part.members.iter().any(|(it, state)| it == name && is_gone(*state));
    for lane in &part.lanes {
        for consumer in lane.consumers.iter().filter(|consumer| gone(&consumer.name)) {
            let name = &consumer.name;
            if consumer.pending > 0 {
                found(
                    "dead_consumer",
                    Severity::Problem,
                    (
                        format!(
                            "{name}, which is no living node, holds {} of lane {}",
                            many(consumer.pending, "job"),
                            lane.lane
                        ),
                        "these jobs wait until a leader takes them back: at once from a node that was \
                     declared dead, after 10 minutes from a stranger",
                        "start a node that serves the queue",
                    ),
                    None,
                );
            } else if !queue.is_addressed {
                let repair =
                    Repair::ForgetConsumer(part.partition.clone(), lane.lane, name.clone());
                found(
                    "stale_consumer",
                    Severity::Note,
                    (
                        format!(
                            "{name}, which is no living node, is a consumer of lane {}",
                            lane.lane
                        ),
                        "it does no harm, but lists grow",
                        "let it be forgotten",
                    ),
                    Some(repair),
                );
            }
        }
    }
}

fn slow(part: &PartitionSeen, now: Timestamp, found: Found<'_>) {
    let Some(running) = &part.first_running else { return };
    let ran = now.since(running.since);
    let Some(timeout) = running.timeout.filter(|timeout| ran > *timeout + GRACE) else { return };
    found(
        "over_timeout",
        Severity::Warning,
        (
            format!(
                "job {} has run on {} for {}, its timeout is {}",
                running.id,
                running.node,
                span(ran),
                span(timeout)
            ),
            "its handler blocks a thread, so that the timeout cannot end it",
            "handlers must not block: use spawn_blocking. Restart the node if it does not end",
        ),
        None,
    );
}
