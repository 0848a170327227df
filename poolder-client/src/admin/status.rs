//! The state of a fleet in short: its queues in numbers, and all that needs a person.

use std::fmt;
use std::time::Duration;

use futures_util::future::try_join3;
use poolder_core::{Error, QueueName, Timestamp};
use serde::Serialize;

use crate::admin::attention::attention;
use crate::admin::doctor::{PartitionSeen, QueueFacts, observed};
use crate::admin::finding::{Finding, Severity};
use crate::admin::words::{as_millis, many, span};
use crate::client::Client;

/// The state of a fleet at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FleetStatus {
    /// The server's clock.
    pub now: Timestamp,
    /// The number of living nodes.
    pub nodes: u64,
    /// The queues, in order of their names.
    pub queues: Vec<QueueStatus>,
    /// Everything that needs a person, the worst first.
    pub attention: Vec<Finding>,
}

/// The numbers of a queue, over all its partitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueueStatus {
    /// The queue.
    pub queue: QueueName,
    /// The number of jobs that wait for a free slot.
    pub ready: u64,
    /// The number of jobs that run.
    pub running: u64,
    /// The number of jobs that wait for their time, those that are tried again included.
    pub due: u64,
    /// The number of jobs that wait for another attempt.
    pub retrying: u64,
    /// The number of dead jobs.
    pub dead: u64,
    /// For how long the first ready job has waited, in milliseconds when serialized.
    #[serde(serialize_with = "as_millis")]
    pub oldest: Option<Duration>,
    /// The time of a pause.
    pub paused: Option<Timestamp>,
}

impl FleetStatus {
    /// Returns true when jobs wait, are lost or may be until a person acts.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        self.attention.iter().any(|finding| finding.severity == Severity::Problem)
    }
}

impl Client {
    /// Returns the state of the fleet: the numbers of each queue, and what needs a person by the
    /// same rules as the [doctor](Client::doctor). Those that compare with the past take it from the
    /// [history](Client::history).
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a read.
    pub async fn status(&self) -> Result<FleetStatus, Error> {
        let server = self.broker().server_info().await?;
        let read = self.read_together(|client| async move {
            try_join3(client.nodes(), client.all_queue_facts(server.now), client.past()).await
        });
        let (nodes, queues, past) = read.await?;
        let attention = attention(&observed(&server, &nodes, &queues, &past));
        Ok(FleetStatus {
            now: server.now,
            nodes: nodes.iter().filter(|node| !node.is_silent()).count() as u64,
            queues: queues.iter().map(|queue| numbers(queue, server.now)).collect(),
            attention,
        })
    }
}

fn numbers(queue: &QueueFacts, now: Timestamp) -> QueueStatus {
    let sum = |of: fn(&PartitionSeen) -> u64| queue.partitions.iter().map(of).sum();
    let oldest = queue.partitions.iter().filter_map(|part| part.oldest).min();
    QueueStatus {
        queue: queue.queue.clone(),
        ready: sum(|part| part.ready),
        running: sum(|part| part.running),
        due: sum(|part| part.due),
        retrying: sum(|part| part.retrying),
        dead: sum(|part| part.dead),
        oldest: oldest.map(|oldest| now.since(oldest)),
        paused: queue.paused,
    }
}

impl fmt::Display for FleetStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queues = many(self.queues.len() as u64, "queue");
        writeln!(f, "{}, {queues}", many(self.nodes, "living node"))?;
        for queue in &self.queues {
            let QueueStatus { queue, ready, running, due, retrying, dead, oldest, paused } = queue;
            let oldest = oldest.map(|it| format!(" (first {})", span(it))).unwrap_or_default();
            let paused = if paused.is_some() { ", paused" } else { "" };
            writeln!(
                f,
                "{queue}: {ready} ready{oldest}, {running} running, {due} later, {retrying} to be \
                 tried again, {dead} dead{paused}"
            )?;
        }
        if self.attention.is_empty() {
            return writeln!(f, "nothing needs a person");
        }
        self.attention.iter().try_for_each(|finding| {
            writeln!(
                f,
                "{} {} [{}]: {}",
                finding.severity, finding.subject, finding.code, finding.what
            )
        })
    }
}
