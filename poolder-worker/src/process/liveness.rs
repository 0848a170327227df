//! State that the parts of a node share: shutdown phase, identity, clock and liveness.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use poolder_core::Timestamp;
use poolder_core::broker::NodeName;
#[cfg(feature = "testing")]
use poolder_core::captured::Captured;

/// How far the shutdown of a node, or of one of its pools, has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ShutdownPhase {
    /// Claims and runs jobs.
    Run,
    /// Claims no more; running jobs may finish.
    Drain,
    /// Interrupts the jobs that still run and releases them.
    Release,
}

/// This node's entry in the roster.
#[derive(Debug, Clone)]
pub(crate) struct NodeIdentity {
    /// The name of this incarnation. A node that was declared dead takes a new one.
    pub(crate) name: NodeName,
    /// True while the server acknowledges this node's beats, so that no other node thinks it dead.
    /// Only then may the node claim.
    pub(crate) claims: bool,
}

/// The names of the nodes that were declared dead within the last minute.
pub(crate) type DeadNodes = Arc<BTreeSet<String>>;

/// The server's clock: the local clock, shifted by the difference seen at the last beat.
#[derive(Debug, Default)]
pub(crate) struct ServerClock {
    ahead: AtomicI64,
    /// The queue of a test, whose clock is followed in place of a server's.
    #[cfg(feature = "testing")]
    captured: Option<Arc<Captured>>,
}

impl ServerClock {
    /// Returns the clock of a test's queue.
    #[cfg(feature = "testing")]
    pub(crate) fn of_test(captured: Arc<Captured>) -> Self {
        Self { captured: Some(captured), ..Self::default() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        #[cfg(feature = "testing")]
        if let Some(captured) = &self.captured {
            return captured.now();
        }
        let ahead = self.ahead.load(Ordering::Relaxed);
        Timestamp::from_millis(Timestamp::now().millis().saturating_add(ahead))
    }

    pub(crate) fn set(&self, server: Timestamp) {
        let ahead = server.millis().saturating_sub(Timestamp::now().millis());
        self.ahead.store(ahead, Ordering::Relaxed);
    }
}

/// How far beyond the longest timeout of a job the runtime may go without a tick before the node
/// counts as stuck.
const SLACK: Duration = Duration::from_secs(60);

/// Tells whether the runtime still runs. Handlers may block its threads for as long as their jobs
/// may take; beyond that the node is stuck and should be declared dead.
#[derive(Debug)]
pub(crate) struct Liveness {
    born: Instant,
    /// When the runtime last ticked, in ms since `born`.
    ticked: AtomicU64,
    /// The longest timeout of any job that was started, in ms; `u64::MAX` once a job without a
    /// timeout was started.
    longest: AtomicU64,
    /// When the last acknowledged beat was sent, in ms since `born`.
    sent: AtomicU64,
    /// Until when it is valid, in ms since `born`; 0 when none is.
    fresh_until: AtomicU64,
}

impl Default for Liveness {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            ticked: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            fresh_until: AtomicU64::new(0),
        }
    }
}

impl Liveness {
    /// Notes that the runtime runs.
    pub(crate) fn tick(&self) {
        self.ticked.store(millis(self.born.elapsed()), Ordering::Relaxed);
    }

    /// Notes that a job with this timeout was started; `None` is a job without a timeout.
    pub(crate) fn allow(&self, timeout: Option<Duration>) {
        self.longest.fetch_max(timeout.map_or(u64::MAX, millis), Ordering::Relaxed);
    }

    /// Returns true while the last tick of the runtime is recent enough. The heartbeat thread sends
    /// beats only then.
    pub(crate) fn is_felt(&self) -> bool {
        self.is_felt_after(millis(self.born.elapsed()))
    }

    /// Notes that the server acknowledged a beat that was sent at this time, and how long that is
    /// valid: afterwards other nodes may soon declare this node dead, so that it claims no more.
    pub(crate) fn acknowledge(&self, sent: Instant, validity: Duration) {
        let sent = sent.saturating_duration_since(self.born);
        self.sent.store(millis(sent), Ordering::Relaxed);
        self.fresh_until.store(millis(sent.saturating_add(validity)), Ordering::Relaxed);
    }

    /// Invalidates the last acknowledged beat.
    pub(crate) fn doubt(&self) {
        self.fresh_until.store(0, Ordering::Relaxed);
    }

    /// Returns true while the last acknowledged beat is valid. A process that was suspended sees by
    /// this, before any reply of the server, that other nodes may think it dead.
    pub(crate) fn is_acknowledged(&self) -> bool {
        millis(self.born.elapsed()) < self.fresh_until.load(Ordering::Relaxed)
    }

    /// Returns how long ago the last acknowledged beat was sent, and how long it is valid since then;
    /// `None` when no beat is acknowledged, or the last one was invalidated.
    pub(crate) fn last_beat(&self) -> Option<(Duration, Duration)> {
        let until = self.fresh_until.load(Ordering::Relaxed);
        if until == 0 {
            return None;
        }
        let sent = self.sent.load(Ordering::Relaxed);
        let age = millis(self.born.elapsed()).saturating_sub(sent);
        Some((Duration::from_millis(age), Duration::from_millis(until.saturating_sub(sent))))
    }

    fn is_felt_after(&self, now: u64) -> bool {
        let silence = now.saturating_sub(self.ticked.load(Ordering::Relaxed));
        silence <= self.longest.load(Ordering::Relaxed).saturating_add(millis(SLACK))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALIDITY: Duration = Duration::from_secs(6);

    #[test]
    fn a_runtime_is_stuck_only_after_the_longest_job_and_a_minute() {
        let liveness = Liveness::default();
        assert!(liveness.is_felt_after(60_000));
        assert!(!liveness.is_felt_after(60_001));
        liveness.allow(Some(Duration::from_secs(10)));
        liveness.allow(Some(Duration::from_secs(1)));
        assert!(liveness.is_felt_after(70_000));
        assert!(!liveness.is_felt_after(70_001));
        liveness.allow(None);
        assert!(liveness.is_felt_after(u64::MAX));
    }

    #[test]
    fn a_beat_is_fresh_for_a_while_only() {
        let liveness = Liveness::default();
        assert!(!liveness.is_acknowledged());
        assert_eq!(liveness.last_beat(), None);
        liveness.acknowledge(liveness.born, VALIDITY);
        assert!(liveness.is_acknowledged());
        let (age, validity) = liveness.last_beat().unwrap();
        assert!(age <= liveness.born.elapsed() && validity == VALIDITY);
        liveness.doubt();
        assert!(!liveness.is_acknowledged());
        assert_eq!(liveness.last_beat(), None);
        let old = Liveness { born: Instant::now() - 2 * VALIDITY, ..Liveness::default() };
        old.acknowledge(old.born, VALIDITY);
        assert!(!old.is_acknowledged(), "an old beat is not valid");
        assert!(old.last_beat().is_some_and(|(age, _)| age >= 2 * VALIDITY));
    }

    #[test]
    fn the_clock_follows_the_server() {
        let clock = ServerClock::default();
        let hour = Duration::from_secs(3600);
        clock.set(Timestamp::now() + hour);
        assert!(clock.now().since(Timestamp::now()) > hour - Duration::from_secs(5));
    }
}
