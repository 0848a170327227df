//! The diagnosis of a set-up: each finding says what is so, why it matters, and what to do.

use std::fmt;

use poolder_core::{QueueName, Timestamp};
use serde::Serialize;

use crate::admin::finding::{Finding, Severity};
use crate::admin::words::{many, memory};

/// The number of queues whose memory the text shows.
const SHOWN: usize = 5;

/// The result of [`Client::doctor`](crate::Client::doctor). As text it has a paragraph for each
/// finding, the worst first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The address of the server, without user and password.
    pub address: String,
    /// The namespace.
    pub namespace: String,
    /// The server's name and version; empty when it did not tell.
    pub server: String,
    /// The server's clock; `None` when it did not answer.
    pub now: Option<Timestamp>,
    /// The number of queues.
    pub queues: u64,
    /// The number of partitions, among them the slots of addressed pools, that were looked at.
    pub partitions: u64,
    /// The number of nodes in the roster.
    pub nodes: u64,
    /// The memory that the jobs of each queue take, the greatest first; empty when the user may not
    /// ask.
    pub memory: Vec<QueueMemory>,
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
}

/// The memory that the jobs of a queue take: those that wait, run or are dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueueMemory {
    /// The queue.
    pub queue: QueueName,
    /// The number of bytes, as the server estimates it.
    pub bytes: u64,
}

impl Diagnosis {
    /// Returns true when nothing was found.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// Returns the severity of the worst finding; `None` when nothing was found.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = if self.server.is_empty() { "a server" } else { &self.server };
        writeln!(
            f,
            "{server} at {}, namespace {}: {}, {} looked at, {}",
            self.address,
            self.namespace,
            many(self.queues, "queue"),
            many(self.partitions, "partition"),
            many(self.nodes, "node")
        )?;
        let large = self.memory.iter().filter(|queue| queue.bytes > 0).take(SHOWN);
        let large: Vec<String> =
            large.map(|of| format!("{} {}", of.queue, memory(of.bytes))).collect();
        if !large.is_empty() {
            writeln!(f, "memory of the largest queues: {}", large.join(", "))?;
        }
        if self.is_sound() {
            return writeln!(f, "nothing was found");
        }
        self.findings.iter().try_for_each(|finding| write!(f, "\n{finding}"))
    }
}
