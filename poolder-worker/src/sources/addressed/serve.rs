//! The service of a slot: claims, runs and settles its jobs, one at a time and in order.

use std::sync::Arc;
use std::time::Duration;

use poolder_core::broker::{
    PollRequest, PoolView, Report, RetryPlacement, Settled, Settlement, SlotLease, SlotPoll,
    SlotWait,
};
use poolder_core::policy::decide::{Ending, Transition, decide};
use poolder_core::policy::dispatch::Mode;
use poolder_core::{Entry, EntryId};
use tokio::time::Instant;

use super::holder::{HoldEnd, SlotHolder, SlotRunner};
use super::progress::{OrderGuarantee, SlotProgress};
use crate::process::limits::{FIRST_PAUSE, LONGEST_PAUSE};

/// How often the slot polls while other slots drain.
const DRAIN_INTERVAL: Duration = Duration::from_millis(250);
/// All producers know of a resize after this time at the latest.
const RESIZE_KNOWN_AFTER: Duration = Duration::from_secs(10);

impl SlotHolder {
    /// Serves the slot until it is to be released, or is lost.
    pub(super) async fn serve(&mut self, runner: &SlotRunner, lease: &SlotLease) -> HoldEnd {
        let mut progress = SlotProgress::new(match (self.spec.mode, self.spec.retry_placement) {
            (Mode::Phash, _) => OrderGuarantee::PerKey,
            (_, RetryPlacement::BlockSlot) => OrderGuarantee::Strict,
            (_, RetryPlacement::Reschedule) => OrderGuarantee::Unordered,
        });
        loop {
            if self.is_lost(lease) {
                return HoldEnd::Lost;
            }
            let stopped = runner.inbox.is_closed();
            let leaving = self.is_leaving() || stopped;
            let permitted = self.permits();
            if !progress.claimed.is_empty() && (leaving || !permitted) {
                if let Err(end) = self.release_claimed(lease, &mut progress, vec![]).await {
                    return end;
                }
            } else if let Some(entry) = progress.next() {
                if let Err(end) = self.work(runner, lease, entry, &mut progress).await {
                    return end;
                }
                if progress.goes_on() {
                    continue;
                }
            }
            let view = Arc::clone(&self.view.borrow_and_update());
            if progress.generation.0 != view.generation {
                progress.generation = (view.generation, Instant::now());
                (progress.drained, progress.retired) = (false, false);
            }
            let claim = !leaving && permitted && progress.claimed.is_empty();
            if !claim && progress.done.is_empty() && progress.claimed.is_empty() {
                match (leaving, stopped) {
                    (true, true) => return HoldEnd::Stopped,
                    (true, false) => return HoldEnd::Left,
                    _ => self.pause(LONGEST_PAUSE).await,
                }
                continue;
            }
            let batch = if claim { progress.next_batch() } else { 0 };
            let Some(poll) = self.poll(lease, &view, &mut progress, batch).await else { continue };
            match poll {
                SlotPoll::Lost => return HoldEnd::Lost,
                SlotPoll::Idle => {}
                // The slot is released, so that it is free when operators start it again.
                SlotPoll::Stopped => {
                    return match self.release_claimed(lease, &mut progress, vec![]).await {
                        Ok(()) => HoldEnd::Left,
                        Err(end) => end,
                    };
                }
                SlotPoll::Claimed(entries) | SlotPoll::Found(entries) => {
                    progress.note_claimed(entries);
                }
                SlotPoll::Hold(wait) => self.pause(wait).await,
                SlotPoll::Wait => {
                    self.report_drained(&mut progress).await;
                    self.pause(DRAIN_INTERVAL).await;
                }
                SlotPoll::Empty(last_ids) => {
                    let after = progress.empty(last_ids);
                    self.report_drained(&mut progress).await;
                    if !self.report_retired(&mut progress).await {
                        self.wait(&mut progress, &after).await;
                    }
                }
            }
        }
    }

    /// Returns true while this node may start jobs of the slot.
    fn permits(&mut self) -> bool {
        self.node.identity.borrow_and_update().claims
            && self.node.liveness.is_acknowledged()
            && !self.view.borrow().paused
            && self.commands.borrow_and_update().permits_claims()
    }

