//! Applies the settlements of a slot under its lease.

use poolder_core::broker::{Settled, Settlement};

use super::serve::SlotService;
use super::slot_context::HoldEnd;
use crate::process::limits::request_pauses;
use crate::run::events::answered;

impl SlotService<'_> {
    /// Applies settlements, and repeats those that failed until the server has answered all of
    /// them.
    pub(super) async fn settle(&mut self, settlements: Vec<Settlement>) -> Result<(), HoldEnd> {
        let leased =
            |it: Settlement| it.under_lease(self.lease, self.slot.engine.spec.retry_placement);
        let mut batch: Vec<Settlement> = settlements.into_iter().map(leased).collect();
        let broker = self.slot.node.client.broker().clone();
        let mut pauses = request_pauses();
        while !batch.is_empty() {
            let answers = broker.settle(&self.slot.partition, self.slot.node.limits, &batch).await;
            let mut failed = None;
            // A settlement that changed nothing was settled before and its reply was lost, or
            // another node holds the slot, which the next poll will show.
            let mut answers = answers.into_iter();
            batch.retain(|settlement| {
                let Some(answer) = answers.next() else { return true };
                answered(&self.slot.partition, settlement, &answer);
                let Settled::Failed(error) = answer else { return false };
                failed = Some(error);
                true
            });
            if let Some(error) = failed {
                if self.slot.is_lost(self.lease) {
                    return Err(HoldEnd::Lost);
                }
                let pause = pauses.after_failure();
                self.slot.request_failed("jobs could not be settled yet", &error);
                tokio::time::sleep(pause).await;
            }
        }
        Ok(())
    }
}
