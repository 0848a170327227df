//! The sorted contents of the ledger: the history of each job, and the times of faults.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use crate::job::Act;
use crate::ledger::{self, Ended, How, Line, Outcome, Record};

/// All records of a run about jobs and faults.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The jobs, by number.
    pub(crate) jobs: BTreeMap<u64, Job>,
    /// The faults, by start.
    pub(crate) faults: Vec<Fault>,
    /// Job id → the number of completions that nodes saw applied.
    pub(crate) completions: HashMap<String, u32>,
    /// The number of settlements that were not applied.
    pub(crate) fenced: u64,
    /// Node and job id → how often the node's settlement of the job was not applied.
    pub(crate) refusals: HashMap<(String, String), u32>,
    /// The settlements that were applied and moved the job to another place.
    pub(crate) moves: Vec<Move>,
    /// The ids of jobs that may be completed more than once.
    pub(crate) repeatable: HashSet<String>,
    /// The broken promises that processes saw, each with an example.
    pub(crate) broken: Vec<(String, String)>,
}

/// A settlement that moved a job to another place.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    pub(crate) node: String,
    pub(crate) job: String,
    pub(crate) at: u64,
}

/// A job, as its producer and its handlers saw it.
#[derive(Debug, Default)]
pub(crate) struct Job {
    pub(crate) act: Option<Act>,
    pub(crate) how: Option<How>,
    pub(crate) ok: u32,
    pub(crate) unknown: u32,
    /// The ids under which the job was stored, as far as producers know them.
    pub(crate) ids: Vec<String>,
    /// The runs, by start.
    pub(crate) executions: Vec<Execution>,
}

/// A handler's run.
#[derive(Debug, Clone)]
pub(crate) struct Execution {
    /// The name of the process without its incarnation, such as `node-2`.
    pub(crate) node: String,
    pub(crate) job: String,
    pub(crate) attempt: u32,
    pub(crate) fence: u64,
    pub(crate) from: u64,
    pub(crate) to: Option<u64>,
    pub(crate) how: Option<Ended>,
}

/// A fault.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: String,
    pub(crate) target: String,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) note: String,
}

impl History {
    /// Reads all files of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let mut history = Self::default();
        for file in ledger::read_all(folder)? {
            let (name, lines) = file?;
            history.add(&name, lines);
        }
        history.order();
        Ok(history)
    }

    /// Adds the file of one process.
    pub(crate) fn add(&mut self, process: &str, lines: Vec<Line>) {
        let node = process.split('.').next().unwrap_or_default();
        // Run → the number of its job, and the index of the execution.
        let mut runs: HashMap<u64, (u64, usize)> = HashMap::new();
        let mut faults: HashMap<u64, usize> = HashMap::new();
        let mut open: HashMap<u64, ()> = HashMap::new();
        for Line { at, record } in lines {
            match record {
                Record::Up { .. } => {}
                Record::Invoke { seq, act, how } => {
                    let job = self.jobs.entry(seq).or_default();
                    (job.act, job.how) = (Some(act), Some(how));
                    open.insert(seq, ());
                }
                Record::Stored { seq, outcome, job: id } => {
                    open.remove(&seq);
                    let job = self.jobs.entry(seq).or_default();
                    match outcome {
                        Outcome::Ok => job.ok += 1,
                        Outcome::Unknown => job.unknown += 1,
                        Outcome::Failed => {}
                    }
                    if let Some(id) = id
                        && outcome != Outcome::Failed
                        && !job.ids.contains(&id)
                    {
                        job.ids.push(id);
                    }
                }
                Record::Start { run, seq, job: id, attempt, fence } => {
                    let job = self.jobs.entry(seq).or_default();
                    runs.insert(run, (seq, job.executions.len()));
                    job.executions.push(Execution {
                        node: node.to_owned(),
                        job: id,
                        attempt,
                        fence,
                        from: at,
                        to: None,
                        how: None,
                    });
                }
                Record::End { run, how } => {
                    let found = runs.get(&run).and_then(|(seq, index)| {
                        self.jobs.get_mut(seq)?.executions.get_mut(*index)
                    });
                    if let Some(execution) = found {
                        (execution.to, execution.how) = (Some(at), Some(how));
                    }
                }
                Record::Settled { job, applied, completes } => {
                    if !applied {
                        let key = (node.to_owned(), job.clone());
                        *self.refusals.entry(key).or_default() += 1;
                    }
                    if applied && !completes {
                        self.moves.push(Move { node: node.to_owned(), job: job.clone(), at });
                    }
                    if applied && completes {
                        *self.completions.entry(job).or_default() += 1;
                    }
                    self.fenced += u64::from(!applied);
                }
                Record::Fault { id, kind, target } => {
                    faults.insert(id, self.faults.len());
                    let note = String::new();
                    self.faults.push(Fault { kind, target, from: at, to: u64::MAX, note });
                }
                Record::Over { id, note } => {
                    let found = faults.get(&id).and_then(|index| self.faults.get_mut(*index));
                    if let Some(fault) = found {
                        (fault.to, fault.note) = (at, note);
                    }
                }
                Record::Died { target } => {
                    let kind = "killed by a job".to_owned();
                    let note = String::new();
                    self.faults.push(Fault { kind, target, from: at, to: at, note });
                }
                Record::Repeatable { job } => drop(self.repeatable.insert(job)),
                Record::Broken { promise, example } => {
                    self.broken.push((promise, format!("{process}: {example}")));
                }
                // Records about other load, which has its own checkers.
                _ => {}
            }
        }
        // The process ended while these enqueues were under way. The next process records the same
        // again, which does no harm: the count is only an upper bound of the jobs stored.
        for seq in open.into_keys() {
            self.jobs.entry(seq).or_default().unknown += 1;
        }
    }

    /// Sorts the records of all files by time.
    pub(crate) fn order(&mut self) {
        self.faults.sort_by_key(|fault| fault.from);
        for job in self.jobs.values_mut() {
            job.executions.sort_by_key(|execution| execution.from);
        }
    }
}
