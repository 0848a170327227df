//! How the beats of a node, and the times of the death rule, stretch with the fleet. Pure.
//!
//! Each beat costs the server some 50 µs, so that 10,000 nodes that beat every 2 s take a quarter of
//! its only thread. A node of a large fleet beats half as often, and promises so with each beat: the
//! time that it stores is ahead of the server's clock. Every other node then takes it for silent that
//! much later, also one that knows of another size of the fleet, and one of an older version.

use std::time::Duration;

/// A fleet with more nodes than this is large.
const LARGE: usize = 2_000;

/// The times of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// The interval between two beats.
    pub(super) period: Duration,
    /// How long an acknowledged beat is valid. After that, other nodes may soon declare this node
    /// dead, so it claims no more.
    pub(super) validity: Duration,
    /// How much later than usual the others shall take this node for silent.
    pub(super) extra: Duration,
    /// How long this node's beats must be whole before it confirms deaths.
    pub(super) whole: Duration,
}

impl Pace {
    /// Returns the times of a node in a fleet of so many nodes. A node waits for longer before it
    /// confirms deaths in fleets of half the size already, since others may know of more nodes.
    pub(super) fn of(nodes: usize) -> Self {
        let seconds = Duration::from_secs;
        let (period, validity, extra) = match nodes > LARGE {
            false => (seconds(2), seconds(6), seconds(0)),
            true => (seconds(4), seconds(12), seconds(7)),
        };
        let whole = if nodes > LARGE / 2 { seconds(20) } else { seconds(10) };
        Self { period, validity, extra, whole }
    }
}

#[cfg(test)]
mod tests {
    use poolder_core::broker::Beater;

    use super::super::suspicion::RETRY_INTERVAL;
    use super::*;

    const SIZES: [usize; 7] = [0, 1, 1_000, 1_001, 2_000, 2_001, usize::MAX];

    #[test]
    fn beats_stretch_above_two_thousand_nodes() {
        let periods = SIZES.map(|nodes| Pace::of(nodes).period.as_secs());
        assert_eq!(periods, [2, 2, 2, 2, 2, 4, 4]);
        let whole = SIZES.map(|nodes| Pace::of(nodes).whole.as_secs());
        assert_eq!(whole, [10, 10, 10, 20, 20, 20, 20]);
    }

    #[test]
    fn a_living_node_returns_within_the_time_that_others_wait() {
        // The step that is given up, the pause, and three round trips.
        let longest = Beater::MAX_LIMIT + RETRY_INTERVAL + Beater::MAX_LIMIT * 3 / 4;
        for pace in SIZES.map(Pace::of) {
            // A Sentinel that hangs, or the delays of a busy machine, may take some more.
            assert!(longest + Duration::from_secs(4) < pace.whole, "{pace:?}");
            // After one lost connection, the node is silent for that time and one interval.
            let silence = Beater::SILENCE + pace.extra;
            assert!(longest + pace.period < silence, "{pace:?}");
            // It claims nothing for a while before others may take it for silent.
            assert!(pace.validity + Duration::from_secs(2) <= silence, "{pace:?}");
            // One lost beat does not end its claims.
            assert!(pace.period * 2 + RETRY_INTERVAL < pace.validity, "{pace:?}");
            // Its beats are not taken for those of before the clock was set back.
            assert!(pace.extra < Beater::SILENCE, "{pace:?}");
        }
    }

    #[test]
    fn a_node_that_knows_of_half_the_nodes_judges_by_the_times_of_those_that_know_of_all() {
        assert_eq!(Pace::of(LARGE / 2 + 1).whole, Pace::of(LARGE + 1).whole);
    }
}
