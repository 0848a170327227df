//! The settlements that a source has yet to send, and when it may send them.

use std::sync::Arc;
use std::time::Duration;

use poolder_core::broker::{Settled, Settlement};
use poolder_core::mutation::mutated;
use poolder_core::policy::Pauses;
use poolder_core::{Error, Partition};
use tokio::time::Instant;

use super::answers::{Answers, Ended};
use super::broken::{BrokenSettlements, NextTry, key_of};
use super::events::{Events, JobEvent};
use super::given_up::GivenUpEntries;
use super::mailbox::EntryKey;
use crate::process::limits::request_pauses;

/// Settlements that the server has not answered, the pause after a failed request, and the tries of
/// settlements whose calls raise errors.
pub(crate) struct PendingSettlements {
    partition: Partition,
    events: Arc<Events>,
    order: SettleOrder,
    settlements: Vec<Settlement>,
    /// Settlements that are tried again at a time.
    waiting: Vec<(Instant, Settlement)>,
    broken: BrokenSettlements,
    /// The entries that earlier rescues have given up; `None` when this node has claimed the jobs.
    given_up: Option<Arc<GivenUpEntries>>,
    /// The server history that the connection saw when it was opened.
    history: Option<Arc<str>>,
    /// True when the server has another history by now.
    outdated: bool,
    pauses: Pauses,
    not_before: Instant,
}

/// The order in which settlements are applied after a group of them was broken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SettleOrder {
    /// Any order.
    Any,
    /// The order in which they were added: each waits for the answer to the one before.
    Kept,
}

impl PendingSettlements {
    pub(crate) fn new(partition: Partition, order: SettleOrder, events: &Arc<Events>) -> Self {
        Self {
            partition,
            events: Arc::clone(events),
            order,
            settlements: vec![],
            waiting: vec![],
            broken: BrokenSettlements::default(),
            given_up: None,
            history: None,
            outdated: false,
            pauses: request_pauses(),
            not_before: Instant::now(),
        }
    }

    /// Creates the queue for jobs that another node has claimed. `given_up` says which errors are
    /// known already.
    pub(crate) fn of_another_node(
        partition: Partition,
        order: SettleOrder,
        events: &Arc<Events>,
        given_up: &Arc<GivenUpEntries>,
    ) -> Self {
        let given_up = Some(Arc::clone(given_up));
        Self { given_up, ..Self::new(partition, order, events) }
    }

    pub(crate) fn push(&mut self, settlement: Settlement) {
        self.settlements.push(settlement);
    }

    /// Returns the number of settlements that are not done.
    pub(crate) fn len(&self) -> usize {
        self.settlements.len() + self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of settlements that wait for another try, since their calls raised errors.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Returns true when there is a settlement to send, as soon as requests may be sent.
    pub(crate) fn must_send(&self, now: Instant) -> bool {
        match self.order {
            SettleOrder::Kept if !self.waiting.is_empty() => self.is_retried_by(now),
            _ => !self.settlements.is_empty() || self.is_retried_by(now),
        }
    }

    /// Returns when the next of the settlements that wait for another try is sent.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.waiting.iter().map(|(at, _)| *at).min()
    }

    fn is_retried_by(&self, now: Instant) -> bool {
        self.retry_at().is_some_and(|at| at <= now)
    }

    /// Takes those that may be sent together now.
    pub(crate) fn take(&mut self) -> Vec<Settlement> {
        let mut batch = match self.order {
            _ if self.settlements.is_empty() => vec![],
            SettleOrder::Any => {
                // About as many come again.
                let room = Vec::with_capacity(self.settlements.len());
                std::mem::replace(&mut self.settlements, room)
            }
            SettleOrder::Kept if !self.waiting.is_empty() => vec![],
            SettleOrder::Kept => {
                let together = self.settlements.iter().position(Settlement::is_isolated);
                let count = together.map_or(self.settlements.len(), |count| count.max(1));
                self.settlements.drain(..count).collect()
            }
        };
        if !self.waiting.is_empty() {
            let now = Instant::now();
            batch.extend(self.waiting.extract_if(.., |(at, _)| *at <= now).map(|(_, it)| it));
        }
        batch
    }

    /// Takes those that may be sent together, as soon as they may be sent. Returns none when all are
    /// done or given up.
    pub(crate) async fn next(&mut self) -> Vec<Settlement> {
        tokio::time::sleep_until(self.not_before).await;
        if !self.must_send(Instant::now())
            && let Some(at) = self.retry_at()
        {
            tokio::time::sleep_until(at).await;
        }
        self.take()
    }

    /// Puts a batch back that was not sent, or whose outcome is unknown.
    pub(crate) fn put_back(&mut self, batch: Vec<Settlement>) {
        self.settlements.splice(..0, batch);
    }

    /// Returns the time before which no request is sent.
    pub(crate) fn not_before(&self) -> Instant {
        self.not_before
    }

