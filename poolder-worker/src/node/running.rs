//! One pool of a running node, and the shutdown of pools.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::process::limits::LAST_CALL;
use crate::process::liveness::ShutdownPhase;
use crate::run::pool::PoolPlan;
use crate::run::slot_set::TargetSize;

/// A pool of a running node, and the channels that control it.
pub(super) struct RunningPool {
    pub(super) plan: PoolPlan,
    pub(super) phase: watch::Sender<ShutdownPhase>,
    pub(super) target: watch::Sender<TargetSize>,
    /// The task of the pool. Returns true when the pool has released everything that it held on the
    /// server.
    pub(super) ended: JoinHandle<bool>,
}

/// Stops the pools: they claim no more jobs and finish the running ones. After `timeout` the jobs
/// that still run are cancelled and released. Returns false when a pool could not release
/// everything, or has not ended within two more [`LAST_CALL`]s.
pub(super) async fn wind_down(pools: Vec<RunningPool>, timeout: Duration) -> bool {
    for pool in &pools {
        pool.phase.send_if_modified(|phase| {
            (*phase == ShutdownPhase::Run).then(|| *phase = ShutdownPhase::Drain).is_some()
        });
    }
    let (phases, mut tasks): (Vec<_>, Vec<_>) =
        pools.into_iter().map(|pool| (pool.phase, pool.ended)).unzip();
    let mut clean = true;
    for (next, limit) in [(Some(ShutdownPhase::Release), timeout), (None, 2 * LAST_CALL)] {
        let all = async {
            while let Some(task) = tasks.last_mut() {
                clean &= task.await.unwrap_or(false);
                tasks.pop();
            }
        };
        if tokio::time::timeout(limit, all).await.is_ok() {
            return clean;
        }
        if let Some(phase) = next {
            tracing::warn!("shutdown timeout reached: the running jobs are cancelled and released");
            for sender in &phases {
                sender.send_replace(phase);
            }
        }
    }
    false
}
