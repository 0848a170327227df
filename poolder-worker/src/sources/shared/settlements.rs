//! The settlements that a claimer has yet to send, and when it may send them.

use std::sync::Arc;
use std::time::Duration;

use poolder_core::broker::{Settled, Settlement};
use poolder_core::mutation::mutated;
use poolder_core::policy::Pauses;
use poolder_core::{Error, Partition};
use tokio::time::Instant;

use crate::process::limits::request_pauses;
use crate::run::events::answered;
use crate::run::mailbox::EntryKey;

/// Settlements that the server has not answered, and the pause after a failed request.
pub(super) struct PendingSettlements {
    partition: Partition,
    settlements: Vec<Settlement>,
    /// The server history that the connection saw when it was opened.
    history: Option<Arc<str>>,
    /// True when the server has another history by now.
    outdated: bool,
    pauses: Pauses,
    not_before: Instant,
}

/// The answers to a batch of settlements.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Entries that are no longer held.
    pub(super) ended: Vec<EntryKey>,
    /// The error of the last settlement that was not answered.
    pub(super) failed: Option<Error>,
}

impl PendingSettlements {
    pub(super) fn new(partition: Partition) -> Self {
        Self {
            partition,
            settlements: vec![],
            history: None,
            outdated: false,
            pauses: request_pauses(),
            not_before: Instant::now(),
        }
    }

    pub(super) fn push(&mut self, settlement: Settlement) {
        self.settlements.push(settlement);
    }

    pub(super) fn len(&self) -> usize {
        self.settlements.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.settlements.is_empty()
    }

    /// Takes all of them, to be sent.
    pub(super) fn take(&mut self) -> Vec<Settlement> {
        std::mem::take(&mut self.settlements)
    }

    /// Puts a batch back that was not sent, or whose outcome is unknown.
    pub(super) fn put_back(&mut self, batch: Vec<Settlement>) {
        self.settlements.splice(..0, batch);
    }

    /// Returns the time before which no request is sent.
    pub(super) fn not_before(&self) -> Instant {
        self.not_before
    }

    /// Notes that a connection was opened, and the server history that it saw.
    pub(super) fn connected(&mut self, history: Option<Arc<str>>) {
        self.pauses.after_success();
        (self.history, self.outdated) = (history, false);
    }

    /// Returns true when the server has another history than the connection saw.
    pub(super) fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// Delays the next request, longer after each further failure. Returns the delay.
    pub(super) fn back_off(&mut self) -> Duration {
        let pause = self.pauses.after_failure();
        self.not_before = Instant::now() + pause;
        pause
    }

    /// Processes the results of a batch. A settlement that the server did not answer, or that was
    /// claimed in another history, stays pending.
    pub(super) fn answer(&mut self, batch: Vec<Settlement>, results: Vec<Settled>) -> Answers {
        let mut answers = Answers::default();
        for (settlement, result) in batch.into_iter().zip(results) {
            let key = {
                let (lane, entry) = settlement.entry();
                (lane, entry.clone())
            };
            answered(&self.partition, &settlement, &result);
            match result {
                Settled::Applied | Settled::Fenced => answers.ended.push(key),
                // The mutation `verification` leaves out the careful settlement.
                Settled::Epoch if mutated("verification") => answers.ended.push(key),
                Settled::Epoch => {
                    self.outdated |= settlement.history() == self.history.as_deref();
                    self.settlements.push(settlement.carefully());
                }
                Settled::Failed(error) => {
                    answers.failed = Some(error);
                    self.settlements.push(settlement);
                }
            }
        }
        if answers.failed.is_none() {
            self.pauses.after_success();
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use poolder_core::{Cause, Failure, JobId, Lane, QueueName, Undecodable};

    use super::*;
    use crate::process::limits::{FIRST_PAUSE, LONGEST_PAUSE};

    fn pending() -> PendingSettlements {
        PendingSettlements::new(Partition::first(QueueName::new("q").unwrap()))
    }

    fn settlement(entry: &str) -> Settlement {
        let found = Undecodable {
            lane: Lane::Normal,
            entry: entry.into(),
            id: JobId::from_bytes([1; 16]),
            reason: Failure::new(Cause::Undecodable, "no job"),
            raw: vec![],
        };
        Settlement::bury_undecodable(found, "node".into())
    }

    fn keys(answers: &Answers) -> Vec<&str> {
        answers.ended.iter().map(|(_, entry)| &**entry).collect()
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
}
