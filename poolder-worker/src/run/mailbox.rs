//! Two queues between a pool's slots and its claimer: events go up, jobs go down. The claimer takes
//! many events at a time, without a channel hop per job.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use poolder_core::broker::{NodeName, Settlement};
use poolder_core::{Claim, EntryId, Lane};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::context::Context;
use super::turn::Turn;
use crate::process::meter::{KindNumber, Sample};

/// The lane and the id of the entry that a claim holds.
pub(crate) type EntryKey = (Lane, EntryId);

/// A job on its way to a slot.
pub(crate) struct Work {
    pub(crate) claim: Claim,
    pub(crate) cx: Context,
    pub(crate) owner: NodeName,
    /// The server history in which the job was claimed, if known.
    pub(crate) history: Option<Arc<str>>,
    /// The index of the worker that runs the kind.
    pub(crate) worker: usize,
    /// The number under which the kind is counted.
    pub(crate) kind: KindNumber,
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
    /// The measured attempts of the slots.
    samples: Vec<Sample>,
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

    /// Reports that a slot has ended its job, and the measures of its turn when there is no next job
    /// or the turn is to be `measured` now. Returns the next offered job for the slot; without one
    /// the slot is free.
    pub(crate) fn finish(
        &self,
        slot: usize,
        key: EntryKey,
        settlement: Option<Settlement>,
        turn: &mut Turn,
        measured: bool,
    ) -> Option<Work> {
        let mut state = self.state();
        let next = state.offered.pop_front();
        if measured || next.is_none() {
            turn.close(Instant::now(), &mut state.samples);
        }
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

    /// Adds measures of a slot, as `measure` does.
    pub(crate) fn measure(&self, measure: impl FnOnce(&mut Vec<Sample>)) {
        measure(&mut self.state().samples);
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

    /// Takes all events, and moves the measured attempts into `samples`. Clears the notification of
    /// these events; later events notify again.
    pub(crate) fn drain_events(&self, samples: &mut Vec<Sample>) -> Vec<SlotEvent> {
        std::pin::pin!(self.notify.notified()).enable();
        let mut state = self.state();
        samples.append(&mut state.samples);
        // About as many events come again, and the vector does not grow step by step.
        let room = Vec::with_capacity(state.events.len());
        std::mem::replace(&mut state.events, room)
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
    use poolder_core::history::AttemptEnd;

    use super::*;
    use crate::process::meter::QueueMeter;

    fn is_notified(mailbox: &Mailbox) -> bool {
        std::pin::pin!(mailbox.notify.notified()).enable()
    }

    fn key() -> EntryKey {
        (Lane::Normal, "1-0".into())
    }

    #[tokio::test]
    async fn the_claimer_is_notified_once_no_offered_job_is_left() {
        let (mailbox, mut samples) = (Mailbox::default(), vec![]);
        let mut turn = Turn::new(Instant::now());
        turn.ended(QueueMeter::default().number("k"), AttemptEnd::Done);
        assert!(mailbox.finish(3, key(), None, &mut turn, false).is_none());
        mailbox.notified().await;
        let events = mailbox.drain_events(&mut samples);
        assert!(matches!(events.as_slice(), [SlotEvent::Finished(3, ..)]));
        assert!(matches!(samples.as_slice(), [Sample::Ended(_, AttemptEnd::Done, Some(_))]));
        mailbox.push_event(SlotEvent::Idle(3));
        mailbox.drain_events(&mut samples);
        assert!(!is_notified(&mailbox), "taken events do not notify again");
        mailbox.handler_waits();
        assert!(!is_notified(&mailbox), "no offered job waits behind this handler");
        assert!((mailbox.take_waited(), mailbox.take_waited()) == (true, false));
    }
}
