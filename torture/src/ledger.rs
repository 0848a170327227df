//! The ledger: append-only files outside Redis, one per process. Every record is one line of JSON
//! and one `write`, so that a killed process leaves whole records.
//!
//! The checker knows a run only from the ledger and the final contents of Redis.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::job::Act;
use crate::uniques::{Answer, Rule};

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The time in ms since 1970, by this machine's clock, which does not jump.
    pub(crate) at: u64,
    /// The event.
    #[serde(flatten)]
    pub(crate) record: Record,
}

/// An event of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum Record {
    /// A process started. The name contains its incarnation (`node-2.7`).
    Up { name: String, pid: u32 },
    /// A producer is about to enqueue a job.
    Invoke { seq: u64, act: Act, how: How },
    /// The outcome of an enqueue.
    Stored { seq: u64, outcome: Outcome, job: Option<String> },
    /// A handler begins.
    Start { run: u64, seq: u64, job: String, attempt: u32, fence: u64 },
    /// A handler ends.
    End { run: u64, how: Ended },
    /// The server has replied to a settlement.
    Settled { job: String, applied: bool, completes: bool },
    /// A fault begins.
    Fault { id: u64, kind: String, target: String },
    /// A fault is over; `note` holds its result.
    Over { id: u64, note: String },
    /// A process ended without a planned kill: a job has killed it.
    Died { target: String },
    /// A schedule was added: its first tick and interval in ms, and the number of its ticks.
    Scheduled { first: i64, every: i64, count: Option<u64> },
    /// The final state of the schedule: last tick, jobs published, ticks dropped.
    Concluded { last: i64, runs: u64, missed: u64 },
    /// A handler begins with the job of a tick.
    Tick { run: u64, tick: i64, job: String },
    /// Pusher `who` is about to push entries, of which `from` is the first number.
    Push { who: u64, from: u64, count: u64, token: bool },
    /// The outcome of a push: from number `from` on, `stored` entries are stored and the next
    /// `unknown` may be. The rest is not stored.
    Pushed { who: u64, from: u64, stored: u64, unknown: u64 },
    /// A handler begins with a batch: the entries in it, and those that it will leave.
    Batch {
        run: u64,
        job: String,
        sealed: i64,
        ranges: Vec<(u64, u64, u64)>,
        left: Vec<(u64, u64)>,
    },
    /// A step of a key is about to be cast.
    Cast { key: u64, number: u64 },
    /// The outcome of a cast.
    CastEnded { key: u64, number: u64, outcome: Outcome },
    /// A handler begins with a step of a key.
    KeyStep { run: u64, key: u64, number: u64, job: String, fence: u64 },
    /// A job of a limited queue is about to be enqueued.
    Fed { line: u64, number: u64 },
    /// The outcome of such an enqueue.
    FedEnded { line: u64, number: u64, outcome: Outcome },
    /// A handler begins with a job of a limited queue.
    Limited { run: u64, line: u64, number: u64, job: String },
    /// A unique job of a key is about to be enqueued.
    Send { rule: Rule, key: u64, number: u64 },
    /// The answer to its enqueue: the job that it names, and the due time of this job by the server's
    /// clock.
    Sent {
        rule: Rule,
        key: u64,
        number: u64,
        answer: Answer,
        job: Option<String>,
        due: Option<i64>,
    },
    /// A handler begins with a unique job, which has the data of the enqueue of this number.
    SingleRun { run: u64, rule: Rule, key: u64, number: u64, job: String, fence: u64 },
    /// A unique job is about to be cancelled.
    Withdraw { job: String },
    /// The outcome of its cancellation: whether it is gone without having run.
    Withdrawn { job: String, gone: bool },
    /// A call with extreme settings is about to be made.
    Called { number: u64, call: String },
    /// A job is about to be enqueued that may be stored, and completed, more than once.
    Repeatable { job: String },
    /// A process saw a broken promise.
    Broken { promise: String, example: String },
}

