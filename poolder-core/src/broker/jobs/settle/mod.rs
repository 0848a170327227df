//! Settles claims: applies the decided transition, if the consumer still holds the claim.
//!
//! Plain completions go many at a time through `complete.lua`. Within the server history in which
//! the jobs were claimed, the count of acknowledged entries proves ownership. All other
//! settlements, and completions of another history, go through `settle.lua`, which checks the owner
//! and the job id of each job. A settlement becomes a list of typed operations (`encode`, `op`),
//! which the script applies all together, or not at all when the claim is lost.

#[cfg(feature = "testing")]
mod capture;
mod claim_parts;
mod destination;
mod effect;
mod encode;
mod hold;
mod limits;
mod op;
mod pack;
mod plan;
mod settlement;
mod span;

use tracing::Instrument;

use crate::broker::Broker;
use crate::broker::connection::round_trips::RedisOperation;
use crate::job::{Error, Partition};

pub use effect::Effect;
pub use limits::DeadLimits;
pub use plan::Depths;
pub(in crate::broker) use plan::SettlePipeline;
pub use settlement::{RetryPlacement, Settled, Settlement, SlotLease};
pub(in crate::broker) use span::settle as settle_span;

impl Broker {
    /// Settles many claims at a time. Returns one result per settlement, in order.
    pub async fn settle(
        &self,
        partition: &Partition,
        limits: DeadLimits,
        settlements: &[Settlement],
    ) -> Vec<Settled> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return settlements.iter().map(|settlement| settlement.capture(captured)).collect();
        }
        let keys = self.keys(partition);
        let mut pipe = redis::pipe();
        let plan = SettlePipeline::add_to(&mut pipe, &keys, limits, settlements, false, false);
        let span = span::settle(partition, settlements);
        match self.pipeline_of(RedisOperation::Settle, &pipe).instrument(span).await {
            Ok(replies) => plan.read(&mut replies.into_iter(), self.address()).0,
            Err(error) => settlements
                .iter()
                .map(|_| Settled::Failed(Error::unknown(error.to_string())))
                .collect(),
        }
    }
}
