//! When the shared connection is used, checked, opened or refused: a decision from a few facts.
//!
//! One attempt to open the connection runs at a time. All callers that need the connection wait for
//! it, and its failure is the failure of all. For as long as the attempt took, and at most
//! [`MAX_DOWN`], further callers get the same failure at once.

use std::time::Duration;

use redis::{RedisError, RedisResult};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::broker::connection::failure::unsent;
use crate::broker::connection::limit::{Limit, timed_out};

/// The maximum time after a failed attempt in which callers fail without another attempt. A refusal
/// that came at once costs nothing to repeat, so that this time is no longer than the attempt was.
const MAX_DOWN: Duration = Duration::from_secs(1);
/// A connection that was idle for longer answers a `PING` before it is used, since routers forget
/// connections without closing them.
const PING_AFTER: Duration = Duration::from_secs(5);

/// The state of the shared connection. `C` is a connection.
#[derive(Debug)]
pub(super) enum Opening<C> {
    /// There is no connection.
    Closed,
    /// An attempt to open or to check the connection runs.
    Running(OpeningAttempt<C>),
    /// The connection is open, or was when it was last used.
    Open(C),
    /// The last attempt failed.
    Down { error: RedisError, until: Instant },
}

/// An attempt, from the view of a caller that waits for it.
#[derive(Debug, Clone)]
pub(super) struct OpeningAttempt<C> {
    since: Instant,
    outcome: watch::Receiver<Option<RedisResult<C>>>,
}

/// The sender of the outcome of an attempt.
pub(super) type AttemptSender<C> = watch::Sender<Option<RedisResult<C>>>;

/// The next step of a caller that needs the connection.
#[derive(Debug)]
pub(super) enum Access<C> {
    /// Use the connection.
    Use(C),
    /// Wait for the attempt that runs.
    Wait(OpeningAttempt<C>),
    /// Begin an attempt. The connection is kept if it answers.
    Begin(Option<C>),
    /// Fail: the server is known to be down.
    Fail(RedisError),
}

impl<C: Clone> Opening<C> {
    /// Decides the next step of a caller. The connection was last used `idle` ago; `is_closed`
    /// tells whether its end was noticed since. No caller waits for an attempt that has run for
    /// `longest`.
    pub(super) fn access(
        &self,
        now: Instant,
        idle: Duration,
        longest: Duration,
        is_closed: impl FnOnce(&C) -> bool,
    ) -> Access<C> {
        match self {
            Self::Open(connection) if is_closed(connection) => Access::Begin(None),
            Self::Open(connection) if idle > PING_AFTER => Access::Begin(Some(connection.clone())),
            Self::Open(connection) => Access::Use(connection.clone()),
            Self::Running(attempt) if attempt.is_abandoned() => Access::Begin(None),
            Self::Running(attempt) if now.duration_since(attempt.since) >= longest => {
                Access::Fail(unsent(timed_out()))
            }
            Self::Running(attempt) => Access::Wait(attempt.clone()),
            Self::Down { error, until } if now < *until => Access::Fail(error.clone()),
            Self::Closed | Self::Down { .. } => Access::Begin(None),
        }
    }

    /// Returns the state after an attempt that began at `since`.
    pub(super) fn after(outcome: &RedisResult<C>, since: Instant, now: Instant) -> Self {
        match outcome {
            Ok(connection) => Self::Open(connection.clone()),
            Err(error) => {
                let down = now.duration_since(since).min(MAX_DOWN);
                Self::Down { error: error.clone(), until: now + down }
            }
        }
    }
}

impl<C: Clone> OpeningAttempt<C> {
    /// Creates an attempt that begins now, and the sender of its outcome.
    pub(super) fn begin(now: Instant) -> (Self, AttemptSender<C>) {
        let (sender, outcome) = watch::channel(None);
        (Self { since: now, outcome }, sender)
    }

    /// Waits for the outcome, until the caller's limit or until the attempt has run for `longest`.
    /// Nothing was sent after an error.
    pub(super) async fn outcome(mut self, limit: Limit, longest: Duration) -> RedisResult<C> {
        let until = self.since.checked_add(longest).unwrap_or_else(|| limit.until());
        let outcome = self.outcome.wait_for(Option::is_some);
        match timeout_at(until.min(limit.until()), outcome).await {
            Ok(Ok(outcome)) => outcome.clone().unwrap_or_else(|| Err(unsent(timed_out()))),
            Ok(Err(_)) => Err(unsent(std::io::Error::other("the runtime shuts down").into())),
            Err(_) => Err(unsent(timed_out())),
        }
    }

    /// Returns whether the attempt has ended without an outcome, with the runtime that ran it.
    fn is_abandoned(&self) -> bool {
        self.outcome.has_changed().is_err() && self.outcome.borrow().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(3);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn refusal() -> RedisError {
        std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()
    }

    fn next(state: &Opening<u8>, now: Instant, idle: Duration) -> Access<u8> {
        state.access(now, idle, LONGEST, |number| *number == 0)
    }

    #[test]
    fn an_idle_connection_is_checked_and_a_closed_one_replaced() {
        let now = Instant::now();
        assert!(matches!(next(&Opening::Open(1), now, ms(5_000)), Access::Use(1)));
        assert!(matches!(next(&Opening::Open(1), now, ms(5_001)), Access::Begin(Some(1))));
        for idle in [ms(1), ms(60_000)] {
            assert!(matches!(next(&Opening::Open(0), now, idle), Access::Begin(None)));
        }
    }

    #[test]
    fn callers_fail_at_once_for_as_long_as_the_failed_attempt_took_but_a_second_at_most() {
        let since = Instant::now();
        for (took, down) in [(0, 0), (3, 3), (1_000, 1_000), (9_000, 1_000)] {
            let now = since + ms(took);
            let state = Opening::after(&Err(refusal()), since, now);
            if down > 0 {
                let last = now + ms(down) - ms(1);
                assert!(matches!(next(&state, last, ms(0)), Access::Fail(_)), "{took}");
            }
            assert!(matches!(next(&state, now + ms(down), ms(0)), Access::Begin(None)), "{took}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn callers_of_one_attempt_fail_together() {
        let (attempt, _sender) = OpeningAttempt::<u8>::begin(Instant::now());
        let started = Instant::now();
        tokio::time::sleep(ms(2_900)).await;
        let error = attempt.clone().outcome(Limit::new(LONGEST), LONGEST).await.unwrap_err();
        assert!(error.is_connection_refusal(), "nothing was sent: {error}");
        assert_eq!(started.elapsed(), LONGEST);
        let state = Opening::Running(attempt);
        assert!(matches!(next(&state, Instant::now(), ms(0)), Access::Fail(_)), "at once");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_ends_without_an_outcome_is_repeated() {
        let (attempt, sender) = OpeningAttempt::<u8>::begin(Instant::now());
        let state = Opening::Running(attempt.clone());
        assert!(matches!(next(&state, Instant::now(), ms(0)), Access::Wait(_)));
        drop(sender);
        assert!(matches!(next(&state, Instant::now(), ms(0)), Access::Begin(None)));
        let limit = Limit::new(LONGEST);
        assert!(attempt.outcome(limit, LONGEST).await.unwrap_err().is_connection_refusal());
        let (attempt, sender) = OpeningAttempt::begin(Instant::now());
        sender.send_replace(Some(Ok(7)));
        assert_eq!(attempt.outcome(limit, LONGEST).await.unwrap(), 7);
    }
}