    /// Notes that a connection was opened, and the server history that it saw.
    pub(crate) fn connected(&mut self, history: Option<Arc<str>>) {
        self.pauses.after_success();
        (self.history, self.outdated) = (history, false);
    }

    /// Returns true when the server has another history than the connection saw.
    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// Delays the next request, longer after each further failure. Returns the delay.
    pub(crate) fn back_off(&mut self) -> Duration {
        let pause = self.pauses.after_failure();
        self.not_before = Instant::now() + pause;
        pause
    }

    /// Processes the results of a batch. A settlement that the server did not answer, that was
    /// claimed in another history, or whose call raised an error, stays pending until it is given
    /// up.
    pub(crate) fn answer(&mut self, batch: Vec<Settlement>, results: Vec<Settled>) -> Answers {
        let (mut answers, mut again) = (Answers::default(), vec![]);
        answers.ended.reserve(batch.len());
        for (settlement, result) in batch.into_iter().zip(results) {
            self.events.answered(&self.partition, &settlement, &result, self.given_up.is_none());
            let applied = matches!(result, Settled::Applied);
            match result {
                // The mutation `verification` leaves out the careful settlement.
                Settled::Epoch if !mutated("verification") => {
                    self.outdated |= settlement.history() == self.history.as_deref();
                    again.push(settlement.carefully());
                }
                Settled::Applied | Settled::Fenced | Settled::Epoch => {
                    let key = key_of(&settlement);
                    self.broken.answered(&key);
                    let (job, repeated) = (settlement.job_id(), settlement.is_isolated());
                    answers.ended.push(Ended { key, job, applied, repeated });
                }
                Settled::Failed(error) => {
                    answers.failed = Some(error);
                    again.push(settlement);
                }
                Settled::Broken(error) => {
                    let next = self.broken.raised(settlement, &error);
                    match self.next_try(next, &error) {
                        Ok(settlement) => again.extend(settlement),
                        Err(given_up) => answers.given_up.push(given_up),
                    }
                }
            }
        }
        if !again.is_empty() {
            self.put_back(again);
        }
        if answers.failed.is_none() {
            self.pauses.after_success();
        }
        answers
    }

