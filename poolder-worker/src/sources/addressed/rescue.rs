//! Rescues the jobs that earlier holders of a slot left running.

use poolder_core::broker::{LaneConsumer, SlotLease};
use poolder_core::{Claim, Error, Lane};

use super::slot_context::SlotContext;
use crate::process::limits::request_pauses;
use crate::services::take_back::TakeBack;

/// Puts the jobs that earlier holders left running back in front, in order; false when the slot
/// is to be released before that is done.
pub(super) async fn rescue(slot: &mut SlotContext, lease: &SlotLease) -> bool {
    let mut pauses = request_pauses();
    loop {
        match rescue_all(slot, lease).await {
            Ok(()) => return true,
            Err(error) => {
                slot.request_failed("the rescue failed", &error);
                slot.pause(pauses.after_failure()).await;
            }
        }
        if slot.is_leaving() || slot.is_lost(lease) {
            return false;
        }
    }
}

async fn rescue_all(slot: &SlotContext, lease: &SlotLease) -> Result<(), Error> {
    let broker = slot.node.client.broker();
    let consumers: Vec<LaneConsumer> = broker
        .consumers(&slot.partition)
        .await?
        .into_iter()
        .filter(|consumer| matches!(consumer.lane, Lane::Front | Lane::Normal))
        .collect();
    let rescue = TakeBack {
        engine: &slot.engine,
        partition: &slot.partition,
        limits: slot.node.limits,
        lease: Some(lease),
    };
    for consumer in &consumers {
        // Only a job that was claimed alone is certain to have run when its node died. Of
        // several jobs none is blamed: they come back in front, from where they are claimed one
        // at a time, so that the next crash has one cause. Entries that this node holds itself
        // were claimed, but the reply was lost.
        let alone = consumers.iter().filter(|other| other.name == consumer.name);
        let is_own = consumer.name == *lease.node;
        let ran = alone.map(|consumer| consumer.pending).sum::<u64>() == 1 && !is_own;
        let begun = if ran { broker.begun(&slot.partition).await? } else { None };
        let ran = |claim: &Claim| {
            // A suspect may only have waited for another suspect to end.
            ran && (!claim.counters.is_suspect() || begun.as_ref() == Some(&claim.entry))
        };
        rescue.run(consumer, ran).await?;
    }
    Ok(())
}
