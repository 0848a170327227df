//! The state of a queue, and of each of its partitions, at one moment.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::time::Duration;

use serde::Serialize;

use crate::job::{Error, Lane, Partition, QueueName, Timestamp};

/// The state of a queue at one moment: the sums over all its partitions. A shared queue has one
/// partition, an addressed pool one per slot that it ever had. It has the fields of [`QueueState`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueueView {
    /// The queue.
    pub queue: QueueName,
    /// The sums over the partitions that were read. The time, the pause and the leader are those of
    /// the first partition: each slot of an addressed pool is led by its holder.
    #[serde(flatten)]
    pub state: QueueState,
    /// The partitions that were read, in order of their numbers.
    pub partitions: Vec<PartitionView>,
    /// The partitions that could not be read: their jobs are in none of the numbers.
    pub unreachable: Vec<Unreachable>,
}

/// The state of a partition of a queue at one moment. It has the fields of [`QueueState`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PartitionView {
    /// The partition.
    pub partition: Partition,
    /// Its state. The first partition knows the pause of the queue.
    #[serde(flatten)]
    pub state: QueueState,
}

/// The state of a queue or of one of its partitions at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueueState {
    /// The time of the view, by the server's clock.
    pub now: Timestamp,
    /// The time at which the queue was paused, since when nothing is claimed; `None` when it is not
    /// paused.
    pub paused: Option<Timestamp>,
    /// The lanes, the best first.
    pub lanes: Vec<LaneView>,
    /// The number of jobs of a limited queue that wait in their groups.
    pub grouped: u64,
    /// The number of jobs that wait until they are due, including those that wait for a retry.
    pub due: u64,
    /// The number of jobs in `due` that wait for a retry.
    pub retrying: u64,
    /// The time at which the next job or timer in `due` is due; `None` when there is none.
    pub next_due: Option<Timestamp>,
    /// The number of dead jobs.
    pub dead: u64,
    /// The number of finished jobs that are kept.
    pub finished: u64,
    /// The number of stored cancellations. Each stays until its job has ended; that of an id which
    /// is derived from a name stays for 7 days, since other jobs may have the id.
    pub pending_cancels: u64,
    /// The leader, which promotes, rescues and prunes; `None` when there is none.
    pub leader: Option<LeaderView>,
    /// The counters by name: `completed`, `retried`, `buried`, `cancelled`, …
    pub counters: BTreeMap<String, u64>,
}

impl Deref for QueueView {
    type Target = QueueState;

    fn deref(&self) -> &QueueState {
        &self.state
    }
}

impl Deref for PartitionView {
    type Target = QueueState;

    fn deref(&self) -> &QueueState {
        &self.state
    }
}

/// The state of a lane at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LaneView {
    /// The lane.
    pub lane: Lane,
    /// The number of jobs that wait for a free slot.
    pub ready: u64,
    /// The number of jobs that nodes have claimed.
    pub running: u64,
    /// The time at which the first waiting job entered the lane; `None` when no job waits.
    pub oldest: Option<Timestamp>,
}

/// The leader of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LeaderView {
    /// The name of the node.
    pub node: String,
    /// The term of the leader, counted from 1.
    pub term: u64,
    /// The end of the lease, unless the node renews it.
    pub until: Timestamp,
}

/// A partition that could not be read, since its server does not answer, or refuses the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unreachable {
    /// The partition.
    pub partition: Partition,
    /// The error, as text.
    pub why: String,
}

impl Unreachable {
    /// Returns the note that a partition could not be read because of this error.
    #[must_use]
    pub fn new(partition: Partition, why: &Error) -> Self {
        Self { partition, why: why.to_string() }
    }
}

impl QueueView {
    /// Returns the sums of these partitions, which are in order of their numbers.
    pub(crate) fn of(
        queue: QueueName,
        partitions: Vec<PartitionView>,
        unreachable: Vec<Unreachable>,
    ) -> Self {
        let mut state = QueueState::empty(partitions.first().map(|part| part.now));
        partitions.iter().for_each(|part| state.add(part));
        Self { queue, state, partitions, unreachable }
    }
}

impl QueueState {
    /// Returns the state of a queue without a job.
    fn empty(now: Option<Timestamp>) -> Self {
        let none = |lane| LaneView { lane, ready: 0, running: 0, oldest: None };
        Self {
            now: now.unwrap_or_default(),
            paused: None,
            lanes: Lane::ALL.into_iter().map(none).collect(),
            grouped: 0,
            due: 0,
            retrying: 0,
            next_due: None,
            dead: 0,
            finished: 0,
            pending_cancels: 0,
            leader: None,
            counters: BTreeMap::new(),
        }
    }

