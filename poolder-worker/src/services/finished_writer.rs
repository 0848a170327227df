//! Writes the finished jobs that pools keep, once a second. Jobs that cannot be written are not kept,
//! which is logged.

use std::time::Duration;

use poolder_core::broker::Broker;

use crate::process::finished::FinishedJobs;

/// The time in which jobs gather for one write.
const INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn run(broker: Broker, jobs: FinishedJobs) {
    loop {
        jobs.noted().await;
        tokio::time::sleep(INTERVAL).await;
        write(&broker, &jobs).await;
    }
}

/// Writes the jobs that wait.
pub(crate) async fn write(broker: &Broker, jobs: &FinishedJobs) {
    for (partition, jobs) in jobs.take() {
        if let Err(error) = broker.keep_finished(&partition, &jobs).await {
            let lost = jobs.len();
            tracing::warn!(%partition, lost, %error, "finished jobs are not kept");
        }
    }
}
