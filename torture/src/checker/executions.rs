//! Explains why a job ran more than once.

use std::collections::HashMap;

use super::history::{Execution, Fault, History, Job, Move};

/// The tolerance in ms. All processes share one clock, but a record may be written a moment after
/// its event.
const SLACK: u64 = 500;
/// The age in ms of the oldest fault that explains a cancelled handler: a node that finds out that
/// it was declared dead cancels its handlers for it.
const MEMORY: u64 = 60_000;
/// The longest time in ms from a claim to the start of its handler: the reply to the claim is held
/// back for up to 8 s.
const CLAIM: u64 = 10_000;

/// A repeated run, and its explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Duplicate {
    pub(crate) seq: u64,
    /// The kind of the fault that explains the run, if any.
    pub(crate) because: Option<String>,
    /// The time in ms from the fault to the repeated run.
    pub(crate) away: Option<u64>,
    /// A process was killed, and the server was reachable until the job ran again. Recovery times
    /// are promised for this case only.
    pub(crate) calm: bool,
}

/// Returns the repeated runs that the job did not cause itself by a failure or a snooze.
pub(crate) fn duplicates(seq: u64, job: &Job, faults: &[Fault]) -> Vec<Duplicate> {
    job.executions
        .windows(2)
        .filter(|pair| !asked_for(&pair[0], &pair[1]))
        .map(|pair| explain(seq, &pair[0], &pair[1], faults))
        .collect()
}

/// Returns true when the first run failed or snoozed, and the second is its proper successor.
fn asked_for(first: &Execution, second: &Execution) -> bool {
    use crate::ledger::Ended;
    match first.how {
        Some(Ended::Failed) => second.attempt == first.attempt + 1,
        Some(Ended::Snoozed) => second.fence > first.fence && second.attempt == first.attempt,
        _ => false,
    }
}

/// Finds a fault between the two starts that can make a job run again: one of the node of the first
/// run, or of the server. Network faults and an unreachable server must not make a job run again.
fn explain(seq: u64, first: &Execution, second: &Execution, faults: &[Fault]) -> Duplicate {
    let until = second.from + SLACK;
    let stopped =
        matches!(first.how, Some(crate::ledger::Ended::Cancelled | crate::ledger::Ended::Dropped));
    let since = first.from.saturating_sub(if stopped { MEMORY } else { SLACK });
    // Two claims of one entry have the same fence.
    let claimed_twice = first.job == second.job && first.fence == second.fence;
    let explains = |fault: &&Fault| {
        // Destroyed groups release claims, and the first one was made before its handler started.
        let since = match fault.kind.as_str() {
            "groups destroyed" if claimed_twice => since.min(first.from.saturating_sub(CLAIM)),
            _ => since,
        };
        fault.from <= until
            && fault.to >= since
            && match fault.kind.as_str() {
                // Or the second node had claimed the job first, and was stopped before it could
                // begin.
                "SIGSTOP past the lease" | "node cut off past the lease" => {
                    fault.target == first.node
                        || (fault.target == second.node && fault.from <= first.from)
                }
                "SIGKILL of a node" | "SIGTERM of a node" | "killed by a job" => {
                    fault.target == first.node
                }
                // Every node may claim again the entries that other nodes hold.
                "groups destroyed" => true,
                // The new primary may lack the last writes of the old one.
                "failover by order" | "primary killed, and back" | "primary paused, and back" => {
                    true
                }
                // No node is dead, so that no job has been rescued.
                crate::reshard::HUNG => claimed_twice,
                _ => false,
            }
    };
    // The last fault is the most likely one.
    let found = faults.iter().rfind(explains);
    let struck = found.map(|fault| fault.from.max(first.from));
    let killed =
        found.is_some_and(|fault| matches!(&*fault.kind, "SIGKILL of a node" | "killed by a job"));
    Duplicate {
        seq,
        because: found.map(|fault| fault.kind.clone()),
        away: struck.map(|from| second.from.saturating_sub(from)),
        calm: killed && struck.is_some_and(|from| !was_out(faults, from, second.from)),
    }
}

/// Returns true when the server was unreachable or replaced at some time in between. A process that
/// is cut off from the server does not count: it has lost the job anyway.
fn was_out(faults: &[Fault], from: u64, to: u64) -> bool {
    let outage = |fault: &Fault| {
        matches!(
            fault.kind.as_str(),
            "server killed"
                | "server paused"
                | "memory exhausted"
                | "clock jumped"
                | "failover by order"
                | "primary killed, and back"
                | "primary paused, and back"
                | crate::reshard::HUNG
        )
    };
    let within = |fault: &Fault| fault.from <= to && fault.to.saturating_add(SLACK) >= from;
    faults.iter().any(|fault| outage(fault) && within(fault))
}

/// Returns true for a run whose process was killed or counted as dead before the run ended.
pub(crate) fn was_cut_off(run: &Execution, faults: &[Fault]) -> bool {
    let until = run.to.unwrap_or(u64::MAX).min(run.from + MEMORY) + SLACK;
    faults.iter().any(|fault| {
        fault.target == run.node
            && fault.from <= until
            && fault.to.saturating_add(SLACK) >= run.from
            && matches!(
                fault.kind.as_str(),
                "SIGKILL of a node"
                    | "SIGSTOP past the lease"
                    | "node cut off past the lease"
                    | "killed by a job"
            )
    })
}

/// Returns the moves by nodes that no longer owned the claim. If an entry was delivered twice, as
/// after the loss of a group, it belongs to the consumer that received it last.
pub(crate) fn usurped(history: &History) -> Vec<&Move> {
    let mut by_id: HashMap<&str, Vec<&Execution>> = HashMap::new();
    for execution in history.jobs.values().flat_map(|job| &job.executions) {
        by_id.entry(&execution.job).or_default().push(execution);
    }
    let is_usurped = |one: &&Move| {
        let Some(runs) = by_id.get(one.job.as_str()) else { return false };
        let own = runs.iter().rfind(|run| run.node == one.node && run.from <= one.at);
        let Some(own) = own else { return false };
        runs.iter().any(|run| {
            run.node != one.node
                && run.fence == own.fence
                && run.from > own.from
                // The other node already ran the job before this node moved it. So the run did not
                // begin because of the move.
                && run.from + SLACK < one.at
        })
    };
    history.moves.iter().filter(is_usurped).collect()
}
