//! Decides how many jobs to claim, which of them goes to which free slot, and how many slots are
//! woken.

use std::collections::VecDeque;
use std::sync::Arc;

use poolder_core::policy::decide::Ending;

use super::claimer::Claimer;
use crate::run::settle::unstarted;

/// Limits how many jobs one read claims: a reply has to fit into memory, and a claimed range that
/// has ended together is removed by one script call.
const MAX_CLAIM: usize = 250;

impl Claimer {
    /// Returns how many jobs to claim: one per free slot that has no job waiting for it.
    pub(super) fn wanted(&self) -> usize {
        if !self.may_claim() {
            return 0;
        }
        let given = self.waiting.len() + self.setup.slots.mailbox.offered();
        self.free.len().saturating_sub(given).min(MAX_CLAIM)
    }

    /// Returns true if settling should be delayed for a moment: fewer jobs than runtime threads
    /// still run and no handler has waited, so the rest will end soon. A claimed range is removed
    /// most cheaply as a whole.
    pub(super) fn should_delay_settling(&self) -> bool {
        let running = self.held.len().saturating_sub(self.settling.len());
        (1..self.threads).contains(&running)
            && !self.settling.is_empty()
            && !self.setup.slots.mailbox.has_waiting_handler()
    }

    /// Gives waiting jobs to free slots; a suspect only when no other suspect runs in this node.
    /// While handlers end without waiting, no more slots are woken than the runtime has threads;
    /// the awake slots also run the jobs of the slots that sleep. Returns true when jobs were
    /// offered to awake slots, even if these have run them by now: the events have to be processed
    /// first.
    pub(super) fn dispatch(&mut self) -> bool {
        let mut left_before = self.setup.slots.mailbox.offered();
        if self.waiting.is_empty() && left_before == 0 {
            return false;
        }
        let mut woken = self.threads;
        if self.setup.slots.mailbox.take_waited() {
            woken = usize::MAX;
            left_before = 0;
            self.reclaim_offered();
        }
        let (mut given, mut left, mut kept) = (vec![], vec![], VecDeque::new());
        for work in std::mem::take(&mut self.waiting) {
            let room = self.free.len() > left_before + left.len();
            if work.claim.lane.is_suspect() {
                let permit = Arc::clone(&self.setup.suspects).try_acquire_owned();
                let Some(permit) = permit.ok().filter(|_| room) else {
                    // A suspect that cannot start is released at once: if the node died of another
                    // job while it held this suspect, it would be buried for a crash that it did
                    // not cause.
                    self.settling.push(unstarted(work, Ending::Released, &self.setup.clock));
                    continue;
                };
                let key = (work.claim.lane, work.claim.entry.clone());
                if let Some(held) = self.held.get_mut(&key) {
                    held.suspect = Some(permit);
                }
            } else if !room {
                kept.push_back(work);
                continue;
            } else if given.len() >= woken {
                left.push(work);
                continue;
            }
            given.extend(self.free.pop().map(|slot| (slot, work)));
        }
        let leaves = left_before + left.len() > 0;
        // Offered first, so that a slot that is woken and done before the next statement finds
        // these jobs.
        self.setup.slots.mailbox.offer(left);
        for (slot, work) in given {
            // A slot that reported to be free has room; a slot that is gone is not used again.
            if let Some(work) = self.setup.slots.give(slot, work) {
                kept.push_back(work);
            }
        }
        self.waiting = kept;
        leaves
    }
}
