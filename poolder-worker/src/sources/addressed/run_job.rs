//! Runs one job of a slot: interrupts it when the slot has to leave this node, and cancels it when
//! operators have cancelled it.

use std::sync::Arc;

use poolder_core::Claim;
use poolder_core::broker::{Settlement, SlotLease};
use poolder_core::policy::decide::Ending;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::holder::{Leave, SlotHolder, SlotRunner};
use crate::run::context::{About, Context, Interruption};
use crate::run::mailbox::{SlotEvent, Work};
use crate::run::settle::unstarted;

impl SlotHolder {
    /// Runs a job, unless it must not be run here. Returns `None` when the node has lost the job.
    pub(super) async fn run_job(
        &mut self,
        runner: &SlotRunner,
        lease: &SlotLease,
        claim: Claim,
    ) -> Option<Settlement> {
        let policy = self.spec.policy(&claim.envelope);
        self.node.liveness.allow(policy.timeout);
        let client = &self.node.client;
        let about = About::of_claim(&claim, &self.slot, policy.timeout, client);
        let cx = Context::new(About { fence: lease.term, ..about });
        let clock = Arc::clone(&self.node.clock);
        let suspect = claim.counters.is_suspect();
        let (kind, version) = (claim.envelope.kind().to_owned(), claim.envelope.version());
        let work = Work { claim, cx: cx.clone(), owner: Arc::clone(&lease.node), history: None };
        if !self.spec.can_run(&kind, version) {
            tracing::error!(
                slot = %self.slot, job = %cx.id(), kind, version,
                "no worker here for this kind and version, the job waits for another node"
            );
            return Some(unstarted(work, Ending::UnknownKind, &clock));
        }
        if self.is_cancelled(&cx).await {
            let settlement = unstarted(work, Ending::Cancelled, &clock);
            return Some(settlement.under_lease(lease, self.spec.retry_placement));
        }
        let _permit = match suspect {
            true => match self.suspect_permit(lease).await {
                Some(permit) => {
                    // Noted only now: a suspect that only waits must not be blamed for a crash that
                    // another one causes.
                    let broker = self.node.client.broker();
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
        self.until_finished(runner, lease, &cx).await
    }

    /// Returns true when the job was cancelled.
    async fn is_cancelled(&mut self, cx: &Context) -> bool {
        if !self.commands.borrow_and_update().may_cancel(cx.id()) {
            return false;
        }
        // A cancellation does not distinguish jobs of the same id; ids are not reused in an
        // addressed pool.
        let broker = self.node.client.broker();
        match broker.check_cancelled(&self.slot, &[(cx.id(), None)]).await {
            Ok(verdicts) => verdicts.first() == Some(&true),
            Err(error) => {
                tracing::warn!(
                    slot = %self.slot, %error, "could not check whether the job was cancelled"
                );
                false
            }
        }
    }

    /// Waits until no other suspect runs in this node; `None` when the slot is to be released
    /// before.
    async fn suspect_permit(&mut self, lease: &SlotLease) -> Option<OwnedSemaphorePermit> {
        loop {
            if self.is_leaving() || self.is_lost(lease) {
                return None;
            }
            let suspects = Arc::clone(&self.node.suspects);
            tokio::select! {
                permit = suspects.acquire_owned() => return permit.ok(),
                _ = self.leave.changed() => {}
                _ = self.node.identity.changed() => {}
            }
        }
    }

    /// Waits until the job has ended, and interrupts it when the slot has to leave this node.
    async fn until_finished(
        &mut self,
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
                    let retry = self.spec.retry_placement;
                    return settlement
                        .map(|it| if cancelled { it.under_lease(lease, retry) } else { it });
                }
            }
            if self.is_lost(lease) {
                cx.interrupt(Interruption::Lost);
            }
            match *self.leave.borrow_and_update() {
                Leave::No => {}
                Leave::HandOver => {
                    deadline.get_or_insert(Instant::now() + self.spec.handover_timeout);
                }
                Leave::Drain => deadline = None,
                Leave::Now => cx.interrupt(Interruption::Shutdown),
            }
            tokio::select! {
                () = runner.mailbox.notified() => {}
                _ = self.leave.changed() => {}
                _ = self.node.identity.changed() => {}
                _ = self.commands.changed() => {
                    if self.is_cancelled(cx).await {
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
}

/// Ends at this time; never ends without one.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
