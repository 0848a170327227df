//! Applies the settlements of a slot under its lease.

use poolder_core::broker::Settlement;

use super::serve::SlotService;
use super::slot_context::HoldEnd;
use crate::run::settlements::{PendingSettlements, SettleOrder};

impl SlotService<'_> {
    /// Applies settlements, in their order, and repeats those that failed until the server has
    /// answered all of them. Gives up those that cannot be applied.
    pub(super) async fn settle(&mut self, settlements: Vec<Settlement>) -> Result<(), HoldEnd> {
        let broker = self.slot.node.client.broker().clone();
        let limits = self.slot.node.dead_limits(&self.slot.engine.spec);
        let (partition, events) = (self.slot.partition.clone(), &self.slot.engine.events);
        let mut pending = PendingSettlements::new(partition, SettleOrder::Kept, events);
        for settlement in settlements {
            let placement = self.slot.engine.spec.retry_placement;
            pending.push(settlement.under_lease(self.lease, placement));
        }
        loop {
            let batch = pending.next().await;
            if batch.is_empty() {
                self.slot.suspect = None;
                return Ok(());
            }
            let results = broker.settle(&self.slot.partition, limits, &batch).await;
            // A settlement that changed nothing was settled before and its reply was lost, or
            // another node holds the slot, which the next poll will show.
            let answers = pending.answer(batch, results);
            self.progress.gave_up(answers.given_up);
            if !pending.is_empty() && self.slot.is_lost(self.lease) {
                return Err(HoldEnd::Lost);
            }
            if let Some(error) = answers.failed {
                pending.back_off();
                self.slot.request_failed("jobs could not be settled yet", &error);
            }
        }
    }
}
