//! The workers of one slot: made of the pool's prototypes, initialized, and replaced after a panic.
//! All callbacks of the workers are guarded and have a deadline.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use poolder_core::mutation::mutated;
use poolder_core::policy::Pauses;
use poolder_core::{BoxError, RawJob, Verdict};

use super::context::Context;
use super::erased::DynWorker;
use super::guard::{CALLBACK_DEADLINE, discard, guarded, text_of, within};
use super::pool_spec::PoolSpec;

/// The longest time that `handle_init` may take.
const INIT_DEADLINE: Duration = Duration::from_secs(5 * 60);

/// The first and the longest wait between two calls of a failing `handle_init`.
const FIRST_INIT_WAIT: Duration = Duration::from_millis(500);
const LONGEST_INIT_WAIT: Duration = Duration::from_secs(30);

/// One clone of each worker of a pool.
pub(super) struct SlotWorkers {
    spec: Arc<PoolSpec>,
    slot: usize,
    workers: Vec<SlotWorker>,
}

/// A worker of a slot.
#[derive(Default)]
struct SlotWorker {
    /// `None` before the worker is made, and while the slot hibernates.
    worker: Option<Box<dyn DynWorker>>,
    /// True when the worker was dropped half-way by a panic, a timeout or an interruption: its state
    /// may be inconsistent, and a fresh one takes its place before the next job.
    spoiled: bool,
}

/// The reason why a worker could not be made.
enum NotMade {
    /// Its `Clone` panicked with this message.
    Clone(String),
    /// Its `handle_init` failed, panicked or did not return.
    Init(String),
}

impl SlotWorkers {
    /// Creates the set without any worker.
    pub(super) fn new(spec: Arc<PoolSpec>, slot: usize) -> Self {
        let workers = spec.versions.iter().map(|_| SlotWorker::default()).collect();
        Self { spec, slot, workers }
    }

    /// Returns true when no worker has to be made before the next job.
    pub(super) fn are_ready(&self) -> bool {
        self.workers.iter().all(|entry| entry.worker.is_some() && !entry.spoiled)
    }

    /// Returns true when no worker exists.
    pub(super) fn are_hibernating(&self) -> bool {
        self.workers.iter().all(|entry| entry.worker.is_none())
    }

    /// Returns the worker at this index.
    pub(super) fn get(&mut self, at: usize) -> Option<&mut dyn DynWorker> {
        match self.workers.get_mut(at) {
            Some(SlotWorker { worker: Some(worker), .. }) => Some(worker.as_mut()),
            _ => None,
        }
    }

