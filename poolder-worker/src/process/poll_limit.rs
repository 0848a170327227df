//! The turns of busy slots, a few at a time: what comes to a slot while it waits for its turn is
//! claimed, and settled, by that one instead of by several.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// So many busy slots of a node take their turns at once …
const MAX_CONCURRENT_POLLS: usize = 8;
/// … and a slot is busy when its last turn is no longer ago than this, the most that it can lose
/// by waiting: no slot suffers from a server, of several, whose turns take long.
const BUSY: Duration = Duration::from_millis(5);

pub(crate) struct PollLimiter(Semaphore);

impl Default for PollLimiter {
    fn default() -> Self {
        Self(Semaphore::new(MAX_CONCURRENT_POLLS))
    }
}

impl PollLimiter {
    /// Waits until a slot that had its last turn then may have its next. The turn is over when
    /// what comes back, if anything, is dropped.
    pub(crate) async fn pass(&self, last: Instant) -> Option<SemaphorePermit<'_>> {
        let until = last + BUSY;
        if Instant::now() >= until {
            return None;
        }
        timeout_at(until, self.0.acquire()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn busy_slots_pass_a_few_at_a_time_and_none_waits_long() {
        let (poll_limiter, start) = (PollLimiter::default(), Instant::now());
        let mut turns = vec![];
        for _ in 0..MAX_CONCURRENT_POLLS {
            turns.push(poll_limiter.pass(start).await.expect("there is room"));
        }
        let idle = poll_limiter.pass(start - BUSY).await;
        assert!(idle.is_none() && Instant::now() == start, "a slot that was idle waits for nobody");

        let next = async { poll_limiter.pass(start).await.map(|_| Instant::now()) };
        let over = async {
            tokio::time::sleep(BUSY / 2).await;
            turns.pop();
        };
        let (passed, ()) = tokio::join!(next, over);
        let until = start + BUSY;
        assert!(passed.is_some_and(|at| at < until), "once a turn is over");

        turns.push(poll_limiter.pass(start).await.expect("there is room"));
        let waited = tokio::time::timeout(2 * BUSY, poll_limiter.pass(start)).await;
        assert!(matches!(waited, Ok(None)), "turns that take long hold up nobody");
        assert!(Instant::now() >= until, "but for a while");
    }
}
