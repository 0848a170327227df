//! Two queues between a pool's slots and its claimer: events go up, jobs go down. The claimer takes
//! many events at a time, without a channel hop per job.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use poolder_core::broker::{NodeName, Settlement};
use poolder_core::{Claim, EntryId, Lane};
use tokio::sync::Notify;

use super::context::Context;

/// The lane and the id of the entry that a claim holds.
pub(crate) type EntryKey = (Lane, EntryId);

/// A job on its way to a slot.
pub(crate) struct Work {
    pub(crate) claim: Claim,
    pub(crate) cx: Context,
    pub(crate) owner: NodeName,
    /// The server history in which the job was claimed, if known.
    pub(crate) history: Option<Arc<str>>,
}

/// An event that a slot reports to its claimer.
pub(crate) enum SlotEvent {
    /// The slot is ready for its first job.
    Idle(usize),
    /// The slot's job has ended, and the slot is free. Without a settlement the node has lost the
    /// job.
    Finished(usize, EntryKey, Option<Settlement>),
    /// The slot's job has ended, and the slot went on with the next offered job.
    FinishedAndContinued(EntryKey, Option<Settlement>),
}

/// Two queues between a pool's slots and its claimer: events go up, jobs go down. A slot that
/// finishes quickly takes the next job from here, without a wake-up.
#[derive(Default)]
pub(crate) struct Mailbox {
    state: Mutex<MailboxState>,
    notify: Notify,
}

#[derive(Default)]
struct MailboxState {
    events: Vec<SlotEvent>,
    /// Jobs for which there are free slots that were not woken.
    offered: VecDeque<Work>,
    /// True when a handler has waited for something since the claimer last called `take_waited`.
    waited: bool,
}

impl Mailbox {
    /// Pushes an event and wakes the claimer. The slots and the jobs claimed for them bound the
    /// number of events.
    pub(crate) fn push_event(&self, event: SlotEvent) {
        self.state().events.push(event);
        self.notify.notify_one();
    }

    /// Reports that a slot has ended its job. Returns the next offered job for the slot; without
    /// one the slot is free.
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
        // While offered jobs are left the claimer is not woken: ended jobs are settled more cheaply
        // together.
        if next.is_none() {
            self.notify.notify_one();
        }
        next
    }

    /// Notes that a handler waits for something. Wakes the claimer when jobs are offered, since the
    /// handler's slot will not take the next one soon.
    pub(crate) fn handler_waits(&self) {
        let mut state = self.state();
        state.waited = true;
        if !state.offered.is_empty() {
            drop(state);
            self.notify.notify_one();
        }
    }

    /// Takes all events. Clears the notification of these events; later events notify again.
    pub(crate) fn drain_events(&self) -> Vec<SlotEvent> {
        std::pin::pin!(self.notify.notified()).enable();
        std::mem::take(&mut self.state().events)
    }

    /// Offers jobs to the slots that are awake.
    pub(crate) fn offer(&self, jobs: impl IntoIterator<Item = Work>) {
        self.state().offered.extend(jobs);
    }

    /// Takes back the offered jobs that no slot has taken.
    pub(crate) fn reclaim(&self) -> VecDeque<Work> {
        std::mem::take(&mut self.state().offered)
    }

    /// Returns how many offered jobs no slot has taken yet.
    pub(crate) fn offered(&self) -> usize {
        self.state().offered.len()
    }

    /// Returns true when a handler has waited for something since the last call, and resets this.
    pub(crate) fn take_waited(&self) -> bool {
        std::mem::take(&mut self.state().waited)
    }

    /// Returns true when a handler has waited for something since the last call of `take_waited`.
    pub(crate) fn has_waiting_handler(&self) -> bool {
        self.state().waited
    }

    /// Waits for a notification that arrived after the last call of this function or of
    /// `drain_events`.
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

    fn is_notified(mailbox: &Mailbox) -> bool {
        std::pin::pin!(mailbox.notify.notified()).enable()
    }

    fn key() -> EntryKey {
        (Lane::Normal, "1-0".into())
    }

    #[tokio::test]
    async fn the_claimer_is_notified_once_no_offered_job_is_left() {
        let mailbox = Mailbox::default();
        assert!(mailbox.finish(3, key(), None).is_none());
        mailbox.notified().await;
        assert!(matches!(mailbox.drain_events().as_slice(), [SlotEvent::Finished(3, ..)]));
        mailbox.push_event(SlotEvent::Idle(3));
        mailbox.drain_events();
        assert!(!is_notified(&mailbox), "taken events do not notify again");
        mailbox.handler_waits();
        assert!(!is_notified(&mailbox), "no offered job waits behind this handler");
        assert!((mailbox.take_waited(), mailbox.take_waited()) == (true, false));
    }
}
