//! A slot with a mailbox of its own, for sources that run one job at a time.

use std::sync::Arc;

use poolder_core::broker::Settlement;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::engine::Engine;
use super::last_call::{SlotsEnd, end_slots};
use super::mailbox::{Mailbox, SlotEvent, Work};
use super::slot::Slot;
use crate::process::liveness::ShutdownPhase;
use crate::process::meter::QueueMeter;

/// A slot with a mailbox of its own. The source gives it one job at a time and waits for its end.
pub(crate) struct SingleSlot {
    mailbox: Arc<Mailbox>,
    inbox: mpsc::Sender<Work>,
    tasks: JoinSet<()>,
    phase: watch::Receiver<ShutdownPhase>,
    meter: Arc<QueueMeter>,
}

impl SingleSlot {
    /// Starts the slot.
    pub(crate) fn start(index: usize, engine: &Arc<Engine>) -> Self {
        let (mailbox, mut tasks) = (Arc::new(Mailbox::default()), JoinSet::new());
        let inbox = Slot::spawn(index, engine, &mailbox, &mut tasks);
        let (phase, meter) = (engine.phase.clone(), Arc::clone(engine.events.meter()));
        Self { mailbox, inbox, tasks, phase, meter }
    }

    /// Returns true once a job has stopped the slot, or the slot could not be initialized.
    pub(crate) fn is_stopped(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Waits until `handle_init` has succeeded, before the first job.
    pub(crate) async fn ready(&self) {
        while !self.events().iter().any(|event| matches!(event, SlotEvent::Idle(_))) {
            self.mailbox.notified().await;
        }
    }

    /// Gives a job to the slot; returns the job when the slot has stopped.
    pub(crate) fn give(&self, work: Work) -> Option<Work> {
        self.inbox.try_send(work).err().map(mpsc::error::TrySendError::into_inner)
    }

    /// Waits until the job that was given has ended. Returns `None` when the node has lost the job.
    pub(crate) async fn ended(&self) -> Option<Settlement> {
        loop {
            for event in self.events() {
                if let SlotEvent::Finished(_, _, settlement) = event {
                    return settlement;
                }
            }
            self.mailbox.notified().await;
        }
    }

    /// Takes the events of the slot, and counts its attempts.
    fn events(&self) -> Vec<SlotEvent> {
        let mut samples = vec![];
        let events = self.mailbox.drain_events(&mut samples);
        self.meter.add(&mut samples);
        events
    }

    /// Ends the slot: it calls `handle_stop`, which is dropped after a while. Returns false when the
    /// slot still runs, since its worker blocks its thread.
    pub(crate) async fn stop(self) -> bool {
        let Self { inbox, mut tasks, phase, .. } = self;
        drop(inbox);
        end_slots(&mut tasks, phase).await != SlotsEnd::Stuck
    }
}
