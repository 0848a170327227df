//! Takes back the entries that a consumer holds and will not settle: its node has died, or has lost
//! the reply of its claim.

use poolder_core::broker::{DeadLimits, LaneConsumer, NodeName, Settlement, SlotLease};
use poolder_core::history::{JournalEvent, JournalRecord};
use poolder_core::policy::decide::Ending;
use poolder_core::{Claim, Error, Partition};

use crate::run::engine::{Engine, Guard, Origin};
use crate::run::events::JobEvent;
use crate::run::settlements::{PendingSettlements, SettleOrder};

/// Takes back the entries of consumers of one partition.
pub(crate) struct TakeBack<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) partition: &'a Partition,
    pub(crate) limits: DeadLimits,
    /// The lease under which the entries are moved, on an addressed queue.
    pub(crate) lease: Option<&'a SlotLease>,
}

impl TakeBack<'_> {
    /// Moves all entries that the consumer holds back to their lanes or to the dead, then removes
    /// the consumer unless it belongs to this node. A crash is counted for the jobs that `ran`
    /// accepts. Returns false if the consumer still holds entries: they cannot be moved, or were
    /// claimed meanwhile.
    ///
    /// Each page of entries is moved in one step: a node that found only one of them left would
    /// take it for the job that ran. Only a page with an entry that cannot be moved is moved one by
    /// one.
    pub(crate) async fn run(
        &self,
        consumer: &LaneConsumer,
        ran: impl Fn(&Claim) -> bool,
    ) -> Result<bool, Error> {
        let (broker, owner) = (self.engine.client.broker(), NodeName::from(consumer.name.as_str()));
        let origin = Origin { partition: self.partition, owner: &owner, guard: Guard::Claim(None) };
        let ending = |claim: &Claim| match ran(claim) {
            true => Ending::Crashed(consumer.name.clone()),
            false => Ending::Released,
        };
        let (mut rescued, mut after) = (0, None);
        loop {
            let held =
                broker.held_by(self.partition, consumer.lane, &consumer.name, after.as_ref());
            let held = held.await?;
            // Each page begins behind the one before. Entries that another leader takes, or that
            // cannot be taken, stay behind.
            let Some(last) = held.last else { break };
            after = Some(last);
            let batch = self.engine.settle_held(origin, held.entries, ending);
            rescued += self.settle(batch, &owner).await?;
        }
        if rescued > 0 {
            tracing::warn!(
                partition = %self.partition, lane = %consumer.lane, node = consumer.name,
                jobs = rescued, "took back the jobs that the node held"
            );
            let record = JournalRecord::new(JournalEvent::Rescued).node(&consumer.name);
            let record = record.partition(self.partition).count(rescued);
            self.engine.events.journal().note(record.detail(&format!("lane {}", consumer.lane)));
        }
        if self.lease.is_none_or(|lease| lease.node != owner) {
            return broker.remove_consumer(self.partition, consumer.lane, &consumer.name).await;
        }
        Ok(true)
    }

    /// Moves the entries of a page. Returns how many were moved.
    async fn settle(&self, page: Vec<Settlement>, owner: &NodeName) -> Result<u64, Error> {
        let order = if self.lease.is_some() { SettleOrder::Kept } else { SettleOrder::Any };
        let mut pending = PendingSettlements::of_another_node(
            self.partition.clone(),
            order,
            &self.engine.events,
            &self.engine.given_up,
        );
        for settlement in page {
            let placement = self.engine.spec.retry_placement;
            pending.push(match self.lease {
                Some(lease) => settlement.under_lease(lease, placement),
                None => settlement,
            });
        }
        let (broker, mut moved) = (self.engine.client.broker(), 0);
        loop {
            let batch = pending.next().await;
            if batch.is_empty() {
                return Ok(moved);
            }
            let results = broker.settle(self.partition, self.limits, &batch).await;
            let answers = pending.answer(batch, results);
            if let Some(error) = answers.failed {
                return Err(error);
            }
            for ended in answers.ended {
                match (ended.applied, self.lease) {
                    (true, _) => {
                        moved += 1;
                        let event = JobEvent::Rescued(ended.job, owner);
                        self.engine.events.emit(self.partition, event);
                    }
                    (false, Some(_)) if !ended.repeated => {
                        return Err(Error::gone("the slot has another holder"));
                    }
                    // Another leader was faster, or the entry was moved before.
                    (false, _) => {}
                }
            }
        }
    }
}
