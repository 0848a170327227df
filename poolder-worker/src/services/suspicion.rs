//! Decides which silent nodes are dead.

use std::time::{Duration, Instant};

use poolder_core::broker::Beat;
use poolder_core::mutation::mutated;

/// The interval before the next beat after one that was not acknowledged, and the least interval
/// between beats.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// A beat that lies ahead of the server's clock is from before the clock was set back, or the server
/// has lost those after it. A living node sends another one within this time, whatever its pace.
const NEXT_BEAT: Duration = Duration::from_secs(5);

/// The nodes that were silent at the last beat, each with its last beat as of then.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    /// When the first of this node's beats was acknowledged since the last gap; `None` before it.
    whole_since: Option<Instant>,
    /// When the last beat was sent.
    sent: Option<Instant>,
    silent: Vec<Silent>,
}

/// A node that is silent.
#[derive(Debug, Clone)]
struct Silent {
    name: String,
    last_beat: String,
    /// Since when this node sees that it is.
    since: Instant,
}

impl Suspicion {
    /// Returns the nodes that are dead: silent at two consecutive beats of this node, without a beat
    /// of their own in between, and after this node's beats were acknowledged without a gap for
    /// `whole`. When a server that was away answers again, nodes return to it one after the other;
    /// this is longer than any of them takes (see `MAX_LIMIT` of the beats), so that a node which is
    /// still silent is dead. Beats are consecutive when they are at most `gap` apart.
    pub(super) fn confirm(
        &mut self,
        (sent, acknowledged): (Instant, Instant),
        (gap, whole): (Duration, Duration),
        beat: &Beat,
    ) -> Vec<(String, String)> {
        if self.sent.is_none_or(|before| sent.saturating_duration_since(before) > gap) {
            *self = Self::default();
        }
        self.sent = Some(sent);
        let since = *self.whole_since.get_or_insert(acknowledged);
        let before = std::mem::take(&mut self.silent);
        let (mut dead, has_gap) = (vec![], acknowledged.saturating_duration_since(since) < whole);
        for (name, last_beat) in beat.silent.iter().cloned() {
            let same = |one: &&Silent| one.name == name && one.last_beat == last_beat;
            let known = before.iter().find(same).map(|known| known.since);
            let since = known.unwrap_or(sent);
            let ahead = last_beat.parse::<i64>().is_ok_and(|at| at > beat.now.millis());
            let long = !ahead || sent.saturating_duration_since(since) >= NEXT_BEAT;
            if known.is_some() && long && (!has_gap || mutated("whole-beats")) {
                dead.push((name.clone(), last_beat.clone()));
            }
            self.silent.push(Silent { name, last_beat, since });
        }
        dead
    }

    /// Notes that a beat was not acknowledged.
    pub(super) fn beat_failed(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use poolder_core::Timestamp;

    use super::*;

    const TIMES: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(10));

    fn beat(silent: &[(&str, &str)]) -> Beat {
        Beat {
            marked: false,
            added: false,
            now: Timestamp::from_millis(100),
            silent: silent.iter().map(|(n, b)| ((*n).to_owned(), (*b).to_owned())).collect(),
            dead: vec![],
            nodes: None,
            order: None,
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
            let dead = self.0.confirm((at, at), TIMES, &beat(silent));
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
        assert!(node.confirm((at(0), at(3)), TIMES, &silent).is_empty());
        for second in [3, 5, 7, 9, 11] {
            assert!(node.confirm((at(second), at(second)), TIMES, &silent).is_empty());
        }
        assert_eq!(node.confirm((at(13), at(13)), TIMES, &silent).len(), 1);
    }

    #[test]
    fn a_beat_that_lies_ahead_is_given_the_time_of_the_slowest_next_one() {
        let mut node = Node::whole();
        for second in [10, 12, 14] {
            assert!(node.beat(second, &[("a", "9000")]).is_empty(), "after {second} s");
        }
        assert!(node.beat(15, &[("a", "9001")]).is_empty(), "it has sent another");
        for second in [17, 19] {
            assert!(node.beat(second, &[("a", "9001")]).is_empty(), "after {second} s");
        }
        assert_eq!(node.beat(21, &[("a", "9001")]), ["a"]);
    }
}
