//! Faults of a queue beside those of the rules of attention. Pure.

use std::time::Duration;

use poolder_core::Timestamp;

use crate::admin::attention::ObservedNode;
use crate::admin::doctor::diagnosis::QueueMemory;
use crate::admin::doctor::facts::QueueFacts;
use crate::admin::doctor::partition;
use crate::admin::finding::{Finding, Severity};
use crate::admin::words::{group_named, many, memory, when};

/// A group that is paused for longer is reported.
const LONG_PAUSE: Duration = Duration::from_secs(3_600);
/// A payload above this should be stored elsewhere.
const LARGE: usize = 256 << 10;

/// Finds the queues that take more than half of the memory that the server may use.
pub(super) fn check_memory(queues: &[QueueMemory], most: Option<u64>, findings: &mut Vec<Finding>) {
    let Some(most) = most.filter(|most| *most > 0) else { return };
    for QueueMemory { queue, bytes } in queues.iter().filter(|queue| queue.bytes > most / 2) {
        let texts = (
            format!("its jobs take {} of the {} of the server", memory(*bytes), memory(most)),
            "a full server refuses the jobs of all queues",
            "start nodes that serve it, drain it or purge its dead jobs, or raise maxmemory",
        );
        findings.push(Finding::new(
            "queue_memory",
            Severity::Warning,
            format!("queue {queue}"),
            texts,
        ));
    }
}

/// Finds the faults of a queue.
pub(super) fn check(
    queue: &QueueFacts,
    nodes: &[ObservedNode],
    now: Timestamp,
    findings: &mut Vec<Finding>,
) {
    if let Some((job, bytes)) = queue.largest.filter(|(_, bytes)| *bytes >= LARGE) {
        let subject = format!("queue {}", queue.queue);
        findings.push(Finding::new(
            "large_payload",
            Severity::Note,
            subject,
            (
                format!("job {job} has a payload of {} KiB", bytes >> 10),
                "large payloads take the server's memory, and the time of each claim",
                "store the data elsewhere, and enqueue a reference to it",
            ),
        ));
    }
    let unlimited = |node: &&ObservedNode| {
        !node.is_silent && !node.knows_limits && node.kinds_of(&queue.queue).is_some()
    };
    for node in nodes.iter().filter(unlimited).filter(|_| queue.is_limited) {
        let subject = format!("node {}", node.name);
        findings.push(Finding::new(
            "knows_no_limits",
            Severity::Problem,
            subject,
            (
                format!(
                    "it serves queue {}, which has limits that its version does not know",
                    queue.queue
                ),
                "it runs jobs before they are in their groups, and above the limits",
                "update the node, or end the limits until it is updated",
            ),
        ));
    }
    paused_groups(queue, now, findings);
    let serves = |node: &ObservedNode| !node.is_silent && node.kinds_of(&queue.queue).is_some();
    let is_served = nodes.iter().any(serves);
    for part in &queue.partitions {
        partition::check(queue, part, is_served, now, findings);
    }
}

/// Finds groups that have been paused for long.
fn paused_groups(queue: &QueueFacts, now: Timestamp, findings: &mut Vec<Finding>) {
    let long = queue.paused_groups.iter().filter(|(_, since)| now.since(*since) > LONG_PAUSE);
    let count = long.clone().count() as u64;
    let Some((name, since)) = long.clone().next() else { return };
    let which = match count {
        1 => group_named(name),
        more => format!("{}, as the first of {},", group_named(name), many(more, "group")),
    };
    findings.push(Finding::new(
        "long_group_pause",
        Severity::Warning,
        format!("queue {}", queue.queue),
        (
            format!("{which} was paused {}", when(*since, now)),
            "the jobs of a paused group wait until it is resumed",
            "resume the group, or purge it, when the reason for the pause is gone",
        ),
    ));
}
