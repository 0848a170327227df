//! Checks that each job known to be stored was done, and completed once. Jobs above a limit and
//! permits that were not given back are records of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::checker::Verdict;
use crate::final_state::FinalState;
use crate::ledger::{self, Ended, Outcome, Record};

/// The records of a run about limited jobs.
#[derive(Debug, Default)]
pub(crate) struct Chronicle {
    /// The outcome of each enqueue, by line and number; `None` for one that was under way.
    fed: BTreeMap<(u64, u64), Option<Outcome>>,
    /// The jobs that ran, by line and number.
    ran: BTreeMap<(u64, u64), BTreeSet<String>>,
    done: BTreeSet<String>,
    completions: BTreeMap<String, u32>,
    runs: u64,
}

impl Chronicle {
    /// Reads the records from the ledger.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let mut chronicle = Self::default();
        for file in ledger::read_all(folder)? {
            let mut runs: BTreeMap<u64, String> = BTreeMap::new();
            for line in file?.1 {
                chronicle.add(line.record, &mut runs);
            }
        }
        Ok(chronicle)
    }

    fn add(&mut self, record: Record, runs: &mut BTreeMap<u64, String>) {
        match record {
            Record::Fed { line, number } => drop(self.fed.insert((line, number), None)),
            Record::FedEnded { line, number, outcome } => {
                self.fed.insert((line, number), Some(outcome));
            }
            Record::Limited { run, line, number, job } => {
                self.ran.entry((line, number)).or_default().insert(job.clone());
                self.runs += 1;
                runs.insert(run, job);
            }
            Record::End { run, how: Ended::Done } => self.done.extend(runs.get(&run).cloned()),
            Record::Settled { job, applied: true, completes: true } => {
                *self.completions.entry(job).or_default() += 1;
            }
            _ => {}
        }
    }

    /// Compares what ran with what was enqueued. `most` jobs of a group and of the queue ran at a
    /// time. A failover may undo enqueues that were not confirmed, and settlements that a node saw
    /// applied; `fails_over` says that there were some.
    pub(crate) fn check(
        &self,
        state: &FinalState,
        (most, fails_over): ((u64, u64), bool),
        verdict: &mut Verdict,
    ) {
        let (mut stored, mut unknown) = (0_u64, 0_u64);
        let mut forgotten = BTreeSet::new();
        for (place, outcome) in &self.fed {
            let ran = self.ran.get(place).map_or(0, BTreeSet::len);
            match outcome {
                Some(Outcome::Ok) if ran == 0 => {
                    verdict.violate("limited jobs lost", format!("{place:?}"));
                }
                Some(Outcome::Ok) => stored += 1,
                Some(Outcome::Failed) if ran > 0 => {
                    verdict.violate("limited jobs out of thin air", format!("{place:?}"));
                }
                Some(Outcome::Failed) => {}
                Some(Outcome::Unknown) | None => {
                    unknown += 1;
                    let jobs = self.ran.get(place).filter(|_| fails_over);
                    forgotten.extend(jobs.into_iter().flatten());
                }
            }
            if ran > 1 {
                verdict.violate("limited jobs stored twice", format!("{place:?}"));
            }
        }
        let jobs: BTreeSet<&String> = self.ran.values().flatten().collect();
        let lives = |job: &&&String| !forgotten.contains(*job);
        for job in jobs.iter().filter(lives).filter(|job| !self.done.contains(**job)) {
            verdict.violate("limited jobs never done", (*job).clone());
        }
        let twice =
            |(job, times): &(&String, &u32)| **times > 1 && !fails_over && jobs.contains(job);
        for (job, times) in self.completions.iter().filter(twice) {
            verdict.violate("limited jobs completed twice", format!("{job}, {times} times"));
        }
        let (completed, expected) = (state.stat_of("limited.0", "completed"), jobs.len() as u64);
        let least = expected.saturating_sub(forgotten.len() as u64);
        if !(least..=expected).contains(&completed) {
            let text = format!("{completed} completions of {expected} jobs");
            verdict.violate("limited jobs lost or completed twice", text);
        }
        let text = format!("{stored} known to be stored, {unknown} of unknown outcome");
        verdict.row("limited jobs", format!("{text}; {completed} completed in {} runs", self.runs));
        let text = format!("{} of a group, {} of the queue", most.0, most.1);
        verdict.row("limited jobs at a time, at most", text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change<'a> = &'a dyn Fn(&mut Vec<Record>);

    fn fed(number: u64, outcome: Outcome) -> [Record; 2] {
        [Record::Fed { line: 1, number }, Record::FedEnded { line: 1, number, outcome }]
    }

    fn ran(run: u64, number: u64, job: &str) -> [Record; 3] {
        [
            Record::Limited { run, line: 1, number, job: job.into() },
            Record::End { run, how: Ended::Done },
            Record::Settled { job: job.into(), applied: true, completes: true },
        ]
    }

    /// Checks two jobs, the second of unknown outcome; `completed` of them were completed. Returns
    /// the violations.
    fn findings(completed: u64, fails_over: bool, change: Change<'_>) -> Vec<String> {
        let mut records = vec![];
        records.extend(fed(0, Outcome::Ok));
        records.extend(fed(1, Outcome::Unknown));
        records.extend(ran(1, 0, "a"));
        records.extend(ran(2, 1, "b"));
        change(&mut records);
        let (mut chronicle, mut runs) = (Chronicle::default(), BTreeMap::new());
        records.into_iter().for_each(|record| chronicle.add(record, &mut runs));
        let mut state = FinalState::default();
        let stats = [("completed".to_owned(), completed)].into();
        state.beside.insert("limited.0".into(), stats);
        let mut verdict = Verdict::default();
        chronicle.check(&state, ((1, 1), fails_over), &mut verdict);
        verdict.violations.into_keys().collect()
    }

    #[test]
    fn every_rule_can_be_broken() {
        assert!(findings(2, false, &|_| {}).is_empty());
        let has = |completed, change: Change<'_>, what: &str| {
            let found = findings(completed, false, change);
            assert!(found.iter().any(|one| one == what), "{what}: {found:?}");
        };
        has(1, &|_| {}, "limited jobs lost or completed twice");
        has(1, &|records| drop(records.drain(4..7)), "limited jobs lost");
        has(2, &|records| drop(records.remove(5)), "limited jobs never done");
        has(3, &|records| records.extend(ran(3, 0, "c")), "limited jobs stored twice");
        has(2, &|records| records.extend(ran(3, 0, "a")), "limited jobs completed twice");
        let refused = |records: &mut Vec<Record>| {
            records.extend(fed(2, Outcome::Failed));
            records.extend(ran(3, 2, "c"));
        };
        has(3, &refused, "limited jobs out of thin air");
    }

    #[test]
    fn a_failover_may_forget_what_was_not_confirmed_and_what_was_settled() {
        assert!(findings(1, true, &|_| {}).is_empty(), "the second job");
        assert!(findings(2, true, &|records| records.extend(ran(3, 0, "a"))).is_empty());
        assert!(!findings(0, true, &|_| {}).is_empty(), "the first one was confirmed");
    }
}
