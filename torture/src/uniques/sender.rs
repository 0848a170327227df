//! A program that enqueues unique jobs: those of a key one after the other, with many keys at a
//! time. It records each answer, and cancels some of the jobs. After a kill, the next process
//! continues where the ledger ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use poolder::{Cancellation, Client, Durability, Error, Place, Receipt, Stored};
use tokio::task::JoinSet;

use super::job::{Rule, Single};
use super::{Answer, Sender};
use crate::ledger::{self, Ledger, Record};
use crate::random::Random;

/// Of a hundred jobs that are stored, this many are cancelled by their sender.
const WITHDRAWN: u64 = 4;

pub(crate) async fn run(instructions: Sender) -> Result<(), String> {
    let past = past(&instructions);
    let ledger = Ledger::open(&instructions.common.file()).map_err(|error| error.to_string())?;
    ledger.write(Record::Up { name: instructions.common.full_name(), pid: std::process::id() });
    let client = instructions.common.client().map_err(|error| error.to_string())?;
    let sends = Arc::new(Sends { client, ledger, instructions });
    let mut keys = JoinSet::new();
    for rule in Rule::ALL {
        for key in sends.instructions.keys.clone() {
            let first = past.get(&(rule, key)).map_or(0, |last| last + 1);
            let sends = Arc::clone(&sends);
            keys.spawn(async move { sends.key(rule, key, first).await });
        }
    }
    while keys.join_next().await.is_some() {}
    Ok(())
}

/// Returns, by key, the number of the last enqueue that earlier processes tried.
fn past(instructions: &Sender) -> BTreeMap<(Rule, u64), u64> {
    let mut known = BTreeMap::new();
    for incarnation in 1..instructions.common.incarnation {
        let common = crate::child::Common { incarnation, ..instructions.common.clone() };
        // A process that was killed at once has no file.
        let Ok(lines) = ledger::read(&common.file()) else { continue };
        for line in lines {
            if let Record::Send { rule, key, number } = line.record {
                known.insert((rule, key), number);
            }
        }
    }
    known
}

struct Sends {
    client: Client,
    ledger: Ledger,
    instructions: Sender,
}

impl Sends {
    /// Enqueues the jobs of a key until it is time to end, and then until an answer is known, so that
    /// the newest data of the key is known.
    async fn key(&self, rule: Rule, key: u64, first: u64) {
        let Sender { seed, pause, until, .. } = self.instructions;
        let purpose = (key * Rule::ALL.len() as u64 + rule as u64) << 8;
        let mut random = Random::new(seed ^ first, purpose | 7);
        for number in first.. {
            let answer = self.send(rule, key, number, &mut random).await;
            let is_known = !matches!(answer, Answer::Failed | Answer::Unknown);
            if ledger::now() >= until && is_known {
                return;
            }
            // Bursts, and pauses within which a key is free again.
            let pause = match random.percent(50) {
                true => random.between(1, pause / 4 + 1),
                false => random.between(pause / 2, pause * 3),
            };
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn send(&self, rule: Rule, key: u64, number: u64, random: &mut Random) -> Answer {
        self.ledger.write(Record::Send { rule, key, number });
        let mut enqueue = self.client.enqueue(Single { rule, key, number }).unique(rule.of(key));
        if !matches!(rule, Rule::Window | Rule::Debounce) && random.percent(40) {
            enqueue = enqueue.after(Duration::from_millis(random.between(200, 1_500)));
        }
        if self.instructions.replicas > 0 {
            enqueue = enqueue.durability(Durability::replicated(self.instructions.replicas));
        }
        let result = enqueue.await;
        let (answer, job, due) = told(&result);
        let job = job.map(|job| job.to_string());
        self.ledger.write(Record::Sent { rule, key, number, answer, job, due });
        if let Err(error) = &result
            && !error.is_unknown()
            && !error.is_refused()
        {
            let name = self.instructions.common.full_name();
            eprintln!("torture: {name}: {rule}, enqueue {number} of key {key}: {error}");
        }
        if let Ok(receipt) = &result
            && answer.is_stored()
            && random.percent(WITHDRAWN)
        {
            tokio::time::sleep(Duration::from_millis(random.between(0, 300))).await;
            self.withdraw(receipt).await;
        }
        answer
    }

    async fn withdraw(&self, receipt: &Receipt) {
        let job = receipt.job.to_string();
        self.ledger.write(Record::Withdraw { job: job.clone() });
        let cancelled = self.client.job(receipt).cancel().await;
        let gone = matches!(cancelled, Ok(Cancellation::Removed));
        self.ledger.write(Record::Withdrawn { job, gone });
    }
}

/// Returns the answer, the job that it names, and the due time of this job by the server's clock.
fn told(result: &Result<Receipt, Error>) -> (Answer, Option<poolder::JobId>, Option<i64>) {
    match result {
        Ok(receipt) => {
            let (answer, due) = match &receipt.stored {
                Stored::Due(at) => (Answer::Stored, Some(*at)),
                Stored::Behind => (Answer::Behind, None),
                Stored::Replaced(Some(Place::Due(at))) => (Answer::Replaced, Some(*at)),
                Stored::Replaced(_) => (Answer::Replaced, None),
                Stored::Duplicate(_) => (Answer::Duplicate, None),
                _ => (Answer::Stored, None),
            };
            (answer, Some(receipt.job), due.map(poolder::Timestamp::millis))
        }
        Err(error) if error.is_refused() => (Answer::Failed, None, None),
        // Neither refused nor unknown: the job may or may not be stored.
        Err(error) => (Answer::Unknown, error.job_id(), None),
    }
}
