//! The records of a run about unique jobs.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Answer, Rule};
use crate::ledger::{self, Ended, Line, Record};

/// The answers about each key, and what became of each job.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    /// By rule and key: the enqueues, in their order, as one sender enqueues those of a key.
    pub(super) keys: BTreeMap<(Rule, u64), Vec<Sent>>,
    /// By id.
    pub(super) jobs: BTreeMap<String, Job>,
}

/// An enqueue, and its answer.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) number: u64,
    /// When it began, and when its answer came; `u64::MAX` for none.
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) answer: Answer,
    /// The job that the answer names.
    pub(super) job: Option<String>,
    /// The due time of this job by the server's clock.
    pub(super) due: Option<i64>,
}

/// A job that was named, or that ran.
#[derive(Debug, Default)]
pub(super) struct Job {
    pub(super) key: Option<(Rule, u64)>,
    /// The time by which it was stored: that of the answer, or of its first run.
    pub(super) stored: Option<u64>,
    pub(super) runs: Vec<Run>,
    /// The times at which its sender has asked for its cancellation, and knew that it was removed
    /// while it waited.
    pub(super) withdrawn: Option<u64>,
    pub(super) removed: Option<u64>,
}

/// A handler's run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// The name of the node, without the number of its process.
    pub(super) node: String,
    /// The number of the enqueue whose data the job had.
    pub(super) number: u64,
    pub(super) fence: u64,
    pub(super) from: u64,
    pub(super) to: Option<u64>,
    pub(super) how: Option<Ended>,
    /// When its settlement was known to be applied.
    pub(super) settled: Option<u64>,
}

impl Job {
    /// Returns the last run: no earlier one can have settled the job after it began.
    pub(super) fn last(&self) -> Option<&Run> {
        self.runs.iter().max_by_key(|run| (run.fence, run.from))
    }

    /// Returns the time of the first start.
    pub(super) fn start(&self) -> Option<u64> {
        self.runs.iter().map(|run| run.from).min()
    }

    /// Returns a time at which the job was alive: the latest that is known.
    pub(super) fn alive_at(&self) -> Option<u64> {
        let last = self.last().map(|run| run.to.unwrap_or(run.from)).or(self.stored)?;
        Some(last.min(self.withdrawn.unwrap_or(u64::MAX)))
    }

    /// Returns a time at which the job had ended, the earliest that is known.
    pub(super) fn ended_by(&self) -> Option<u64> {
        self.removed.or(self.last()?.settled)
    }
}

impl Chronicle {
    /// Reads the records from the ledger.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let mut chronicle = Self::default();
        for file in ledger::read_all(folder)? {
            let (process, lines) = file?;
            chronicle.add(&process, lines);
        }
        chronicle.order();
        Ok(chronicle)
    }

    /// Adds the file of one process.
    pub(super) fn add(&mut self, process: &str, lines: Vec<Line>) {
        let node = process.split('.').next().unwrap_or_default();
        let mut runs: BTreeMap<u64, (String, usize)> = BTreeMap::new();
        for Line { at, record } in lines {
            match record {
                Record::Send { rule, key, number } => {
                    let (to, answer, job, due) = (u64::MAX, Answer::Unknown, None, None);
                    let sent = Sent { number, from: at, to, answer, job, due };
                    self.keys.entry((rule, key)).or_default().push(sent);
                }
                Record::Sent { rule, key, number, answer, job, due } => {
                    let all = self.keys.entry((rule, key)).or_default();
                    if let Some(sent) = all.iter_mut().rfind(|sent| sent.number == number) {
                        (sent.to, sent.answer, sent.due) = (at, answer, due);
                        sent.job = job;
                    }
                }
                Record::SingleRun { run, rule, key, number, job, fence } => {
                    let known = self.jobs.entry(job.clone()).or_default();
                    known.key = Some((rule, key));
                    runs.insert(run, (job, known.runs.len()));
                    let (node, to, how, settled) = (node.to_owned(), None, None, None);
                    known.runs.push(Run { node, number, fence, from: at, to, how, settled });
                }
                Record::End { run, how } => {
                    let found = runs
                        .get(&run)
                        .and_then(|(job, index)| self.jobs.get_mut(job)?.runs.get_mut(*index));
                    if let Some(run) = found {
                        (run.to, run.how) = (Some(at), Some(how));
                    }
                }
                Record::Settled { job, applied: true, .. } => {
                    // The settlement is that of the last run that has ended in this process.
                    let own = runs.values().filter(|(of, _)| *of == job).map(|(_, index)| *index);
                    let last = own.max();
                    let known = self.jobs.get_mut(&job);
                    let found = last.zip(known).and_then(|(last, job)| job.runs.get_mut(last));
                    if let Some(run) = found.filter(|run| run.to.is_some()) {
                        run.settled = Some(at);
                    }
                }
                Record::Withdraw { job } => {
                    self.jobs.entry(job).or_default().withdrawn = Some(at);
                }
                Record::Withdrawn { job, gone: true } => {
                    self.jobs.entry(job).or_default().removed = Some(at);
                }
                _ => {}
            }
        }
    }

    /// Sorts the enqueues, and notes for each job its key and the time by which it was stored.
    pub(super) fn order(&mut self) {
        for (key, all) in &mut self.keys {
            all.sort_by_key(|sent| (sent.number, sent.from));
            for sent in all.iter() {
                let Some(job) = &sent.job else { continue };
                // An id of unknown outcome need not be that of a job.
                if sent.answer.is_stored() {
                    let job = self.jobs.entry(job.clone()).or_default();
                    (job.key, job.stored) = (Some(*key), Some(sent.to));
                }
            }
        }
        for job in self.jobs.values_mut() {
            let times = [job.stored, job.start()];
            job.stored = times.into_iter().flatten().min();
        }
    }
}
