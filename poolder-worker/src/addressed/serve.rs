//! The service of a slot: claim, run, settle, one at a time and in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use poolder_core::broker::{
    Report, Retry, Settled, Settlement, SlotLease, SlotWait, Turn, TurnOrder,
};
use poolder_core::decide::{Ending, Transition, decide};
use poolder_core::{Entry, EntryId, Lane};
use tokio::time::Instant;

use super::seat::{Bench, End, FIRST_PAUSE, LONGEST_PAUSE, Seat};

/// While others drain, they are asked after this often.
const DRAINING: Duration = Duration::from_millis(250);
/// Producers know of a resize after this time at the latest.
const KNOWN: Duration = Duration::from_secs(10);

/// What is done is settled after this time at the latest, and only jobs that are quicker are
/// claimed several at a time.
const QUICK: Duration = Duration::from_millis(2);

/// What the service remembers from turn to turn.
struct Course {
    /// Claimed, and run one by one: more than one only while they take no time.
    claimed: VecDeque<Entry>,
    /// Done, but not settled yet.
    done: Vec<(Lane, EntryId)>,
    /// When the last turn was, and how many jobs the next may claim.
    turned: Instant,
    batch: usize,
    /// A reply was lost: we may hold what we do not know.
    look: bool,
    pause: Duration,
    wait: Option<SlotWait>,
    /// The generation, and since when it is known here.
    generation: (u64, Instant),
    drained: bool,
    /// Nothing waited for its time when it was last looked at.
    nothing_due: bool,
    retired: bool,
}

impl Course {
    /// How many jobs to claim: twice as many as before while that took next to no time.
    fn next_batch(&mut self) -> usize {
        self.batch = match self.turned.elapsed() {
            time if time < QUICK => (self.batch * 2).min(TurnOrder::MOST),
            _ => 1,
        };
        self.batch
    }
}

