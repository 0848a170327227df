//! A program that enqueues its share of the jobs, notes what it is told about each, and when it
//! was killed goes on where its ledger ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use poolder::{Client, Durability, Error, Lane, Receipt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Producer as Orders;
use crate::job::{Step, queue, step};
use crate::ledger::{self, How, Ledger, Outcome, Record};
use crate::random::Random;

/// So many enqueues are on their way at a time.
const IN_FLIGHT: usize = 32;
/// So many go together in bulk.
const BULK: u64 = 20;
/// Within this time a repetition is the same job; clocks jump, and runs are shorter.
const WINDOW: Duration = Duration::from_secs(12 * 60 * 60);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn run(orders: Orders) -> Result<(), String> {
    let before = history(&orders).map_err(|error| error.to_string())?;
    let ledger = Ledger::open(&orders.common.file()).map_err(|error| error.to_string())?;
    ledger.write(Record::Up { name: orders.common.full_name(), pid: std::process::id() });
    let client = orders.common.client().map_err(|error| error.to_string())?;
    let shop = Arc::new(Shop { client, ledger, orders });
    let begun = Instant::now();
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut jobs = JoinSet::new();
    for (seq, past) in &before {
        if past.is_open() {
            // What was on its way when the process before was killed.
            shop.note(*seq, Outcome::Unknown, None);
        }
        if past.must_repeat() {
            let (shop, seq, how) = (Arc::clone(&shop), *seq, past.how);
            jobs.spawn(async move { shop.one(seq, how).await });
        }
    }
    let (first, count) = (shop.orders.first, shop.orders.count);
    let mut next = before.keys().next_back().map_or(first, |last| last + 1);
    for seq in (first..next).filter(|seq| !before.contains_key(seq)) {
        // Its turn had come, but the process before was killed before it said so.
        let (shop, how) = (Arc::clone(&shop), shop.way(seq));
        let how = if how == How::Bulk { How::Plain } else { how };
        jobs.spawn(async move { shop.one(seq, how).await });
    }
    let resumed = next;
    while next < first + count {
        let due = Duration::from_secs_f64((next - resumed) as f64 / shop.orders.rate.max(0.001));
        tokio::time::sleep_until(begun + due).await;
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
        let how = shop.way(next);
        let some = if how == How::Bulk { BULK.min(first + count - next) } else { 1 };
        let (shop, seq) = (Arc::clone(&shop), next);
        jobs.spawn(async move {
            if how == How::Bulk {
                shop.bulk(seq, some).await;
            } else {
                shop.one(seq, how).await;
            }
            drop(permit);
        });
        next += some;
        while jobs.try_join_next().is_some() {}
    }
    while jobs.join_next().await.is_some() {}
    Ok(())
}

/// What the processes before this one have noted of a job.
#[derive(Debug, Clone, Copy)]
struct Past {
    how: How,
    /// The outcome of the last try, if it was noted.
    last: Option<Outcome>,
}

impl Past {
    fn is_open(self) -> bool {
        self.last.is_none()
    }

    /// The promise of an idempotent enqueue holds across processes; what was refused was not done.
    fn must_repeat(self) -> bool {
        match self.last {
            Some(Outcome::Ok) => false,
            Some(Outcome::Failed) => true,
            Some(Outcome::Unknown) | None => self.how.is_idempotent(),
        }
    }
}

fn history(orders: &Orders) -> std::io::Result<BTreeMap<u64, Past>> {
    let mut known = BTreeMap::new();
    for incarnation in 1..orders.common.incarnation {
        let common = super::Common { incarnation, ..orders.common.clone() };
        // One that was killed at once has no file.
        let Ok(lines) = ledger::read(&common.file()) else { continue };
        for line in lines {
            match line.record {
                Record::Invoke { seq, how, .. } => {
                    known.insert(seq, Past { how, last: None });
                }
                Record::Stored { seq, outcome, .. } => {
                    if let Some(past) = known.get_mut(&seq) {
                        past.last = Some(outcome);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(known)
}

struct Shop {
    client: Client,
    ledger: Ledger,
    orders: Orders,
}

impl Shop {
    fn job(&self, seq: u64) -> Step {
        let Orders { seed, millis, killers, acts, .. } = &self.orders;
        let mut job = step(*seed, seq, *millis, *killers);
        if !acts.is_empty() {
            // Drills know what their jobs do, and for how long.
            job.act = Random::new(*seed ^ seq, 4).pick(acts);
            job.millis = *millis;
        }
        job
    }

    /// How a job is enqueued: a function of its number.
    fn way(&self, seq: u64) -> How {
        let mut random = Random::new(self.orders.seed ^ seq.rotate_left(17), 3);
        if !self.orders.ways.is_empty() {
            return random.pick(&self.orders.ways);
        }
        match random.between(0, 99) {
            0..50 => How::Plain,
            50..54 => How::Bulk,
            54..62 => How::Later,
            62..90 => How::Idempotent,
            _ => How::IdempotentLater,
        }
    }

    fn lane(seq: u64) -> Lane {
        match seq % 10 {
            0 | 1 => Lane::High,
            2 | 3 => Lane::Low,
            _ => Lane::Normal,
        }
    }

    fn note(&self, seq: u64, outcome: Outcome, job: Option<String>) {
        self.ledger.write(Record::Stored { seq, outcome, job });
    }

    /// Enqueues one job, again and again while that cannot make it two.
    async fn one(&self, seq: u64, how: How) {
        loop {
            let job = self.job(seq);
            self.ledger.write(Record::Invoke { seq, act: job.act, how });
            let mut enqueue = self.client.enqueue(job).lane(Self::lane(seq));
            enqueue = enqueue.queue(queue(seq % self.orders.common.queues.max(1) as u64));
            if matches!(how, How::Later | How::IdempotentLater) {
                enqueue = enqueue.after(Duration::from_millis(100 + seq % 30 * 100));
            }
            if self.orders.replicas > 0 {
                enqueue = enqueue.durability(Durability::replicated(self.orders.replicas));
            }
            if how.is_idempotent() {
                enqueue = enqueue.id(format!("job-{seq}")).idempotent(WINDOW);
            }
            let outcome = self.conclude(seq, enqueue.await);
            if !(Past { how, last: Some(outcome) }).must_repeat() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn bulk(&self, first: u64, count: u64) {
        let numbers: Vec<u64> = (first..first + count).collect();
        for seq in &numbers {
            let act = self.job(*seq).act;
            self.ledger.write(Record::Invoke { seq: *seq, act, how: How::Bulk });
        }
        let results = self.client.enqueue_many(numbers.iter().map(|seq| self.job(*seq))).await;
        for (seq, result) in numbers.into_iter().zip(results) {
            if self.conclude(seq, result) == Outcome::Failed {
                tokio::time::sleep(PAUSE).await;
                self.one(seq, How::Plain).await;
            }
        }
    }

    fn conclude(&self, seq: u64, result: Result<Receipt, Error>) -> Outcome {
        let (outcome, job) = match result {
            Ok(receipt) => (Outcome::Ok, Some(receipt.job)),
            Err(error) if error.is_unknown() => (Outcome::Unknown, error.job_id()),
            Err(error) if error.is_refused() => (Outcome::Failed, error.job_id()),
            Err(error) => {
                // Neither: nobody promised anything, so that it may or may not be there.
                eprintln!("torture: {}: job {seq}: {error}", self.orders.common.full_name());
                (Outcome::Unknown, error.job_id())
            }
        };
        self.note(seq, outcome, job.map(|job| job.to_string()));
        outcome
    }
}
