//! Finds late jobs in slots that are out of service: jobs that were revived there, or stored by a
//! producer with an old view of the pool.

use std::collections::BTreeSet;

use poolder_client::Client;
use poolder_core::broker::PoolView;
use poolder_core::{Partition, QueueName};

/// The slots that a node looks at in one heartbeat, beside those in which it has found jobs.
const LOOKS: usize = 8;

/// The slots out of service that this node looks after.
#[derive(Debug, Default)]
pub(super) struct RetiredSlots {
    /// The slots in which jobs were found: this node serves them until they are empty.
    late: BTreeSet<u16>,
    /// The slot that was looked at last.
    last: Option<u16>,
}

impl RetiredSlots {
    /// Looks at some of the slots beyond those in service that `is_mine` accepts. Returns those that
    /// have jobs.
    pub(super) async fn look(
        &mut self,
        client: &Client,
        queue: &QueueName,
        view: &PoolView,
        is_mine: impl Fn(u16) -> bool,
    ) -> &BTreeSet<u16> {
        let mine: BTreeSet<u16> = (view.tail..view.top).filter(|index| is_mine(*index)).collect();
        self.late.retain(|index| mine.contains(index));
        let from = self.last.map_or(0, |last| last.saturating_add(1));
        let next = mine.range(from..).chain(mine.range(..from)).take(LOOKS).copied();
        let next: Vec<u16> = next.collect();
        self.last = next.last().copied().or(self.last);
        for index in next.into_iter().chain(self.late.clone()) {
            let slot = Partition { queue: queue.clone(), index };
            // Without an answer the slot is looked at again.
            let Ok(found) = client.broker().view_slot(&slot).await else { continue };
            if found.backlog > 0 || found.due > 0 || found.running.is_some() {
                self.late.insert(index);
            } else {
                self.late.remove(&index);
            }
        }
        &self.late
    }
}