    /// Reports the next try of a settlement. Returns the settlement if it is sent at once, and as an
    /// error the entry that is given up.
    fn next_try(&mut self, next: NextTry, error: &Error) -> Result<Option<Settlement>, EntryKey> {
        let (key, last) = (key_of(next.settlement()), matches!(next, NextTry::GiveUp(_)));
        let known = self.given_up.as_ref().is_some_and(|all| all.knew(&self.partition, &key, last));
        let report = |event| (!known).then(|| self.events.emit(&self.partition, event));
        match next {
            NextTry::Same(settlement, pause) if pause.is_zero() => Ok(Some(settlement)),
            NextTry::Same(settlement, pause) => {
                report(JobEvent::NotSettled(settlement.job_id(), error, pause));
                self.waiting.push((Instant::now() + pause, settlement));
                Ok(None)
            }
            NextTry::WithoutEffects(settlement, effects) => {
                report(JobEvent::EffectsLost(settlement.job_id(), error, &effects));
                Ok(Some(settlement))
            }
            NextTry::Burial(settlement) => {
                report(JobEvent::BuriedUnsettled(settlement.job_id(), error));
                Ok(Some(settlement))
            }
            NextTry::GiveUp(settlement) => {
                report(JobEvent::GivenUp(settlement.job_id(), error));
                Err(key)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use poolder_core::{Cause, Failure, JobId, Lane, Undecodable};

    use super::*;
    use crate::process::limits::{FIRST_PAUSE, LONGEST_PAUSE};

    fn pending() -> PendingSettlements {
        pending_in(SettleOrder::Any)
    }

    fn pending_in(order: SettleOrder) -> PendingSettlements {
        let partition = Partition::first("q".parse().unwrap());
        PendingSettlements::new(partition, order, &Arc::default())
    }

    fn settlement(entry: &str) -> Settlement {
        let found = Undecodable {
            lane: Lane::Normal,
            entry: entry.into(),
            id: JobId::from_bytes([1; 16]),
            reason: Failure::new(Cause::Undecodable, "no job"),
            raw: vec![],
            unread: None,
            group: None,
        };
        Settlement::bury_undecodable(found, "node".into())
    }

    fn keys(answers: &Answers) -> Vec<&str> {
        answers.ended.iter().map(|ended| &*ended.key.1).collect()
    }

    #[test]
    fn an_answered_settlement_ends_its_claim_and_an_unanswered_one_stays() {
        let mut pending = pending();
        let batch = ["1-0", "2-0", "3-0"].map(settlement).to_vec();
        let lost = Settled::Failed(Error::unknown("lost"));
        let answers = pending.answer(batch, vec![Settled::Applied, lost, Settled::Fenced]);
        assert_eq!(keys(&answers), ["1-0", "3-0"]);
        assert!(answers.failed.is_some_and(|error| error.to_string().contains("lost")));
        let again = pending.take();
        assert_eq!(again.iter().map(|it| &**it.entry().1).collect::<Vec<_>>(), ["2-0"]);
        pending.put_back(again);
        assert_eq!(pending.len(), 1);
    }

    #[test]
    fn a_settlement_of_another_history_is_repeated_carefully() {
        let mut pending = pending();
        let answers = pending.answer(vec![settlement("1-0")], vec![Settled::Epoch]);
        assert!(answers.ended.is_empty() && answers.failed.is_none());
        assert_eq!(pending.take().pop().unwrap().history(), None);
        // Without a known history the connection and the settlement have seen the same one.
        assert!(pending.is_outdated());
        pending.connected(None);
        assert!(!pending.is_outdated());
    }

    #[tokio::test(start_paused = true)]
    async fn each_failure_doubles_the_pause_until_a_request_succeeds() {
        let mut pending = pending();
        assert!(pending.not_before() <= Instant::now());
        let pauses: Vec<Duration> = (0..8).map(|_| pending.back_off()).collect();
        assert_eq!((pauses[0], pauses[1]), (FIRST_PAUSE, FIRST_PAUSE * 2));
        assert_eq!(pauses[7], LONGEST_PAUSE);
        assert_eq!(pending.not_before(), Instant::now() + LONGEST_PAUSE);
        pending.answer(vec![], vec![]);
        assert_eq!(pending.back_off(), FIRST_PAUSE);
        pending.back_off();
        pending.connected(None);
        assert_eq!(pending.back_off(), FIRST_PAUSE);
    }

    fn broken() -> Settled {
        Settled::Broken(Error::unknown("WRONGTYPE"))
    }

    fn entries(batch: &[Settlement]) -> Vec<&str> {
        batch.iter().map(|it| &**it.entry().1).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_whose_call_raised_an_error_is_settled_one_by_one_at_once() {
        let mut pending = pending();
        let group = ["1-0", "2-0", "3-0"].map(settlement).to_vec();
        let answers = pending.answer(group, vec![broken(), broken(), broken()]);
        assert!(answers.ended.is_empty() && answers.failed.is_none());
        let now = Instant::now();
        assert!(pending.must_send(now) && pending.not_before() <= now);
        let batch = pending.take();
        assert_eq!(entries(&batch), ["1-0", "2-0", "3-0"]);
        assert!(batch.iter().all(Settlement::is_isolated));
        let answers = pending.answer(batch, vec![Settled::Applied, broken(), Settled::Fenced]);
        let ended: Vec<_> = answers.ended.iter().map(|one| (one.applied, one.repeated)).collect();
        assert_eq!(keys(&answers), ["1-0", "3-0"]);
        assert_eq!(ended, [(true, true), (false, true)]);
        assert!(!pending.must_send(now), "the others go on without it");
        assert_eq!((pending.take().len(), pending.len(), pending.waiting()), (0, 1, 1));
        assert_eq!(pending.retry_at(), Some(now + FIRST_PAUSE));
        let batch = pending.next().await;
        assert_eq!((entries(&batch), Instant::now()), (vec!["2-0"], now + FIRST_PAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_settlement_that_is_given_up_is_no_longer_pending() {
        let mut pending = pending();
        pending.push(settlement("1-0"));
        for tries in 1..10 {
            let batch = pending.next().await;
            let answers = pending.answer(batch, vec![broken()]);
            if !answers.given_up.is_empty() {
                assert_eq!((tries, pending.is_empty()), (4, true));
                return assert_eq!(answers.given_up, [(Lane::Normal, "1-0".into())]);
            }
        }
        panic!("it is tried without end");
    }

    #[tokio::test(start_paused = true)]
    async fn in_order_each_settlement_of_a_broken_group_waits_for_the_one_before() {
        let mut pending = pending_in(SettleOrder::Kept);
        ["1-0", "2-0", "3-0"].map(settlement).into_iter().for_each(|it| pending.push(it));
        let group = pending.next().await;
        assert_eq!(entries(&group), ["1-0", "2-0", "3-0"]);
        pending.answer(group, vec![broken(), broken(), broken()]);
        let mut order = vec![];
        for _ in 0..20 {
            let batch = pending.next().await;
            let Some(first) = batch.first() else { break };
            assert_eq!(batch.len(), 1);
            let poisoned = &**first.entry().1 == "2-0";
            order.push(first.entry().1.to_string());
            let result = match order.len() {
                1 => Settled::Failed(Error::unknown("lost")),
                _ if poisoned => broken(),
                _ => Settled::Applied,
            };
            pending.answer(batch, vec![result]);
        }
        assert_eq!(order, ["1-0", "1-0", "2-0", "2-0", "2-0", "3-0"]);
        assert!(pending.is_empty());
    }
}
