//! How many jobs of a queue waited, ran and were dead over time: the gauges of a queue.

use std::time::Duration;

use serde::Serialize;

use super::counts::Counts;
use crate::job::{QueueName, Timestamp, as_millis};

/// The jobs of a queue at the end of a period, over all its partitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueueGauges {
    /// Jobs that waited for a free slot.
    pub ready: u64,
    /// Jobs that nodes had claimed.
    pub running: u64,
    /// Jobs that waited for their time, those for another attempt included.
    pub due: u64,
    /// Jobs that waited for another attempt.
    pub retrying: u64,
    /// Dead jobs.
    pub dead: u64,
    /// Suspects that waited or ran.
    pub suspects: u64,
    /// The slots of all nodes that served the queue.
    pub slots: u64,
}

impl QueueGauges {
    /// Returns the sum of the gauges of two partitions.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let sum = |of: fn(&Self) -> u64| of(self).saturating_add(of(other));
        Self {
            ready: sum(|it| it.ready),
            running: sum(|it| it.running),
            due: sum(|it| it.due),
            retrying: sum(|it| it.retrying),
            dead: sum(|it| it.dead),
            suspects: sum(|it| it.suspects),
            slots: sum(|it| it.slots),
        }
    }

    /// Returns the stored form: the value of each gauge at its index.
    pub(crate) fn counts(&self) -> Counts {
        let Self { ready, running, due, retrying, dead, suspects, slots } = *self;
        Counts::gauges([ready, running, due, retrying, dead, suspects, slots])
    }

    /// Reads the stored form.
    pub(crate) fn read(counts: &Counts) -> Self {
        let [ready, running, due, retrying, dead, suspects, slots] = counts.read_gauges();
        Self { ready, running, due, retrying, dead, suspects, slots }
    }
}

/// The gauges of a queue over a time, in periods of equal length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueueHistory {
    /// The queue.
    pub queue: QueueName,
    /// The length of a period.
    #[serde(serialize_with = "as_millis")]
    pub step: Duration,
    /// The periods that have a sample, the earliest first.
    pub points: Vec<QueuePoint>,
}

/// The gauges of a queue in one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueuePoint {
    /// The start of the period.
    pub at: Timestamp,
    /// The last sample of the period.
    #[serde(flatten)]
    pub gauges: QueueGauges,
}

impl QueueHistory {
    /// Creates the history of a queue.
    pub(crate) fn new(queue: QueueName, step: Duration, points: Vec<QueuePoint>) -> Self {
        Self { queue, step, points }
    }
}

impl QueuePoint {
    /// Creates a point of a history.
    pub(crate) fn new(at: Timestamp, gauges: QueueGauges) -> Self {
        Self { at, gauges }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_read_back_and_other_counts_are_none() {
        let none = QueueGauges::default();
        let full = QueueGauges {
            ready: u64::MAX,
            running: 1,
            due: 2,
            retrying: 3,
            dead: 4,
            suspects: 0,
            slots: 6,
        };
        for gauges in [none, full] {
            let stored = Counts::decode(&gauges.counts().encode()).unwrap();
            assert_eq!(QueueGauges::read(&stored), gauges);
        }
        assert_eq!(QueueGauges::read(&Counts::seen(7)), none);
    }
}
