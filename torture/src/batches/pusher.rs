//! A program that pushes its entries one call after the other, in their order, notes what it is
//! told of each, and when it was killed goes on where its ledger ends.

use std::time::Duration;

use poolder::BatcherHandle;
use tokio::time::Instant;

use super::{Entry, Pusher};
use crate::ledger::{self, Ledger, Record};
use crate::random::Random;

/// Within this time a repetition is the same push; clocks jump, and runs are shorter.
const WINDOW: Duration = Duration::from_secs(12 * 60 * 60);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) async fn run(orders: Pusher) -> Result<(), String> {
    let text = |error: poolder::Error| error.to_string();
    let past = Past::read(&orders).map_err(|error| error.to_string())?;
    let ledger = Ledger::open(&orders.common.file()).map_err(|error| error.to_string())?;
    ledger.write(Record::Up { name: orders.common.full_name(), pid: std::process::id() });
    let client = orders.common.client().map_err(text)?;
    let handle = client.batcher::<Entry>(super::QUEUE).map_err(text)?;
    handle.declare_later(super::options(orders.limit));
    let shop = Shop { handle, ledger, orders };
    let mut next = past.next;
    if let Some((from, count, token)) = past.open {
        // What was on its way when the process before was killed.
        if token {
            shop.push(from, count, true).await;
        } else {
            shop.note(from, 0, count);
        }
        next = from + count;
    }
    let (begun, resumed) = (Instant::now(), next);
    while next < shop.orders.count {
        let due = Duration::from_secs_f64((next - resumed) as f64 / shop.orders.rate.max(0.001));
        tokio::time::sleep_until(begun + due).await;
        let (count, token) = shop.way(next);
        shop.push(next, count, token).await;
        next += count;
    }
    Ok(())
}

/// What the processes before this one have noted.
#[derive(Default)]
struct Past {
    /// The first number that was never tried.
    next: u64,
    /// First, number and whether there was a token, of a call that was not answered.
    open: Option<(u64, u64, bool)>,
}

impl Past {
    fn read(orders: &Pusher) -> std::io::Result<Self> {
        let mut past = Self::default();
        for incarnation in 1..orders.common.incarnation {
            let common = crate::child::Common { incarnation, ..orders.common.clone() };
            // One that was killed at once has no file.
            let Ok(lines) = ledger::read(&common.file()) else { continue };
            for line in lines {
                match line.record {
                    Record::Push { from, count, token, .. } => {
                        past.open = Some((from, count, token));
                    }
                    Record::Pushed { from, stored, unknown, .. } => {
                        past.open = None;
                        past.next = from + stored + unknown;
                    }
                    _ => {}
                }
            }
        }
        Ok(past)
    }
}

struct Shop {
    handle: BatcherHandle<Entry>,
    ledger: Ledger,
    orders: Pusher,
}

impl Shop {
    /// How many go together, and whether under a token: a function of the first number.
    fn way(&self, first: u64) -> (u64, bool) {
        let mut random = Random::new(first ^ (self.orders.index << 40), 7);
        let count = if random.percent(20) { 1 } else { random.between(2, self.orders.bulk) };
        (count.min(self.orders.count - first), random.percent(40))
    }

    fn note(&self, from: u64, stored: u64, unknown: u64) {
        self.ledger.write(Record::Pushed { who: self.orders.index, from, stored, unknown });
    }

    /// Pushes until nothing of it is refused any more, and under a token nothing unknown.
    async fn push(&self, mut from: u64, mut count: u64, token: bool) {
        while count > 0 {
            let who = self.orders.index;
            self.ledger.write(Record::Push { who, from, count, token });
            let (stored, unknown) = if count == 1 {
                self.one(from, token).await
            } else {
                self.many(from, count, token).await
            };
            if token && stored < count {
                // The same again, under the same name, adds what is missing.
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            self.note(from, stored, unknown);
            (from, count) = (from + stored + unknown, count - stored - unknown);
            if count > 0 {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn name(&self, from: u64) -> String {
        format!("{}-{from}", self.orders.index)
    }

    async fn one(&self, from: u64, token: bool) -> (u64, u64) {
        let mut push = self.handle.push((self.orders.index, from));
        if token {
            push = push.token(self.name(from), WINDOW);
        }
        match push.await {
            Ok(_) => (1, 0),
            Err(error) if error.is_refused() => (0, 0),
            Err(error) => {
                self.tell(from, &error);
                (0, 1)
            }
        }
    }

    async fn many(&self, from: u64, count: u64, token: bool) -> (u64, u64) {
        let who = self.orders.index;
        let mut push = self.handle.push_many((from..from + count).map(|number| (who, number)));
        if token {
            push = push.token(self.name(from), WINDOW);
        }
        let bulk = push.await;
        match &bulk.error {
            Some(error) if !error.is_unknown() && !error.is_refused() => {
                self.tell(from, error);
                (bulk.stored, count - bulk.stored)
            }
            _ => (bulk.stored, bulk.unknown),
        }
    }

    /// What is neither refused nor unknown promises nothing, and is worth telling.
    fn tell(&self, from: u64, error: &poolder::Error) {
        if !error.is_unknown() {
            eprintln!("torture: {}: entry {from}: {error}", self.orders.common.full_name());
        }
    }
}
