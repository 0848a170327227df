//! The results of a run.

use std::collections::BTreeMap;

use serde::Serialize;

use super::executions::{Duplicate, duplicates, usurped, was_cut_off};
use super::history::{Fault, History, Job};
use crate::bad::Bad;
use crate::final_state::FinalState;
use crate::job::Act;
use crate::ledger::Ended;

/// The number of examples of a violation that are printed.
const EXAMPLES: usize = 10;

/// The results of a run.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Verdict {
    /// The number of jobs that producers tried to enqueue.
    pub(crate) jobs: u64,
    /// The jobs whose enqueue the server confirmed.
    pub(crate) ok: u64,
    /// The jobs of unknown outcome that had been stored.
    pub(crate) unknown_stored: u64,
    /// The jobs of unknown outcome that had not been stored.
    pub(crate) unknown_absent: u64,
    /// The number of handler runs.
    pub(crate) executions: u64,
    /// The completions that the server counted, and the number there must be.
    pub(crate) completed: u64,
    pub(crate) expected: u64,
    pub(crate) buried: u64,
    /// Jobs that were never confirmed, and ran. A failover may have undone their settlement.
    pub(crate) uncertain: u64,
    /// Innocent jobs buried because they ran in three processes that were killed: the server cannot
    /// tell them from killers.
    pub(crate) unlucky: u64,
    pub(crate) cancelled: u64,
    /// The number of late settlements that were refused.
    pub(crate) fenced: u64,
    /// The repeated runs that the job did not cause itself, by the fault that explains them.
    pub(crate) duplicates: BTreeMap<String, u64>,
    pub(crate) duplicate_executions: u64,
    /// The time in ms from a fault to the next start of a job that it hit.
    pub(crate) recovery_p50: u64,
    pub(crate) recovery_p99: u64,
    pub(crate) recovery_max: u64,
    /// The same times for kills during which the server was reachable, and their number.
    pub(crate) calm_recovery_p50: u64,
    pub(crate) calm_recovery_p99: u64,
    pub(crate) calm_recovery_max: u64,
    pub(crate) calm_recoveries: u64,
    /// Faults, by kind.
    pub(crate) faults: BTreeMap<String, u64>,
    /// Violations: kind and number; empty for a good run.
    pub(crate) violations: BTreeMap<String, u64>,
    /// Some examples of violations.
    pub(crate) examples: Vec<String>,
    /// The results of the other load, as rows of the table.
    pub(crate) beside: Vec<(String, String)>,
}

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        self.violations.is_empty()
    }

    /// Adds a row to the table.
    pub(crate) fn row(&mut self, name: &str, value: String) {
        self.beside.push((name.to_owned(), value));
    }

    /// Records a violation.
    pub(crate) fn violate(&mut self, what: &str, mut example: String) {
        let count = self.violations.entry(what.to_owned()).or_default();
        *count += 1;
        if *count <= EXAMPLES as u64 {
            example.insert_str(0, &format!("{what}: "));
            self.examples.push(example);
        }
    }
}

/// Deviations that are allowed in this run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allowances {
    /// The number of slots of all nodes: a fault repeats at most this many runs.
    pub(crate) slots: u64,
    /// The server's file was behind when it was killed, so that jobs may be missing.
    pub(crate) losses: bool,
    /// A failover may undo settlements that a node saw applied. The sums must still be right.
    pub(crate) rollbacks: bool,
}

/// A node settles a job no more often than this without success: with growing pauses of up to two
/// seconds that takes minutes, far more than an outage.
const MAX_REFUSALS: u32 = 100;

