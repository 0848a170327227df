//! A program that enqueues its share of the jobs and records the outcome of each. After a kill, the
//! next process continues where the ledger ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use poolder::{Client, Durability, Error, Lane, Receipt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Producer as Instructions;
use crate::job::{Step, queue, step};
use crate::ledger::{self, How, Ledger, Outcome, Record};
use crate::random::Random;

/// The number of concurrent enqueues.
const IN_FLIGHT: usize = 32;
/// The number of jobs in one bulk call.
const BULK: u64 = 20;
/// The time within which a repetition is the same job. Longer than any run plus the jumps of the
/// clock.
const WINDOW: Duration = Duration::from_secs(12 * 60 * 60);
/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn run(instructions: Instructions) -> Result<(), String> {
    let before = history(&instructions).map_err(|error| error.to_string())?;
    let ledger = Ledger::open(&instructions.common.file()).map_err(|error| error.to_string())?;
    ledger.write(Record::Up { name: instructions.common.full_name(), pid: std::process::id() });
    let client = instructions.common.client().map_err(|error| error.to_string())?;
    let enqueues = Arc::new(Enqueues { client, ledger, instructions });
    let begun = Instant::now();
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut jobs = JoinSet::new();
    for (seq, past) in &before {
        if past.is_open() {
            // This enqueue was under way when the previous process was killed.
            enqueues.note(*seq, Outcome::Unknown, None);
        }
        if past.must_repeat() {
            let (enqueues, seq, how) = (Arc::clone(&enqueues), *seq, past.how);
            jobs.spawn(async move { enqueues.one(seq, how).await });
        }
    }
    let (first, count) = (enqueues.instructions.first, enqueues.instructions.count);
    let mut next = before.keys().next_back().map_or(first, |last| last + 1);
    for seq in (first..next).filter(|seq| !before.contains_key(seq)) {
        // The previous process was killed before it recorded that it had started this job.
        let (enqueues, how) = (Arc::clone(&enqueues), enqueues.way(seq));
        let how = if how == How::Bulk { How::Plain } else { how };
        jobs.spawn(async move { enqueues.one(seq, how).await });
    }
    let resumed = next;
    while next < first + count {
        let due = Duration::from_secs_f64(
            (next - resumed) as f64 / enqueues.instructions.rate.max(0.001),
        );
        tokio::time::sleep_until(begun + due).await;
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
        let how = enqueues.way(next);
        let some = if how == How::Bulk { BULK.min(first + count - next) } else { 1 };
        let (enqueues, seq) = (Arc::clone(&enqueues), next);
        jobs.spawn(async move {
            if how == How::Bulk {
                enqueues.bulk(seq, some).await;
            } else {
                enqueues.one(seq, how).await;
            }
            drop(permit);
        });
        next += some;
        while jobs.try_join_next().is_some() {}
    }
    while jobs.join_next().await.is_some() {}
    Ok(())
}

/// The records of earlier processes about a job.
#[derive(Debug, Clone, Copy)]
struct Past {
    how: How,
    /// The outcome of the last try, if it was recorded.
    last: Option<Outcome>,
}

impl Past {
    fn is_open(self) -> bool {
        self.last.is_none()
    }

    /// Returns true for a refused job, and for an idempotent one of unknown outcome: its id holds
    /// across processes.
    fn must_repeat(self) -> bool {
        match self.last {
            Some(Outcome::Ok) => false,
            Some(Outcome::Failed) => true,
            Some(Outcome::Unknown) | None => self.how.is_idempotent(),
        }
    }
}

fn history(instructions: &Instructions) -> std::io::Result<BTreeMap<u64, Past>> {
    let mut known = BTreeMap::new();
    for incarnation in 1..instructions.common.incarnation {
        let common = super::Common { incarnation, ..instructions.common.clone() };
        // A process that was killed at once has no file.
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

struct Enqueues {
    client: Client,
    ledger: Ledger,
    instructions: Instructions,
}

impl Enqueues {
    fn job(&self, seq: u64) -> Step {
        let Instructions { seed, millis, killers, acts, .. } = &self.instructions;
        let mut job = step(*seed, seq, *millis, *killers);
        if !acts.is_empty() {
            // Drills determine the ends of jobs and how long they take.
            job.act = Random::new(*seed ^ seq, 4).pick(acts);
            job.millis = *millis;
        }
        job
    }

    /// Returns the way in which a job is enqueued, which follows from its number.
    fn way(&self, seq: u64) -> How {
        let mut random = Random::new(self.instructions.seed ^ seq.rotate_left(17), 3);
        if !self.instructions.ways.is_empty() {
            return random.pick(&self.instructions.ways);
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

    /// Enqueues one job, and repeats that as long as a repetition cannot store it twice.
    async fn one(&self, seq: u64, how: How) {
        loop {
            let job = self.job(seq);
            self.ledger.write(Record::Invoke { seq, act: job.act, how });
            let mut enqueue = self.client.enqueue(job).lane(Self::lane(seq));
            enqueue = enqueue.queue(queue(seq % self.instructions.common.queues.max(1) as u64));
            if matches!(how, How::Later | How::IdempotentLater) {
                enqueue = enqueue.after(Duration::from_millis(100 + seq % 30 * 100));
            }
            if self.instructions.replicas > 0 {
                enqueue = enqueue.durability(Durability::replicated(self.instructions.replicas));
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
                // Neither refused nor unknown: the job may or may not be stored.
                eprintln!("torture: {}: job {seq}: {error}", self.instructions.common.full_name());
                (Outcome::Unknown, error.job_id())
            }
        };
        self.note(seq, outcome, job.map(|job| job.to_string()));
        outcome
    }
}
