//! How many jobs to claim, which of them goes to which free slot, and how many slots are woken.

use std::collections::VecDeque;
use std::sync::Arc;

use poolder_core::policy::decide::Ending;

use super::claimer::Claimer;
use crate::run::settle::unstarted;

/// No more jobs are claimed in one read: a reply has to fit into memory, and what was claimed at
/// once is removed at once, by one script, when it has ended together.
const MAX_CLAIM: usize = 250;

impl Claimer {
    /// How many jobs to claim: one per free slot that has nothing waiting for it.
    pub(super) fn wanted(&self) -> usize {
        if !self.may_claim() {
            return 0;
        }
        let given = self.waiting.len() + self.setup.slots.mailbox.offered();
        self.free.len().saturating_sub(given).min(MAX_CLAIM)
    }

    /// True when all but a few of the jobs held have ended, and these are about to: other threads
    /// run them, and no handler has waited. What was claimed at once is removed most cheaply at
    /// once.
    pub(super) fn should_delay_settling(&self) -> bool {
        let running = self.held.len().saturating_sub(self.settling.len());
        (1..self.threads).contains(&running)
            && !self.settling.is_empty()
            && !self.setup.slots.mailbox.has_waiting_handler()
    }

    /// Gives waiting jobs to free slots; a suspect only when no other runs in this node. While
    /// handlers end without waiting for anything, no more slots are woken than there are threads
    /// to run them: these do the work of the others. True when jobs were left for them to do so,
    /// even if they are through by now: then there are words to pick up first.
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
                    // One that cannot start goes back at once: were it still held when the node
                    // dies of another job, it would be buried for what it did not do.
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
        // First, so that a slot that is woken and done before the next line finds them.
        self.setup.slots.mailbox.offer(left);
        for (slot, work) in given {
            // A slot that said it was free has room; one that is gone is not used again.
            if let Some(work) = self.setup.slots.give(slot, work) {
                kept.push_back(work);
            }
        }
        self.waiting = kept;
        leaves
    }
}
