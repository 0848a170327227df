//! The service of a slot: claims, runs and settles its jobs, one at a time and in order.

use std::sync::Arc;
use std::time::Duration;

use poolder_core::broker::{
    PollRequest, PoolView, Report, RetryPlacement, Settlement, SlotLease, SlotPoll, SlotWait,
};
use poolder_core::policy::decide::{Ending, Transition};
use poolder_core::policy::dispatch::Mode;
use poolder_core::{Entry, EntryId};
use tokio::time::Instant;

use super::progress::{OrderGuarantee, SlotProgress};
use super::run_job::run_job;
use super::slot_context::{HoldEnd, SlotContext};
use crate::process::limits::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::run::single_slot::SingleSlot;

/// How often the slot polls while other slots drain.
const DRAIN_INTERVAL: Duration = Duration::from_millis(250);
/// All producers know of a resize after this time at the latest.
const RESIZE_KNOWN_AFTER: Duration = Duration::from_secs(10);

/// Serves a slot under a lease.
pub(super) struct SlotService<'a> {
    pub(super) slot: &'a mut SlotContext,
    runner: &'a SingleSlot,
    pub(super) lease: &'a SlotLease,
    progress: SlotProgress,
}

impl<'a> SlotService<'a> {
    pub(super) fn new(
        slot: &'a mut SlotContext,
        runner: &'a SingleSlot,
        lease: &'a SlotLease,
    ) -> Self {
        let progress =
            SlotProgress::new(match (slot.engine.spec.mode, slot.engine.spec.retry_placement) {
                (Mode::Phash, _) => OrderGuarantee::PerKey,
                (_, RetryPlacement::BlockSlot) => OrderGuarantee::Strict,
                (_, RetryPlacement::Reschedule) => OrderGuarantee::Unordered,
            });
        Self { slot, runner, lease, progress }
    }

    /// Serves the slot until it is to be released, or is lost.
    pub(super) async fn run(mut self) -> HoldEnd {
        loop {
            if self.slot.is_lost(self.lease) {
                return HoldEnd::Lost;
            }
            let stopped = self.runner.is_stopped();
            let leaving = self.slot.is_leaving() || stopped;
            let permitted = self.permits();
            if !self.progress.claimed.is_empty() && (leaving || !permitted) {
                if let Err(end) = self.release_claimed(vec![]).await {
                    return end;
                }
            } else if let Some(entry) = self.progress.next() {
                if let Err(end) = self.work(entry).await {
                    return end;
                }
                if self.progress.goes_on() {
                    continue;
                }
            }
            let view = Arc::clone(&self.slot.view.borrow_and_update());
            if self.progress.generation.0 != view.generation {
                self.progress.generation = (view.generation, Instant::now());
                (self.progress.drained, self.progress.retired) = (false, false);
            }
            let claim = !leaving && permitted && self.progress.claimed.is_empty();
            if !claim && self.progress.done.is_empty() && self.progress.claimed.is_empty() {
                match (leaving, stopped) {
                    (true, true) => return HoldEnd::Stopped,
                    (true, false) => return HoldEnd::Left,
                    _ => self.slot.pause(LONGEST_PAUSE).await,
                }
                continue;
            }
            let batch = if claim { self.progress.next_batch() } else { 0 };
            let Some(poll) = self.poll(&view, batch).await else { continue };
            match poll {
                SlotPoll::Lost => return HoldEnd::Lost,
                SlotPoll::Idle => {}
                // The slot is released, so that it is free when operators start it again.
                SlotPoll::Stopped => {
                    return match self.release_claimed(vec![]).await {
                        Ok(()) => HoldEnd::Left,
                        Err(end) => end,
                    };
                }
                SlotPoll::Claimed(entries) | SlotPoll::Found(entries) => {
                    self.progress.note_claimed(entries);
                }
                SlotPoll::Hold(wait) => self.slot.pause(wait).await,
                SlotPoll::Wait => {
                    self.report_drained().await;
                    self.slot.pause(DRAIN_INTERVAL).await;
                }
                SlotPoll::Empty(last_ids) => {
                    let after = self.progress.empty(last_ids);
                    self.report_drained().await;
                    if !self.report_retired().await {
                        self.wait(&after).await;
                    }
                }
            }
        }
    }

    /// Returns true while this node may start jobs of the slot.
    fn permits(&mut self) -> bool {
        self.slot.node.identity.borrow_and_update().claims
            && self.slot.node.liveness.is_acknowledged()
            && !self.slot.view.borrow().paused
            && self.slot.commands.borrow_and_update().permits_claims()
    }

