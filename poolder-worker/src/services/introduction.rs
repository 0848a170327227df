//! The description of a node in the roster: what it says, and when it is written again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use poolder_core::Timestamp;
use poolder_core::broker::NodeInfo;
use tokio::sync::watch;

use crate::process::activity::Activity;
use crate::run::published::{PublishedPool, PublishedPools};

/// How often the description is repeated, in case the roster gets lost.
const INTERVAL: Duration = Duration::from_secs(60);
/// The least time between two descriptions that differ only in what the slots do at the moment. A
/// node whose slots do the same all the time writes none of these.
const ACTIVITY_INTERVAL: Duration = Duration::from_secs(10);
/// The most kinds of a description.
const MAX_KINDS: usize = 500;

/// The description of a node, and when it was written last.
pub(super) struct Introduction {
    info: NodeInfo,
    pools: watch::Receiver<PublishedPools>,
    activity: Arc<Activity>,
    /// When the description of this incarnation was written last.
    written: Option<Instant>,
}

impl Introduction {
    /// Creates the description of a node; `info` has what does not change.
    pub(super) fn new(
        info: NodeInfo,
        pools: watch::Receiver<PublishedPools>,
        activity: Arc<Activity>,
    ) -> Self {
        Self { info, pools, activity, written: None }
    }

    /// Returns true when this incarnation has written its description.
    pub(super) fn is_written(&self) -> bool {
        self.written.is_some()
    }

    /// Begins the description of a new incarnation.
    pub(super) fn begin_anew(&mut self) {
        self.written = None;
    }

    /// Has the description written with the next beat.
    pub(super) fn mark_changed(&mut self) {
        self.pools.mark_changed();
    }

    /// Notes that the description was written.
    pub(super) fn written(&mut self) {
        self.written = Some(Instant::now());
    }

    /// Returns the description if it is to be written now.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<&NodeInfo> {
        let (busy, held) = (self.activity.busy(), self.activity.held());
        let busy = busy.values().copied().fold(0, u32::saturating_add);
        let holds = held.values().copied().fold(0, u32::saturating_add);
        let same = (self.info.busy, self.info.held) == (busy, holds);
        let rest = if same { INTERVAL } else { ACTIVITY_INTERVAL };
        let changed = self.pools.has_changed().unwrap_or(false);
        if !changed && self.written.is_some_and(|at| at.elapsed() < rest) {
            return None;
        }
        if self.written.is_none() {
            self.info.started = now.millis();
        }
        let pools = self.pools.borrow_and_update();
        let slots = |queue: &str| held.get(queue).map_or(0, |slots| *slots as usize);
        let size = |pool: &PublishedPool| {
            (pool.queue.clone(), pool.slots.unwrap_or_else(|| slots(&pool.queue)))
        };
        self.info.pools = pools.iter().map(size).collect();
        let kinds = pools.iter().flat_map(|pool| pool.kinds.iter().cloned());
        self.info.kinds = kinds.take(MAX_KINDS).collect();
        (self.info.busy, self.info.held, self.info.rss) = (busy, holds, resident_bytes());
        Some(&self.info)
    }
}

/// Returns the memory of the process that is in use, in bytes; 0 where the system does not tell.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    resident_in(&status).unwrap_or(0)
}

/// Reads the resident memory from the text of `/proc/self/status`.
fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn introduction() -> (Introduction, watch::Sender<PublishedPools>, Arc<Activity>) {
        let pool = |queue: &str, slots| PublishedPool { queue: queue.into(), slots, kinds: vec![] };
        let (pools, known) = watch::channel(vec![pool("mail", Some(4)), pool("keys", None)]);
        let activity = Arc::new(Activity::default());
        (Introduction::new(NodeInfo::default(), known, Arc::clone(&activity)), pools, activity)
    }

    #[test]
    fn a_description_is_written_when_it_has_changed_and_not_too_often() {
        let (mut me, pools, activity) = introduction();
        let now = Timestamp::from_millis(7);
        assert_eq!(me.due(now).map(|info| info.started), Some(7));
        assert!(me.due(now).is_some(), "it was not written");
        me.written();
        assert!(me.due(now).is_none());
        // The slots do something else: it is written, but not at once.
        let (slot, held) = (activity.add_slot("keys"), activity.hold("keys"));
        slot.set(true);
        assert!(me.due(now).is_none());
        me.written = Instant::now().checked_sub(ACTIVITY_INTERVAL);
        let info = me.due(Timestamp::from_millis(9)).unwrap();
        assert_eq!((info.busy, info.held, info.started), (1, 1, 7));
        assert_eq!(info.pools, [("mail".to_owned(), 4), ("keys".to_owned(), 1)]);
        assert!(me.due(now).is_none(), "the same again");
        drop(held);
        // Other pools are written at once, and a new incarnation is.
        me.written();
        pools.send_modify(Vec::clear);
        assert!(me.due(now).is_some_and(|info| info.pools.is_empty() && info.held == 0));
        me.written();
        me.begin_anew();
        assert!(me.due(now).is_some());
    }

    #[test]
    fn memory_is_read_from_the_text_of_the_system() {
        assert_eq!(resident_in("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t3\n"), Some(2 << 20));
        for odd in ["", "VmRSS:", "VmRSS: x kB", "VmRSS: 18446744073709551615 kB"] {
            assert_eq!(resident_in(odd), None, "{odd:?}");
        }
    }
}
