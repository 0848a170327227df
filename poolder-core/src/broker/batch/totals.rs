//! Lifetime counters of a batcher's entries and batches.

use redis::{Cmd, Value};
use serde::Serialize;

use crate::broker::connection::reply;
use crate::job::Error;

/// Lifetime counters of a batcher's entries and batches. Each event is counted in the step in which
/// it happens, so that no event is counted twice or left out. The counters are stored beside the
/// batcher's options, in a fixed number of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct BatcherTotals {
    /// Entries that were pushed.
    pub pushed: u64,
    /// Entries that were taken out again with `pop`.
    pub popped: u64,
    /// Batches sealed because they had reached the limit of entries.
    pub sealed_by_limit: u64,
    /// Batches sealed because the next entry would have made them too large.
    pub sealed_by_bytes: u64,
    /// Batches sealed because their timeout had passed.
    pub sealed_by_timeout: u64,
    /// Batches sealed by a flush.
    pub sealed_by_flush: u64,
    /// Batches that were completed.
    pub completed: u64,
    /// Entries that were completed, with their batch or before the rest of the batch.
    pub completed_entries: u64,
    /// Batches that were cancelled while they ran.
    pub cancelled: u64,
    /// Attempts at a batch that failed and were followed by another attempt.
    pub retried: u64,
    /// Batches that died as a whole.
    pub dead: u64,
    /// Entries that failed alone and were retried without the rest of their batch; each retry
    /// counts.
    pub entries_retried: u64,
    /// Entries that died alone, without the rest of their batch.
    pub entries_buried: u64,
}

/// The names of the counters in the scripts, in the order of the fields of [`BatcherTotals`].
const NAMES: [&str; 13] = [
    "pushed",
    "popped",
    "sealed_limit",
    "sealed_bytes",
    "sealed_timeout",
    "sealed_flush",
    "completed",
    "completed_entries",
    "cancelled",
    "retried",
    "buried",
    "entries_retried",
    "entries_buried",
];

impl BatcherTotals {
    /// Builds the command that reads the counters.
    pub(super) fn command(batcher: &str) -> Cmd {
        let mut cmd = redis::cmd("HMGET");
        cmd.arg(batcher).arg(&NAMES[..]);
        cmd
    }

    /// Reads the reply to [`BatcherTotals::command`].
    pub(super) fn read(reply: Value) -> Result<Self, Error> {
        let mut values = reply::array(reply)?.into_iter();
        let mut next = || match values.next() {
            None | Some(Value::Nil) => Ok(0),
            Some(value) => Ok::<_, Error>(u64::try_from(reply::int(value)?).unwrap_or(0)),
        };
        Ok(Self {
            pushed: next()?,
            popped: next()?,
            sealed_by_limit: next()?,
            sealed_by_bytes: next()?,
            sealed_by_timeout: next()?,
            sealed_by_flush: next()?,
            completed: next()?,
            completed_entries: next()?,
            cancelled: next()?,
            retried: next()?,
            dead: next()?,
            entries_retried: next()?,
            entries_buried: next()?,
        })
    }
}
