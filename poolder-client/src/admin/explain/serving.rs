//! Whether the queue is paused, and whether a living node serves it and knows the kind of the job.

use crate::admin::explain::checks::Checks;
use crate::admin::explain::explanation::Why;
use crate::admin::explain::facts::{Facts, NodeSeen};
use crate::admin::words::{many, many_do, span, when};

/// Checks that the queue is not paused.
pub(super) fn paused(facts: &Facts, checks: &mut Checks) {
    match facts.queue.paused {
        None => checks.pass("paused", "HGET meta paused", "the queue is not paused".into()),
        Some(since) => {
            let text = format!("the queue was paused {}", when(since, facts.now));
            let hint = "resume the queue when the reason for the pause is gone";
            let (why, hint) = (Why::Paused, Some(hint.into()));
            checks.fail("paused", "HGET meta paused", (why, text), None, hint);
        }
    }
}

/// Checks that a living node serves the queue.
pub(super) fn served(facts: &Facts, checks: &mut Checks) {
    let alive = facts.nodes.iter().filter(|node| !node.is_silent);
    let (nodes, slots) = alive.fold((0, 0), |(nodes, slots), node| (nodes + 1, slots + node.slots));
    if nodes > 0 {
        let text = match &facts.slot {
            // Each node of an addressed pool reports the size of the whole pool.
            Some(_) => format!("{} the pool", many_do(nodes, "living node", "serve")),
            None => format!(
                "{} the queue, with {}",
                many_do(nodes, "living node", "serve"),
                many(slots, "slot")
            ),
        };
        checks.pass("served", READ, text);
        return;
    }
    let text = match facts.nodes.iter().min_by_key(|node| node.silent) {
        None => "no node serves the queue".to_owned(),
        Some(last) => format!(
            "no living node serves the queue; {} has been silent for {}",
            last.name,
            span(last.silent)
        ),
    };
    let hint = "start a node with a pool for this queue, in the same namespace";
    checks.fail("served", READ, (Why::Unserved, text), None, Some(hint.into()));
}

const READ: &str = "roster nodes and about";

/// Checks that a living node of the queue has a worker for the kind and version of the job.
pub(super) fn kind(facts: &Facts, checks: &mut Checks) {
    let Some((kind, version)) = &facts.job.kind else {
        let text = "an entry that is no job is buried by the node that claims it".into();
        checks.pass("kind", READ, text);
        return;
    };
    let alive: Vec<&NodeSeen> = facts.nodes.iter().filter(|node| !node.is_silent).collect();
    if alive.is_empty() || alive.iter().any(|node| node.kinds.is_none()) {
        let text = match alive.is_empty() {
            true => "no living node of the queue could know the kind",
            false => "the nodes do not say which kinds they know",
        };
        checks.pass("kind", READ, text.into());
        return;
    }
    let known: Vec<u16> = alive.iter().filter_map(|node| best_version(node, kind)).collect();
    let able = known.iter().filter(|known| *known >= version).count();
    if able > 0 {
        let of = many(alive.len() as u64, "node");
        checks.pass("kind", READ, format!("{able} of {of} can run {kind} v{version}"));
        return;
    }
    let text = match known.iter().max() {
        Some(best) => format!("the job needs {kind} v{version}, the nodes know v{best} at most"),
        None => format!("no node of the queue has a worker for the kind {kind}"),
    };
    let hint = "deploy the worker for this kind and version to a node of the queue, or delete the \
                job; it waits and loses no attempt";
    checks.fail("kind", READ, (Why::UnknownKind, text), None, Some(hint.into()));
}

/// Returns the highest version of a kind that a node runs.
pub(crate) fn best_version(node: &NodeSeen, kind: &str) -> Option<u16> {
    let kinds = node.kinds.as_ref()?.iter();
    kinds.filter(|(known, _)| known == kind).map(|(_, version)| *version).max()
}
