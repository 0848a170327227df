//! Writes the events of this node into the journal of the fleet. An event that cannot be written is
//! lost, and logged.

use poolder_core::broker::Broker;
use poolder_core::history::{JournalEvent, JournalRecord};
use tokio::sync::watch;

use super::node_context::NodeContext;
use crate::process::journal::Journal;
use crate::process::liveness::NodeIdentity;

/// Writes the events of a node.
#[derive(Clone)]
pub(crate) struct JournalWriter {
    broker: Broker,
    journal: Journal,
    identity: watch::Receiver<NodeIdentity>,
}

impl JournalWriter {
    pub(crate) fn new(node: &NodeContext) -> Self {
        let broker = node.client.broker().clone();
        Self { broker, journal: node.journal.clone(), identity: node.identity.clone() }
    }

    /// Writes that the node leaves, and all events that wait.
    pub(crate) async fn write_end(&self, leaves: bool) {
        if leaves {
            let name = self.identity.borrow().name.clone();
            self.journal.note(JournalRecord::new(JournalEvent::NodeLeft).node(&name));
        }
        self.write().await;
    }

    /// Writes the events that wait.
    async fn write(&self) {
        let by = self.identity.borrow().name.to_string();
        while let Some(mut record) = self.journal.next() {
            record.by.clone_from(&by);
            if let Err(error) = self.broker.add_to_journal(&record).await {
                tracing::warn!(event = %record.event, %error, "an event is missing in the journal");
            }
        }
    }
}

pub(super) async fn run(writer: JournalWriter) {
    loop {
        writer.journal.noted().await;
        writer.write().await;
    }
}
