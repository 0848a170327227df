//! Unique jobs of every rule, whose enqueues and runs are numbered, so that each answer can be
//! compared with what became of the job that it names.

pub(crate) mod check;
mod chronicle;
mod clock;
mod ends;
mod job;
mod plan;
mod sender;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use poolder::Pool;
use serde::{Deserialize, Serialize};

pub(crate) use job::Rule;
pub(crate) use plan::draw;
pub(crate) use sender::run;

use crate::child::{Book, Common};
use crate::ledger;

/// The queue of the jobs.
const QUEUE: &str = "uniques";
/// The number of the rule of a window in the record of a key.
const WINDOW_NUMBER: u8 = 3;

/// The load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Uniques {
    pub(crate) senders: u64,
    /// The number of keys per rule and sender.
    pub(crate) keys: u64,
    /// The average time between two enqueues of a key, in ms.
    pub(crate) pause: u64,
    /// The number of replicas that must have a job before it counts as stored.
    pub(crate) replicas: u32,
}

/// The instructions of a sender.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sender {
    pub(crate) common: Common,
    pub(crate) seed: u64,
    pub(crate) keys: std::ops::Range<u64>,
    pub(crate) pause: u64,
    pub(crate) replicas: u32,
    /// The time at which it ends, in ms since 1970.
    pub(crate) until: u64,
}

/// What an enqueue was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The job is stored.
    Stored,
    /// The job is stored behind the one that holds the key.
    Behind,
    /// Another job has the data.
    Replaced,
    /// Another job holds the key, and nothing was stored.
    Duplicate,
    /// Nothing was stored, certainly.
    Failed,
    /// The job may or may not be stored.
    Unknown,
}

impl Answer {
    /// Returns whether the data was taken, by a job of its own or by another one.
    pub(crate) fn is_taken(self) -> bool {
        matches!(self, Self::Stored | Self::Behind | Self::Replaced)
    }

    /// Returns whether a job was stored.
    pub(crate) fn is_stored(self) -> bool {
        matches!(self, Self::Stored | Self::Behind)
    }
}

impl Uniques {
    /// Returns the partition of the queue, written `queue.0`.
    pub(crate) fn partition() -> String {
        format!("{QUEUE}.0")
    }

    /// Returns true for the partition of the queue, whose jobs may die.
    pub(crate) fn owns(partition: &str) -> bool {
        partition == Self::partition()
    }

    /// Returns true for a key that the senders leave: the cancellations of jobs that had ended, which
    /// are kept for 7 days.
    pub(crate) fn keeps(key: &str, namespace: &str) -> bool {
        key == format!("{namespace}:{{{}}}:cancelled", Self::partition())
    }

    /// Returns true for the record of a window, which is over at a time, and for a value that is no
    /// record.
    pub(crate) fn is_over_by_itself(record: &[u8]) -> bool {
        !matches!(record.len(), 40 | 80) || record[28] == WINDOW_NUMBER
    }

    /// Returns the pool that a node runs.
    pub(crate) fn pool(book: Arc<Book>) -> Pool {
        job::pool(book)
    }

    /// Returns a load of this many enqueues within a run of this length.
    pub(crate) fn of(senders: u64, keys: u64, enqueues: u64, span: Duration) -> Self {
        let all = senders * keys * Rule::ALL.len() as u64;
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let pause = span.saturating_mul(all) / enqueues.max(1);
        Self { senders, keys, pause: pause.max(1), replicas: 0 }
    }

    pub(super) fn sender(&self, common: Common, seed: u64, index: u64, span: Duration) -> Sender {
        let keys = index * self.keys..(index + 1) * self.keys;
        let span = u64::try_from(span.as_millis()).unwrap_or(0);
        let until = ledger::now().saturating_add(span);
        Sender { common, seed, keys, pause: self.pause, replicas: self.replicas, until }
    }
}