/// Checks a run.
pub(crate) fn check(history: &History, state: &FinalState, allowed: Allowances) -> Verdict {
    let mut verdict = Verdict { fenced: history.fenced, ..Verdict::default() };
    // Some faults are impossible in this run or did not come about.
    for fault in history.faults.iter().filter(|fault| fault.note != "did not happen") {
        *verdict.faults.entry(fault.kind.clone()).or_default() += 1;
    }
    let (mut recoveries, mut calm) = (vec![], vec![]);
    let (mut dying, mut cancelling) = (0, 0);
    for (seq, job) in &history.jobs {
        verdict.jobs += 1;
        verdict.executions += job.executions.len() as u64;
        let exists = existence(*seq, job, state, allowed, &mut verdict);
        let act = job.act;
        let unlucky = unlucky(job, state, &history.faults);
        verdict.unlucky += u64::from(unlucky);
        let dies = unlucky || act.is_some_and(Act::dies);
        let completes = !dies && act.is_some_and(Act::completes);
        verdict.expected += exists * u64::from(completes);
        dying += exists * u64::from(dies);
        cancelling += exists * u64::from(act.is_some_and(Act::is_cancelled));
        // Never confirmed, and possibly lost with the primary on which it ran.
        let forgotten = allowed.rollbacks && job.ok == 0;
        verdict.uncertain += exists * u64::from(forgotten);
        if !unlucky && !forgotten {
            end(*seq, job, state, &history.faults, &mut verdict);
        }
        for duplicate in duplicates(*seq, job, &history.faults) {
            calm.extend(duplicate.away.filter(|_| duplicate.calm));
            note(duplicate, job, &mut verdict, &mut recoveries);
        }
    }
    verdict.completed = state.stat("completed");
    verdict.buried = state.stat("buried");
    verdict.cancelled = state.stat("cancelled");
    totals(&mut verdict, dying, cancelling, allowed);
    let twice = |job: &String, count: u32| {
        count > 1 && !allowed.rollbacks && !history.repeatable.contains(job)
    };
    for (job, count) in history.completions.iter().filter(|(job, count)| twice(job, **count)) {
        verdict.violate("completed twice", format!("job {job}: {count} times"));
    }
    for one in usurped(history) {
        verdict.violate("settled without the claim", format!("job {} on {}", one.job, one.node));
    }
    let faults: u64 = verdict.faults.values().sum();
    if verdict.duplicate_executions > allowed.slots * faults {
        let text = format!("{} with {faults} faults", verdict.duplicate_executions);
        verdict.violate("more repetitions than slots × faults", text);
    }
    let hurried = history.refusals.iter().filter(|(_, count)| **count > MAX_REFUSALS);
    for ((node, job), count) in hurried {
        let text = format!("job {job} on {node}: {count} times");
        verdict.violate("settled again and again without a pause", text);
    }
    for (promise, example) in &history.broken {
        verdict.violate(promise, example.clone());
    }
    // A server that hangs kills no node.
    let only_hung = history.faults.iter().all(|fault| fault.kind == crate::reshard::HUNG);
    if only_hung && !history.faults.is_empty() && state.marked > 0 {
        let text = format!("{} nodes, {} jobs rescued", state.marked, state.stat("rescued"));
        verdict.violate("a living node was declared dead", text);
    }
    for leftover in &state.leftovers {
        verdict.violate("left behind", leftover.clone());
    }
    verdict.calm_recoveries = calm.len() as u64;
    (verdict.recovery_p50, verdict.recovery_p99, verdict.recovery_max) = spread(recoveries);
    let (p50, p99, max) = spread(calm);
    (verdict.calm_recovery_p50, verdict.calm_recovery_p99) = (p50, p99);
    verdict.calm_recovery_max = max;
    verdict
}

/// Returns the median, the 99th percentile and the maximum; 0 if there are no times.
fn spread(mut times: Vec<u64>) -> (u64, u64, u64) {
    times.sort_unstable();
    let at = |percent: usize| {
        let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(index).copied().unwrap_or(0)
    };
    (at(50), at(99), at(100))
}

/// Returns how many jobs existed under this number, counted by the ids of its runs; of a job that
/// cannot be read, by its ids among the dead.
fn existence(
    seq: u64,
    job: &Job,
    state: &FinalState,
    allowed: Allowances,
    verdict: &mut Verdict,
) -> u64 {
    let mut ids: Vec<&str> = if job.act == Some(Act::Bad(Bad::Unreadable)) {
        job.ids.iter().map(String::as_str).filter(|id| state.dead.contains_key(*id)).collect()
    } else {
        job.executions.iter().map(|run| run.job.as_str()).collect()
    };
    ids.sort_unstable();
    ids.dedup();
    let there = ids.len() as u64;
    verdict.ok += u64::from(job.ok > 0);
    if job.ok > 0 {
        // A stored job must have run.
        let missing = job.ids.iter().all(|id| !ids.contains(&id.as_str()));
        if there == 0 || missing {
            if !allowed.losses {
                verdict.violate("lost", format!("job {seq} ({:?}) never ran", job.how));
            }
            return there;
        }
    } else if job.unknown > 0 {
        verdict.unknown_stored += u64::from(there > 0);
        verdict.unknown_absent += u64::from(there == 0);
    }
    let idempotent = job.how.is_some_and(crate::ledger::How::is_idempotent);
    // Each try of unknown outcome may have stored one more job; a refused one must not have.
    let most = if idempotent { 1 } else { u64::from(job.ok) + u64::from(job.unknown) };
    if there > most {
        let text = format!("job {seq} ({:?}) ran under {there} ids, {most} at most", job.how);
        verdict.violate("stored more often than told", text);
    }
    there
}

