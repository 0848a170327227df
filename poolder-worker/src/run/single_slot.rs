//! A slot with a mailbox of its own, for sources that run one job at a time.

use std::sync::Arc;
use std::time::Duration;

use poolder_core::broker::Settlement;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::engine::Engine;
use super::mailbox::{Mailbox, SlotEvent, Work};
use super::slot::Slot;

/// A slot with a mailbox of its own. The source gives it one job at a time and waits for its end.
pub(crate) struct SingleSlot {
    mailbox: Arc<Mailbox>,
    inbox: mpsc::Sender<Work>,
    tasks: JoinSet<()>,
}

impl SingleSlot {
    /// Starts the slot.
    pub(crate) fn start(index: usize, engine: &Arc<Engine>) -> Self {
        let (mailbox, mut tasks) = (Arc::new(Mailbox::default()), JoinSet::new());
        let inbox = Slot::spawn(index, engine, &mailbox, &mut tasks);
        Self { mailbox, inbox, tasks }
    }

    /// Returns true once a job has stopped the slot, or the slot could not be initialized.
    pub(crate) fn is_stopped(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Waits until `handle_init` has succeeded, before the first job.
    pub(crate) async fn ready(&self) {
        while !self.mailbox.drain_events().iter().any(|event| matches!(event, SlotEvent::Idle(_))) {
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
            for event in self.mailbox.drain_events() {
                if let SlotEvent::Finished(_, _, settlement) = event {
                    return settlement;
                }
            }
            self.mailbox.notified().await;
        }
    }

    /// Ends the slot: it calls `handle_stop`. Returns false when it has not ended within `longest`.
    pub(crate) async fn stop(self, longest: Duration) -> bool {
        let Self { inbox, mut tasks, .. } = self;
        drop(inbox);
        let ended = async { while tasks.join_next().await.is_some() {} };
        tokio::time::timeout(longest, ended).await.is_ok()
    }
}
