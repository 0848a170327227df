//! Decides which silent nodes are dead.

use std::time::{Duration, Instant};

use poolder_core::broker::Beat;
use poolder_core::mutation::mutated;

/// The interval between two beats.
pub(super) const PERIOD: Duration = Duration::from_secs(2);
/// The interval before the next beat after one that was not acknowledged, and the least interval
/// between beats.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// A node confirms deaths once its own beats were acknowledged without a gap for this long. When a
/// server that was away answers again, nodes return to it one after the other; this is longer than
/// any of them takes (see `MAX_LIMIT` of the beats), so that a node which is still silent is dead.
const WHOLE: Duration = Duration::from_secs(10);

/// The nodes that were silent at the last beat, each with its last beat as of then.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    /// When the first of this node's beats was acknowledged since the last gap; `None` before it.
    whole_since: Option<Instant>,
    /// When the last beat was sent.
    sent: Option<Instant>,
    silent: Vec<(String, String)>,
}

impl Suspicion {
    /// Returns the nodes that are dead: silent at two consecutive beats of this node, without a beat
    /// of their own in between, and after this node's beats were whole for long enough. Beats are
    /// consecutive when they are at most `gap` apart.
    pub(super) fn confirm(
        &mut self,
        (sent, acknowledged): (Instant, Instant),
        gap: Duration,
        beat: &Beat,
    ) -> Vec<(String, String)> {
        if self.sent.is_none_or(|before| sent.saturating_duration_since(before) > gap) {
            *self = Self::default();
        }
        self.sent = Some(sent);
        let since = *self.whole_since.get_or_insert(acknowledged);
        let before = std::mem::replace(&mut self.silent, beat.silent.clone());
        let whole = acknowledged.saturating_duration_since(since);
        if whole < WHOLE && !mutated("whole-beats") {
            return vec![];
        }
        beat.silent.iter().filter(|one| before.contains(one)).cloned().collect()
    }

    /// Notes that a beat was not acknowledged.
    pub(super) fn beat_failed(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use poolder_core::Timestamp;
    use poolder_core::broker::Beater;

    use super::*;

    const GAP: Duration = Duration::from_secs(3);

    fn beat(silent: &[(&str, &str)]) -> Beat {
        Beat {
            marked: false,
            added: false,
            now: Timestamp::from_millis(0),
            silent: silent.iter().map(|(n, b)| ((*n).to_owned(), (*b).to_owned())).collect(),
            dead: vec![],
            nodes: None,
        }
    }

    /// Sends beats to a suspicion, at seconds since its start.
    struct Node(Suspicion, Instant);

    impl Node {
        fn new() -> Self {
            Self(Suspicion::default(), Instant::now())
        }

        fn beat(&mut self, second: u64, silent: &[(&str, &str)]) -> Vec<String> {
            let at = self.1 + Duration::from_secs(second);
            let dead = self.0.confirm((at, at), GAP, &beat(silent));
            dead.into_iter().map(|(name, _)| name).collect()
        }

        /// Sends beats for long enough that the next one may confirm a death.
        fn whole() -> Self {
            let mut node = Self::new();
            for second in [0, 2, 4, 6, 8] {
                assert!(node.beat(second, &[]).is_empty());
            }
            node
        }
    }

    #[test]
    fn only_a_node_that_is_silent_twice_in_a_row_is_dead() {
        let mut node = Node::whole();
        assert!(node.beat(10, &[("a", "1"), ("b", "1")]).is_empty());
        // b sent a beat that is too old by now as well; c is new.
        assert_eq!(node.beat(12, &[("a", "1"), ("b", "2"), ("c", "1")]), ["a"]);
        // The beats of this node were too far apart: this node may have been the one that was away.
        let silent = [("b", "2"), ("c", "1")];
        for second in [16, 18, 20, 22, 24] {
            assert!(node.beat(second, &silent).is_empty());
        }
        assert_eq!(node.beat(26, &silent), ["b", "c"]);
    }

    #[test]
    fn deaths_are_confirmed_only_after_whole_beats() {
        let silent = [("a", "1")];
        let mut node = Node::new();
        for second in [0, 2, 4, 6, 8] {
            assert!(node.beat(second, &silent).is_empty(), "{second} s after the first beat");
        }
        assert_eq!(node.beat(10, &silent), ["a"]);
        node.0.beat_failed();
        for second in [11, 13, 15, 17, 19] {
            assert!(node.beat(second, &silent).is_empty(), "{second} s: a beat has failed");
        }
        assert_eq!(node.beat(21, &silent), ["a"]);
    }

    #[test]
    fn a_beat_that_the_server_kept_for_long_counts_from_its_acknowledgement() {
        let mut node = Suspicion::default();
        let (start, silent) = (Instant::now(), beat(&[("a", "1")]));
        let at = |second| start + Duration::from_secs(second);
        assert!(node.confirm((at(0), at(3)), GAP, &silent).is_empty());
        for second in [3, 5, 7, 9, 11] {
            assert!(node.confirm((at(second), at(second)), GAP, &silent).is_empty());
        }
        assert_eq!(node.confirm((at(13), at(13)), GAP, &silent).len(), 1);
    }

    #[test]
    fn a_living_node_returns_within_the_time_that_others_wait() {
        // The step that is given up, the pause, and three round trips.
        let longest = Beater::MAX_LIMIT + RETRY_INTERVAL + Beater::MAX_LIMIT * 3 / 4;
        // A Sentinel that hangs, or the delays of a busy machine, may take some more.
        assert!(longest + Duration::from_secs(4) < WHOLE, "{longest:?}");
        // After one lost connection, the node is silent for that time and one interval.
        assert!(longest + PERIOD < Beater::SILENCE, "{longest:?}");
    }
}
