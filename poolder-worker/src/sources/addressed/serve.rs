//! The service of a slot: claim, run, settle, one at a time and in order.

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

/// While others drain, they are asked after this often.
const DRAINING: Duration = Duration::from_millis(250);
/// Producers know of a resize after this time at the latest.
const KNOWN: Duration = Duration::from_secs(10);

impl SlotHolder {
    /// Serves the slot until it is to be let go, or is lost.
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
                if let Err(end) = self.hand_back(lease, &mut progress, vec![]).await {
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
            let most = if claim { progress.next_batch() } else { 0 };
            let Some(turned) = self.turn(lease, &view, &mut progress, most).await else { continue };
            match turned {
                SlotPoll::Lost => return HoldEnd::Lost,
                SlotPoll::Idle => {}
                // It is let go: who starts it again finds it free.
                SlotPoll::Stopped => {
                    return match self.hand_back(lease, &mut progress, vec![]).await {
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
                    self.pause(DRAINING).await;
                }
                SlotPoll::Empty(told) => {
                    let after = progress.empty(told);
                    self.report_drained(&mut progress).await;
                    if !self.report_retired(&mut progress).await {
                        self.wait(&mut progress, &after).await;
                    }
                }
            }
        }
    }

    /// True while this node may start jobs of the slot.
    fn permits(&mut self) -> bool {
        self.node.identity.borrow_and_update().claims
            && self.node.liveness.is_acknowledged()
            && !self.view.borrow().paused
            && self.commands.borrow_and_update().permits_claims()
    }

    /// Settles what is done, and claims up to so many; nothing comes back when the server could
    /// not be asked.
    async fn turn(
        &mut self,
        lease: &SlotLease,
        view: &PoolView,
        progress: &mut SlotProgress,
        claim: usize,
    ) -> Option<SlotPoll> {
        let order = PollRequest {
            complete: &progress.done,
            lane: progress.lane,
            claim,
            look: progress.look,
            generation: view.generation,
            open: view.open,
            known: progress.knows_last(),
        };
        let passed = match claim {
            0 => None,
            _ => self.node.poll_limiter.pass(progress.turned).await,
        };
        let turned = self.node.client.broker().poll_slot(lease, &order).await;
        drop(passed);
        let turned = match turned {
            Ok(turned) => turned,
            Err(error) => {
                tracing::warn!(
                    slot = %self.slot, %error, retry_in = ?progress.pause,
                    "the server could not be asked"
                );
                progress.doubt();
                self.pause(progress.pause).await;
                progress.pause = (progress.pause * 2).min(LONGEST_PAUSE);
                return None;
            }
        };
        if turned.completed < progress.done.len() {
            tracing::debug!(slot = %self.slot, "settled before: its reply was lost");
        }
        progress.settled();
        progress.pause = FIRST_PAUSE;
        if claim > 0 && !matches!(turned.turn, SlotPoll::Found(_)) {
            progress.look = false;
        }
        Some(turned.turn)
    }

    /// Settles what is done, however long it takes.
    async fn flush(
        &mut self,
        lease: &SlotLease,
        progress: &mut SlotProgress,
    ) -> Result<(), HoldEnd> {
        while !progress.done.is_empty() {
            let view = Arc::clone(&self.view.borrow());
            let turn = self.turn(lease, &view, progress, 0).await;
            if matches!(turn, Some(SlotPoll::Lost)) || self.is_lost(lease) {
                return Err(HoldEnd::Lost);
            }
        }
        Ok(())
    }

    /// Runs what was claimed, or finds out that it cannot be run; and settles it, unless the next
    /// turn can do that on the way.
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
                    "an entry cannot be read, it goes to the dead as it is"
                );
                (Some(Settlement::bury_undecodable(found, Arc::clone(&lease.node))), None)
            }
            Entry::Job(claim) => {
                let key = progress.key(&claim);
                (self.run_job(runner, lease, claim).await, key)
            }
        };
        // Without a settlement the job is not ours any more.
        let Some(settlement) = settlement else { return Err(HoldEnd::Lost) };
        if settlement.is_plain_completion() {
            let (lane, entry) = settlement.entry();
            progress.note_done(lane, entry.clone(), key);
            return Ok(());
        }
        // What came before it in the slot has its end before it goes anywhere.
        self.flush(lease, progress).await?;
        let waits = matches!(settlement.transition(), Transition::Later { .. });
        let holds = waits && self.spec.retry_placement == RetryPlacement::BlockSlot;
        if holds || matches!(settlement.transition(), Transition::Ready { .. }) {
            // What was claimed behind it stays behind it.
            return self.hand_back(lease, progress, vec![settlement]).await;
        }
        self.settle(lease, vec![settlement]).await
    }

    /// Settles those that are given, and puts what was claimed, but has not been started, back in
    /// front behind them, in its order and in the same step.
    async fn hand_back(
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
                    let fate = decide(&policy, &claim.counters, Ending::Released, now, 0.0);
                    Settlement::new(claim, owner, None, fate)
                }
            });
        }
        self.settle(lease, settlements).await
    }

    /// Settles until there is an answer.
    async fn settle(
        &mut self,
        lease: &SlotLease,
        settlements: Vec<Settlement>,
    ) -> Result<(), HoldEnd> {
        let bent = |it: Settlement| it.under_lease(lease, self.spec.retry_placement);
        let mut batch: Vec<Settlement> = settlements.into_iter().map(bent).collect();
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
                    // Settled before, its reply lost; or the slot is somebody else's, as the next
                    // turn will tell.
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

    /// Waits until something comes, or the time of a wait is over.
    async fn wait(&mut self, progress: &mut SlotProgress, after: &[EntryId; 2]) {
        let mut line = match progress.wait.take() {
            Some(line) => line,
            None => match SlotWait::open(self.node.client.broker(), &self.slot).await {
                Ok(line) => line,
                Err(error) => {
                    tracing::warn!(slot = %self.slot, %error, "the slot cannot wait for jobs");
                    return self.pause(LONGEST_PAUSE).await;
                }
            },
        };
        // It claims nothing: a line that is dropped while it waits loses nothing.
        tokio::select! {
            waited = line.wait(after) => match waited {
                Ok(_) => progress.wait = Some(line),
                Err(error) => {
                    tracing::warn!(slot = %self.slot, %error, "the wait for jobs broke off");
                    self.pause(FIRST_PAUSE).await;
                }
            },
            _ = self.leave.changed() => {}
            _ = self.view.changed() => {}
            _ = self.commands.changed() => {}
            _ = self.node.identity.changed() => {}
        }
    }

    /// Tells the pool that nothing from before the last resize is left here.
    async fn report_drained(&self, progress: &mut SlotProgress) {
        if progress.drained || self.view.borrow().open {
            return;
        }
        let (broker, generation) = (self.node.client.broker(), progress.generation.0);
        match broker.report_slot(&self.slot, generation, Report::Drained).await {
            Ok(()) => progress.drained = true,
            Err(error) => tracing::warn!(slot = %self.slot, %error, "not reported as drained yet"),
        }
    }

    /// Tells the pool that a slot beyond its size is empty for good. True when another turn must
    /// show first that nothing came due in between.
    async fn report_retired(&self, progress: &mut SlotProgress) -> bool {
        let view = Arc::clone(&self.view.borrow());
        let beyond = self.slot.index >= view.size && view.open && !progress.retired;
        if !beyond || progress.generation.1.elapsed() < KNOWN {
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
            Err(error) => tracing::warn!(slot = %self.slot, %error, "not reported as empty yet"),
        }
        false
    }
}