    /// Settles the entries that are done, and claims up to `claim` entries. Returns `None` when the
    /// request failed.
    async fn poll(&mut self, view: &PoolView, claim: usize) -> Option<SlotPoll> {
        let request = PollRequest {
            complete: &self.progress.done,
            lane: self.progress.lane,
            claim,
            look: self.progress.look,
            generation: view.generation,
            open: view.open,
            known: self.progress.knows_last(),
        };
        let permit = match claim {
            0 => None,
            _ => self.slot.node.poll_limiter.pass(self.progress.polled_at).await,
        };
        let reply = self.slot.node.client.broker().poll_slot(self.lease, &request).await;
        drop(permit);
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                let pause = self.progress.pauses.after_failure();
                tracing::warn!(
                    slot = %self.slot.partition, %error, retry_in = ?pause, "the poll failed"
                );
                self.progress.doubt();
                self.slot.pause(pause).await;
                return None;
            }
        };
        if reply.completed < self.progress.done.len() {
            tracing::debug!(slot = %self.slot.partition, "settled before: an earlier reply was lost");
        }
        self.progress.settled();
        self.progress.pauses.after_success();
        if claim > 0 && !matches!(reply.result, SlotPoll::Found(_)) {
            self.progress.look = false;
        }
        Some(reply.result)
    }

    /// Settles the entries that are done, and repeats the request until the server answers.
    async fn flush(&mut self) -> Result<(), HoldEnd> {
        while !self.progress.done.is_empty() {
            let view = Arc::clone(&self.slot.view.borrow());
            let poll = self.poll(&view, 0).await;
            if matches!(poll, Some(SlotPoll::Lost)) || self.slot.is_lost(self.lease) {
                return Err(HoldEnd::Lost);
            }
        }
        Ok(())
    }

    /// Runs a claimed entry, or finds that it cannot be run; then settles it, unless the next poll
    /// can settle it on the way.
    async fn work(&mut self, entry: Entry) -> Result<(), HoldEnd> {
        let (settlement, key) = match entry {
            Entry::Undecodable(found) => {
                (Some(self.slot.engine.bury(self.slot.origin(self.lease), found)), None)
            }
            Entry::Job(claim) => {
                let key = self.progress.key(&claim);
                (run_job(self.slot, self.runner, self.lease, claim).await, key)
            }
        };
        // Without a settlement the node has lost the job.
        let Some(settlement) = settlement else { return Err(HoldEnd::Lost) };
        if settlement.is_plain_completion() {
            let (lane, entry) = settlement.entry();
            self.progress.note_done(lane, entry.clone(), key);
            return Ok(());
        }
        // Earlier jobs of the slot are settled before this job moves anywhere.
        self.flush().await?;
        let waits = matches!(settlement.transition(), Transition::Later { .. });
        let holds = waits && self.slot.engine.spec.retry_placement == RetryPlacement::BlockSlot;
        if holds || matches!(settlement.transition(), Transition::Ready { .. }) {
            // The entries that were claimed behind this job stay behind it.
            return self.release_claimed(vec![settlement]).await;
        }
        self.settle(vec![settlement]).await
    }

    /// Applies the given settlements, and puts the claimed entries that have not been started back
    /// in front, behind the settled jobs, in their order and in the same step.
    async fn release_claimed(&mut self, mut settlements: Vec<Settlement>) -> Result<(), HoldEnd> {
        self.flush().await?;
        let unstarted = std::mem::take(&mut self.progress.claimed);
        let (engine, origin) = (&self.slot.engine, self.slot.origin(self.lease));
        settlements.extend(engine.settle_held(origin, unstarted, |_| Ending::Released));
        self.settle(settlements).await
    }

    /// Waits until an entry comes, or the time of a wait is over.
    async fn wait(&mut self, after: &[EntryId; 2]) {
        let mut connection = match self.progress.wait.take() {
            Some(connection) => connection,
            None => {
                match SlotWait::open(self.slot.node.client.broker(), &self.slot.partition).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        tracing::warn!(slot = %self.slot.partition, %error, "the slot cannot wait for jobs");
                        return self.slot.pause(LONGEST_PAUSE).await;
                    }
                }
            }
        };
        // The wait claims nothing: a connection that is dropped while it waits loses no entry.
        tokio::select! {
            waited = connection.wait(after) => match waited {
                Ok(_) => self.progress.wait = Some(connection),
                Err(error) => {
                    tracing::warn!(slot = %self.slot.partition, %error, "the wait for jobs failed");
                    self.slot.pause(FIRST_PAUSE).await;
                }
            },
            _ = self.slot.leave.changed() => {}
            _ = self.slot.view.changed() => {}
            _ = self.slot.commands.changed() => {}
            _ = self.slot.node.identity.changed() => {}
        }
    }

    /// Reports to the pool that no job from before the last resize is left in this slot.
    async fn report_drained(&mut self) {
        if self.progress.drained || self.slot.view.borrow().open {
            return;
        }
        let (broker, generation) = (self.slot.node.client.broker(), self.progress.generation.0);
        match broker.report_slot(&self.slot.partition, generation, Report::Drained).await {
            Ok(()) => self.progress.drained = true,
            Err(error) => {
                tracing::warn!(slot = %self.slot.partition, %error, "the slot is not reported as drained yet");
            }
        }
    }

    /// Reports to the pool that a slot beyond its size is empty for good. Returns true when another
    /// poll must show first that no job came due in between.
    async fn report_retired(&mut self) -> bool {
        let view = Arc::clone(&self.slot.view.borrow());
        let beyond = self.slot.partition.index >= view.size && view.open && !self.progress.retired;
        if !beyond || self.progress.generation.1.elapsed() < RESIZE_KNOWN_AFTER {
            return false;
        }
        let broker = self.slot.node.client.broker();
        if !self.progress.nothing_due {
            self.progress.nothing_due =
                broker.view_slot(&self.slot.partition).await.is_ok_and(|view| view.due == 0);
            return self.progress.nothing_due;
        }
        self.progress.nothing_due = false;
        match broker
            .report_slot(&self.slot.partition, self.progress.generation.0, Report::Retired)
            .await
        {
            Ok(()) => self.progress.retired = true,
            Err(error) => {
                tracing::warn!(slot = %self.slot.partition, %error, "the slot is not reported as empty yet");
            }
        }
        false
    }
}