    /// Adds the state of a partition.
    fn add(&mut self, part: &PartitionView) {
        for (sum, lane) in self.lanes.iter_mut().zip(&part.lanes) {
            add(&mut sum.ready, lane.ready);
            add(&mut sum.running, lane.running);
            sum.oldest = earlier(sum.oldest, lane.oldest);
        }
        add(&mut self.grouped, part.grouped);
        add(&mut self.due, part.due);
        add(&mut self.retrying, part.retrying);
        add(&mut self.dead, part.dead);
        add(&mut self.finished, part.finished);
        add(&mut self.pending_cancels, part.pending_cancels);
        self.next_due = earlier(self.next_due, part.next_due);
        if part.partition.index == 0 {
            (self.paused, self.leader) = (part.paused, part.leader.clone());
        }
        for (name, count) in &part.counters {
            add(self.counters.entry(name.clone()).or_default(), *count);
        }
    }

    /// Returns the number of jobs that wait for a free slot, in all lanes and groups.
    #[must_use]
    pub fn ready(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.ready).fold(self.grouped, u64::saturating_add)
    }

    /// Returns the number of jobs that nodes have claimed, in all lanes.
    #[must_use]
    pub fn running(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.running).fold(0, u64::saturating_add)
    }

    /// Returns how long the first waiting job of all lanes has been in its lane.
    #[must_use]
    pub fn oldest(&self) -> Option<Duration> {
        let first = self.lanes.iter().filter_map(|lane| lane.oldest).min();
        first.map(|oldest| self.now.since(oldest))
    }

    /// Returns the view of a lane.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> LaneView {
        let none = LaneView { lane, ready: 0, running: 0, oldest: None };
        self.lanes.iter().copied().find(|view| view.lane == lane).unwrap_or(none)
    }

    /// Returns a counter, 0 when it was never counted. Counters only grow, but for
    /// `retrying`, the number of jobs in `due` that wait for another attempt.
    ///
    /// | counter | counts |
    /// |---|---|
    /// | `completed`, `retried`, `snoozed`, `buried`, `cancelled` | ends of attempts and jobs |
    /// | `limited` | attempts that met a limit of another system |
    /// | `rescued` | jobs that were taken back from dead nodes |
    /// | `handed_back` | jobs that a node released before they ran, or when it stopped |
    /// | `expired` | jobs that did not start in time |
    /// | `not_for_us` | jobs of a kind that no worker there knew |
    /// | `moved` | jobs that left a slot in which their key no longer belongs |
    /// | `revived`, `rescheduled`, `deleted` | changes by operators |
    /// | `dead_dropped` | dead jobs beyond the limit |
    /// | `broadcast_delivered`, `broadcast_failed`, `broadcast_missed` | copies of broadcasts |
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }
}

/// The names of all counters of a queue, which [`QueueState::counter`] describes, and of the copies
/// of broadcasts.
#[doc(hidden)]
pub const COUNTERS: &[&str] = &[
    "broadcast_delivered",
    "broadcast_failed",
    "broadcast_missed",
    "buried",
    "cancelled",
    "completed",
    "dead_dropped",
    "deleted",
    "expired",
    "handed_back",
    "limited",
    "moved",
    "not_for_us",
    "rescheduled",
    "rescued",
    "retried",
    "retrying",
    "revived",
    "snoozed",
];

/// Adds a number that was read from the server, which may be anything.
fn add(sum: &mut u64, count: u64) {
    *sum = sum.saturating_add(count);
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(index: u16, ready: u64, oldest: Option<i64>) -> PartitionView {
        let queue = QueueName::new("q").unwrap();
        let at = oldest.map(Timestamp::from_millis);
        PartitionView {
            partition: Partition { queue, index },
            state: QueueState {
                paused: (index == 0).then(|| Timestamp::from_millis(5)),
                lanes: vec![LaneView { lane: Lane::Front, ready, running: 2, oldest: at }],
                grouped: 1,
                due: 3,
                retrying: 1,
                next_due: at,
                dead: u64::MAX,
                counters: BTreeMap::from([("completed".into(), 7)]),
                ..QueueState::empty(Some(Timestamp::from_millis(100)))
            },
        }
    }

    #[test]
    fn a_queue_is_the_sum_of_its_partitions() {
        let queue = QueueName::new("q").unwrap();
        let parts = vec![part(0, 5, Some(60)), part(1, 4, Some(40)), part(2, 0, None)];
        let view = QueueView::of(queue.clone(), parts, vec![]);
        assert_eq!((view.ready(), view.running(), view.due, view.retrying), (12, 6, 9, 3));
        assert_eq!(view.oldest(), Some(Duration::from_millis(60)));
        assert_eq!(view.next_due, Some(Timestamp::from_millis(40)));
        assert_eq!(
            (view.dead, view.counter("completed")),
            (u64::MAX, 21),
            "hostile numbers add up"
        );
        assert_eq!(view.paused, Some(Timestamp::from_millis(5)));
        assert_eq!(view.lane(Lane::Low).ready, 0);
        let none = QueueView::of(queue, vec![], vec![]);
        assert_eq!((none.ready(), none.oldest(), none.lanes.len()), (0, None, 5));
    }
}
