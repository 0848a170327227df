//! The settings of a pool and the prototypes of its workers, as its slots share them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poolder_core::broker::RetryPlacement;
use poolder_core::policy::dispatch::Mode;
use poolder_core::{Envelope, Policy, QueueName};
use tokio::sync::Notify;

use super::callbacks::Sinks;
use super::erased::DynWorker;
use super::guard::guarded;
use super::middleware::DynMiddleware;

/// The form of a pool's slots.
pub(crate) struct PoolSpec {
    pub(crate) queue: QueueName,
    pub(crate) mode: Mode,
    pub(crate) kinds: HashMap<&'static str, usize>,
    pub(crate) versions: Vec<u16>,
    pub(crate) chain: Vec<Arc<dyn DynMiddleware>>,
    pub(crate) sinks: Sinks,
    /// For jobs that bring none of their own.
    pub(crate) policy: Option<Policy>,
    /// Where a retry waits, in an addressed pool.
    pub(crate) retry_placement: RetryPlacement,
    pub(crate) hibernate_after: Option<Duration>,
    /// How long a slot that moves may take to finish its job.
    pub(crate) handover_timeout: Duration,
    /// Clones that never ran anything.
    pub(crate) prototypes: Mutex<Vec<Box<dyn DynWorker>>>,
    /// A job said that the pool shall stop.
    pub(crate) stop: Notify,
}

impl PoolSpec {
    /// True when a worker of this pool can run it.
    pub(crate) fn can_run(&self, kind: &str, version: u16) -> bool {
        self.kinds.get(kind).is_some_and(|at| version <= self.versions[*at])
    }

    /// The policy of a job: its own, or else the pool's.
    pub(crate) fn policy(&self, envelope: &Envelope) -> Policy {
        let own = envelope.policy();
        match &self.policy {
            Some(policy) if own == Policy::default() => policy.clone(),
            _ => own,
        }
    }

    /// A fresh worker for that place.
    pub(crate) fn fresh(&self, at: usize) -> Box<dyn DynWorker> {
        self.prototypes.lock().unwrap_or_else(PoisonError::into_inner)[at].fresh()
    }

    /// One of each.
    pub(crate) fn all_fresh(&self) -> Vec<Box<dyn DynWorker>> {
        (0..self.versions.len()).map(|at| self.fresh(at)).collect()
    }

    /// Tells a clone of every worker that all slots are ready.
    pub(crate) async fn announce_ready(&self) {
        for mut worker in self.all_fresh() {
            if let Err(panic) = guarded(worker.pool_ready()).await {
                tracing::error!(queue = %self.queue, panic, "handle_pool_ready");
            }
        }
    }
}
