//! Faults of a queue beside those of the rules of attention. Pure.

use poolder_core::Timestamp;

use crate::admin::attention::ObservedNode;
use crate::admin::doctor::facts::QueueFacts;
use crate::admin::doctor::partition;
use crate::admin::finding::{Finding, Severity};

/// A payload above this should be stored elsewhere.
const LARGE: usize = 256 << 10;

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
    let serves = |node: &ObservedNode| !node.is_silent && node.kinds_of(&queue.queue).is_some();
    let is_served = nodes.iter().any(serves);
    for part in &queue.partitions {
        partition::check(queue, part, is_served, now, findings);
    }
}
