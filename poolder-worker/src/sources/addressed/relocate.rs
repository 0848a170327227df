//! Moves late jobs to the slot in which their key belongs: jobs that were promoted, revived or cast
//! by a producer with an old view of the pool after the pool was resized.

use std::sync::Arc;

use poolder_core::broker::{CastReply, Settlement, SlotLease, SlotMove};
use poolder_core::mutation::mutated;
use poolder_core::policy::decide::{Ending, Transition};
use poolder_core::policy::dispatch::{Mode, Pick, pick};
use poolder_core::{Claim, Entry, Error, Lane};

use super::slot_context::SlotContext;
use crate::process::limits::request_pauses;

/// Returns the slot to which a claimed job has to move; `None` for a job that belongs here.
///
/// While the pool drains, the slot runs the jobs from before the resize, so the size from before it
/// counts. No slot but one ever runs a job of a key: a job that came here by an even older size moves
/// to the slot of the present size, where it waits until the pool is open. A job without a key is
/// where its producer has put it.
///
/// A view of the pool is up to a heartbeat old. A job from the front may have been claimed before by
/// a holder that has seen the pool open already. Therefore such a job goes by a view that is read
/// now, unless this one shows the pool open.
///
/// # Errors
/// Returns an error when the pool could not be read.
pub(super) async fn destination(slot: &SlotContext, claim: &Claim) -> Result<Option<u16>, Error> {
    let Some(key) = claim.envelope.given_key().filter(|_| slot.engine.spec.mode == Mode::Phash)
    else {
        return Ok(None);
    };
    let mut view = Arc::clone(&slot.view.borrow());
    if !view.open && claim.lane == Lane::Front {
        let now = slot.node.client.broker().pool_view(&slot.partition.queue).await?;
        view = now.map_or(view, Arc::new);
    }
    let one = |size| match pick(Mode::Phash, key, size) {
        Pick::One(index) => index,
        Pick::Any | Pick::All => 0,
    };
    let home = if view.open { Some(view.size) } else { view.before };
    let away = home.filter(|home| one(*home) != slot.partition.index && !mutated("move-late"));
    Ok(away.map(|_| one(view.size)))
}

/// Moves a claimed job. Returns the settlement that removes it from this slot; `None` when the lease
/// was lost. A slot that is to be released puts the job back: its next holder goes on with the move.
pub(super) async fn relocate(
    slot: &mut SlotContext,
    lease: &SlotLease,
    claim: Claim,
    to: u16,
) -> Option<Settlement> {
    let (mut plan, mut pauses) = (None, request_pauses());
    loop {
        if slot.is_lost(lease) {
            return None;
        }
        match step(slot, lease, &claim, to, &mut plan).await {
            Ok(Some(CastReply::Stored(_))) => {
                let to = plan.map_or(to, |plan| plan.to);
                tracing::debug!(slot = %slot.partition, job = %claim.job_id(), to, "a job moves");
                let done = Transition::Complete;
                let settlement = Settlement::new(claim, lease.node.clone(), None, done);
                return Some(settlement.moved_to(to));
            }
            Ok(None) => return None,
            // This node does not know of a resize yet.
            Ok(Some(CastReply::Stale)) => {}
            Err(error) => slot.request_failed("a job could not be moved yet", &error),
        }
        if slot.is_leaving() {
            let (engine, origin) = (&slot.engine, slot.origin(lease));
            return engine.settle_held(origin, [Entry::Job(claim)], |_| Ending::Released).pop();
        }
        slot.pause(pauses.after_failure()).await;
    }
}

/// Takes the next step of a move. Returns `None` when the lease was lost.
async fn step(
    slot: &SlotContext,
    lease: &SlotLease,
    claim: &Claim,
    to: u16,
    plan: &mut Option<SlotMove>,
) -> Result<Option<CastReply>, Error> {
    let broker = slot.node.client.broker();
    if plan.is_none() {
        *plan = broker.record_move(lease, claim.job_id(), to).await?;
    }
    let Some(plan) = *plan else { return Ok(None) };
    let generation = slot.view.borrow().generation;
    broker.cast_moved(generation, &slot.partition, plan, claim).await.map(Some)
}
