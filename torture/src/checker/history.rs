//! The ledger, put in order: what became of each job, and when each fault was.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::job::Act;
use crate::ledger::{self, Ended, How, Line, Outcome, Record};

/// Everything that is known of a run.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// By number.
    pub(crate) jobs: BTreeMap<u64, Job>,
    /// By begin.
    pub(crate) faults: Vec<Fault>,
    /// By job id: how often nodes saw a completion applied.
    pub(crate) completions: HashMap<String, u32>,
    /// Settlements that were refused, since somebody else had the job.
    pub(crate) fenced: u64,
    /// Settlements that were applied and moved the job elsewhere.
    pub(crate) moves: Vec<Move>,
}

/// A settlement that put a job elsewhere.
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
    /// Ids under which it was stored, as far as producers were told.
    pub(crate) ids: Vec<String>,
    /// By start.
    pub(crate) executions: Vec<Execution>,
}

/// A handler's run.
#[derive(Debug, Clone)]
pub(crate) struct Execution {
    /// `node-2`: whichever process ran under that name.
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
        // By run: the job's number and which of its executions it is.
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
                // Of what runs beside; it has checkers of its own.
                _ => {}
            }
        }
        // The process ended with these on their way. Whoever came after it notes the same, which
        // does no harm: at most one of them was stored without anybody's knowing.
        for seq in open.into_keys() {
            self.jobs.entry(seq).or_default().unknown += 1;
        }
    }

    /// Orders what came from several files.
    pub(crate) fn order(&mut self) {
        self.faults.sort_by_key(|fault| fault.from);
        for job in self.jobs.values_mut() {
            job.executions.sort_by_key(|execution| execution.from);
        }
    }
}
