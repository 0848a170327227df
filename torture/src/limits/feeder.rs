//! A program that enqueues jobs of groups in every way, and records the outcome of each. After a kill,
//! the next process continues where the ledger ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use poolder::{Client, Lane};
use tokio::task::JoinSet;

use super::{Feeder, LINES, LimitedStep, group_of};
use crate::ledger::{self, Ledger, Outcome, Record};

/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn run(instructions: Feeder) -> Result<(), String> {
    let past = past(&instructions);
    let ledger = Ledger::open(&instructions.common.file()).map_err(|error| error.to_string())?;
    ledger.write(Record::Up { name: instructions.common.full_name(), pid: std::process::id() });
    let client = instructions.common.client().map_err(|error| error.to_string())?;
    let feed = Arc::new(Feed { client, ledger, instructions });
    let mut lines = JoinSet::new();
    for line in 0..LINES {
        let line = feed.instructions.index * LINES + line;
        let first = match past.get(&line) {
            // This enqueue was under way when the previous process was killed.
            Some((number, None)) => {
                feed.note(line, *number, Outcome::Unknown);
                number + 1
            }
            Some((number, Some(Outcome::Failed))) => *number,
            Some((number, Some(_))) => number + 1,
            None => 0,
        };
        let feed = Arc::clone(&feed);
        lines.spawn(async move {
            for number in first..feed.instructions.jobs {
                feed.enqueue(line, number).await;
                tokio::time::sleep(Duration::from_millis(feed.instructions.pause)).await;
            }
        });
    }
    while lines.join_next().await.is_some() {}
    Ok(())
}

/// Returns, by line, the last job that earlier processes tried, and its recorded outcome.
fn past(instructions: &Feeder) -> BTreeMap<u64, (u64, Option<Outcome>)> {
    let mut known = BTreeMap::new();
    for incarnation in 1..instructions.common.incarnation {
        let common = crate::child::Common { incarnation, ..instructions.common.clone() };
        // A process that was killed at once has no file.
        let Ok(lines) = ledger::read(&common.file()) else { continue };
        for read in lines {
            match read.record {
                Record::Fed { line, number } => drop(known.insert(line, (number, None))),
                Record::FedEnded { line, number, outcome } => {
                    known.insert(line, (number, Some(outcome)));
                }
                _ => {}
            }
        }
    }
    known
}

struct Feed {
    client: Client,
    ledger: Ledger,
    instructions: Feeder,
}

impl Feed {
    fn note(&self, line: u64, number: u64, outcome: Outcome) {
        self.ledger.write(Record::FedEnded { line, number, outcome });
    }

    /// Enqueues a job, and repeats that as long as a repetition cannot store it twice.
    async fn enqueue(&self, line: u64, number: u64) {
        let group = group_of(number * 7 + line, self.instructions.groups);
        loop {
            self.ledger.write(Record::Fed { line, number });
            let job = LimitedStep { line, number, group: group.clone() };
            let enqueue = self.client.enqueue(job).group(&group);
            let sent = match number % 10 {
                4 => enqueue.after(Duration::from_millis(50)).await,
                5 => enqueue.lane(Lane::High).await,
                6 => enqueue.lane(Lane::Low).await,
                _ => enqueue.await,
            };
            let outcome = match sent {
                Ok(_) => Outcome::Ok,
                Err(error) if error.is_refused() => Outcome::Failed,
                Err(error) => {
                    if !error.is_unknown() {
                        let name = self.instructions.common.full_name();
                        eprintln!("torture: {name}: job {number} of line {line}: {error}");
                    }
                    Outcome::Unknown
                }
            };
            self.note(line, number, outcome);
            if outcome != Outcome::Failed {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
