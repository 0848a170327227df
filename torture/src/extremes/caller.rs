//! The program that makes the calls, one after the other, and records each promise that it sees
//! broken. After a kill, the next process continues where the ledger ends.

use std::rc::Rc;
use std::time::{Duration, Instant};

use poolder::{Client, Error, JobId};
use tokio::task::{JoinSet, LocalSet};

use super::Caller;
use super::draw::Draw;
use crate::ledger::{self, Ledger, Record};

/// The time after which a call counts as failed: far longer than any outage.
const PATIENCE: Duration = Duration::from_secs(45);
/// The time after which a job counts as stuck: longer than it takes to rescue it twice.
pub(super) const END: Duration = Duration::from_secs(90);
/// The time between two tries, and between two looks at a job.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// The client, and the ledger for broken promises.
pub(super) struct Calls {
    pub(super) client: Client,
    ledger: Ledger,
}

pub(crate) async fn run(instructions: Caller) -> Result<(), String> {
    // The calls are async closures, whose futures stay on one thread.
    LocalSet::new().run_until(all(instructions)).await
}

async fn all(instructions: Caller) -> Result<(), String> {
    let first = made(&instructions);
    let common = &instructions.common;
    let ledger = Ledger::open(&common.file()).map_err(|error| error.to_string())?;
    ledger.write(Record::Up { name: common.full_name(), pid: std::process::id() });
    let client = common.client().map_err(|error| error.to_string())?;
    let calls = Rc::new(Calls { client, ledger });
    let mut open = JoinSet::new();
    for number in first..instructions.calls {
        let (one, draw) = (Rc::clone(&calls), Draw::new(instructions.seed, number));
        open.spawn_local(async move { one.one(number, draw).await });
        tokio::time::sleep(Duration::from_millis(instructions.pause)).await;
        while let Some(ended) = open.try_join_next() {
            calls.returned(ended);
        }
    }
    while let Some(ended) = open.join_next().await {
        calls.returned(ended);
    }
    open.spawn_local(async move { calls.clean_up().await });
    open.join_next().await.transpose().map(|_| ()).map_err(|panic| panic.to_string())
}

/// Returns the number of calls that earlier processes have begun.
fn made(instructions: &Caller) -> u64 {
    let mut next = 0;
    for incarnation in 1..instructions.common.incarnation {
        let common = crate::child::Common { incarnation, ..instructions.common.clone() };
        // A process that was killed at once has no file.
        let Ok(lines) = ledger::read(&common.file()) else { continue };
        for line in lines {
            if let Record::Called { number, .. } = line.record {
                next = next.max(number + 1);
            }
        }
    }
    next
}

/// The share of each kind of call, in percent.
const SHARES: &[(&str, u64)] = &[
    ("enqueue", 23),
    ("enqueue without a replica", 3),
    ("enqueue prepared jobs", 3),
    ("cast to a set", 3),
    ("build a node", 1),
    ("call", 10),
    ("cast", 10),
    ("operate a pool", 5),
    ("push", 10),
    ("schedule", 10),
    ("broadcast", 3),
    ("operate a queue", 19),
];

impl Calls {
    /// Makes a call that its number determines, and checks what it promises.
    async fn one(&self, number: u64, mut draw: Draw) {
        let mut left = draw.random.between(0, 99);
        let mut kinds = SHARES.iter();
        let kind = loop {
            match kinds.next() {
                Some((_, share)) if left >= *share => left -= share,
                Some((kind, _)) => break *kind,
                None => return,
            }
        };
        self.ledger.write(Record::Called { number, call: kind.to_owned() });
        match kind {
            "enqueue" => self.enqueue(number, draw).await,
            "enqueue without a replica" => self.unconfirmed(number, draw).await,
            "enqueue prepared jobs" => self.prepared(number, draw).await,
            "cast to a set" => self.pool_set(number, draw).await,
            "build a node" => self.build(number, draw).await,
            "broadcast" => self.broadcast(number, draw).await,
            "call" => self.call(number, draw).await,
            "cast" => self.cast(number, draw).await,
            "operate a pool" => self.operate_pool(number, draw).await,
            "push" => self.push(number, draw).await,
            "schedule" => self.schedule(number, draw).await,
            _ => self.operate_queue(number, draw).await,
        }
    }

    /// Records a broken promise.
    pub(super) fn broken(&self, promise: &str, example: impl Into<String>) {
        let (promise, example) = (promise.to_owned(), example.into());
        self.ledger.write(Record::Broken { promise, example });
    }

    /// Records that a job may be completed more than once.
    pub(super) fn repeatable(&self, job: JobId) {
        self.ledger.write(Record::Repeatable { job: job.to_string() });
    }

    /// Records the panic of a call.
    fn returned(&self, ended: Result<(), tokio::task::JoinError>) {
        if let Err(panic) = ended {
            self.broken("a call panicked", panic.to_string());
        }
    }

    /// Repeats a call while the server is away. `None` when that takes too long, which is recorded.
    pub(super) async fn answer<T>(
        &self,
        what: &str,
        mut call: impl AsyncFnMut() -> Result<T, Error>,
    ) -> Option<Result<T, Error>> {
        let begun = Instant::now();
        loop {
            match call().await {
                Err(error) if error.is_refused() || error.is_unknown() => {
                    if begun.elapsed() > PATIENCE {
                        self.broken("a call failed all the time", format!("{what}: {error}"));
                        return None;
                    }
                }
                other => return Some(other),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Makes a call that must succeed. `None` when it does not, which is recorded.
    pub(super) async fn good<T>(
        &self,
        what: &str,
        call: impl AsyncFnMut() -> Result<T, Error>,
    ) -> Option<T> {
        match self.answer(what, call).await? {
            Ok(value) => Some(value),
            Err(error) => {
                self.broken("an allowed call failed", format!("{what}: {error}"));
                None
            }
        }
    }

    /// Makes a call that may also find that its subject is gone.
    pub(super) async fn good_or_gone<T>(
        &self,
        what: &str,
        call: impl AsyncFnMut() -> Result<T, Error>,
    ) -> Option<T> {
        match self.answer(what, call).await? {
            Ok(value) => Some(value),
            Err(error) if error.is_gone() || error.is_not_found() => None,
            Err(error) => {
                self.broken("an allowed call failed", format!("{what}: {error}"));
                None
            }
        }
    }

    /// Makes a call that must succeed unless the draw has a forbidden setting: then it must be
    /// refused as invalid. Returns the value of a call that succeeded.
    pub(super) async fn drawn<T>(
        &self,
        what: &str,
        draw: &Draw,
        call: impl AsyncFnMut() -> Result<T, Error>,
    ) -> Option<T> {
        let Some(setting) = &draw.forbidden else { return self.good(what, call).await };
        match self.answer(what, call).await? {
            Ok(_) => self.broken("a forbidden setting was accepted", format!("{what}: {setting}")),
            Err(error) if error.is_invalid() || error.is_too_large() => {}
            Err(error) => {
                let text = format!("{what}: {setting}: {error}");
                self.broken("a forbidden setting was not refused as invalid", text);
            }
        }
        None
    }
}
