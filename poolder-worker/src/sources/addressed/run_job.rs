//! Runs one job of a slot: interrupts it when the slot has to leave this node, and cancels it when
//! operators have cancelled it.

use std::sync::Arc;

use poolder_core::broker::{Settlement, SlotLease};
use poolder_core::policy::decide::Ending;
use poolder_core::{Claim, JobId, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::relocate::{destination, relocate};
use super::slot_context::{Leave, SlotContext};
use crate::process::commands::KnownCommands;
use crate::process::limits::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::process::watching::changed;
use crate::run::context::{Context, Interruption, past};
use crate::run::engine::Admission;
use crate::run::events::JobEvent;
use crate::run::single_slot::SingleSlot;

/// Runs a job, unless it must not be run here, or moves it to another slot. Returns `None` when the
/// node has lost the job.
pub(super) async fn run_job(
    slot: &mut SlotContext,
    runner: &SingleSlot,
    lease: &SlotLease,
    claim: Claim,
) -> Option<Settlement> {
    let suspect = claim.counters.is_suspect();
    let work = match slot.engine.admit(slot.origin(lease), claim) {
        Admission::Run(work) => work,
        Admission::Settle(settlement) => return Some(settlement),
    };
    let (engine, cx) = (Arc::clone(&slot.engine), work.cx.clone());
    engine.count_wait(&work);
    let mut cancellations = Cancellations::of(&work.claim);
    if cancellations.check(slot).await {
        let settlement = engine.unstarted(work, Ending::Cancelled);
        return Some(settlement.under_lease(lease, slot.engine.spec.retry_placement));
    }
    match destination(slot, &work.claim).await {
        Ok(to) => {
            // The job whose move has begun may be stored at its destination already. It goes there,
            // as it is recorded, even if it would belong here by now.
            let begun = slot.moves.take_if(|job| *job == work.claim.job_id());
            if let Some(to) = to.or(begun.map(|_| slot.partition.index)) {
                return relocate(slot, lease, work.claim, to).await;
            }
        }
        Err(error) => {
            slot.request_failed("the pool could not be read before a job of a key", &error);
            slot.pause(FIRST_PAUSE).await;
            return Some(engine.unstarted(work, Ending::Released));
        }
    }
    if suspect {
        slot.suspect = suspect_permit(slot, lease).await;
        if slot.suspect.is_none() {
            return Some(engine.unstarted(work, Ending::Released));
        }
        // Noted only now: a suspect that only waits must not be blamed for a crash that another
        // one causes.
        let broker = slot.node.client.broker();
        match broker.begin_suspect_in_slot(lease, &work.claim.entry).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(_) => return Some(engine.unstarted(work, Ending::Released)),
        }
    }
    if let Some(refused) = runner.give(work) {
        return Some(engine.unstarted(refused, Ending::Released));
    }
    let settlement = until_finished(slot, runner, lease, &cx, cancellations).await?;
    // The end of a suspect is settled before another job of the slot starts.
    let placement = slot.engine.spec.retry_placement;
    Some(if suspect { settlement.under_lease(lease, placement) } else { settlement })
}

/// Asks the server whether a job was cancelled.
struct Cancellations {
    job: JobId,
    /// An older cancellation was meant for earlier jobs of the id.
    began_at: Option<Timestamp>,
    /// When to ask again, after a question without an answer.
    ask_at: Option<Instant>,
}

impl Cancellations {
    fn of(claim: &Claim) -> Self {
        Self { job: claim.job_id(), began_at: claim.times().began_at(), ask_at: None }
    }

    /// Returns true when the job was cancelled.
    async fn check(&mut self, slot: &mut SlotContext) -> bool {
        self.ask_at = None;
        if !slot.commands.borrow_and_update().may_cancel(self.job) {
            return false;
        }
        let jobs = [(self.job, self.began_at)];
        let broker = slot.node.client.broker();
        match broker.check_cancelled(&slot.partition, &jobs).await {
            Ok(verdicts) => verdicts.first() == Some(&true),
            Err(error) => {
                slot.request_failed("could not check whether the job was cancelled", &error);
                self.ask_at = Some(Instant::now() + LONGEST_PAUSE);
                false
            }
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
            () = changed(&mut slot.leave) => {}
            () = changed(&mut slot.node.identity) => {}
        }
    }
}

/// Waits until the job has ended, and interrupts it when the slot has to leave this node.
async fn until_finished(
    slot: &mut SlotContext,
    runner: &SingleSlot,
    lease: &SlotLease,
    cx: &Context,
    mut cancellations: Cancellations,
) -> Option<Settlement> {
    let mut deadline: Option<Instant> = None;
    let ended = runner.ended();
    tokio::pin!(ended);
    loop {
        if slot.is_lost(lease) {
            cx.interrupt(Interruption::Lost);
        }
        match *slot.leave.borrow_and_update() {
            Leave::No => {}
            Leave::HandOver => {
                let longest = slot.engine.spec.handover_timeout;
                deadline = deadline.or_else(|| Instant::now().checked_add(longest));
            }
            Leave::Drain => deadline = None,
        }
        tokio::select! {
            settlement = &mut ended => {
                // A settlement under the lease removes the cancellation as well, however the
                // attempt ended.
                let cancelled = cx.interruption() == Some(Interruption::Cancelled);
                let retry = slot.engine.spec.retry_placement;
                return settlement
                    .map(|it| if cancelled { it.under_lease(lease, retry) } else { it });
            }
            () = changed(&mut slot.leave) => {}
            () = changed(&mut slot.node.identity) => {}
            () = commands_changed(&mut slot.commands, cancellations.ask_at) => {
                if cancellations.check(slot).await {
                    slot.engine.events.emit(&slot.partition, JobEvent::Cancelled(cx.id()));
                    cx.interrupt(Interruption::Cancelled);
                }
            }
            () = past(deadline) => {
                cx.interrupt(Interruption::Shutdown);
                deadline = None;
            }
        }
    }
}

/// Waits until the commands of operators have changed, or until this time.
async fn commands_changed(commands: &mut watch::Receiver<KnownCommands>, ask_at: Option<Instant>) {
    tokio::select! {
        () = changed(commands) => {}
        () = past(ask_at) => {}
    }
}
