//! Writes the progress that handlers report: the values of all jobs together, and of each job at
//! most one in an interval, and the last one before the job is settled. No two writes of a job are
//! on their way at once, so that they keep their order.

use std::sync::Arc;
use std::time::Duration;

use poolder_core::broker::{Broker, ProgressReport};
use tokio::time::Instant;

use crate::process::outages::Outages;
use crate::process::progress::{ProgressQueue, ProgressWrite};

/// The interval between two writes of a job.
const INTERVAL: Duration = Duration::from_millis(100);

pub(super) async fn run(broker: Broker, queue: Arc<ProgressQueue>, outages: Arc<Outages>) {
    let mut next = Instant::now();
    loop {
        let due = async {
            while queue.is_empty() {
                queue.joined.notified().await;
            }
            tokio::time::sleep_until(next).await;
        };
        let only_ending = tokio::select! {
            () = queue.ending.notified() => true,
            () = due => false,
        };
        if !only_ending {
            next = Instant::now() + INTERVAL;
        }
        let writes = queue.take(only_ending);
        let reports: Vec<_> = writes.iter().map(report).collect();
        let outcomes = broker.report_progress(&reports).await;
        for (write, outcome) in writes.into_iter().zip(outcomes) {
            if let Err(error) = &outcome
                && write.fails_first()
            {
                let at = &write.job.partition;
                outages.failed(at, "the progress of a job could not be written", error);
            }
            write.ended(outcome);
        }
    }
}

fn report(write: &ProgressWrite<'_>) -> ProgressReport {
    let (done, total) = write.units;
    ProgressReport { partition: write.job.partition.clone(), job: write.job.job, done, total }
}
