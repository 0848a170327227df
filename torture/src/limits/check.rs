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
    /// time.
    pub(crate) fn check(&self, state: &FinalState, most: (u64, u64), verdict: &mut Verdict) {
        let (mut stored, mut unknown) = (0_u64, 0_u64);
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
                Some(Outcome::Unknown) | None => unknown += 1,
            }
            if ran > 1 {
                verdict.violate("limited jobs stored twice", format!("{place:?}"));
            }
        }
        let jobs: BTreeSet<&String> = self.ran.values().flatten().collect();
        for job in jobs.iter().filter(|job| !self.done.contains(**job)) {
            verdict.violate("limited jobs never done", (*job).clone());
        }
        for (job, times) in self.completions.iter().filter(|(job, n)| **n > 1 && jobs.contains(job))
        {
            verdict.violate("limited jobs completed twice", format!("{job}, {times} times"));
        }
        let (completed, expected) = (state.stat_of("limited.0", "completed"), jobs.len() as u64);
        if completed != expected {
            let text = format!("{completed} completions of {expected} jobs");
            verdict.violate("limited jobs lost or completed twice", text);
        }
        let text = format!("{stored} known to be stored, {unknown} of unknown outcome");
        verdict.row("limited jobs", format!("{text}; {completed} completed in {} runs", self.runs));
        let text = format!("{} of a group, {} of the queue", most.0, most.1);
        verdict.row("limited jobs at a time, at most", text);
    }
}
