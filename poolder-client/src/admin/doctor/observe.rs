//! The observed state of a fleet, from the facts that a doctor reads. Pure.

use poolder_core::Timestamp;
use poolder_core::broker::{NodeView, ServerFacts};

use crate::admin::attention::{MOST_DEAD, Observed, ObservedNode, ObservedQueue};
use crate::admin::doctor::facts::{PartitionSeen, QueueFacts};
use crate::admin::doctor::server::{field, number};
use crate::admin::past::Past;

/// Returns the state of a fleet and its past, for the rules of attention.
pub(in crate::admin) fn observed(
    server: &ServerFacts,
    nodes: &[NodeView],
    queues: &[QueueFacts],
    past: &Past,
) -> Observed {
    let memory = number(server, "used_memory");
    let mut seen = Observed {
        now: server.now,
        queues: queues.iter().map(|facts| queue(facts, server.now)).collect(),
        nodes: nodes.iter().map(ObservedNode::of_view).collect(),
        memory: memory.map(|used| (used, number(server, "maxmemory").unwrap_or(0))),
        policy: field(server, "maxmemory_policy").unwrap_or_default().to_owned(),
    };
    past.add_to(&mut seen);
    seen
}

fn queue(facts: &QueueFacts, now: Timestamp) -> ObservedQueue {
    let parts = &facts.partitions;
    let sum = |of: fn(&PartitionSeen) -> u64| parts.iter().map(of).sum::<u64>();
    let dead = parts.iter().map(|part| part.dead).max().unwrap_or(0);
    let damaged = parts.iter().any(|part| !part.faults.wrong_types.is_empty());
    let led =
        (!facts.is_addressed && !damaged).then(|| parts.iter().all(|part| part.leader.is_some()));
    let oldest = parts.iter().filter_map(|part| part.oldest).min();
    ObservedQueue {
        waiting: sum(|part| part.ready) + sum(|part| part.faults.due_now),
        oldest: oldest.map(|oldest| now.since(oldest)),
        suspects: sum(|part| part.suspects),
        dead: (dead, MOST_DEAD),
        dropped: sum(|part| part.dropped),
        paused: facts.paused,
        is_led: led,
        late_schedules: sum(|part| part.faults.late_schedules),
        kinds: facts.kinds.clone(),
        ..ObservedQueue::new(facts.queue.clone())
    }
}
