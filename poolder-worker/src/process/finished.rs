//! The finished jobs of this node that are to be kept and are not written yet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use poolder_core::Partition;
use poolder_core::broker::FinishedJob;
use tokio::sync::Notify;

/// The most jobs that wait to be written; further ones are not kept.
const MAX_JOBS: usize = 500;
/// The bytes from which on no further job is taken.
const MAX_BYTES: usize = 1 << 20;

/// Takes finished jobs from all slots of the node, for the service that writes them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct FinishedJobs(Arc<State>);

#[derive(Debug, Default)]
struct State {
    waiting: Mutex<BTreeMap<Partition, Vec<Arc<FinishedJob>>>>,
    /// The numbers of jobs and bytes that wait. They may be a little behind.
    jobs: AtomicUsize,
    bytes: AtomicUsize,
    noted: Notify,
}

impl FinishedJobs {
    /// Returns false while so many jobs wait that another one is not kept.
    pub(crate) fn has_room(&self) -> bool {
        self.0.jobs.load(Ordering::Relaxed) < MAX_JOBS
            && self.0.bytes.load(Ordering::Relaxed) < MAX_BYTES
    }

    /// Adds a job, if there is room for it. Never waits.
    pub(crate) fn add(&self, partition: &Partition, job: &Arc<FinishedJob>) {
        if !self.has_room() {
            return;
        }
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(partition.clone()).or_default().push(Arc::clone(job));
        drop(waiting);
        self.0.bytes.fetch_add(job.bytes(), Ordering::Relaxed);
        if self.0.jobs.fetch_add(1, Ordering::Relaxed) == 0 {
            self.0.noted.notify_one();
        }
    }

    /// Waits until a job was added since all were taken.
    pub(crate) async fn noted(&self) {
        self.0.noted.notified().await;
    }

    /// Takes all jobs that wait.
    pub(crate) fn take(&self) -> BTreeMap<Partition, Vec<Arc<FinishedJob>>> {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.jobs.store(0, Ordering::Relaxed);
        self.0.bytes.store(0, Ordering::Relaxed);
        std::mem::take(&mut waiting)
    }
}
