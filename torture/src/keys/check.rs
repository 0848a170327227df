//! Checks that the steps of each key started and ended one at a time, in the order in which they
//! were cast, without a gap.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::checker::Verdict;
use crate::final_state::FinalState;
use crate::ledger::{self, Ended, Line, Outcome, Record};

/// The records of a run about keys.
#[derive(Debug, Default)]
pub(crate) struct Chronicle {
    keys: BTreeMap<u64, Key>,
}

#[derive(Debug, Default)]
struct Key {
    /// By number: the best outcome that its caster has recorded.
    cast: BTreeMap<u64, Outcome>,
    runs: Vec<Run>,
}

/// A handler's run.
#[derive(Debug, Clone)]
struct Run {
    number: u64,
    job: String,
    fence: u64,
    from: u64,
    to: Option<u64>,
    done: bool,
}

impl Chronicle {
    /// Reads the records from the ledger.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let mut chronicle = Self::default();
        for file in ledger::read_all(folder)? {
            chronicle.add(file?.1);
        }
        chronicle.order();
        Ok(chronicle)
    }

    fn order(&mut self) {
        for key in self.keys.values_mut() {
            key.runs.sort_by_key(|run| (run.from, run.fence));
        }
    }

    fn add(&mut self, lines: Vec<Line>) {
        let mut runs: BTreeMap<u64, (u64, usize)> = BTreeMap::new();
        for Line { at, record } in lines {
            match record {
                // Without a later record the outcome is unknown.
                Record::Cast { key, number } => self.record(key, number, Outcome::Unknown, false),
                Record::CastEnded { key, number, outcome } => {
                    self.record(key, number, outcome, true);
                }
                Record::KeyStep { run, key, number, job, fence } => {
                    let known = self.keys.entry(key).or_default();
                    runs.insert(run, (key, known.runs.len()));
                    known.runs.push(Run { number, job, fence, from: at, to: None, done: false });
                }
                Record::End { run, how } => {
                    let found = runs
                        .get(&run)
                        .and_then(|(key, index)| self.keys.get_mut(key)?.runs.get_mut(*index));
                    if let Some(run) = found {
                        (run.to, run.done) = (Some(at), how == Ended::Done);
                    }
                }
                _ => {}
            }
        }
    }

    fn record(&mut self, key: u64, number: u64, outcome: Outcome, ended: bool) {
        let known = self.keys.entry(key).or_default().cast.entry(number);
        let known = known.or_insert(outcome);
        // A recorded outcome stays, unless the step was refused and tried again.
        if *known != Outcome::Ok && (ended || *known == Outcome::Failed) {
            *known = outcome;
        }
    }

    /// Compares every key's runs with its casts.
    pub(crate) fn check(&self, state: &FinalState, verdict: &mut Verdict) {
        let (mut jobs, mut stored, mut late) = (BTreeSet::new(), 0_u64, 0_usize);
        for (key, known) in &self.keys {
            jobs.extend(known.runs.iter().map(|run| run.job.as_str()));
            let holders = known.holders();
            late += known.runs.len() - holders.len();
            known.check_order(*key, verdict);
            for (number, outcome) in &known.cast {
                let runs = || known.runs.iter().filter(|run| run.number == *number);
                let of: BTreeSet<&str> = runs().map(|run| run.job.as_str()).collect();
                if of.len() > 1 {
                    let text = format!("step {number} of key {key} as {of:?}");
                    verdict.violate("steps stored twice", text);
                }
                match outcome {
                    Outcome::Ok => stored += 1,
                    Outcome::Failed if !of.is_empty() => {
                        let text = format!("step {number} of key {key}, which had been refused");
                        verdict.violate("steps out of thin air", text);
                    }
                    _ if of.is_empty() => continue,
                    _ => {}
                }
                let done = |run: &&Run| run.number == *number && run.done;
                if !holders.iter().any(|run| done(&run)) {
                    verdict.violate("steps lost", format!("step {number} of key {key}"));
                }
            }
        }
        let completed = state.sum_of("keys.", "completed");
        let expected = jobs.len() as u64;
        if completed != expected {
            let what = if completed > expected { "steps completed twice" } else { "steps lost" };
            verdict.violate(what, format!("{completed} completions of {expected} steps"));
        }
        let keys = self.keys.len();
        let text = format!("{stored} known to be stored, of {keys} keys, each key in order");
        verdict.row("steps of keys", text);
        verdict.row("steps that ran without the lease", late.to_string());
    }
}

impl Key {
    /// Returns, by start, the runs whose node held the lease when they began. A node that was
    /// paused past its lease may still run jobs, under a lower fence than runs before it.
    fn holders(&self) -> Vec<Run> {
        let mut highest = 0;
        let mut runs = self.runs.clone();
        runs.retain(|run| {
            highest = highest.max(run.fence);
            run.fence == highest
        });
        runs
    }

