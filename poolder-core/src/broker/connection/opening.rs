//! When the shared connection is used, checked, opened or refused: a decision from a few facts.
//!
//! One attempt to open the connection runs at a time. All callers that need the connection wait for
//! it, and its failure is the failure of all. For as long as the attempt took, and at most
//! [`MAX_DOWN`], further callers get the same failure at once. An attempt reports its answered
//! steps; callers wait while each of them comes within the time limit of a reply.

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
    progress: watch::Receiver<Progress<C>>,
}

/// An attempt, from the view of the task or thread that makes it.
#[derive(Debug)]
pub(super) struct AttemptSender<C> {
    progress: watch::Sender<Progress<C>>,
}

#[derive(Debug)]
struct Progress<C> {
    /// The time of the last answered step, at first that of the start.
    answered: Instant,
    outcome: Option<RedisResult<C>>,
}

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
    /// tells whether its end was noticed since. No caller waits for an attempt of which no step was
    /// answered for `reply`, the time limit of a reply.
    pub(super) fn access(
        &self,
        now: Instant,
        idle: Duration,
        reply: Duration,
        is_closed: impl FnOnce(&C) -> bool,
    ) -> Access<C> {
        match self {
            Self::Open(connection) if is_closed(connection) => Access::Begin(None),
            Self::Open(connection) if idle > PING_AFTER => Access::Begin(Some(connection.clone())),
            Self::Open(connection) => Access::Use(connection.clone()),
            Self::Running(attempt) if attempt.is_abandoned() => Access::Begin(None),
            Self::Running(attempt) if attempt.silence(now) >= reply => {
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
    /// Creates an attempt that begins now, and the sender of its progress.
    pub(super) fn begin(now: Instant) -> (Self, AttemptSender<C>) {
        let (sender, progress) = watch::channel(Progress { answered: now, outcome: None });
        (Self { progress }, AttemptSender { progress: sender })
    }

    /// Waits for the outcome, until the caller's limit or until no step of the attempt was answered
    /// for as long as a reply may take. Each answered step counts for the caller's limit. Nothing
    /// was sent after an error.
    pub(super) async fn outcome(mut self, limit: &mut Limit) -> RedisResult<C> {
        loop {
            let answered = {
                let progress = self.progress.borrow_and_update();
                limit.answered(progress.answered);
                if let Some(outcome) = &progress.outcome {
                    return outcome.clone();
                }
                progress.answered
            };
            match timeout_at(limit.after_answer(answered), self.progress.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => {
                    return Err(unsent(std::io::Error::other("the runtime shuts down").into()));
                }
                Err(_) => return Err(unsent(timed_out())),
            }
        }
    }

    /// Returns whether the attempt has ended without an outcome, with the runtime that ran it.
    fn is_abandoned(&self) -> bool {
        self.progress.has_changed().is_err() && self.progress.borrow().outcome.is_none()
    }

    /// Returns the time since the last answered step.
    fn silence(&self, now: Instant) -> Duration {
        now.duration_since(self.progress.borrow().answered)
    }
}

impl<C> AttemptSender<C> {
    /// Notes that a step was answered.
    pub(super) fn answered(&self) {
        self.progress.send_modify(|progress| progress.answered = Instant::now());
    }

    /// Ends the attempt. Its success is an answer.
    pub(super) fn end(self, outcome: RedisResult<C>) {
        if outcome.is_ok() {
            self.answered();
        }
        self.progress.send_modify(|progress| progress.outcome = Some(outcome));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: Duration = Duration::from_secs(3);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn refusal() -> RedisError {
        std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()
    }

    fn next(state: &Opening<u8>, now: Instant, idle: Duration) -> Access<u8> {
        state.access(now, idle, REPLY, |number| *number == 0)
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
        let error = attempt.clone().outcome(&mut Limit::new(REPLY)).await.unwrap_err();
        assert!(error.is_connection_refusal(), "nothing was sent: {error}");
        assert_eq!(started.elapsed(), REPLY);
        let state = Opening::Running(attempt);
        assert!(matches!(next(&state, Instant::now(), ms(0)), Access::Fail(_)), "at once");
    }

    #[tokio::test(start_paused = true)]
    async fn callers_wait_while_steps_are_answered_but_not_without_an_end() {
        let (attempt, sender) = OpeningAttempt::<u8>::begin(Instant::now());
        let state = Opening::Running(attempt.clone());
        let steps = tokio::spawn(async move {
            for _ in 0..20 {
                tokio::time::sleep(ms(2_900)).await;
                sender.answered();
            }
            sender.end(Ok(7));
        });
        let (mut first, started) = (Limit::new(REPLY), Instant::now());
        let error = attempt.clone().outcome(&mut first).await.unwrap_err();
        assert!(error.is_connection_refusal(), "{error}");
        assert_eq!(started.elapsed(), REPLY * 6);
        assert!(matches!(next(&state, Instant::now(), ms(0)), Access::Wait(_)));
        tokio::time::sleep_until(started + ms(50_000)).await;
        let mut last = Limit::new(REPLY);
        assert_eq!(attempt.outcome(&mut last).await.unwrap(), 7);
        assert_eq!(last.until() - started, ms(58_000) + REPLY, "the next step has its whole time");
        steps.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_ends_without_an_outcome_is_repeated() {
        let (attempt, sender) = OpeningAttempt::<u8>::begin(Instant::now());
        let state = Opening::Running(attempt.clone());
        assert!(matches!(next(&state, Instant::now(), ms(0)), Access::Wait(_)));
        drop(sender);
        assert!(matches!(next(&state, Instant::now(), ms(0)), Access::Begin(None)));
        let mut limit = Limit::new(REPLY);
        assert!(attempt.outcome(&mut limit).await.unwrap_err().is_connection_refusal());
        let (attempt, sender) = OpeningAttempt::begin(Instant::now());
        sender.end(Ok(7));
        assert_eq!(attempt.outcome(&mut limit).await.unwrap(), 7);
    }
}
