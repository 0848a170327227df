//! Rescues the jobs that earlier holders of a slot left running.

use poolder_core::broker::{LaneConsumer, NodeName, Settled, Settlement, SlotLease};
use poolder_core::policy::decide::{Ending, Transition, decide};
use poolder_core::{Claim, Entry, Error, Lane};

use super::slot_context::SlotContext;
use crate::process::limits::{FIRST_PAUSE, LONGEST_PAUSE};

/// Puts the jobs that earlier holders left running back in front, in order; false when the slot
/// is to be released before that is done.
pub(super) async fn rescue(slot: &mut SlotContext, lease: &SlotLease) -> bool {
    let mut pause = FIRST_PAUSE;
    loop {
        match rescue_all(slot, lease).await {
            Ok(()) => return true,
            Err(error) => {
                tracing::warn!(slot = %slot.partition, %error, "the rescue failed, trying again");
                slot.pause(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
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
    for consumer in &consumers {
        let owner: NodeName = consumer.name.as_str().into();
        // Only a job that was claimed alone is certain to have run when its node died. Of
        // several jobs none is blamed: they come back in front, from where they are claimed one
        // at a time, so that the next crash has one cause. Entries that this node holds itself
        // were claimed, but the reply was lost.
        let alone = consumers.iter().filter(|other| other.name == consumer.name);
        let ran = alone.map(|consumer| consumer.pending).sum::<u64>() == 1 && owner != lease.node;
        let begun = if ran { broker.begun(&slot.partition).await? } else { None };
        let ran = |claim: &Claim| {
            // A suspect may only have waited for another suspect to end.
            ran && (!claim.counters.is_suspect() || begun.as_ref() == Some(&claim.entry))
        };
        loop {
            let held = broker.held_by(&slot.partition, consumer.lane, &owner).await?;
            if held.is_empty() {
                break;
            }
            take_back(slot, lease, &owner, held, &ran).await?;
        }
        if owner != lease.node {
            broker.remove_consumer(&slot.partition, consumer.lane, &owner).await?;
        }
    }
    Ok(())
}

/// Moves all given entries in one step: a node that found only one of them left would take it
/// for the job that ran.
async fn take_back(
    slot: &SlotContext,
    lease: &SlotLease,
    owner: &NodeName,
    held: Vec<Entry>,
    ran: &(dyn Fn(&Claim) -> bool + Sync),
) -> Result<(), Error> {
    let (now, retry) = (slot.node.clock.now(), slot.spec.retry_placement);
    let settlement = |entry| {
        let owner = NodeName::clone(owner);
        match entry {
            Entry::Job(claim) => {
                let policy = slot.spec.policy(&claim.envelope);
                let ending = match ran(&claim) {
                    true => Ending::Crashed(owner.to_string()),
                    false => Ending::Released,
                };
                let transition = decide(&policy, &claim.counters, ending, now, 0.0);
                Settlement::new(claim, owner, None, transition)
            }
            Entry::Undecodable(found) => Settlement::bury_undecodable(found, owner),
        }
    };
    let batch: Vec<Settlement> =
        held.into_iter().map(|it| settlement(it).under_lease(lease, retry)).collect();
    let broker = slot.node.client.broker();
    let results = broker.settle(&slot.partition, slot.node.limits, &batch).await;
    for (settlement, result) in batch.iter().zip(results) {
        let job = settlement.job_id();
        match result {
            Settled::Failed(error) => return Err(error),
            Settled::Fenced | Settled::Epoch => {
                return Err(Error::gone("the slot has another holder"));
            }
            Settled::Applied => match settlement.transition() {
                Transition::Bury { .. } => {
                    tracing::error!(slot = %slot.partition, %job, node = %owner, "a job died");
                }
                _ => tracing::warn!(slot = %slot.partition, %job, node = %owner, "rescued"),
            },
        }
    }
    Ok(())
}
