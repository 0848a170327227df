//! A program that casts the steps of its keys, each key's in order and many keys at once, and
//! records the outcome of each. After a kill, the next process continues where the ledger ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use poolder::PoolClient;
use tokio::task::JoinSet;

use super::{Caster, KeyStep};
use crate::ledger::{self, Ledger, Outcome, Record};

/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn run(instructions: Caster) -> Result<(), String> {
    let past = past(&instructions);
    let ledger = Ledger::open(&instructions.common.file()).map_err(|error| error.to_string())?;
    ledger.write(Record::Up { name: instructions.common.full_name(), pid: std::process::id() });
    let client = instructions.common.client().map_err(|error| error.to_string())?;
    let casts =
        Arc::new(Casts { pool: client.pool::<KeyStep>(super::QUEUE), ledger, instructions });
    let mut keys = JoinSet::new();
    for key in casts.instructions.keys.clone() {
        let first = match past.get(&key) {
            // This cast was under way when the previous process was killed.
            Some((number, None)) => {
                casts.note(key, *number, Outcome::Unknown);
                number + 1
            }
            Some((number, Some(Outcome::Failed))) => *number,
            Some((number, Some(_))) => number + 1,
            None => 0,
        };
        let casts = Arc::clone(&casts);
        keys.spawn(async move {
            for number in first..casts.instructions.jobs {
                casts.cast(key, number).await;
                tokio::time::sleep(Duration::from_millis(casts.instructions.pause)).await;
            }
        });
    }
    while keys.join_next().await.is_some() {}
    Ok(())
}

/// Returns, by key, the last step that earlier processes tried, and its recorded outcome.
fn past(instructions: &Caster) -> BTreeMap<u64, (u64, Option<Outcome>)> {
    let mut known = BTreeMap::new();
    for incarnation in 1..instructions.common.incarnation {
        let common = crate::child::Common { incarnation, ..instructions.common.clone() };
        // A process that was killed at once has no file.
        let Ok(lines) = ledger::read(&common.file()) else { continue };
        for line in lines {
            match line.record {
                Record::Cast { key, number } => drop(known.insert(key, (number, None))),
                Record::CastEnded { key, number, outcome } => {
                    known.insert(key, (number, Some(outcome)));
                }
                _ => {}
            }
        }
    }
    known
}

struct Casts {
    pool: PoolClient<KeyStep>,
    ledger: Ledger,
    instructions: Caster,
}

impl Casts {
    fn note(&self, key: u64, number: u64, outcome: Outcome) {
        self.ledger.write(Record::CastEnded { key, number, outcome });
    }

    /// Casts a job, and repeats that as long as a repetition cannot store it twice.
    async fn cast(&self, key: u64, number: u64) {
        loop {
            self.ledger.write(Record::Cast { key, number });
            let cast = self.pool.cast(KeyStep { key, number }).key(format!("key {key}")).await;
            let outcome = match cast {
                Ok(_) => Outcome::Ok,
                // No node has registered the pool yet.
                Err(error) if error.is_refused() || error.is_gone() || error.is_not_found() => {
                    Outcome::Failed
                }
                Err(error) => {
                    if !error.is_unknown() {
                        let name = self.instructions.common.full_name();
                        eprintln!("torture: {name}: step {number} of key {key}: {error}");
                    }
                    Outcome::Unknown
                }
            };
            self.note(key, number, outcome);
            if outcome != Outcome::Failed {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
