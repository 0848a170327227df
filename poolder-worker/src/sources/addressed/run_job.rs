//! Runs one job of a slot: interrupts it when the slot has to leave this node, and cancels it when
//! operators have cancelled it.

use std::sync::Arc;

use poolder_core::Claim;
use poolder_core::broker::{Settlement, SlotLease};
use poolder_core::policy::decide::Ending;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::slot_context::{Leave, SlotContext, SlotRunner};
use crate::run::context::{About, Context, Interruption};
use crate::run::mailbox::{SlotEvent, Work};
use crate::run::settle::unstarted;

/// Runs a job, unless it must not be run here. Returns `None` when the node has lost the job.
pub(super) async fn run_job(
    slot: &mut SlotContext,
    runner: &SlotRunner,
    lease: &SlotLease,
    claim: Claim,
) -> Option<Settlement> {
    let policy = slot.spec.policy(&claim.envelope);
    slot.node.liveness.allow(policy.timeout);
    let client = &slot.node.client;
    let about = About::of_claim(&claim, &slot.partition, policy.timeout, client);
    let cx = Context::new(About { fence: lease.term, ..about });
    let clock = Arc::clone(&slot.node.clock);
    let suspect = claim.counters.is_suspect();
    let (kind, version) = (claim.envelope.kind().to_owned(), claim.envelope.version());
    let work = Work { claim, cx: cx.clone(), owner: Arc::clone(&lease.node), history: None };
    if !slot.spec.can_run(&kind, version) {
        tracing::error!(
            slot = %slot.partition, job = %cx.id(), kind, version,
            "no worker here for this kind and version, the job waits for another node"
        );
        return Some(unstarted(work, Ending::UnknownKind, &clock));
    }
    if is_cancelled(slot, &cx).await {
        let settlement = unstarted(work, Ending::Cancelled, &clock);
        return Some(settlement.under_lease(lease, slot.spec.retry_placement));
    }
    let _permit = match suspect {
        true => match suspect_permit(slot, lease).await {
            Some(permit) => {
                // Noted only now: a suspect that only waits must not be blamed for a crash that
                // another one causes.
                let broker = slot.node.client.broker();
                match broker.begin_suspect(lease, &work.claim.entry).await {
                    Ok(true) => Some(permit),
                    Ok(false) => return None,
                    Err(_) => return Some(unstarted(work, Ending::Released, &clock)),
                }
            }
            None => return Some(unstarted(work, Ending::Released, &clock)),
        },
        false => None,
    };
    if let Err(refused) = runner.inbox.try_send(work) {
        return Some(unstarted(refused.into_inner(), Ending::Released, &clock));
    }
    until_finished(slot, runner, lease, &cx).await
}

/// Returns true when the job was cancelled.
async fn is_cancelled(slot: &mut SlotContext, cx: &Context) -> bool {
    if !slot.commands.borrow_and_update().may_cancel(cx.id()) {
        return false;
    }
    // A cancellation does not distinguish jobs of the same id; ids are not reused in an
    // addressed pool.
    let broker = slot.node.client.broker();
    match broker.check_cancelled(&slot.partition, &[(cx.id(), None)]).await {
        Ok(verdicts) => verdicts.first() == Some(&true),
        Err(error) => {
            tracing::warn!(
                slot = %slot.partition, %error, "could not check whether the job was cancelled"
            );
            false
        }
    }
}

/// Waits until no other suspect runs in this node; `None` when the slot is to be released
/// before.
async fn suspect_permit(slot: &mut SlotContext, lease: &SlotLease) -> Option<OwnedSemaphorePermit> {
    loop {
        if slot.is_leaving() || slot.is_lost(lease) {
            return None;
        }
        let suspects = Arc::clone(&slot.node.suspects);
        tokio::select! {
            permit = suspects.acquire_owned() => return permit.ok(),
            _ = slot.leave.changed() => {}
            _ = slot.node.identity.changed() => {}
        }
    }
}

/// Waits until the job has ended, and interrupts it when the slot has to leave this node.
async fn until_finished(
    slot: &mut SlotContext,
    runner: &SlotRunner,
    lease: &SlotLease,
    cx: &Context,
) -> Option<Settlement> {
    let mut deadline: Option<Instant> = None;
    loop {
        for event in runner.mailbox.drain_events() {
            if let SlotEvent::Finished(_, _, settlement) = event {
                // A settlement under the lease removes the cancellation as well, however the
                // attempt ended.
                let cancelled = cx.interruption() == Some(Interruption::Cancelled);
                let retry = slot.spec.retry_placement;
                return settlement
                    .map(|it| if cancelled { it.under_lease(lease, retry) } else { it });
            }
        }
        if slot.is_lost(lease) {
            cx.interrupt(Interruption::Lost);
        }
        match *slot.leave.borrow_and_update() {
            Leave::No => {}
            Leave::HandOver => {
                deadline.get_or_insert(Instant::now() + slot.spec.handover_timeout);
            }
            Leave::Drain => deadline = None,
            Leave::Now => cx.interrupt(Interruption::Shutdown),
        }
        tokio::select! {
            () = runner.mailbox.notified() => {}
            _ = slot.leave.changed() => {}
            _ = slot.node.identity.changed() => {}
            _ = slot.commands.changed() => {
                if is_cancelled(slot, cx).await {
                    cx.interrupt(Interruption::Cancelled);
                }
            }
            () = until(deadline) => {
                cx.interrupt(Interruption::Shutdown);
                deadline = None;
            }
        }
    }
}

/// Ends at this time; never ends without one.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
