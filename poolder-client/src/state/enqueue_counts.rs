//! Counts the jobs that this process enqueues, by queue, kind and outcome, once it is asked to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use poolder_core::broker::Receipt;
use poolder_core::metrics::{MetricsText, catalogue};
use poolder_core::{Error, QueueName};

/// The most kinds of a queue, and the most queues, that are counted by name. All others are counted
/// as [`OTHER`].
const MAX_KINDS: usize = 200;
const MAX_QUEUES: usize = 1_000;
const OTHER: &str = "other";

/// The outcomes of an enqueue, in the order of their counts.
const OUTCOMES: [&str; 4] = ["stored", "again", "refused", "unknown"];

/// The jobs that this process has enqueued.
#[derive(Debug, Default)]
pub(crate) struct EnqueueCounts {
    counts: AtomicBool,
    queues: Mutex<BTreeMap<String, BTreeMap<String, [u64; OUTCOMES.len()]>>>,
}

impl EnqueueCounts {
    /// Counts from now on.
    pub(crate) fn begin(&self) {
        self.counts.store(true, Ordering::Relaxed);
    }

    /// Counts an enqueue of a job of this kind.
    pub(crate) fn add(&self, queue: &QueueName, kind: &str, result: &Result<Receipt, Error>) {
        if !self.counts.load(Ordering::Relaxed) {
            return;
        }
        let outcome = match result {
            Ok(receipt) if receipt.is_duplicate() => 1,
            Ok(_) => 0,
            Err(error) if error.is_unknown() => 3,
            Err(_) => 2,
        };
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let kinds = entry(&mut queues, queue.as_str(), MAX_QUEUES);
        entry(kinds, kind, MAX_KINDS)[outcome] += 1;
    }

    /// Calls `each` with every queue, kind, outcome and number. Enqueues wait meanwhile.
    pub(crate) fn each(&self, mut each: impl FnMut(&str, &str, &'static str, u64)) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for (queue, kinds) in &*queues {
            for (kind, counts) in kinds {
                let counts = OUTCOMES.iter().zip(counts).filter(|(_, times)| **times > 0);
                counts.for_each(|(outcome, times)| each(queue, kind, outcome, *times));
            }
        }
    }

    /// Writes the counts.
    pub(crate) fn write(&self, text: &mut MetricsText) {
        text.describe(&catalogue::JOBS_ENQUEUED);
        self.each(|queue, kind, outcome, times| text.sample(&[queue, kind, outcome], times));
    }
}

/// Returns the value of a name, or that of the other names where there are too many.
fn entry<'a, V: Default>(map: &'a mut BTreeMap<String, V>, name: &str, most: usize) -> &'a mut V {
    let name = if map.contains_key(name) || map.len() < most { name } else { OTHER };
    if !map.contains_key(name) {
        map.insert(name.to_owned(), V::default());
    }
    map.get_mut(name).expect("it was inserted")
}

#[cfg(test)]
mod tests {
    use poolder_core::broker::Stored;
    use poolder_core::{JobId, Lane, Partition, Timestamp};

    use super::*;

    fn text(counts: &EnqueueCounts) -> Vec<String> {
        let mut text = MetricsText::default();
        counts.write(&mut text);
        text.finish().lines().skip(2).map(str::to_owned).collect()
    }

    fn receipt(queue: &QueueName, stored: Stored) -> Result<Receipt, Error> {
        Ok(Receipt::new(JobId::generate(), Partition::first(queue.clone()), Lane::Normal, stored))
    }

    #[test]
    fn enqueues_are_counted_by_outcome_once_it_has_begun() {
        let (counts, queue) = (EnqueueCounts::default(), QueueName::new("mail").unwrap());
        let later = || receipt(&queue, Stored::Due(Timestamp::from_millis(1)));
        counts.add(&queue, "welcome", &later());
        assert!(text(&counts).is_empty(), "it has not begun");
        counts.begin();
        counts.add(&queue, "welcome", &later());
        counts.add(&queue, "welcome", &later());
        counts.add(&queue, "welcome", &receipt(&queue, Stored::Already));
        counts.add(&queue, "welcome", &Err(Error::unknown("lost")));
        counts.add(&queue, "bye", &Err(Error::refused("away")));
        let line = |kind, outcome, times| {
            format!(
                "poolder_jobs_enqueued_total\
                 {{queue=\"mail\",kind=\"{kind}\",outcome=\"{outcome}\"}} {times}"
            )
        };
        assert_eq!(
            text(&counts),
            [
                line("bye", "refused", 1),
                line("welcome", "stored", 2),
                line("welcome", "again", 1),
                line("welcome", "unknown", 1),
            ]
        );
    }

    #[test]
    fn names_are_bounded() {
        let counts = EnqueueCounts::default();
        counts.begin();
        for queue in 0..3 * MAX_QUEUES {
            let queue = QueueName::new(format!("q{queue}")).unwrap();
            counts.add(&queue, "k", &receipt(&queue, Stored::Already));
        }
        let queue = QueueName::new("q0").unwrap();
        for kind in 0..3 * MAX_KINDS {
            counts.add(&queue, &format!("k{kind}"), &receipt(&queue, Stored::Already));
        }
        let lines = text(&counts);
        assert_eq!(lines.len(), (MAX_QUEUES + 1) + MAX_KINDS);
        let others = lines.iter().filter(|line| line.contains("=\"other\""));
        let counted: u64 =
            others.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        assert_eq!(counted, 2 * MAX_QUEUES as u64 + 2 * MAX_KINDS as u64 + 1);
    }
}