    fn check_order(&self, key: u64, verdict: &mut Verdict) {
        let known: Vec<u64> = self
            .cast
            .iter()
            .filter(|(_, outcome)| **outcome == Outcome::Ok)
            .map(|(number, _)| *number)
            .collect();
        // By holder, and for each holder by start. `place` counts the steps known to be stored that
        // have begun.
        let mut runs: Vec<&Run> = self.runs.iter().collect();
        runs.sort_by_key(|run| run.fence);
        let (mut place, mut before) = (0, None::<&Run>);
        for run in runs {
            let same = before.is_none_or(|last| last.fence == run.fence);
            // The run of another holder may overlap: that node may not have noticed the loss of its
            // lease.
            let last = before.replace(run).filter(|last| last.fence == run.fence);
            if let Some(last) = last.filter(|last| last.to.is_some_and(|to| to > run.from)) {
                let text = format!("steps {} and {} of key {key}", last.number, run.number);
                verdict.violate("steps at the same time", text);
            }
            // The place of a step is unknown unless it is known to be stored.
            let Ok(at) = known.binary_search(&run.number) else { continue };
            // A step may begin again, and a new holder may begin with steps that its predecessor
            // did not settle.
            let fits = at == place || at + 1 == place || (at < place && !same);
            if !fits {
                let wanted = known.get(place);
                let text = format!("step {} of key {key} where {wanted:?} was due", run.number);
                verdict.violate("steps out of order", text);
            }
            place = at + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change<'a> = &'a dyn Fn(&mut Vec<Line>);

    fn step(run: u64, number: u64, fence: u64, from: u64, to: u64) -> [Line; 2] {
        let job = format!("job {number}");
        [
            Line { at: from, record: Record::KeyStep { run, key: 1, number, job, fence } },
            Line { at: to, record: Record::End { run, how: Ended::Done } },
        ]
    }

    fn cast(number: u64, outcome: Outcome) -> [Line; 2] {
        let record = Record::Cast { key: 1, number };
        let ended = Record::CastEnded { key: 1, number, outcome };
        [Line { at: 1, record }, Line { at: 1, record: ended }]
    }

    /// Checks three steps of a key, the second of unknown outcome; `completed` of them were
    /// completed. Returns the violations.
    fn findings(completed: u64, change: Change<'_>) -> Vec<String> {
        let outcomes = [Outcome::Ok, Outcome::Unknown, Outcome::Ok];
        let mut lines: Vec<Line> = (0..).zip(outcomes).flat_map(|(n, o)| cast(n, o)).collect();
        for number in 0..3 {
            lines.extend(step(number, number, 1, 10 + number * 10, 15 + number * 10));
        }
        change(&mut lines);
        let mut chronicle = Chronicle::default();
        chronicle.add(lines);
        chronicle.order();
        let mut state = FinalState::default();
        state.beside.insert("keys.3".into(), [("completed".to_owned(), completed)].into());
        let mut verdict = Verdict::default();
        chronicle.check(&state, &mut verdict);
        verdict.violations.into_keys().collect()
    }

    #[test]
    fn every_rule_can_be_broken() {
        assert!(findings(3, &|_| {}).is_empty());
        let has = |completed, change: Change<'_>, what: &str| {
            let found = findings(completed, change);
            assert!(found.iter().any(|one| one == what), "{what}: {found:?}");
        };
        has(4, &|_| {}, "steps completed twice");
        has(2, &|_| {}, "steps lost");
        has(2, &|lines| drop(lines.drain(6..8)), "steps lost");
        has(3, &|lines| lines[6].at = 40, "steps out of order");
        has(3, &|lines| lines[9].at = 32, "steps at the same time");
        has(3, &|lines| lines.extend(step(9, 0, 1, 50, 55)), "steps out of order");
        has(3, &|lines| lines.extend(step(9, 7, 1, 50, 55)), "steps lost");
        has(
            4,
            &|lines| {
                lines.extend(cast(3, Outcome::Failed));
                lines.extend(step(9, 3, 1, 50, 55));
            },
            "steps out of thin air",
        );
        // The last step was completed only by a node that had lost its lease.
        let usurped = |lines: &mut Vec<Line>| {
            lines.drain(10..);
            lines.extend(step(7, 0, 2, 28, 29));
            lines.extend(step(8, 2, 1, 40, 45));
        };
        has(3, &usurped, "steps lost");
    }

    #[test]
    fn who_lost_the_lease_may_run_late_and_a_step_may_begin_again() {
        let late = |lines: &mut Vec<Line>| {
            lines.extend(step(8, 2, 2, 36, 38));
            lines.extend(step(9, 1, 1, 40, 45));
        };
        assert!(findings(3, &late).is_empty());
    }
}
