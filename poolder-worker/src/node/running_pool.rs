//! One pool of a running node, its end, and the times of a shutdown.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::process::liveness::ShutdownPhase;
use crate::run::pool::PoolPlan;
use crate::run::slot_set::TargetSize;

/// A pool of a running node, and the channels that control it. The pool ends when it is dropped.
pub(super) struct RunningPool {
    pub(super) plan: PoolPlan,
    /// The number of slots that the code declares; a resize changes that of the plan.
    pub(super) declared: u16,
    pub(super) phase: watch::Sender<ShutdownPhase>,
    pub(super) target: watch::Sender<TargetSize>,
    /// The task of the pool. Returns true when the pool has released everything that it held on the
    /// server.
    pub(super) ended: AbortOnDropHandle<bool>,
}

impl RunningPool {
    /// Stops the pool: it claims no more jobs and finishes the running ones.
    pub(super) fn drain(&self) {
        self.phase.send_if_modified(|phase| {
            (*phase == ShutdownPhase::Run).then(|| *phase = ShutdownPhase::Drain).is_some()
        });
    }

    /// Waits until a drained pool has ended. Jobs that still run are cancelled and released after
    /// `patience`, or once `release` is cancelled. Returns false when the pool could not release
    /// everything.
    pub(super) async fn ended(
        mut self,
        patience: Option<Duration>,
        release: CancellationToken,
    ) -> bool {
        let impatient = async {
            match patience {
                Some(patience) => tokio::time::sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = &mut self.ended => return ended.unwrap_or(false),
            () = impatient => {}
            () = release.cancelled() => {}
        }
        tracing::warn!(
            queue = %self.plan.spec.queue,
            "the time for running jobs is over: they are cancelled and released"
        );
        self.phase.send_replace(ShutdownPhase::Release);
        self.ended.await.unwrap_or(false)
    }
}

/// The share of the shutdown timeout, as its divisor, in which interrupted jobs end and are
/// released, and the longest such time.
const RESERVE_SHARE: u32 = 4;
const MAX_RESERVE: Duration = Duration::from_secs(4);
/// The least time for releasing jobs and for leaving the roster. A shutdown takes longer than a
/// short shutdown timeout by at most both.
const MIN_RELEASE: Duration = Duration::from_secs(1);
const MIN_LEAVE: Duration = Duration::from_millis(500);
/// A longer shutdown timeout counts as this one, so that its end is a time that can be computed.
const MAX_TIMEOUT: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Returns how long running jobs may take to finish in a shutdown that takes `timeout`.
pub(super) fn patience(timeout: Duration) -> Duration {
    timeout - (timeout / RESERVE_SHARE).min(MAX_RESERVE)
}

/// The times of a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShutdownTimes {
    /// When the jobs that still run are interrupted.
    pub(super) interrupt: Instant,
    /// When pools that have not released everything are given up.
    pub(super) give_up: Instant,
    /// When the shutdown has ended, whatever is left to do.
    pub(super) end: Instant,
}

impl ShutdownTimes {
    /// Returns the times of a shutdown that begins now.
    pub(super) fn new(now: Instant, timeout: Duration) -> Self {
        let timeout = timeout.min(MAX_TIMEOUT);
        let interrupt = now + patience(timeout);
        let leave = (timeout - patience(timeout)) / RESERVE_SHARE;
        let give_up = (now + timeout - leave).max(interrupt + MIN_RELEASE);
        Self { interrupt, give_up, end: (now + timeout).max(give_up + MIN_LEAVE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shutdown_is_over_with_its_timeout_and_leaves_time_to_release() {
        let now = Instant::now();
        let times = |millis| {
            let times = ShutdownTimes::new(now, Duration::from_millis(millis));
            [times.interrupt, times.give_up, times.end].map(|at| (at - now).as_millis())
        };
        assert_eq!(times(25_000), [21_000, 24_000, 25_000]);
        assert_eq!(times(60_000), [56_000, 59_000, 60_000]);
        assert_eq!(times(8_000), [6_000, 7_500, 8_000]);
        assert_eq!(times(2_000), [1_500, 2_500, 3_000]);
        assert_eq!(times(0), [0, 1_000, 1_500]);
        let longest = ShutdownTimes::new(now, Duration::MAX);
        assert!(now < longest.interrupt && longest.interrupt < longest.end);
    }
}