/// Returns true for an innocent job that is dead because three of its processes were killed. Seen
/// from outside it looks like a job that kills its process.
fn unlucky(job: &Job, state: &FinalState, faults: &[Fault]) -> bool {
    let innocent = job.act.is_some_and(Act::completes);
    let buried = job.executions.iter().any(|run| state.dead.contains_key(&run.job));
    let crashes = job.executions.iter().filter(|run| was_cut_off(run, faults)).count();
    innocent && buried && crashes >= 3
}

/// Checks that every job that ran has come to its end.
fn end(seq: u64, job: &Job, state: &FinalState, faults: &[Fault], verdict: &mut Verdict) {
    let Some(act) = job.act else {
        if !job.executions.is_empty() {
            verdict.violate("unheard of", format!("job {seq} ran, but was never enqueued"));
        }
        return;
    };
    let Some(last) = job.executions.last() else { return };
    let done = job.executions.iter().any(|run| run.how == Some(Ended::Done));
    let dead = job.executions.iter().find_map(|run| state.dead.get(&run.job));
    if act.dies() {
        if dead.is_none() {
            verdict.violate("should be dead", format!("job {seq} ({act:?})"));
        }
        let ran = job.executions.iter().map(|run| run.attempt).max();
        let crashes = job.executions.iter().filter(|run| was_cut_off(run, faults)).count();
        if act.last_attempt().is_some() && ran != act.last_attempt() && crashes < 3 {
            let text = format!("job {seq} ({act:?}) ended with attempt {ran:?}");
            verdict.violate("buried after the wrong attempt", text);
        }
        if act == Act::Killer && job.executions.len() > 3 + 2 {
            // Two more for runs that a fault ended before the job could kill its process.
            let text = format!("job {seq} ran {} times", job.executions.len());
            verdict.violate("a killer was let loose too often", text);
        }
        return;
    }
    if let Some(why) = dead {
        let why: String = why.chars().filter(|c| !c.is_control()).take(160).collect();
        verdict.violate("innocent, but buried", format!("job {seq} ({act:?}): {why}"));
    } else if !done && !act.is_cancelled() {
        verdict.violate("never finished", format!("job {seq} ({act:?}), last on {}", last.node));
    }
    if act == Act::Result && !job.executions.iter().any(|run| state.results.contains(&run.job)) {
        verdict.violate("no result", format!("job {seq}"));
    }
}

fn note(duplicate: Duplicate, job: &Job, verdict: &mut Verdict, recoveries: &mut Vec<u64>) {
    verdict.duplicate_executions += 1;
    match duplicate.because {
        Some(because) => {
            *verdict.duplicates.entry(because).or_default() += 1;
            recoveries.extend(duplicate.away);
        }
        None => {
            let runs: Vec<String> = job
                .executions
                .iter()
                .map(|run| {
                    format!(
                        "{} from {} to {:?} {:?} attempt {} fence {}",
                        run.node, run.from, run.to, run.how, run.attempt, run.fence
                    )
                })
                .collect();
            let text = format!("job {} ({:?}): {}", duplicate.seq, job.act, runs.join("; "));
            verdict.violate("repeated without a reason", text);
        }
    }
}

/// Checks that every job is finally settled exactly once.
fn totals(verdict: &mut Verdict, dying: u64, cancelling: u64, allowed: Allowances) {
    let sums = [
        ("completions", verdict.completed, verdict.expected),
        ("burials", verdict.buried, dying),
        ("cancellations", verdict.cancelled, cancelling),
    ];
    for (what, counted, expected) in sums {
        if counted > expected {
            let text = format!("{counted} {what} of {expected} jobs");
            verdict.violate("settled twice", text);
        } else if counted + verdict.uncertain < expected && !allowed.losses {
            let text = format!("{counted} {what} of {expected} jobs");
            verdict.violate("never settled", text);
        }
    }
}
