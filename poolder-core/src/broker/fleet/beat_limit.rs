//! The time limit for each step of a heartbeat: opening the connection, and each reply. It follows
//! the measured round trip.

use std::time::Duration;

/// The least limit.
const MIN_LIMIT: Duration = Duration::from_secs(1);
/// The greatest limit, by the rule of the lease. When a server that was away answers again, a node
/// may first give up a step (one limit), pause, and open its connection and send its beat again
/// (three round trips, each a quarter of the limit). With the interval between two beats that must
/// be shorter than the silence after which the node is dead.
pub(super) const MAX_LIMIT: Duration = Duration::from_secs(3);
/// The limit is this many round trips.
const ROUND_TRIPS: u32 = 4;

/// The limit, from the round trips and the timeouts so far.
#[derive(Debug, Default)]
pub(super) struct BeatLimit {
    /// The longest round trip lately.
    round_trip: Duration,
    /// The number of steps in a row that have timed out.
    timeouts: u32,
}

impl BeatLimit {
    /// Returns max(1 s, 4 × round trip), twice as much after each timeout, and at most
    /// [`MAX_LIMIT`].
    pub(super) fn get(&self) -> Duration {
        let follows = self.round_trip.saturating_mul(ROUND_TRIPS).max(MIN_LIMIT);
        follows.saturating_mul(1 << self.timeouts.min(8)).min(MAX_LIMIT)
    }

    /// Notes that a reply came after this time. A shorter round trip lowers the limit slowly.
    pub(super) fn replied(&mut self, after: Duration) {
        self.round_trip = after.max(self.round_trip / 8 * 7);
        self.timeouts = 0;
    }

    /// Notes that a step has taken longer than the limit.
    pub(super) fn timed_out(&mut self) {
        self.timeouts = self.timeouts.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_follows_the_round_trip_and_grows_with_timeouts() {
        let millis = Duration::from_millis;
        let mut limit = BeatLimit::default();
        assert_eq!(limit.get(), MIN_LIMIT);
        limit.replied(millis(2));
        assert_eq!(limit.get(), MIN_LIMIT);
        // A link of which nothing is known yet, or which has become slow.
        for expected in [2, 3, 3] {
            limit.timed_out();
            assert_eq!(limit.get(), Duration::from_secs(expected));
        }
        limit.replied(millis(600));
        assert_eq!(limit.get(), millis(2_400));
        limit.replied(millis(1));
        assert_eq!(limit.get(), millis(2_100));
        limit.timed_out();
        assert_eq!(limit.get(), MAX_LIMIT);
        for _ in 0..100 {
            limit.replied(millis(1));
        }
        assert_eq!(limit.get(), MIN_LIMIT);
        for extreme in [Duration::MAX, Duration::ZERO] {
            limit.replied(extreme);
            (0..1_000).for_each(|_| limit.timed_out());
            assert_eq!(limit.get(), MAX_LIMIT);
        }
    }
}
