//! Acquires the lease of a slot, when no node holds it or its holder is gone and never from a living
//! one, and releases it.

use std::time::{Duration, Instant};

use poolder_core::broker::{AcquireReply, Membership, SlotLease};

use super::slot_context::SlotContext;
use crate::process::limits::{LONGEST_PAUSE, request_pauses};

/// How often to try to acquire a slot that another node still holds.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// How often to try to acquire a stopped slot.
const STOPPED_INTERVAL: Duration = Duration::from_secs(1);
/// A holder that has left the roster, and has not returned to it for this long, is gone: a living
/// one returns with its next beat.
const ABSENCE_LIMIT: Duration = Duration::from_secs(15);

/// Acquires the slot; `None` when this node shall no longer hold it.
pub(super) async fn acquire(slot: &mut SlotContext) -> Option<SlotLease> {
    let broker = slot.node.client.broker().clone();
    let mut gone: Option<String> = None;
    let mut absent: Option<(String, Instant)> = None;
    while !slot.is_leaving() {
        let identity = slot.node.identity.borrow_and_update().clone();
        if !identity.claims {
            slot.pause(RETRY_INTERVAL).await;
            continue;
        }
        match broker.acquire_slot(&slot.partition, &identity.name, gone.as_deref()).await {
            Ok(AcquireReply::Ours(lease)) => return Some(lease),
            Ok(AcquireReply::Stopped) => slot.pause(STOPPED_INTERVAL).await,
            Ok(AcquireReply::Held(holder)) => {
                gone = is_gone(slot, &holder, &mut absent).await.then_some(holder);
                if gone.is_none() {
                    slot.pause(RETRY_INTERVAL).await;
                }
            }
            Err(error) => {
                slot.request_failed("the slot could not be acquired yet", &error);
                slot.pause(LONGEST_PAUSE).await;
            }
        }
    }
    None
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

/// Releases the slot.
pub(super) async fn release(slot: &SlotContext, lease: &SlotLease, stop: bool) {
    let broker = slot.node.client.broker().clone();
    let mut pauses = request_pauses();
    // No other node takes the slot while this node is in the roster, so a failed release is
    // repeated.
    while let Err(error) = broker.release_slot(lease, stop).await {
        slot.request_failed("the slot could not be released yet", &error);
        let pause = pauses.after_failure();
        tokio::time::sleep(pause).await;
        if pause >= LONGEST_PAUSE {
            return;
        }
    }
}