    /// Settles the entries that are done, and claims up to `claim` entries. Returns `None` when the
    /// request failed.
    async fn poll(
        &mut self,
        lease: &SlotLease,
        view: &PoolView,
        progress: &mut SlotProgress,
        claim: usize,
    ) -> Option<SlotPoll> {
        let request = PollRequest {
            complete: &progress.done,
            lane: progress.lane,
            claim,
            look: progress.look,
            generation: view.generation,
            open: view.open,
            known: progress.knows_last(),
        };
        let permit = match claim {
            0 => None,
            _ => self.node.poll_limiter.pass(progress.polled_at).await,
        };
        let reply = self.node.client.broker().poll_slot(lease, &request).await;
        drop(permit);
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                tracing::warn!(
                    slot = %self.slot, %error, retry_in = ?progress.pause,
                    "the poll failed"
                );
                progress.doubt();
                self.pause(progress.pause).await;
                progress.pause = (progress.pause * 2).min(LONGEST_PAUSE);
                return None;
            }
        };
        if reply.completed < progress.done.len() {
            tracing::debug!(slot = %self.slot, "settled before: an earlier reply was lost");
        }
        progress.settled();
        progress.pause = FIRST_PAUSE;
        if claim > 0 && !matches!(reply.result, SlotPoll::Found(_)) {
            progress.look = false;
        }
        Some(reply.result)
    }

    /// Settles the entries that are done, and repeats the request until the server answers.
    async fn flush(
        &mut self,
        lease: &SlotLease,
        progress: &mut SlotProgress,
    ) -> Result<(), HoldEnd> {
        while !progress.done.is_empty() {
            let view = Arc::clone(&self.view.borrow());
            let poll = self.poll(lease, &view, progress, 0).await;
            if matches!(poll, Some(SlotPoll::Lost)) || self.is_lost(lease) {
                return Err(HoldEnd::Lost);
            }
        }
        Ok(())
    }

    /// Runs a claimed entry, or finds that it cannot be run; then settles it, unless the next poll
    /// can settle it on the way.
    async fn work(
        &mut self,
        runner: &SlotRunner,
        lease: &SlotLease,
        entry: Entry,
        progress: &mut SlotProgress,
    ) -> Result<(), HoldEnd> {
        let (settlement, key) = match entry {
            Entry::Undecodable(found) => {
                tracing::error!(
                    slot = %self.slot, entry = %found.entry, reason = %found.reason,
                    "an entry cannot be decoded, it is buried as it is"
                );
                (Some(Settlement::bury_undecodable(found, Arc::clone(&lease.node))), None)
            }
            Entry::Job(claim) => {
                let key = progress.key(&claim);
                (self.run_job(runner, lease, claim).await, key)
            }
        };
        // Without a settlement the node has lost the job.
        let Some(settlement) = settlement else { return Err(HoldEnd::Lost) };
        if settlement.is_plain_completion() {
            let (lane, entry) = settlement.entry();
            progress.note_done(lane, entry.clone(), key);
            return Ok(());
        }
        // Earlier jobs of the slot are settled before this job moves anywhere.
        self.flush(lease, progress).await?;
        let waits = matches!(settlement.transition(), Transition::Later { .. });
        let holds = waits && self.spec.retry_placement == RetryPlacement::BlockSlot;
        if holds || matches!(settlement.transition(), Transition::Ready { .. }) {
            // The entries that were claimed behind this job stay behind it.
            return self.release_claimed(lease, progress, vec![settlement]).await;
        }
        self.settle(lease, vec![settlement]).await
    }

    /// Applies the given settlements, and puts the claimed entries that have not been started back
    /// in front, behind the settled jobs, in their order and in the same step.
    async fn release_claimed(
        &mut self,
        lease: &SlotLease,
        progress: &mut SlotProgress,
        mut settlements: Vec<Settlement>,
    ) -> Result<(), HoldEnd> {
        self.flush(lease, progress).await?;
        let now = self.node.clock.now();
        for entry in std::mem::take(&mut progress.claimed) {
            let owner = Arc::clone(&lease.node);
            settlements.push(match entry {
                Entry::Undecodable(found) => Settlement::bury_undecodable(found, owner),
                Entry::Job(claim) => {
                    let policy = self.spec.policy(&claim.envelope);
                    let transition = decide(&policy, &claim.counters, Ending::Released, now, 0.0);
                    Settlement::new(claim, owner, None, transition)
                }
            });
        }
        self.settle(lease, settlements).await
    }

    /// Applies settlements, and repeats those that failed until the server has answered all of
    /// them.
    async fn settle(
        &mut self,
        lease: &SlotLease,
        settlements: Vec<Settlement>,
    ) -> Result<(), HoldEnd> {
        let leased = |it: Settlement| it.under_lease(lease, self.spec.retry_placement);
        let mut batch: Vec<Settlement> = settlements.into_iter().map(leased).collect();
        let broker = self.node.client.broker().clone();
        let mut pause = FIRST_PAUSE;
        while !batch.is_empty() {
            let results = broker.settle(&self.slot, self.node.limits, &batch).await;
            let mut failed = vec![];
            for (settlement, result) in batch.into_iter().zip(results) {
                match result {
                    Settled::Applied => self.note_death(&settlement),
                    Settled::Failed(error) => {
                        tracing::warn!(
                            slot = %self.slot, %error, retry_in = ?pause,
                            "a job could not be settled yet"
                        );
                        failed.push(settlement);
                    }
                    // Either it was settled before and the reply was lost, or another node holds
                    // the slot, which the next poll will show.
                    Settled::Fenced | Settled::Epoch => tracing::warn!(
                        slot = %self.slot, job = %settlement.job_id(),
                        "settled before, or taken over: this settlement changed nothing"
                    ),
                }
            }
            batch = failed;
            if !batch.is_empty() {
                if self.is_lost(lease) {
                    return Err(HoldEnd::Lost);
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        Ok(())
    }

    fn note_death(&self, settlement: &Settlement) {
        if let Transition::Bury { counters } = settlement.transition() {
            let reason = counters.last_failure.as_ref().map(ToString::to_string);
            tracing::error!(
                slot = %self.slot, job = %settlement.job_id(),
                reason = reason.as_deref().unwrap_or_default(), "a job died"
            );
        }
    }

    /// Waits until an entry comes, or the time of a wait is over.
    async fn wait(&mut self, progress: &mut SlotProgress, after: &[EntryId; 2]) {
        let mut connection = match progress.wait.take() {
            Some(connection) => connection,
            None => match SlotWait::open(self.node.client.broker(), &self.slot).await {
                Ok(connection) => connection,
                Err(error) => {
                    tracing::warn!(slot = %self.slot, %error, "the slot cannot wait for jobs");
                    return self.pause(LONGEST_PAUSE).await;
                }
            },
        };
        // The wait claims nothing: a connection that is dropped while it waits loses no entry.
        tokio::select! {
            waited = connection.wait(after) => match waited {
                Ok(_) => progress.wait = Some(connection),
                Err(error) => {
                    tracing::warn!(slot = %self.slot, %error, "the wait for jobs failed");
                    self.pause(FIRST_PAUSE).await;
                }
            },
            _ = self.leave.changed() => {}
            _ = self.view.changed() => {}
            _ = self.commands.changed() => {}
            _ = self.node.identity.changed() => {}
        }
    }

    /// Reports to the pool that no job from before the last resize is left in this slot.
    async fn report_drained(&self, progress: &mut SlotProgress) {
        if progress.drained || self.view.borrow().open {
            return;
        }
        let (broker, generation) = (self.node.client.broker(), progress.generation.0);
        match broker.report_slot(&self.slot, generation, Report::Drained).await {
            Ok(()) => progress.drained = true,
            Err(error) => {
                tracing::warn!(slot = %self.slot, %error, "the slot is not reported as drained yet");
            }
        }
    }

    /// Reports to the pool that a slot beyond its size is empty for good. Returns true when another
    /// poll must show first that no job came due in between.
    async fn report_retired(&self, progress: &mut SlotProgress) -> bool {
        let view = Arc::clone(&self.view.borrow());
        let beyond = self.slot.index >= view.size && view.open && !progress.retired;
        if !beyond || progress.generation.1.elapsed() < RESIZE_KNOWN_AFTER {
            return false;
        }
        let broker = self.node.client.broker();
        if !progress.nothing_due {
            progress.nothing_due =
                broker.view_slot(&self.slot).await.is_ok_and(|view| view.due == 0);
            return progress.nothing_due;
        }
        progress.nothing_due = false;
        match broker.report_slot(&self.slot, progress.generation.0, Report::Retired).await {
            Ok(()) => progress.retired = true,
            Err(error) => {
                tracing::warn!(slot = %self.slot, %error, "the slot is not reported as empty yet");
            }
        }
        false
    }
}
