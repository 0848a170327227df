//! The events of this node that are not yet in the journal of the fleet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use poolder_core::history::{JournalEvent, JournalRecord};
use tokio::sync::Notify;

/// The most events that wait to be written; further ones are only counted.
const MOST: usize = 256;

/// Takes events from all parts of the node, for the service that writes them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal(Arc<State>);

#[derive(Debug, Default)]
struct State {
    waiting: Mutex<Waiting>,
    noted: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<JournalRecord>,
    /// The number of events that found no room.
    lost: u64,
}

impl Journal {
    /// Adds an event. Never waits.
    pub(crate) fn note(&self, record: JournalRecord) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.records.len() < MOST {
            waiting.records.push_back(record);
        } else {
            waiting.lost += 1;
        }
        drop(waiting);
        self.0.noted.notify_one();
    }

    /// Waits until an event was added since the last call.
    pub(crate) async fn noted(&self) {
        self.0.noted.notified().await;
    }

    /// Takes the first event that waits to be written. Behind the last one comes the number of
    /// those that found no room.
    pub(crate) fn next(&self) -> Option<JournalRecord> {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.records.pop_front().or_else(|| {
            let lost = std::mem::take(&mut waiting.lost);
            (lost > 0).then(|| JournalRecord::new(JournalEvent::Lost).count(lost))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_wait_in_their_order_and_those_beyond_the_limit_are_counted() {
        let journal = Journal::default();
        assert!(journal.next().is_none());
        for number in 0..300 {
            journal.note(JournalRecord::new(JournalEvent::Suspect).job(number));
        }
        let taken: Vec<JournalRecord> = std::iter::from_fn(|| journal.next()).collect();
        assert_eq!((taken.len(), &*taken[0].job, &*taken[255].job), (257, "0", "255"));
        assert_eq!((taken[256].event, taken[256].count), (JournalEvent::Lost, 44));
    }
}
