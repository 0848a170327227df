//! The parts of a change of many jobs, which are made one after the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use poolder_client::{Action, Client};
use poolder_core::QueueName;
use poolder_core::view::{Filter, Listing};

use super::progress::{End, Progress};
use super::running::Task;

/// One change of all jobs of a listing that satisfy a filter.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) queue: QueueName,
    pub(crate) listing: Listing,
    pub(crate) filter: Filter,
    pub(crate) action: Action,
}

/// A change of many jobs.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) parts: Vec<Part>,
    /// The most jobs that are changed: as many as the question has named.
    pub(crate) most: u64,
}

/// Makes a change. A part that cannot be made ends it; the parts before it were made.
pub(super) async fn run(client: &Client, plan: Plan, task: &Arc<Task>) -> End {
    let mut sums = Progress::default();
    for part in plan.parts {
        if task.is_stopped.load(Ordering::Relaxed) {
            return End::Stopped;
        }
        let inspector = client.inspect(&part.queue);
        let change = inspector.bulk(part.listing, &part.filter, part.action);
        let (before, shown) = (sums.clone(), Arc::clone(task));
        let change = change.at_most(plan.most.saturating_sub(sums.matched));
        let change = change.stop_when(move |so_far| {
            shown.progress.send_replace(before.plus(so_far));
            shown.is_stopped.load(Ordering::Relaxed)
        });
        match change.await {
            Ok(report) => sums = sums.plus(&report),
            Err(error) => return End::Failed(error.to_string()),
        }
        task.progress.send_replace(sums.clone());
    }
    match task.is_stopped.load(Ordering::Relaxed) {
        true => End::Stopped,
        false => End::Done,
    }
}
