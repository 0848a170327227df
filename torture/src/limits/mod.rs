//! A limited queue. A second server counts which of its jobs run, so that a job above a limit is seen
//! at its start.

pub(crate) mod check;
mod corrections;
mod counter;
mod feeder;
mod plan;

use std::sync::Arc;
use std::time::{Duration, Instant};

use poolder::prelude::*;
use poolder::{Client, Queue};
use serde::{Deserialize, Serialize};

pub(crate) use corrections::{CORRECTED, Corrections};
pub(crate) use counter::Counter;
pub(crate) use feeder::run;
pub(crate) use plan::draw;

use crate::child::{Book, Common, Page};
use crate::ledger::{Ended, Ledger, Record};

/// The limited queue.
pub(crate) const QUEUE: &str = "limited";
/// How long the last jobs may take once the faults are over.
const PATIENCE: Duration = Duration::from_secs(60);

/// The queue and its load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// The number of jobs of all feeders.
    pub(crate) jobs: u64,
    pub(crate) feeders: u64,
    pub(crate) groups: u64,
    /// The most jobs of each group that run at a time.
    pub(crate) of_group: u32,
    /// The most jobs of the queue that run at a time.
    pub(crate) of_queue: u32,
    pub(crate) slots: u16,
    /// The URL of the server that counts what runs.
    pub(crate) counter: String,
    /// True when failovers may undo claims: then a job may run whose permit the new primary has not
    /// seen taken, beside those that it admits.
    pub(crate) fails_over: bool,
}

/// The instructions of a feeder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Feeder {
    pub(crate) common: Common,
    pub(crate) index: u64,
    /// The number of jobs of each of its [`LINES`].
    pub(crate) jobs: u64,
    /// The time between two jobs of a line, in ms.
    pub(crate) pause: u64,
    pub(crate) groups: u64,
}

/// The number of jobs that a feeder enqueues at the same time.
pub(crate) const LINES: u64 = 4;

/// A job of a group.
#[derive(Debug, Clone, Serialize, Deserialize, Job)]
#[job(kind = "torture.limited", queue = "limited", attempts = 20, backoff = "50ms", crashes = 50)]
pub(crate) struct LimitedStep {
    /// The line of a feeder that has enqueued it.
    pub(crate) line: u64,
    pub(crate) number: u64,
    pub(crate) group: String,
}

impl Limits {
    pub(super) fn feeder(&self, common: Common, index: u64, span: Duration) -> Feeder {
        let jobs = self.jobs / (self.feeders * LINES).max(1);
        let span = u64::try_from(span.as_millis()).unwrap_or(0);
        // A little faster than needed, so that enqueueing ends before the faults do.
        Feeder { common, index, jobs, pause: span * 8 / 10 / jobs.max(1), groups: self.groups }
    }

    /// Returns the limits that a node declares.
    pub(crate) fn queue(&self) -> Queue {
        Queue::new(QUEUE).concurrency(self.of_queue).group_concurrency(self.of_group)
    }

    /// Returns the pool that a node runs.
    pub(crate) fn pool(&self, book: Arc<Book>) -> Pool {
        let (limits, counter) = (self.clone(), Arc::new(Counter::new(&self.counter)));
        let worker = worker_fn(move |job: LimitedStep, cx: Context| {
            let (book, counter, limits) = (Arc::clone(&book), Arc::clone(&counter), limits.clone());
            async move {
                let (run, id, fence) = (book.next(), cx.id().to_string(), cx.fence());
                let LimitedStep { line, number, group } = &job;
                book.write(Record::Limited { run, line: *line, number: *number, job: id.clone() });
                let mut page = Page::new(Arc::clone(&book), run);
                let (of_group, of_queue) = counter.enter(group, &id, fence).await?;
                let above = of_group > limits.of_group.into() || of_queue > limits.of_queue.into();
                if above && !limits.fails_over {
                    book.write(Record::Broken {
                        promise: "more jobs run than a limit allows".into(),
                        example: format!("{of_group} of {group}, {of_queue} of the queue"),
                    });
                }
                tokio::time::sleep(Duration::from_millis(5 + number % 20)).await;
                counter.leave(group, &id, fence).await?;
                if number % 10 == 3 && cx.attempt() == 1 {
                    page.end(Ended::Failed);
                    return Err::<Outcome, BoxError>("not yet".into());
                }
                page.end(Ended::Done);
                Ok(Done)
            }
        });
        Pool::new(QUEUE).size(self.slots).worker(worker)
    }

    /// Waits until no job is left, checks that no group holds a permit then, and ends the limits.
    pub(crate) async fn conclude(&self, client: &Client, ledger: &Ledger) -> Result<(), String> {
        let text = |error: poolder::Error| error.to_string();
        let begun = Instant::now();
        let mut held = vec!["the queue is not empty".to_owned()];
        while !held.is_empty() && begun.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let Ok(view) = client.inspect(QUEUE).overview().await else { continue };
            if view.ready() + view.running() + view.due > 0 {
                continue;
            }
            held = vec![];
            for number in 0..self.groups {
                let group = group_of(number, self.groups);
                let partition = &view.partitions[0].partition;
                let facts = client.broker().group_facts(partition, &group).await.map_err(text)?;
                held.extend(facts.record.map(|record| format!("{group}: {record:?}")));
            }
        }
        if !held.is_empty() {
            ledger.write(Record::Broken {
                promise: "permits are given back".into(),
                example: held.join(", "),
            });
        }
        client.limits(QUEUE).end().await.map(drop).map_err(text)
    }
}

/// Returns the group of a job; that of number 0 is the group of jobs without one.
pub(crate) fn group_of(number: u64, groups: u64) -> String {
    match number % groups.max(1) {
        0 => String::new(),
        group => format!("group {group}"),
    }
}
