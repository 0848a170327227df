//! Where slots put what they have finished, and the claimer picks it up: many at a time, without
//! a channel hop per job.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use poolder_core::broker::{NodeName, Settlement};
use poolder_core::{Claim, EntryId, Lane};
use tokio::sync::Notify;

use super::context::Context;

/// The entry that a claim holds.
pub(crate) type EntryKey = (Lane, EntryId);

/// A job on its way to a slot.
pub(crate) struct Work {
    pub(crate) claim: Claim,
    pub(crate) cx: Context,
    pub(crate) owner: NodeName,
    /// The server history in which it was claimed.
    pub(crate) history: Option<Arc<str>>,
}

/// What a slot says.
pub(crate) enum SlotEvent {
    /// It is ready for a job.
    Idle(usize),
    /// Its job has ended, and it is free. Without a settlement the job is not ours any more.
    Finished(usize, EntryKey, Option<Settlement>),
    /// Its job has ended, and it went on with the next that lay on the desk.
    FinishedAndContinued(EntryKey, Option<Settlement>),
}

/// Where slots lay down words, and the claimer lays down jobs for whoever is done first: a
/// handler that ends at once is then followed by the next without waking anybody.
#[derive(Default)]
pub(crate) struct Mailbox {
    state: Mutex<MailboxState>,
    notify: Notify,
}

#[derive(Default)]
struct MailboxState {
    events: Vec<SlotEvent>,
    /// Jobs for which there is a free slot that was not woken.
    offered: VecDeque<Work>,
    /// A handler waited for something since the claimer last asked.
    waited: bool,
}

impl Mailbox {
    /// Lays down a word. The pile is bounded by the slots and the jobs that were claimed for them.
    pub(crate) fn push_event(&self, event: SlotEvent) {
        self.state().events.push(event);
        self.notify.notify_one();
    }

    /// A slot has ended its job: it takes the next that lies here, or is free.
    pub(crate) fn finish(
        &self,
        slot: usize,
        key: EntryKey,
        settlement: Option<Settlement>,
    ) -> Option<Work> {
        let mut state = self.state();
        let next = state.offered.pop_front();
        state.events.push(match next {
            Some(_) => SlotEvent::FinishedAndContinued(key, settlement),
            None => SlotEvent::Finished(slot, key, settlement),
        });
        drop(state);
        // As long as there is work, what has ended is better settled in one go.
        if next.is_none() {
            self.notify.notify_one();
        }
        next
    }

    /// A handler waits for something: its slot will not come for the next job soon.
    pub(crate) fn handler_waits(&self) {
        let mut state = self.state();
        state.waited = true;
        if !state.offered.is_empty() {
            drop(state);
            self.notify.notify_one();
        }
    }

    /// Takes all words; the bell is rung for later ones.
    pub(crate) fn drain_events(&self) -> Vec<SlotEvent> {
        std::pin::pin!(self.notify.notified()).enable();
        std::mem::take(&mut self.state().events)
    }

    /// Lays down jobs for the slots that are awake.
    pub(crate) fn offer(&self, jobs: impl IntoIterator<Item = Work>) {
        self.state().offered.extend(jobs);
    }

    /// Takes back the jobs that nobody has come for.
    pub(crate) fn reclaim(&self) -> VecDeque<Work> {
        std::mem::take(&mut self.state().offered)
    }

    /// How many jobs lie here.
    pub(crate) fn offered(&self) -> usize {
        self.state().offered.len()
    }

    /// True when a handler has waited for something since this was last asked.
    pub(crate) fn take_waited(&self) -> bool {
        std::mem::take(&mut self.state().waited)
    }

    /// The same, without forgetting it.
    pub(crate) fn has_waiting_handler(&self) -> bool {
        self.state().waited
    }

    /// Waits until the bell was rung since the last call returned.
    pub(crate) async fn notified(&self) {
        self.notify.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, MailboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use poolder_core::Lane;

    use super::*;

    fn rings(mailbox: &Mailbox) -> bool {
        std::pin::pin!(mailbox.notify.notified()).enable()
    }

    fn key() -> EntryKey {
        (Lane::Normal, "1-0".into())
    }

    #[tokio::test]
    async fn the_bell_rings_once_there_is_nothing_left_to_go_on_with() {
        let mailbox = Mailbox::default();
        assert!(mailbox.finish(3, key(), None).is_none());
        mailbox.notified().await;
        assert!(matches!(mailbox.drain_events().as_slice(), [SlotEvent::Finished(3, ..)]));
        mailbox.push_event(SlotEvent::Idle(3));
        mailbox.drain_events();
        assert!(!rings(&mailbox), "what was taken is not rung for again");
        mailbox.handler_waits();
        assert!(!rings(&mailbox), "nobody waits behind this handler");
        assert!((mailbox.take_waited(), mailbox.take_waited()) == (true, false));
    }
}
