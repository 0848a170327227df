//! [`Limit`]: the time limit of one operation, whatever number of steps it takes: finding the
//! server, opening a connection, loading the scripts, sending, and sending again.
//!
//! An operation fails when the time limit of a reply has passed since its last answered step, or
//! since its start when no step was answered. A server that does not answer fails it after this
//! time, whatever number of steps there would be; over a slow link each answered step shows that
//! the server lives, and the next one has the whole time again. Only steps that find the server or
//! open a connection count. An operation takes at most [`MAX_REPLIES`] times the limit.

use std::future::Future;
use std::time::Duration;

use redis::{RedisError, RedisResult};
use tokio::time::{Instant, timeout_at};

/// The maximum time of an operation, in time limits of a reply. A first operation behind Sentinels
/// takes the most round trips: up to six to find the primary (two of them to connect), two or three
/// to connect, and one each for the `PING`, the scripts and the command. Each of them may take half
/// of the limit.
const MAX_REPLIES: u32 = 6;
/// A limit that is not reached while the process runs.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 86_400);

/// The time at which an operation began, and the time at which it fails.
#[derive(Debug, Clone)]
pub(in crate::broker) struct Limit {
    /// The time limit of a reply.
    reply: Duration,
    started: Instant,
    /// The time at which the present step began.
    now: Instant,
    /// The time of the last answered step, at first that of the start.
    answered: Instant,
}

impl Limit {
    /// Begins an operation whose replies may take up to `reply`.
    pub(in crate::broker) fn new(reply: Duration) -> Self {
        let now = Instant::now();
        Self { reply: reply.min(FAR_FUTURE), started: now, now, answered: now }
    }

    /// Begins the next step.
    pub(in crate::broker) fn next_step(&mut self) {
        self.now = Instant::now();
    }

    /// Notes that a step that finds the server or opens a connection was answered at this time. An
    /// answer from before the operation shows less than its start does, and counts for nothing.
    pub(in crate::broker) fn answered(&mut self, at: Instant) {
        self.answered = self.answered.max(at);
    }

    /// Returns the limit of a step whose reply may take this much longer.
    pub(in crate::broker) fn extended_by(&self, more: Duration) -> Self {
        Self { reply: self.reply.saturating_add(more).min(FAR_FUTURE), ..self.clone() }
    }

    /// Returns the time at which the present step began.
    pub(in crate::broker) fn now(&self) -> Instant {
        self.now
    }

    /// Returns the time at which the operation fails.
    pub(in crate::broker) fn until(&self) -> Instant {
        self.after_answer(self.answered)
    }

    /// Returns the time at which the operation fails if the last answer came at `answered`.
    pub(in crate::broker) fn after_answer(&self, answered: Instant) -> Instant {
        let longest = self.reply.saturating_mul(MAX_REPLIES).min(FAR_FUTURE);
        (answered + self.reply).min(self.started + longest)
    }

    /// Returns whether the operation is in its first step, so that a step which may take as long as
    /// a reply ends in time.
    pub(in crate::broker) fn is_first_step(&self) -> bool {
        self.now == self.started
    }

    /// Returns whether a step that begins `pause` from now would begin too late, or more than
    /// `patience` after the server was found and connected.
    pub(in crate::broker) fn leaves_no_try(&self, pause: Duration, patience: Duration) -> bool {
        let next = Instant::now() + pause;
        next >= self.until() || next - self.answered > patience
    }

    /// Waits for a step until the operation fails. The outcome of a step that ends by this error is
    /// unknown, if anything was sent.
    pub(in crate::broker) async fn bound<T>(
        &self,
        step: impl Future<Output = RedisResult<T>>,
    ) -> RedisResult<T> {
        timeout_at(self.until(), step).await.unwrap_or_else(|_| Err(timed_out()))
    }
}

/// Returns the error of a step that took too long.
pub(in crate::broker) fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_steps_of_an_operation_share_its_limit() {
        let step = async |long| {
            tokio::time::sleep(long).await;
            Ok(())
        };
        let mut limit = Limit::new(SECOND * 3);
        assert!(limit.is_first_step());
        limit.bound(step(SECOND * 2)).await.unwrap();
        limit.next_step();
        assert!(!limit.is_first_step());
        let error = limit.bound(step(SECOND * 2)).await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert_eq!(Instant::now() - limit.started, SECOND * 3);
        assert!(limit.leaves_no_try(Duration::ZERO, SECOND * 9));
        limit.extended_by(SECOND * 3).bound(step(SECOND * 2)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answered_step_leaves_the_next_one_the_time_of_a_reply_up_to_six_in_all() {
        let mut limit = Limit::new(SECOND * 3);
        for (after, fails_at) in [(0, 3), (2, 5), (4, 7), (6, 9), (14, 17), (16, 18), (18, 18)] {
            let at = limit.started + SECOND * after;
            limit.answered(at);
            assert_eq!(limit.until() - limit.started, SECOND * fails_at, "{after}");
        }
        limit.answered(limit.started);
        assert_eq!(
            limit.until() - limit.started,
            SECOND * 18,
            "an older answer counts for nothing"
        );
        for reply in [Duration::ZERO, Duration::MAX] {
            let mut limit = Limit::new(reply);
            limit.answered(limit.started + SECOND);
            assert_eq!(limit.until() > limit.started + SECOND, !reply.is_zero());
            assert!(limit.extended_by(Duration::MAX).until() > limit.started);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_begins_within_the_limit_and_the_patience() {
        let ms = Duration::from_millis;
        let mut limit = Limit::new(ms(100));
        assert!(!limit.leaves_no_try(ms(50), ms(90)));
        assert!(limit.leaves_no_try(ms(100), ms(500)), "nothing could be answered any more");
        assert!(limit.leaves_no_try(ms(50), ms(40)));
        tokio::time::sleep(ms(90)).await;
        assert!(limit.leaves_no_try(ms(20), ms(500)));
        limit.answered(Instant::now());
        assert!(!limit.leaves_no_try(ms(20), ms(40)), "patience is for the time after connecting");
        let endless = Limit::new(Duration::MAX);
        assert!(!endless.leaves_no_try(ms(50), ms(3_000)));
    }
}
