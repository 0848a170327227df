//! A program that casts the steps of its keys, each key's in order and many keys at once, notes
//! what it is told of each, and when it was killed goes on where its ledger ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use poolder::PoolClient;
use tokio::task::JoinSet;

use super::{Caster, SlotPoll};
use crate::ledger::{self, Ledger, Outcome, Record};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn run(orders: Caster) -> Result<(), String> {
    let past = past(&orders);
    let ledger = Ledger::open(&orders.common.file()).map_err(|error| error.to_string())?;
    ledger.write(Record::Up { name: orders.common.full_name(), pid: std::process::id() });
    let client = orders.common.client().map_err(|error| error.to_string())?;
    let shop = Arc::new(Shop { pool: client.pool::<SlotPoll>(super::QUEUE), ledger, orders });
    let mut keys = JoinSet::new();
    for key in shop.orders.keys.clone() {
        let first = match past.get(&key) {
            // What was on its way when the process before was killed.
            Some((number, None)) => {
                shop.note(key, *number, Outcome::Unknown);
                number + 1
            }
            Some((number, Some(Outcome::Failed))) => *number,
            Some((number, Some(_))) => number + 1,
            None => 0,
        };
        let shop = Arc::clone(&shop);
        keys.spawn(async move {
            for number in first..shop.orders.jobs {
                shop.cast(key, number).await;
                tokio::time::sleep(Duration::from_millis(shop.orders.pause)).await;
            }
        });
    }
    while keys.join_next().await.is_some() {}
    Ok(())
}

/// By key, what the processes before this one tried last, and what they were told.
fn past(orders: &Caster) -> BTreeMap<u64, (u64, Option<Outcome>)> {
    let mut known = BTreeMap::new();
    for incarnation in 1..orders.common.incarnation {
        let common = crate::child::Common { incarnation, ..orders.common.clone() };
        // One that was killed at once has no file.
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

struct Shop {
    pool: PoolClient<SlotPoll>,
    ledger: Ledger,
    orders: Caster,
}

impl Shop {
    fn note(&self, key: u64, number: u64, outcome: Outcome) {
        self.ledger.write(Record::CastEnded { key, number, outcome });
    }

    /// Casts a job, again and again while that cannot make it two.
    async fn cast(&self, key: u64, number: u64) {
        loop {
            self.ledger.write(Record::Cast { key, number });
            let cast = self.pool.cast(SlotPoll { key, number }).key(format!("key {key}")).await;
            let outcome = match cast {
                Ok(_) => Outcome::Ok,
                // No node has registered the pool yet.
                Err(error) if error.is_refused() || error.is_gone() => Outcome::Failed,
                Err(error) => {
                    if !error.is_unknown() {
                        let name = self.orders.common.full_name();
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
