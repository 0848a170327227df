//! The service of a slot: takes the steps that claim, run and settle its jobs.

use std::collections::VecDeque;

use poolder_core::broker::{Report, Settlement, SlotLease, SlotWait};
use poolder_core::policy::decide::Ending;
use poolder_core::{Entry, EntryId};
use tokio::time::Instant;

use super::progress::SlotProgress;
use super::rescue::{Rest, rescue_again};
use super::run_job::run_job;
use super::slot_context::{HoldEnd, SlotContext};
use super::step::{SlotFacts, SlotStep};
use crate::process::limits::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::process::watching::changed;
use crate::run::single_slot::SingleSlot;

/// Serves a slot under a lease.
pub(super) struct SlotService<'a> {
    pub(super) slot: &'a mut SlotContext,
    runner: &'a SingleSlot,
    pub(super) lease: &'a SlotLease,
    pub(super) progress: SlotProgress,
    /// The entries of earlier holders that are yet to be rescued.
    rest: Rest,
    /// The connection that waits for entries, once the slot has waited.
    wait: Option<SlotWait>,
}

impl<'a> SlotService<'a> {
    pub(super) fn new(
        slot: &'a mut SlotContext,
        runner: &'a SingleSlot,
        lease: &'a SlotLease,
        rest: Rest,
    ) -> Self {
        let spec = &slot.engine.spec;
        let progress = SlotProgress::new(spec.mode, spec.retry_placement, Instant::now());
        Self { slot, runner, lease, progress, rest, wait: None }
    }

    /// Serves the slot until it is to be released, or is lost.
    pub(super) async fn run(mut self) -> HoldEnd {
        loop {
            if self.rest.is_due() {
                self.rest = rescue_again(self.slot, self.lease).await;
            }
            let facts = self.facts();
            let step = self.progress.next(&facts);
            if let Err(end) = self.take(step).await {
                return end;
            }
        }
    }

    /// Takes a step, and records its result. Returns an error when the service has ended.
    async fn take(&mut self, step: SlotStep) -> Result<(), HoldEnd> {
        match step {
            SlotStep::Run(entry) => self.run_entry(entry).await?,
            SlotStep::Settle(settlements) => self.settle(settlements).await?,
            SlotStep::Release { behind, entries } => {
                self.release_claimed(behind, entries).await?;
            }
            SlotStep::Poll { claim } => self.poll(claim).await,
            SlotStep::Pause(time) => self.slot.pause(time).await,
            SlotStep::Wait(after) => self.wait(&after).await,
            SlotStep::Report(report, generation) => self.report(report, generation).await,
            SlotStep::CountDue => {
                let broker = self.slot.node.client.broker();
                let view = broker.view_slot(&self.slot.partition).await;
                self.progress.counted(view.is_ok_and(|view| view.due == 0));
            }
            SlotStep::End(end) => return Err(end),
        }
        Ok(())
    }

    fn facts(&mut self) -> SlotFacts {
        let permitted = self.slot.node.identity.borrow_and_update().claims
            && self.slot.node.liveness.is_acknowledged()
            && self.slot.commands.borrow_and_update().permits_claims();
        let (lost, leaving) = (self.slot.is_lost(self.lease), self.slot.is_leaving());
        let view = self.slot.view.borrow_and_update();
        SlotFacts {
            lost,
            leaving,
            stopped: self.runner.is_stopped(),
            permitted: permitted && !view.paused,
            generation: view.generation,
            open: view.open,
            beyond: self.slot.partition.index >= view.size,
            now: Instant::now(),
        }
    }

    /// Settles the entries that are done, and claims up to `claim` entries.
    async fn poll(&mut self, claim: usize) {
        let permit = match claim {
            0 => None,
            _ => self.slot.node.poll_limiter.pass(self.progress.polled_at()).await,
        };
        let request = self.progress.request(claim);
        let reply = self.slot.node.client.broker().poll_slot(self.lease, &request).await;
        drop(permit);
        match reply {
            Ok(reply) => {
                if reply.completed < request.complete.len() {
                    tracing::debug!(
                        slot = %self.slot.partition, "settled before: an earlier reply was lost"
                    );
                }
                self.progress.polled(claim, reply.result, Instant::now());
            }
            Err(error) => {
                self.progress.poll_failed();
                self.slot.request_failed("the poll failed", &error);
            }
        }
    }

    /// Runs a claimed entry, or finds that it cannot be run.
    async fn run_entry(&mut self, entry: Entry) -> Result<(), HoldEnd> {
        let settlement = match entry {
            Entry::Undecodable(found) => {
                Some(self.slot.engine.bury(self.slot.origin(self.lease), found))
            }
            Entry::Job(claim) => run_job(self.slot, self.runner, self.lease, claim).await,
        };
        // Without a settlement the node has lost the job.
        self.progress.ran(settlement.ok_or(HoldEnd::Lost)?, Instant::now());
        Ok(())
    }

    /// Applies the given settlements, and puts the claimed entries that have not been started back
    /// in front, behind the settled jobs, in their order and in the same step.
    async fn release_claimed(
        &mut self,
        mut settlements: Vec<Settlement>,
        claimed: VecDeque<Entry>,
    ) -> Result<(), HoldEnd> {
        let (engine, origin) = (&self.slot.engine, self.slot.origin(self.lease));
        settlements.extend(engine.settle_held(origin, claimed, |_| Ending::Released));
        self.settle(settlements).await
    }

    /// Waits until an entry comes, or the time of a wait is over.
    async fn wait(&mut self, after: &[EntryId; 2]) {
        let mut connection = match self.wait.take() {
            Some(connection) => connection,
            None => {
                match SlotWait::open(self.slot.node.client.broker(), &self.slot.partition).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        self.slot.request_failed("the slot cannot wait for jobs", &error);
                        return self.slot.pause(LONGEST_PAUSE).await;
                    }
                }
            }
        };
        // The wait claims nothing: a connection that is dropped while it waits loses no entry.
        tokio::select! {
            waited = connection.wait(after) => match waited {
                Ok(_) => self.wait = Some(connection),
                Err(error) => {
                    self.slot.request_failed("the wait for jobs failed", &error);
                    self.slot.pause(FIRST_PAUSE).await;
                }
            },
            () = changed(&mut self.slot.leave) => {}
            () = changed(&mut self.slot.view) => {}
            () = changed(&mut self.slot.commands) => {}
            () = changed(&mut self.slot.node.identity) => {}
        }
    }

    /// Reports to the pool: that no job from before the last resize is left in this slot, or that
    /// a slot beyond the pool's size is empty for good.
    async fn report(&mut self, report: Report, generation: u64) {
        let broker = self.slot.node.client.broker();
        match broker.report_slot(&self.slot.partition, generation, report).await {
            Ok(()) => self.progress.reported(report),
            Err(error) => {
                let request = "the slot's progress is not reported yet";
                self.slot.request_failed(request, &error);
            }
        }
    }
}
