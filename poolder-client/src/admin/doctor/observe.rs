//! The observed state of a fleet, from the facts that a doctor reads. Pure.

use poolder_core::broker::{NodeView, ServerFacts};
use poolder_core::{QueueName, Timestamp};

use crate::admin::attention::{Observed, ObservedNode, ObservedQueue, ServedQueue};
use crate::admin::doctor::facts::{PartitionSeen, QueueFacts};
use crate::admin::doctor::server::{field, number};
use crate::admin::kinds::kinds_for;

/// The most dead jobs that a partition keeps, unless its pool says otherwise.
const MOST_DEAD: u64 = 10_000;

/// Returns the state of a fleet, for the rules of attention.
pub(in crate::admin) fn observed(
    server: &ServerFacts,
    nodes: &[NodeView],
    queues: &[QueueFacts],
) -> Observed {
    let memory = number(server, "used_memory");
    Observed {
        now: server.now,
        queues: queues.iter().map(|facts| queue(facts, server.now)).collect(),
        nodes: nodes.iter().map(node).collect(),
        memory: memory.map(|used| (used, number(server, "maxmemory").unwrap_or(0))),
        policy: field(server, "maxmemory_policy").unwrap_or_default().to_owned(),
    }
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

fn node(node: &NodeView) -> ObservedNode {
    let mut seen = ObservedNode {
        name: node.name.clone(),
        silent: node.silent,
        is_silent: node.is_silent(),
        ..ObservedNode::default()
    };
    if let Some(info) = &node.info {
        seen.started = Some(Timestamp::from_millis(info.started));
        seen.deploy.clone_from(&info.deploy);
        let queues = info.pools.iter().filter_map(|(name, _)| {
            let queue = QueueName::new(name).ok()?;
            Some(ServedQueue::new(name.clone(), kinds_for(info, &queue)))
        });
        seen.queues = queues.collect();
    }
    seen
}
