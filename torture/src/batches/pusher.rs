//! A program that pushes its entries in order, one call after the other, and records the outcome of
//! each. After a kill, the next process continues where the ledger ends.

use std::time::Duration;

use poolder::BatcherHandle;
use tokio::time::Instant;

use super::{Entry, Pusher};
use crate::ledger::{self, Ledger, Record};
use crate::random::Random;

/// The time within which a repetition under the same token is the same push. Longer than any run
/// plus the jumps of the clock.
const WINDOW: Duration = Duration::from_secs(12 * 60 * 60);
/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) async fn run(instructions: Pusher) -> Result<(), String> {
    let text = |error: poolder::Error| error.to_string();
    let past = Past::read(&instructions).map_err(|error| error.to_string())?;
    let ledger = Ledger::open(&instructions.common.file()).map_err(|error| error.to_string())?;
    ledger.write(Record::Up { name: instructions.common.full_name(), pid: std::process::id() });
    let client = instructions.common.client().map_err(text)?;
    let handle = client.batcher::<Entry>(super::QUEUE);
    handle.declare_later(instructions.batches.options());
    let pushes = Pushes { handle, ledger, instructions };
    let mut next = past.next;
    if let Some((from, count, token)) = past.open {
        // This push was under way when the previous process was killed.
        if token {
            pushes.push(from, count, true).await;
        } else {
            pushes.note(from, 0, count);
        }
        next = from + count;
    }
    let (begun, resumed) = (Instant::now(), next);
    while next < pushes.instructions.count {
        let due =
            Duration::from_secs_f64((next - resumed) as f64 / pushes.instructions.rate.max(0.001));
        tokio::time::sleep_until(begun + due).await;
        let (count, token) = pushes.way(next);
        pushes.push(next, count, token).await;
        next += count;
    }
    Ok(())
}

/// The state of the pushes of earlier processes.
#[derive(Default)]
struct Past {
    /// The first number that was never tried.
    next: u64,
    /// A push without a recorded outcome: first number, count, and whether it had a token.
    open: Option<(u64, u64, bool)>,
}

impl Past {
    fn read(instructions: &Pusher) -> std::io::Result<Self> {
        let mut past = Self::default();
        for incarnation in 1..instructions.common.incarnation {
            let common = crate::child::Common { incarnation, ..instructions.common.clone() };
            // A process that was killed at once has no file.
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

struct Pushes {
    handle: BatcherHandle<Entry>,
    ledger: Ledger,
    instructions: Pusher,
}

impl Pushes {
    /// Returns the number of entries in the push that starts at `first`, and whether it has a
    /// token. Both follow from `first` and the pusher.
    fn way(&self, first: u64) -> (u64, bool) {
        let mut random = Random::new(first ^ (self.instructions.index << 40), 7);
        let count =
            if random.percent(20) { 1 } else { random.between(2, self.instructions.batches.bulk) };
        (count.min(self.instructions.count - first), random.percent(40))
    }

    fn note(&self, from: u64, stored: u64, unknown: u64) {
        self.ledger.write(Record::Pushed { who: self.instructions.index, from, stored, unknown });
    }

    /// Pushes until no entry is refused any more and, under a token, none is of unknown outcome.
    async fn push(&self, mut from: u64, mut count: u64, token: bool) {
        while count > 0 {
            let who = self.instructions.index;
            self.ledger.write(Record::Push { who, from, count, token });
            let (stored, unknown) = if count == 1 {
                self.one(from, token).await
            } else {
                self.many(from, count, token).await
            };
            if token && stored < count {
                // A repetition under the same token adds the missing entries.
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
        format!("{}-{from}", self.instructions.index)
    }

    async fn one(&self, from: u64, token: bool) -> (u64, u64) {
        let mut push = self.handle.push((self.instructions.index, from));
        if token {
            push = push.token(self.name(from), WINDOW);
        }
        match push.await {
            Ok(_) => (1, 0),
            Err(error) if error.is_refused() => (0, 0),
            Err(error) => {
                self.report(from, &error);
                (0, 1)
            }
        }
    }

    async fn many(&self, from: u64, count: u64, token: bool) -> (u64, u64) {
        let who = self.instructions.index;
        let mut push = self.handle.push_many((from..from + count).map(|number| (who, number)));
        if token {
            push = push.token(self.name(from), WINDOW);
        }
        let bulk = push.await;
        match &bulk.error {
            Some(error) if !error.is_unknown() && !error.is_refused() => {
                self.report(from, error);
                (bulk.stored, count - bulk.stored)
            }
            _ => (bulk.stored, bulk.unknown),
        }
    }

    /// Reports an error that is neither a refusal nor an unknown outcome. It promises nothing about
    /// the entry.
    fn report(&self, from: u64, error: &poolder::Error) {
        if !error.is_unknown() {
            eprintln!("torture: {}: entry {from}: {error}", self.instructions.common.full_name());
        }
    }
}