impl Seat {
    /// Serves the slot until it is to be let go, or is lost.
    pub(super) async fn serve(&mut self, bench: &Bench, lease: &SlotLease) -> End {
        let mut course = Course {
            claimed: VecDeque::new(),
            done: vec![],
            turned: Instant::now(),
            batch: 1,
            look: false,
            pause: FIRST_PAUSE,
            wait: None,
            generation: (0, Instant::now()),
            drained: false,
            nothing_due: false,
            retired: false,
        };
        loop {
            if self.is_lost(lease) {
                return End::Lost;
            }
            let stopped = bench.mailbox.is_closed();
            let leaving = self.is_leaving() || stopped;
            if leaving && !course.claimed.is_empty() {
                if let Err(end) = self.hand_back(lease, &mut course).await {
                    return end;
                }
            } else if let Some(entry) = course.claimed.pop_front() {
                if let Err(end) = self.work(bench, lease, entry, &mut course).await {
                    return end;
                }
                let quick = course.turned.elapsed() < QUICK && course.done.len() < TurnOrder::MOST;
                if quick && !course.claimed.is_empty() {
                    continue;
                }
            }
            let view = Arc::clone(&self.view.borrow_and_update());
            if course.generation.0 != view.generation {
                course.generation = (view.generation, Instant::now());
                (course.drained, course.retired) = (false, false);
            }
            let claims = self.commons.identity.borrow_and_update().claims
                && self.commons.pulse.is_acknowledged();
            let permitted =
                claims && !view.paused && self.orders.borrow_and_update().permits_claims();
            let claim = !leaving && permitted && course.claimed.is_empty();
            if !claim && course.done.is_empty() && course.claimed.is_empty() {
                match (leaving, stopped) {
                    (true, true) => return End::Stopped,
                    (true, false) => return End::Left,
                    _ => self.pause(LONGEST_PAUSE).await,
                }
                continue;
            }
            let most = match (claim, self.mould.retry) {
                (false, _) => 0,
                // Where order counts, what is done is settled before the next starts: so a crash
                // never leads back behind a job that has started.
                (true, Retry::Hold) => 1,
                (true, Retry::Aside) => course.next_batch(),
            };
            let order = TurnOrder {
                complete: &course.done,
                claim: most,
                look: course.look,
                generation: view.generation,
                open: view.open,
            };
            let turned = match self.commons.client.broker().turn(lease, &order).await {
                Ok(turned) => turned,
                Err(error) => {
                    tracing::warn!(
                        slot = %self.slot, %error, retry_in = ?course.pause,
                        "the server could not be asked"
                    );
                    course.look = true;
                    self.pause(course.pause).await;
                    course.pause = (course.pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
            };
            if turned.completed < course.done.len() {
                tracing::debug!(slot = %self.slot, "settled before: its reply was lost");
            }
            course.done.clear();
            (course.turned, course.pause) = (Instant::now(), FIRST_PAUSE);
            if claim {
                course.look = false;
            }
            match turned.turn {
                Turn::Lost => return End::Lost,
                Turn::Idle => {}
                Turn::Claimed(entries) => course.claimed = entries.into(),
                Turn::Hold(wait) => self.pause(wait).await,
                Turn::Wait => {
                    self.report_drained(&mut course).await;
                    self.pause(DRAINING).await;
                }
                Turn::Empty(after) => {
                    self.report_drained(&mut course).await;
                    if !self.report_retired(&mut course).await {
                        self.wait(&mut course, &after).await;
                    }
                }
            }
        }
    }

    /// Runs what was claimed, or finds out that it cannot be run; and settles it, unless the next
    /// turn can do that on the way.
    async fn work(
        &mut self,
        bench: &Bench,
        lease: &SlotLease,
        entry: Entry,
        course: &mut Course,
    ) -> Result<(), End> {
        let settlement = match entry {
            Entry::Undecodable(found) => {
                tracing::error!(
                    slot = %self.slot, entry = %found.entry, reason = %found.reason,
                    "an entry cannot be read, it goes to the dead as it is"
                );
                Some(Settlement::bury_undecodable(found, Arc::clone(&lease.node)))
            }
            Entry::Job(claim) => self.run_job(bench, lease, claim).await,
        };
        // Without a settlement the job is not ours any more.
        let Some(settlement) = settlement else { return Err(End::Lost) };
        if settlement.is_plain_completion() {
            let (lane, entry) = settlement.entry();
            course.done.push((lane, entry.clone()));
            return Ok(());
        }
        let holds = self.mould.retry == Retry::Hold
            && matches!(settlement.transition(), Transition::Later { .. });
        let handed_back = matches!(settlement.transition(), Transition::Ready { .. });
        self.settle(lease, settlement).await?;
        if holds || handed_back {
            // What was claimed behind it stays behind it.
            self.hand_back(lease, course).await?;
        }
        Ok(())
    }

    /// Puts what was claimed, but has not been started, back in front in its order.
    async fn hand_back(&mut self, lease: &SlotLease, course: &mut Course) -> Result<(), End> {
        let clock = Arc::clone(&self.commons.clock);
        for entry in std::mem::take(&mut course.claimed) {
            let owner = Arc::clone(&lease.node);
            let settlement = match entry {
                Entry::Undecodable(found) => Settlement::bury_undecodable(found, owner),
                Entry::Job(claim) => {
                    let policy = self.mould.policy(&claim.envelope);
                    let (counters, now) = (claim.counters.clone(), clock.now());
                    let fate = decide(&policy, &counters, Ending::HandedBack, now, 0.0);
                    Settlement::new(claim, owner, None, fate)
                }
            };
            self.settle(lease, settlement).await?;
        }
        Ok(())
    }

    /// Settles until there is an answer.
    async fn settle(&mut self, lease: &SlotLease, settlement: Settlement) -> Result<(), End> {
        let batch = [settlement.under_lease(lease, self.mould.retry)];
        let broker = self.commons.client.broker().clone();
        let mut pause = FIRST_PAUSE;
        loop {
            match broker.settle(&self.slot, self.commons.limits, &batch).await.pop() {
                Some(Settled::Applied) => {
                    if let Transition::Bury { counters } = batch[0].transition() {
                        let reason = counters.last_failure.as_ref().map(ToString::to_string);
                        tracing::error!(
                            slot = %self.slot, job = %batch[0].job_id(),
                            reason = reason.as_deref().unwrap_or_default(), "a job died"
                        );
                    }
                    return Ok(());
                }
                Some(Settled::Failed(error)) => {
                    if self.is_lost(lease) {
                        return Err(End::Lost);
                    }
                    tracing::warn!(
                        slot = %self.slot, %error, retry_in = ?pause,
                        "a job could not be settled yet"
                    );
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                // Settled before, its reply lost; or the slot is somebody else's, as the next turn
                // will tell.
                Some(Settled::Fenced | Settled::Epoch) | None => {
                    tracing::warn!(
                        slot = %self.slot, job = %batch[0].job_id(),
                        "settled before, or taken over: this settlement changed nothing"
                    );
                    return Ok(());
                }
            }
        }
    }

    /// Waits until something comes, or the time of a wait is over.
    async fn wait(&mut self, course: &mut Course, after: &[EntryId; 2]) {
        let mut line = match course.wait.take() {
            Some(line) => line,
            None => match SlotWait::open(self.commons.client.broker(), &self.slot).await {
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
                Ok(_) => course.wait = Some(line),
                Err(error) => {
                    tracing::warn!(slot = %self.slot, %error, "the wait for jobs broke off");
                    self.pause(FIRST_PAUSE).await;
                }
            },
            _ = self.leave.changed() => {}
            _ = self.view.changed() => {}
            _ = self.orders.changed() => {}
            _ = self.commons.identity.changed() => {}
        }
    }

    /// Tells the pool that nothing from before the last resize is left here.
    async fn report_drained(&self, course: &mut Course) {
        if course.drained || self.view.borrow().open {
            return;
        }
        let (broker, generation) = (self.commons.client.broker(), course.generation.0);
        match broker.report_slot(&self.slot, generation, Report::Drained).await {
            Ok(()) => course.drained = true,
            Err(error) => tracing::warn!(slot = %self.slot, %error, "not reported as drained yet"),
        }
    }

    /// Tells the pool that a slot beyond its size is empty for good. True when another turn must
    /// show first that nothing came due in between.
    async fn report_retired(&self, course: &mut Course) -> bool {
        let view = Arc::clone(&self.view.borrow());
        let beyond = self.slot.index >= view.size && view.open && !course.retired;
        if !beyond || course.generation.1.elapsed() < KNOWN {
            return false;
        }
        let broker = self.commons.client.broker();
        if !course.nothing_due {
            course.nothing_due = broker.view_slot(&self.slot).await.is_ok_and(|view| view.due == 0);
            return course.nothing_due;
        }
        course.nothing_due = false;
        match broker.report_slot(&self.slot, course.generation.0, Report::Retired).await {
            Ok(()) => course.retired = true,
            Err(error) => tracing::warn!(slot = %self.slot, %error, "not reported as empty yet"),
        }
        false
    }
}
