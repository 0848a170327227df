//! The slots of a pool in this process: starts them, and stops some when the pool is resized.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::engine::Engine;
use super::last_call::{SlotsEnd, end_slots};
use super::mailbox::{Mailbox, Work};
use super::slot::Slot;

/// The size that a pool shall have. A new `round` restarts the slots that jobs have stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TargetSize {
    pub(crate) size: usize,
    pub(crate) round: u64,
}

/// The slots of a pool in this process, as its claimer sees them.
pub(crate) struct SlotSet {
    engine: Arc<Engine>,
    pub(crate) mailbox: Arc<Mailbox>,
    first_size: usize,
    target: TargetSize,
    /// The senders of the slots' work, by slot number. A number is never reused, so that a slot
    /// that ends is not mistaken for its successor.
    inboxes: BTreeMap<usize, mpsc::Sender<Work>>,
    next: usize,
    tasks: JoinSet<()>,
    /// True when consumers of this node stay behind in the streams: other nodes have to remove
    /// them, and to rescue the jobs that they may hold.
    pub(crate) consumers_left: bool,
}

impl SlotSet {
    /// Starts as many slots as the target size says.
    pub(crate) fn start(engine: &Arc<Engine>, target: TargetSize) -> Self {
        let mut slots = Self {
            engine: Arc::clone(engine),
            mailbox: Arc::default(),
            first_size: target.size,
            target,
            inboxes: BTreeMap::new(),
            next: 0,
            tasks: JoinSet::new(),
            consumers_left: false,
        };
        slots.fill();
        slots
    }

    /// Returns how many slots were started at first.
    pub(crate) fn first_size(&self) -> usize {
        self.first_size
    }

    /// Starts or stops slots to reach a new target; false when the target has not changed.
    pub(crate) fn follow(&mut self, target: TargetSize) -> bool {
        if self.target == target {
            return false;
        }
        self.target = target;
        self.fill();
        true
    }

    /// Starts the slots that are missing or were stopped, and closes those beyond the size: they
    /// end after their current job.
    fn fill(&mut self) {
        let size = self.target.size;
        while self.tasks.try_join_next().is_some() {}
        self.inboxes.retain(|_, inbox| !inbox.is_closed());
        while self.inboxes.len() > size {
            self.inboxes.pop_last();
        }
        while self.inboxes.len() < size {
            let inbox = Slot::spawn(self.next, &self.engine, &self.mailbox, &mut self.tasks);
            self.inboxes.insert(self.next, inbox);
            self.next += 1;
        }
    }

    /// Returns true while a slot takes work.
    pub(crate) fn is_open(&self, slot: usize) -> bool {
        self.inboxes.get(&slot).is_some_and(|inbox| !inbox.is_closed())
    }

    /// Gives work to a slot that reported to be free; returns the work when the slot is gone.
    pub(crate) fn give(&self, slot: usize, work: Work) -> Option<Work> {
        let Some(inbox) = self.inboxes.get(&slot) else { return Some(work) };
        inbox.try_send(work).err().map(mpsc::error::TrySendError::into_inner)
    }

    /// Calls `handle_pool_ready`, in a task beside the slots.
    pub(crate) fn announce_ready(&mut self) {
        let engine = Arc::clone(&self.engine);
        self.tasks.spawn(async move { engine.spec.announce_ready().await });
    }

    /// Closes the slots' channels and waits for the slots to end. The claimer has settled all their
    /// jobs: only a callback of a worker may go on, and is dropped after a while. Returns false when
    /// consumers of this node stay behind.
    pub(crate) async fn stop(mut self) -> bool {
        self.inboxes.clear();
        let ended = end_slots(&mut self.tasks, self.engine.phase.clone()).await;
        if ended != SlotsEnd::Returned {
            tracing::error!(
                queue = %self.engine.spec.queue,
                "a callback did not return while its slot stopped, and is dropped"
            );
        }
        !self.consumers_left
    }
}
