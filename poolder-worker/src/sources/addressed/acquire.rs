//! Acquires the lease of a slot, when no node holds it or its holder is gone and never from a living
//! one, and releases it. The lease of a living node does not pass to another one by itself, so a
//! node that may hold a lease goes on until the server has answered that it does not.

use std::time::{Duration, Instant};

use poolder_core::broker::{AcquireReply, Membership, SlotLease};
use poolder_core::mutation::mutated;

use super::slot_context::SlotContext;
use crate::process::limits::{ABSENCE_LIMIT, LONGEST_PAUSE, request_pauses};

/// How often to try to acquire a slot that another node still holds.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// How often to try to acquire a stopped slot.
const STOPPED_INTERVAL: Duration = Duration::from_secs(1);

/// The end of the attempts to acquire a slot.
pub(super) enum Acquired {
    /// This node holds the slot.
    Lease(SlotLease),
    /// The slot shall be left, and this node does not hold it.
    No,
    /// The node stops, and may hold the slot: a reply was lost.
    Unknown,
}

/// Acquires the slot, or finds that this node shall no longer hold it. With `doubt` this node may
/// hold the slot already: then it is acquired even if it shall be left, so that it can be released.
pub(super) async fn acquire(slot: &mut SlotContext, doubt: bool) -> Acquired {
    let broker = slot.node.client.broker().clone();
    let mut gone: Option<String> = None;
    let mut absent: Option<(String, Instant)> = None;
    // The name under which a lost reply may have given the slot to this node.
    let mut doubted = doubt.then(|| slot.node.identity.borrow().name.clone());
    loop {
        let identity = slot.node.identity.borrow_and_update().clone();
        // The leases of a name that was declared dead are taken over by other nodes.
        doubted = doubted.filter(|name| *name == identity.name);
        if slot.is_leaving() && doubted.is_none() {
            return Acquired::No;
        }
        if !identity.claims {
            if slot.is_leaving() && slot.node.stops.is_cancelled() {
                return Acquired::Unknown;
            }
            slot.pause(RETRY_INTERVAL).await;
            continue;
        }
        match broker.acquire_slot(&slot.partition, &identity.name, gone.as_deref()).await {
            Ok(AcquireReply::Ours(lease)) => return Acquired::Lease(lease),
            Ok(AcquireReply::Stopped) => {
                doubted = None;
                slot.pause(STOPPED_INTERVAL).await;
            }
            Ok(AcquireReply::Held(holder)) => {
                doubted = None;
                gone = is_gone(slot, &holder, &mut absent).await.then_some(holder);
                if gone.is_none() {
                    slot.pause(RETRY_INTERVAL).await;
                }
            }
            Err(error) => {
                slot.request_failed("the slot could not be acquired yet", &error);
                doubted = (!error.is_refused()).then_some(identity.name).or(doubted);
                if slot.is_leaving() && slot.node.stops.is_cancelled() {
                    return if doubted.is_some() { Acquired::Unknown } else { Acquired::No };
                }
                slot.pause(LONGEST_PAUSE).await;
            }
        }
    }
}

/// Returns true when the holder can no longer be running any job.
async fn is_gone(slot: &SlotContext, holder: &str, absent: &mut Option<(String, Instant)>) -> bool {
    if slot.node.dead.borrow().contains(holder) {
        return true;
    }
    let broker = slot.node.client.broker();
    match broker.membership(&[holder.to_owned()]).await.ok().and_then(|mut found| found.pop()) {
        Some(Membership::Dead) => true,
        Some(Membership::Stranger) => match absent {
            Some((name, since)) if name == holder => since.elapsed() >= ABSENCE_LIMIT,
            _ => {
                *absent = Some((holder.to_owned(), Instant::now()));
                false
            }
        },
        Some(Membership::Alive) | None => {
            *absent = None;
            false
        }
    }
}

/// Releases the slot; false when the node stops and the server has not released the slot. The node
/// must stay in the roster then: other nodes take the slot once they have declared it dead.
pub(super) async fn release(slot: &SlotContext, lease: &SlotLease, stop: bool) -> bool {
    let broker = slot.node.client.broker().clone();
    let mut pauses = request_pauses();
    // No other node takes the slot while this node lives, so a failed release is repeated for as
    // long as it does.
    while let Err(error) = broker.release_slot(lease, stop).await {
        slot.request_failed("the slot could not be released yet", &error);
        if slot.is_lost(lease) || mutated("release-again") {
            break;
        }
        let pause = pauses.after_failure();
        tokio::time::sleep(pause).await;
        if pause >= LONGEST_PAUSE && slot.node.stops.is_cancelled() {
            return false;
        }
    }
    true
}
