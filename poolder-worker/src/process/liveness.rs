//! What the parts of a node tell each other: phase, name, clock and pulse.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use poolder_core::Timestamp;
use poolder_core::broker::NodeName;

/// What a node may do at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ShutdownPhase {
    /// Claim and run.
    Run,
    /// Finish what runs.
    Drain,
    /// Give back what still runs.
    Release,
}

/// Who we are in the roster.
#[derive(Debug, Clone)]
pub(crate) struct NodeIdentity {
    /// The name of this incarnation.
    pub(crate) name: NodeName,
    /// True while our beats are acknowledged, so that nobody thinks us dead.
    pub(crate) claims: bool,
}

/// Nodes declared dead within the last minute.
pub(crate) type DeadNodes = Arc<BTreeSet<String>>;

/// The server's clock, as of the last beat.
#[derive(Debug, Default)]
pub(crate) struct ServerClock {
    ahead: AtomicI64,
}

impl ServerClock {
    pub(crate) fn now(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Relaxed);
        Timestamp::from_millis(Timestamp::now().millis().saturating_add(ahead))
    }

    pub(crate) fn set(&self, server: Timestamp) {
        let ahead = server.millis().saturating_sub(Timestamp::now().millis());
        self.ahead.store(ahead, Ordering::Relaxed);
    }
}

/// Without an acknowledged beat for this long others may soon think us dead: claim no more.
const DOUBT: Duration = Duration::from_secs(6);

/// How far the runtime may fall behind the longest job before the node counts as stuck.
const SLACK: Duration = Duration::from_secs(60);

/// Says whether the runtime still runs. Handlers may block its threads for as long as their jobs
/// may take; beyond that the node is stuck, and better declared dead.
#[derive(Debug)]
pub(crate) struct Liveness {
    born: Instant,
    /// When the runtime last ticked, in ms since birth.
    ticked: AtomicU64,
    /// The longest timeout of any job that was started, in ms; `u64::MAX` for a job without one.
    longest: AtomicU64,
    /// Until when the last acknowledged beat is fresh, in ms since birth.
    fresh_until: AtomicU64,
}

impl Default for Liveness {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            ticked: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            fresh_until: AtomicU64::new(0),
        }
    }
}

impl Liveness {
    /// The runtime is alive.
    pub(crate) fn tick(&self) {
        self.ticked.store(millis(self.born.elapsed()), Ordering::Relaxed);
    }

    /// A job that may take this long was started.
    pub(crate) fn allow(&self, timeout: Option<Duration>) {
        self.longest.fetch_max(timeout.map_or(u64::MAX, millis), Ordering::Relaxed);
    }

    /// True while the runtime has ticked lately enough.
    pub(crate) fn is_felt(&self) -> bool {
        self.is_felt_after(millis(self.born.elapsed()))
    }

    /// A beat that was sent then was acknowledged.
    pub(crate) fn acknowledge(&self, sent: Instant) {
        let until = sent.saturating_duration_since(self.born) + DOUBT;
        self.fresh_until.store(millis(until), Ordering::Relaxed);
    }

    /// No beat counts any more.
    pub(crate) fn doubt(&self) {
        self.fresh_until.store(0, Ordering::Relaxed);
    }

    /// True while the last acknowledged beat is fresh. A process that was paused knows by this,
    /// before anybody tells it, that others may think it dead.
    pub(crate) fn is_acknowledged(&self) -> bool {
        millis(self.born.elapsed()) < self.fresh_until.load(Ordering::Relaxed)
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
        liveness.acknowledge(liveness.born);
        assert!(liveness.is_acknowledged());
        liveness.doubt();
        assert!(!liveness.is_acknowledged());
        let old = Liveness { born: Instant::now() - DOUBT - DOUBT, ..Liveness::default() };
        old.acknowledge(old.born);
        assert!(!old.is_acknowledged(), "as after a pause");
    }

    #[test]
    fn the_clock_follows_the_server() {
        let clock = ServerClock::default();
        let hour = Duration::from_secs(3600);
        clock.set(Timestamp::now() + hour);
        assert!(clock.now().since(Timestamp::now()) > hour - Duration::from_secs(5));
    }
}
