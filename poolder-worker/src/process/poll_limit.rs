//! Limits how many busy slots poll the server at once (8). Waiting batches the work: one later poll
//! settles and claims instead of several.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// Limits how many busy slots of a node poll at once.
const MAX_CONCURRENT_POLLS: usize = 8;
/// A slot is busy when its last poll was no longer ago than this. A slot also waits no longer than
/// this, so that slots do not suffer when one server of several answers polls slowly.
const BUSY: Duration = Duration::from_millis(5);

/// The permits for polls of a node's busy slots.
pub(crate) struct PollLimiter(Semaphore);

impl Default for PollLimiter {
    fn default() -> Self {
        Self(Semaphore::new(MAX_CONCURRENT_POLLS))
    }
}

impl PollLimiter {
    /// Waits until a slot whose last poll was at `last` may poll again. The poll counts as over
    /// when the caller drops the returned permit. Returns `None` to a slot that is idle or has
    /// waited long enough; it polls without a permit.
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
        let mut permits = vec![];
        for _ in 0..MAX_CONCURRENT_POLLS {
            permits.push(poll_limiter.pass(start).await.expect("there is room"));
        }
        let idle = poll_limiter.pass(start - BUSY).await;
        assert!(idle.is_none() && Instant::now() == start, "an idle slot does not wait");

        let next = async { poll_limiter.pass(start).await.map(|_| Instant::now()) };
        let over = async {
            tokio::time::sleep(BUSY / 2).await;
            permits.pop();
        };
        let (passed, ()) = tokio::join!(next, over);
        let until = start + BUSY;
        assert!(passed.is_some_and(|at| at < until), "a slot polls once another poll is over");

        permits.push(poll_limiter.pass(start).await.expect("there is room"));
        let waited = tokio::time::timeout(2 * BUSY, poll_limiter.pass(start)).await;
        assert!(matches!(waited, Ok(None)), "slow polls do not hold up a slot");
        assert!(Instant::now() >= until, "a slot waits for the whole limit");
    }
}
