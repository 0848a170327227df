//! Works off the jobs of a test's queue.

use std::collections::BTreeSet;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use poolder_core::captured::JobNumber;
use poolder_core::policy::decide::Transition;
use poolder_core::{Claim, Partition, QueueName, batcher_of};

use super::expect::table;
use super::queue_node::{How, QueueNode};
use super::run::Fate;

/// Default of [`Drain::at_most`].
const MOST: u64 = 1_000;

/// Works off the jobs of a [`TestQueue`](super::TestQueue), made by [`QueueNode::drain`]. Awaiting
/// it runs the jobs that are ready now, each once, one after the other, and returns the [`Sums`].
///
/// The better lanes come first, and jobs of a lane in their order. Jobs of queues that the node does
/// not serve stay.
#[derive(Debug)]
#[must_use = "jobs run when this is awaited"]
pub struct Drain<'a> {
    node: &'a QueueNode,
    due: bool,
    recursive: bool,
    most: u64,
}

/// How many attempts of a drain ended in which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Sums {
    /// Jobs that are done.
    pub done: u64,
    /// Attempts that failed and are followed by another one.
    pub retried: u64,
    /// Jobs that were put off by their handlers.
    pub snoozed: u64,
    /// Jobs that died.
    pub dead: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Jobs of a kind or a version that no worker of their pool knows.
    pub unknown: u64,
    /// Deaths of which a hook was told that failed (`on_dead`).
    pub failed_hooks: u64,
}

impl QueueNode {
    /// Runs the jobs of the queue that the node serves, when awaited, and returns how many ended in
    /// which way. See [`Drain`] for what it includes.
    pub fn drain(&self) -> Drain<'_> {
        Drain::new(self)
    }
}

impl<'a> Drain<'a> {
    fn new(node: &'a QueueNode) -> Self {
        Self { node, due: false, recursive: false, most: MOST }
    }

    /// Includes the jobs that wait for their time: delayed ones, retries, snoozed ones, and entries
    /// that gather for a batch with a timeout. The clock moves to the time of each. Jobs of a kind
    /// that no worker knows are not waited for.
    pub fn with_due(mut self) -> Self {
        self.due = true;
        self
    }

    /// Includes the jobs that are enqueued while the drain runs, by handlers, or by the ticks of a
    /// schedule that the clock passes.
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }

    /// Sets after how many attempts the drain panics. Default 1,000.
    pub fn at_most(mut self, attempts: u64) -> Self {
        self.most = attempts;
        self
    }

    async fn run(self) -> Sums {
        let Self { node, due, recursive, most } = self;
        let captured = node.captured();
        let queues = node.pools().iter().map(|pool| pool.plan.spec.queue.clone());
        let mut queues: Vec<QueueName> = queues.collect();
        let last = captured.last_number();
        let included = |number: JobNumber, kind: &str| {
            recursive || number <= last || (due && batcher_of(kind).is_some())
        };
        let (mut sums, mut attempts) = (Sums::default(), 0);
        // The jobs that have run and are not run again.
        let mut left = BTreeSet::new();
        loop {
            let wanted = |number, kind: &str| included(number, kind) && !left.contains(&number);
            let Some((number, partition, claim)) = captured.claim(&queues, wanted) else {
                let wanted = |number| (recursive || number <= last) && !left.contains(&number);
                match captured.next_due(&queues, wanted).filter(|_| due) {
                    Some(due) => captured.advance_to(due),
                    None => return sums,
                }
                continue;
            };
            if attempts == most {
                captured.unclaim(number);
                let jobs = captured.jobs().into_iter();
                let rest: Vec<_> = jobs.filter(|job| !job.has_ended()).collect();
                panic!(
                    "the drain has made {most} attempts and is not at its end: a job may enqueue \
                     itself without end; else allow more with at_most(…). Left are:\n{}",
                    table(&rest)
                );
            }
            attempts += 1;
            let stops = if captured.is_broadcast(number) {
                self.broadcast(&partition, number, &claim, &mut sums).await;
                false
            } else {
                let how = How { once: true, jitter: 0.0, copy: 0 };
                let end = node.run(&partition, number, claim, how).await;
                sums.failed_hooks += u64::from(end.hook_error.is_some());
                let fate = Fate::of(&end.transition).0;
                let again = matches!(fate, Fate::Retried(_) | Fate::Snoozed(_) | Fate::Released);
                if !(due && again) {
                    left.insert(number);
                }
                sums.add(&fate);
                end.stops_pool
            };
            if stops {
                queues.retain(|queue| *queue != partition.queue);
            }
        }
    }

    /// Runs a copy of a broadcast in each slot of the pool.
    async fn broadcast(
        &self,
        partition: &Partition,
        number: JobNumber,
        claim: &Claim,
        sums: &mut Sums,
    ) {
        let captured = self.node.captured();
        for slot in 0..self.node.pool(&partition.queue).plan.size {
            let mut copy = claim.clone();
            loop {
                let how = How { once: false, jitter: 0.0, copy: slot };
                let end = self.node.run(partition, number, copy.clone(), how).await;
                sums.add(&Fate::of(&end.transition).0);
                // A copy waits in its slot for its next attempt.
                let Transition::Later { delay, counters, .. } = end.transition else { break };
                captured.advance(delay);
                copy.counters = counters;
            }
        }
        captured.end_broadcast(number);
    }
}

impl Sums {
    fn add(&mut self, fate: &Fate) {
        *match fate {
            Fate::Done => &mut self.done,
            Fate::Retried(_) => &mut self.retried,
            Fate::Snoozed(_) | Fate::Limited(_) => &mut self.snoozed,
            Fate::Dead => &mut self.dead,
            Fate::Cancelled(_) => &mut self.cancelled,
            Fate::Unknown => &mut self.unknown,
            // The node of a test releases nothing.
            Fate::Released => return,
        } += 1;
    }
}

impl<'a> IntoFuture for Drain<'a> {
    type Output = Sums;
    type IntoFuture = Pin<Box<dyn Future<Output = Sums> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