    /// Makes the workers that are missing or spoiled. A call that fails is repeated, first after
    /// 500 ms, then after twice the wait each time, up to 30 s. Returns false when `unwanted` ends
    /// before all are made.
    pub(super) async fn fill(&mut self, unwanted: impl Future<Output = ()>) -> bool {
        tokio::pin!(unwanted);
        for at in 0..self.workers.len() {
            let mut waits = Pauses::new(FIRST_INIT_WAIT, LONGEST_INIT_WAIT);
            loop {
                let replaced = tokio::select! {
                    replaced = self.replace(at) => replaced,
                    () = &mut unwanted => return false,
                };
                let Err(error) = replaced else { break };
                let wait = waits.after_failure();
                tracing::error!(
                    queue = %self.spec.queue, slot = self.slot, error, retry_in = ?wait,
                    "a worker could not be initialized, the slot takes no job yet"
                );
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = &mut unwanted => return false,
                }
            }
        }
        true
    }

    /// Makes the workers that are missing or spoiled, with one call of `handle_init` each.
    ///
    /// # Errors
    /// Returns the text of the first that could not be made.
    #[cfg(feature = "testing")]
    pub(super) async fn fill_once(&mut self) -> Result<(), String> {
        for at in 0..self.workers.len() {
            self.replace(at).await?;
        }
        Ok(())
    }

    /// Asks the worker's `handle_error` what happens to the job of a failed attempt. A worker that
    /// was dropped half-way is made anew for it; the policy decides when that fails, and when
    /// `handle_error` panics or does not return.
    pub(super) async fn judge(
        &mut self,
        at: usize,
        raw: RawJob<'_>,
        cx: &Context,
        error: &BoxError,
    ) -> Verdict {
        if let Err(error) = self.replace(at).await {
            tracing::error!(
                queue = %self.spec.queue, slot = self.slot, error,
                "a worker could not be initialized after a panic or a timeout"
            );
            return Verdict::Policy;
        }
        let Some(worker) = self.get(at) else { return Verdict::Policy };
        match within(CALLBACK_DEADLINE, guarded(|| worker.judge(raw, cx.clone(), error))).await {
            Ok(verdict) => verdict,
            Err(why) => {
                tracing::error!(job = %cx.id(), kind = cx.kind(), why, "handle_error has failed");
                self.spoil(at);
                Verdict::Policy
            }
        }
    }

    /// Notes that the state of a worker may be inconsistent.
    pub(super) fn spoil(&mut self, at: usize) {
        self.workers[at].spoiled = !mutated("replace-worker");
    }

    /// Notes that the state of every worker may be inconsistent.
    pub(super) fn spoil_all(&mut self) {
        self.workers.iter_mut().for_each(|entry| entry.spoiled = true);
    }

    /// Drops all workers.
    pub(super) fn discard_all(&mut self) {
        self.workers.iter_mut().for_each(|entry| discard(std::mem::take(entry)));
    }

    /// Calls `handle_hibernate` of each worker and drops it.
    pub(super) async fn hibernate(&mut self) {
        for at in 0..self.workers.len() {
            if let Some(worker) = self.get(at)
                && let Err(why) = within(CALLBACK_DEADLINE, guarded(|| worker.hibernate())).await
            {
                self.log_failed("handle_hibernate", &why);
            }
            discard(std::mem::take(&mut self.workers[at]));
        }
    }

    /// Calls `handle_stop` of each worker and drops it.
    pub(super) async fn stop(&mut self) {
        for at in 0..self.workers.len() {
            if let Some(worker) = self.get(at)
                && let Err(why) = within(CALLBACK_DEADLINE, guarded(|| worker.stop())).await
            {
                self.log_failed("handle_stop", &why);
            }
            discard(std::mem::take(&mut self.workers[at]));
        }
    }

    /// Replaces a worker that is missing or spoiled with a fresh one. A spoiled worker whose `Clone`
    /// panics goes on as it is: a worker that shares a poisoned lock can never be cloned again.
    async fn replace(&mut self, at: usize) -> Result<(), String> {
        let entry = &mut self.workers[at];
        if entry.worker.is_some() && !entry.spoiled {
            return Ok(());
        }
        match make(&self.spec, at).await {
            Ok(worker) => discard(std::mem::replace(
                entry,
                SlotWorker { worker: Some(worker), spoiled: false },
            )),
            Err(NotMade::Clone(panic)) if entry.worker.is_some() => {
                entry.spoiled = false;
                tracing::error!(
                    queue = %self.spec.queue, slot = self.slot, panic,
                    "the Clone of a worker panicked, the slot goes on with the old worker"
                );
            }
            Err(NotMade::Clone(panic)) => return Err(format!("its Clone panicked: {panic}")),
            Err(NotMade::Init(why)) => return Err(why),
        }
        Ok(())
    }

    fn log_failed(&self, callback: &str, why: &str) {
        tracing::error!(
            queue = %self.spec.queue, slot = self.slot, callback, why, "a callback has failed"
        );
    }
}

impl Drop for SlotWorkers {
    fn drop(&mut self) {
        self.workers.drain(..).for_each(discard);
    }
}

/// Makes and initializes a fresh worker.
async fn make(spec: &PoolSpec, at: usize) -> Result<Box<dyn DynWorker>, NotMade> {
    let mut worker = spec.fresh(at).map_err(NotMade::Clone)?;
    let why = match within(INIT_DEADLINE, guarded(|| worker.init())).await {
        Ok(Ok(())) => return Ok(worker),
        Ok(Err(error)) => {
            let text = text_of(error.as_ref());
            discard(error);
            text
        }
        Err(why) => why,
    };
    discard(worker);
    Err(NotMade::Init(why))
}
