//! One pool of a running node, and the order in which pools stop.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::process::limits::LAST_CALL;
use crate::process::liveness::ShutdownPhase;
use crate::run::pool::PoolPlan;
use crate::run::slot_set::TargetSize;

/// A pool of a running node, and the ways to steer it.
pub(super) struct RunningPool {
    pub(super) plan: PoolPlan,
    pub(super) phase: watch::Sender<ShutdownPhase>,
    pub(super) target: watch::Sender<TargetSize>,
    /// Ends true when everything was given back.
    pub(super) ended: JoinHandle<bool>,
}

/// The order in which pools stop: claim no more, finish, then give back.
pub(super) async fn wind_down(pools: Vec<RunningPool>, timeout: Duration) -> bool {
    for pool in &pools {
        pool.phase.send_if_modified(|phase| {
            (*phase == ShutdownPhase::Run).then(|| *phase = ShutdownPhase::Drain).is_some()
        });
    }
    let (phases, mut ends): (Vec<_>, Vec<_>) =
        pools.into_iter().map(|pool| (pool.phase, pool.ended)).unzip();
    let mut clean = true;
    for (next, patience) in [(Some(ShutdownPhase::Release), timeout), (None, 2 * LAST_CALL)] {
        let all = async {
            while let Some(ended) = ends.last_mut() {
                clean &= ended.await.unwrap_or(false);
                ends.pop();
            }
        };
        if tokio::time::timeout(patience, all).await.is_ok() {
            return clean;
        }
        if let Some(phase) = next {
            tracing::warn!("time is up: what still runs is cancelled and handed back");
            for sender in &phases {
                sender.send_replace(phase);
            }
        }
    }
    false
}
