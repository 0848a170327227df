//! [`Limit`]: the time limit of one operation, whatever number of steps it takes: finding the
//! server, opening a connection, loading the scripts, sending, and sending again.

use std::future::Future;
use std::time::Duration;

use redis::{RedisError, RedisResult};
use tokio::time::{Instant, timeout_at};

/// A limit that is not reached while the process runs.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 86_400);

/// The time at which an operation began, and the time at which it fails.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Limit {
    started: Instant,
    until: Instant,
    /// The time at which the present step began.
    now: Instant,
}

impl Limit {
    /// Begins an operation that may take `total`.
    pub(in crate::broker) fn new(total: Duration) -> Self {
        let now = Instant::now();
        let until = now.checked_add(total).unwrap_or_else(|| now + FAR_FUTURE);
        Self { started: now, until, now }
    }

    /// Begins the next step.
    pub(in crate::broker) fn next_step(self) -> Self {
        Self { now: Instant::now(), ..self }
    }

    /// Extends the limit, for a step that has a time limit by itself.
    pub(in crate::broker) fn extended_by(self, more: Duration) -> Self {
        Self { until: self.until + more, ..self }
    }

    /// Returns the time at which the present step began.
    pub(in crate::broker) fn now(&self) -> Instant {
        self.now
    }

    /// Returns the time at which the operation fails.
    pub(in crate::broker) fn until(&self) -> Instant {
        self.until
    }

    /// Returns whether the operation is in its first step, so that a step which may take the total
    /// time ends in time.
    pub(in crate::broker) fn is_first_step(&self) -> bool {
        self.now == self.started
    }

    /// Returns whether a step that begins `pause` from now would begin too late, or more than
    /// `patience` after the operation began.
    pub(in crate::broker) fn leaves_no_try(&self, pause: Duration, patience: Duration) -> bool {
        let next = Instant::now() + pause;
        next >= self.until || next - self.started > patience
    }

    /// Waits for a step until the operation fails. The outcome of a step that ends by this error is
    /// unknown, if anything was sent.
    pub(in crate::broker) async fn bound<T>(
        &self,
        step: impl Future<Output = RedisResult<T>>,
    ) -> RedisResult<T> {
        timeout_at(self.until, step).await.unwrap_or_else(|_| Err(timed_out()))
    }
}

/// Returns the error of a step that took too long.
pub(in crate::broker) fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_steps_of_an_operation_share_its_limit() {
        let second = Duration::from_secs(1);
        let step = async |long| {
            tokio::time::sleep(long).await;
            Ok(())
        };
        let limit = Limit::new(second * 3);
        assert!(limit.is_first_step());
        limit.bound(step(second * 2)).await.unwrap();
        let limit = limit.next_step();
        assert!(!limit.is_first_step());
        let error = limit.bound(step(second * 2)).await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert_eq!(Instant::now() - limit.started, second * 3);
        assert!(limit.leaves_no_try(Duration::ZERO, second * 9));
        limit.extended_by(second * 3).bound(step(second * 2)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_begins_within_the_limit_and_the_patience() {
        let ms = Duration::from_millis;
        let limit = Limit::new(ms(100));
        assert!(!limit.leaves_no_try(ms(50), ms(90)));
        assert!(limit.leaves_no_try(ms(100), ms(500)), "nothing could be answered any more");
        assert!(limit.leaves_no_try(ms(50), ms(40)));
        let endless = Limit::new(Duration::MAX);
        assert!(!endless.leaves_no_try(ms(50), ms(3_000)));
    }
}
