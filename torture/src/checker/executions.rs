//! Why a job ran more than once.

use std::collections::HashMap;

use super::history::{Execution, Fault, History, Job, Move};

/// Clocks of processes are one, but a note may be written a moment after what it notes.
const SLACK: u64 = 500;
/// A node that was told that it is dead stops its handlers for what happened this long before.
const MEMORY: u64 = 60_000;

/// A repetition, and what explains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Duplicate {
    pub(crate) seq: u64,
    /// The kind of the fault, if one explains it.
    pub(crate) because: Option<String>,
    /// From the fault to the next start, in ms: how long the job was away.
    pub(crate) away: Option<u64>,
    /// A process was killed, and the server was there all the time until the job ran again: what
    /// recovery is promised for.
    pub(crate) calm: bool,
}

/// The repetitions of a job that it did not ask for itself.
pub(crate) fn duplicates(seq: u64, job: &Job, faults: &[Fault]) -> Vec<Duplicate> {
    job.executions
        .windows(2)
        .filter(|pair| !asked_for(&pair[0], &pair[1]))
        .map(|pair| explain(seq, &pair[0], &pair[1], faults))
        .collect()
}

/// The job failed or snoozed, and came again as it should.
fn asked_for(first: &Execution, second: &Execution) -> bool {
    use crate::ledger::Ended;
    match first.how {
        Some(Ended::Failed) => second.attempt == first.attempt + 1,
        Some(Ended::Snoozed) => second.fence > first.fence && second.attempt == first.attempt,
        _ => false,
    }
}

/// A fault that can make a job run again struck the node that ran it, or the server, between the
/// one start and the other. What the network does, and a server that is away, must not.
fn explain(seq: u64, first: &Execution, second: &Execution, faults: &[Fault]) -> Duplicate {
    let until = second.from + SLACK;
    let told =
        matches!(first.how, Some(crate::ledger::Ended::Told | crate::ledger::Ended::Dropped));
    let since = first.from.saturating_sub(if told { MEMORY } else { SLACK });
    let explains = |fault: &&Fault| {
        fault.from <= until
            && fault.to >= since
            && match fault.kind.as_str() {
                // Or the other had the job first, and was stopped before it could begin.
                "SIGSTOP past the lease" | "node cut off past the lease" => {
                    fault.target == first.node
                        || (fault.target == second.node && fault.from <= first.from)
                }
                "SIGKILL of a node" | "SIGTERM of a node" | "killed by a job" => {
                    fault.target == first.node
                }
                // All nodes may read again what others hold.
                "groups destroyed" => true,
                // What the new primary had not heard of yet did not happen.
                "failover by order" | "primary killed, and back" | "primary paused, and back" => {
                    true
                }
                _ => false,
            }
    };
    // The last is the likeliest.
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

/// True when the server was away, or another became it, at some time in between. A process that
/// does not reach it is another matter: the job is not its any more.
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
        )
    };
    let within = |fault: &Fault| fault.from <= to && fault.to.saturating_add(SLACK) >= from;
    faults.iter().any(|fault| outage(fault) && within(fault))
}

/// True for a run under which its process ended, or was as good as dead.
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

/// Moves by somebody whose claim had been given to another: a delivery that was given out twice,
/// as after the loss of a group, belongs to the one who has it last.
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
                // It was at work already, not just given what we had put back.
                && run.from + SLACK < one.at
        })
    };
    history.moves.iter().filter(is_usurped).collect()
}