/// The way in which a job is enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// With a single command that is not repeated.
    Plain,
    /// In bulk, not repeated.
    Bulk,
    /// With a delay, not repeated.
    Later,
    /// With a fixed id, repeated until it is known to be stored.
    Idempotent,
    /// With a fixed id and a delay, repeated until it is known to be stored.
    IdempotentLater,
}

impl How {
    pub(crate) fn is_idempotent(self) -> bool {
        matches!(self, Self::Idempotent | Self::IdempotentLater)
    }
}

/// The outcome of an enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The job is stored.
    Ok,
    /// The job is certainly not stored.
    Failed,
    /// The job may or may not be stored.
    Unknown,
}

/// The end of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ended {
    /// The handler ended as the job specifies, and the job is to be removed.
    Done,
    /// The handler returned its own error or panicked.
    Failed,
    /// The handler snoozed the job.
    Snoozed,
    /// The handler was cancelled and returned.
    Cancelled,
    /// The handler was dropped while it ran.
    Dropped,
}

/// Returns the time in ms since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// An open file of the ledger. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    file: Arc<File>,
}

impl Ledger {
    /// Opens a file for appending.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file: Arc::new(file) })
    }

    /// Writes a record. Ends the process if that fails, because its later actions would be missing
    /// from the ledger.
    pub(crate) fn write(&self, record: Record) {
        let line = Line { at: now(), record };
        let written = serde_json::to_string(&line)
            .map_err(io::Error::from)
            .and_then(|text| (&*self.file).write_all(format!("{text}\n").as_bytes()));
        if let Err(error) = written {
            eprintln!("torture: the ledger cannot be written: {error}");
            std::process::exit(3);
        }
    }
}

/// Reads a file of the ledger. Only its last line may be incomplete.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Line>> {
    let mut lines = vec![];
    let mut torn: Option<String> = None;
    for text in BufReader::new(File::open(path)?).lines() {
        if let Some(torn) = torn {
            let text = format!("{} has a torn record within: {torn}", path.display());
            return Err(io::Error::other(text));
        }
        let text = text?;
        torn = match serde_json::from_str(&text) {
            Ok(line) => {
                lines.push(line);
                None
            }
            Err(_) => Some(text),
        };
    }
    Ok(lines)
}

/// Reads the files of a folder in the order of their names. Yields the name and the lines of each
/// file.
pub(crate) fn read_all(
    folder: &Path,
) -> Result<impl Iterator<Item = Result<(String, Vec<Line>), String>>, String> {
    let mut files = vec![];
    for entry in fs::read_dir(folder).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files.into_iter().map(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, read(&path).map_err(|error| error.to_string())?))
    }))
}

/// Creates the folder, and removes the files of an earlier run.
pub(crate) fn empty(folder: &Path) -> Result<(), String> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| error.to_string())?;
    }
    fs::create_dir_all(folder).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_up_to_a_torn_end() {
        let dir = std::env::temp_dir().join(format!("poolder-ledger-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("a.jsonl");
        let ledger = Ledger::open(&path).unwrap();
        let records = [
            Record::Up { name: "node-1.1".into(), pid: 7 },
            Record::Invoke { seq: 3, act: Act::Fail(2), how: How::Bulk },
            Record::Stored { seq: 3, outcome: Outcome::Unknown, job: None },
            Record::End { run: 1, how: Ended::Dropped },
        ];
        records.iter().for_each(|record| ledger.write(record.clone()));
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(b"{\"at\":1,\"is\":\"st"))
            .unwrap();
        let read: Vec<Record> = read(&path).unwrap().into_iter().map(|l| l.record).collect();
        assert_eq!(read, records);
        for target in ["x", "y"] {
            ledger.write(Record::Died { target: target.into() });
        }
        assert!(super::read(&path).is_err(), "a torn record within is no ledger");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
