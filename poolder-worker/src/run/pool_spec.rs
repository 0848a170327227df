//! Settings and worker prototypes of a pool, shared by its slots.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poolder_core::broker::{KeepFinished, RetryPlacement};
use poolder_core::policy::dispatch::Mode;
use poolder_core::{Envelope, Policy, QueueName};
use tokio::sync::Notify;

use super::callbacks::Sinks;
use super::dead_job::DeadHook;
use super::erased::DynWorker;
use super::guard::{CALLBACK_DEADLINE, caught, discard, guarded, within};
use super::middleware::DynMiddleware;
use super::state::States;
#[cfg(feature = "otel")]
use super::trace_style::TraceStyle;

/// Settings and worker prototypes of a pool, shared by its slots.
pub(crate) struct PoolSpec {
    pub(crate) queue: QueueName,
    pub(crate) mode: Mode,
    pub(crate) kinds: HashMap<&'static str, KindPlace>,
    pub(crate) versions: Vec<u16>,
    /// The kinds of each worker whose type names the queue of its jobs, and this queue.
    pub(crate) homes: Vec<(&'static [&'static str], &'static str)>,
    pub(crate) chain: Vec<Arc<dyn DynMiddleware>>,
    pub(crate) sinks: Sinks,
    /// The hooks that are told of dead jobs: those of the node, then those of the pool.
    pub(crate) hooks: Vec<DeadHook>,
    /// The shared state of the pool and its node.
    pub(crate) states: Arc<States>,
    /// The policy of jobs without one of their own.
    pub(crate) policy: Option<Policy>,
    /// Where a job waits for its next attempt, in an addressed pool.
    pub(crate) retry_placement: RetryPlacement,
    /// How the spans of attempts follow those of senders.
    #[cfg(feature = "otel")]
    pub(crate) trace_style: TraceStyle,
    /// After this long without a job a slot hibernates; `None` for never.
    pub(crate) hibernate_after: Option<Duration>,
    /// How long a slot that moves to another node may take to finish its job.
    pub(crate) handover_timeout: Duration,
    /// How many finished jobs are kept, and for how long; `None` for none.
    pub(crate) keep_finished: Option<KeepFinished>,
    /// How many nodes of the fleet may block until a job of a shared pool comes.
    pub(crate) wait_permits: u16,
    /// One prototype of each worker. A prototype is only cloned and never runs a job.
    pub(crate) prototypes: Mutex<Vec<Box<dyn DynWorker>>>,
    /// Notified when the outcome of a job stops the pool.
    pub(crate) stop: Notify,
}

/// The place of a kind in its pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KindPlace {
    /// The index of the worker.
    pub(crate) worker: usize,
    /// The index of the kind among those of the pool.
    pub(crate) index: usize,
}

impl PoolSpec {
    /// Returns the place of the job's kind if a worker of this pool can run the job: it knows the
    /// kind and the version, and this version of Poolder knows every option that must be understood.
    pub(crate) fn place(&self, envelope: &Envelope) -> Option<KindPlace> {
        let place = self.kinds.get(envelope.kind())?;
        let known = envelope.version() <= self.versions[place.worker]
            && envelope.unknown_requirement().is_none();
        known.then_some(*place)
    }

    /// Returns the policy that holds for a job: its own, or else that of the pool, or else the
    /// default one.
    pub(crate) fn policy(&self, envelope: &Envelope) -> Policy {
        envelope.own_policy().or_else(|| self.policy.clone()).unwrap_or_default()
    }

    /// Returns a fresh clone of the prototype at this index, or the message of a panic of its
    /// `Clone`.
    pub(super) fn fresh(&self, at: usize) -> Result<Box<dyn DynWorker>, String> {
        caught(|| self.prototypes.lock().unwrap_or_else(PoisonError::into_inner)[at].fresh())
    }

    /// Calls `handle_pool_ready` on a fresh clone of every worker. Called when all slots are ready.
    pub(crate) async fn announce_ready(&self) {
        for at in 0..self.versions.len() {
            let mut worker = match self.fresh(at) {
                Ok(worker) => worker,
                Err(panic) => {
                    tracing::error!(queue = %self.queue, panic, "the Clone of a worker panicked");
                    continue;
                }
            };
            if let Err(why) = within(CALLBACK_DEADLINE, guarded(|| worker.pool_ready())).await {
                tracing::error!(queue = %self.queue, why, "handle_pool_ready has failed");
            }
            discard(worker);
        }
    }
}

impl Drop for PoolSpec {
    fn drop(&mut self) {
        let prototypes = self.prototypes.get_mut().unwrap_or_else(PoisonError::into_inner);
        prototypes.drain(..).for_each(discard);
    }
}
