//! Calls of the whole public interface with extreme settings, drawn at random, on queues beside
//! those of the checked jobs. A setting that the documentation forbids must be refused as invalid,
//! with nothing stored; any other call must succeed once the server answers.

mod builders;
mod caller;
pub(crate) mod check;
mod draw;
mod jobs;
mod operator;
mod pools;
mod schedules;
mod several;

use std::time::Duration;

use poolder::Result;
use poolder::prelude::*;
use serde::{Deserialize, Serialize};

pub(crate) use caller::run;

use crate::child::Common;

/// The queue of jobs whose end is checked.
const JOBS: &str = "odd";
/// The queue whose jobs are removed, revived and moved at random.
const PLAYGROUND: &str = "odd-playground";
/// The queue of the addressed pool.
const SLOTS: &str = "odd-slots";
/// The queue of the broadcast pool.
const COPIES: &str = "odd-copies";
/// The name of the batcher, and its queue.
const BATCHER: &str = "odd-batches";
/// The usual size of the addressed pool, and the largest one that is asked for.
const SIZE: u16 = 3;
const LARGEST: u16 = 5;

/// The calls of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Extremes {
    pub(crate) calls: u64,
}

/// The instructions of a program that makes the calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Caller {
    pub(crate) common: Common,
    pub(crate) seed: u64,
    pub(crate) calls: u64,
    /// The time between two calls, in ms.
    pub(crate) pause: u64,
}

/// A job. It succeeds with its number as the result, or always fails.
#[derive(Debug, Clone, Serialize, Deserialize, Job)]
#[job(kind = "torture.odd", queue = "odd", attempts = 2, backoff = "50ms", crashes = 50)]
struct Odd {
    number: u64,
    fails: bool,
    /// Makes the payload large.
    padding: String,
}

/// Returns a job with a payload of at least this many bytes.
pub(crate) fn large(number: u64, bytes: usize) -> impl Job {
    Odd { number, fails: false, padding: "p".repeat(bytes) }
}

/// Takes the entries of a batch.
#[derive(Clone)]
pub(crate) struct Takes;

impl BatchWorker for Takes {
    type Entry = u64;

    async fn handle_batch(&mut self, batch: &mut Batch<u64>, _: Context) -> Result<Outcome> {
        while batch.next().await?.is_some() {}
        Ok(Done)
    }
}

impl Extremes {
    pub(crate) fn caller(&self, common: Common, seed: u64, span: Duration) -> Caller {
        let span = u64::try_from(span.as_millis()).unwrap_or(0);
        // A little faster than needed, so that calling ends before the faults do.
        Caller { common, seed, calls: self.calls, pause: span * 8 / 10 / self.calls.max(1) }
    }

    /// Returns all partitions of the queues, written `queue.0`.
    pub(crate) fn partitions() -> impl Iterator<Item = String> {
        let slots = (0..LARGEST).map(|slot| format!("{SLOTS}.{slot}"));
        [JOBS, PLAYGROUND, BATCHER, COPIES]
            .into_iter()
            .map(|queue| format!("{queue}.0"))
            .chain(slots)
    }

    /// Returns true for a partition of these queues, whose jobs may die and be cancelled.
    pub(crate) fn owns(partition: &str) -> bool {
        partition.starts_with(JOBS)
    }

    /// Returns true for a key that the calls leave: the cancellations of jobs that were not found,
    /// which are kept for 7 days, and the copies of the broadcast pool.
    pub(crate) fn keeps(key: &str, namespace: &str) -> bool {
        [PLAYGROUND, COPIES]
            .iter()
            .any(|queue| key == format!("{namespace}:{{{queue}.0}}:cancelled"))
            || key.starts_with(&format!("{namespace}:{{{COPIES}}}:broadcast"))
    }

    /// Returns the pools that a node runs.
    pub(crate) fn pools() -> impl Iterator<Item = Pool> {
        let worker = worker_fn(|job: Odd, _: Context| async move {
            if job.fails {
                return Err("it always fails".into());
            }
            Ok::<_, BoxError>(Outcome::result(&job.number)?)
        });
        let shared = [JOBS, PLAYGROUND].map(|queue| Pool::new(queue).size(2));
        let slots = Pool::new(SLOTS).size(SIZE).mode(Mode::RoundRobin);
        let copies = Pool::new(COPIES).size(1).mode(Mode::Broadcast);
        shared.into_iter().chain([slots, copies]).map(move |pool| pool.worker(worker.clone()))
    }

    /// Returns the batcher that a node runs.
    pub(crate) fn batcher() -> Batcher<Takes> {
        Batcher::new(BATCHER, Takes).with_options(options()).size(1)
    }
}

fn options() -> poolder::BatchOptions {
    poolder::BatchOptions::default()
        .limit(7)
        .timeout(Duration::from_secs(1))
        .policy(Policy::default().attempts(20).crashes(50))
}
