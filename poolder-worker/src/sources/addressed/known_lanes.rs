//! The knowledge of a slot's holder about the slot's two lanes.

use std::time::Duration;

use poolder_core::{Entry, EntryId, Lane};
use tokio::time::Instant;

/// How often a holder looks for entries that it may hold without knowing it. After a failover the
/// server may have forgotten that a job was completed.
const AUDIT_INTERVAL: Duration = Duration::from_secs(30);

/// The knowledge of a slot's holder about the slot's two lanes.
#[derive(Debug)]
pub(super) struct KnownLanes {
    /// True after a lost reply, and now and again: this node may hold entries that it does not know.
    look: bool,
    /// When the next poll is to look for such entries in any case.
    audit_at: Instant,
    /// The last ids of the front and the normal lane, as long as all entries added since the server
    /// reported them were claimed here; `None` after a lost reply.
    last: Option<[EntryId; 2]>,
}

impl KnownLanes {
    /// Creates the knowledge of a holder that has just acquired the slot.
    pub(super) fn new(now: Instant) -> Self {
        Self { look: false, audit_at: now + AUDIT_INTERVAL, last: None }
    }

    /// Lets the next poll look for unknown entries when it is time to.
    pub(super) fn audit(&mut self, now: Instant) {
        if now >= self.audit_at {
            (self.look, self.audit_at) = (true, now + AUDIT_INTERVAL);
        }
    }

    /// Returns true when the next poll shall look for entries that this node holds already.
    pub(super) fn look(&self) -> bool {
        self.look
    }

    /// Returns true when the server need not report the last ids.
    pub(super) fn knows_last(&self) -> bool {
        self.last.is_some()
    }

    /// Returns the last ids of the lanes, after which new entries come.
    pub(super) fn last(&self) -> [EntryId; 2] {
        self.last.clone().unwrap_or_else(|| ["0-0".into(), "0-0".into()])
    }

    /// Records that this node holds no entries that it does not know.
    pub(super) fn found_all(&mut self) {
        self.look = false;
    }

    /// Records newly claimed entries. They are contiguous: no older entry of this lane is
    /// unclaimed.
    pub(super) fn claimed(&mut self, entries: &[Entry]) {
        if let (Some(last), Some(newest)) = (&mut self.last, entries.last()) {
            let (lane, id) = newest.key();
            last[usize::from(lane != Lane::Front)] = EntryId::clone(id);
        }
    }

    /// Records that the lanes are empty, and their last ids if the server reported them.
    pub(super) fn empty(&mut self, last: Option<[EntryId; 2]>) {
        if last.is_some() {
            self.last = last;
        }
    }

    /// Records that the contents of the lanes are no longer known.
    pub(super) fn doubt(&mut self) {
        (self.look, self.last) = (true, None);
    }
}
