//! A pool that runs the jobs of one key one at a time, in the order in which they were cast.

mod caster;
pub(crate) mod check;

use std::sync::Arc;
use std::time::Duration;

use poolder::RetryPlacement;
use poolder::prelude::*;
use serde::{Deserialize, Serialize};

pub(crate) use caster::run;

use crate::child::{Book, Common, Page};
use crate::ledger::{Ended, Record};

/// The queue of the pool.
pub(crate) const QUEUE: &str = "keys";

/// The pool and its load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keys {
    /// The number of keys per caster.
    pub(crate) keys: u64,
    /// The number of jobs per key.
    pub(crate) jobs: u64,
    pub(crate) casters: u64,
    pub(crate) slots: u16,
}

/// The instructions of a caster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Caster {
    pub(crate) common: Common,
    pub(crate) keys: std::ops::Range<u64>,
    pub(crate) jobs: u64,
    /// The time between two casts of a key, in ms.
    pub(crate) pause: u64,
}

/// A step of a key.
#[derive(Debug, Clone, Serialize, Deserialize, Job)]
#[job(kind = "torture.key_step", queue = "keys", attempts = 20, backoff = "50ms", crashes = 50)]
pub(crate) struct KeyStep {
    pub(crate) key: u64,
    /// The place of the step among those that are cast for now; from [`FIRST_LATE`] on, the number
    /// of a job that waits for its time first.
    pub(crate) number: u64,
}

/// The first number of a late job, of which some fail and some die: see [`KeyStep::fails`].
pub(crate) const FIRST_LATE: u64 = 1_000_000;

impl KeyStep {
    pub(crate) fn is_late(&self) -> bool {
        self.number >= FIRST_LATE
    }

    /// Returns true for a late job that always fails.
    pub(crate) fn dies(&self) -> bool {
        self.is_late() && self.number % 4 == 1
    }

    fn fails(&self, attempt: u32) -> bool {
        let once = if self.is_late() { self.number % 4 == 2 } else { self.number % 50 == 7 };
        self.dies() || once && attempt == 1
    }
}

impl Keys {
    /// Returns the pool with this number of casters, and no jobs.
    pub(crate) fn of(casters: u64) -> Self {
        Self { keys: 10, jobs: 0, casters, slots: 6 }
    }

    pub(super) fn caster(&self, common: Common, index: u64, span: Duration) -> Caster {
        let keys = index * self.keys..(index + 1) * self.keys;
        let span = u64::try_from(span.as_millis()).unwrap_or(0);
        // A little faster than needed, so that casting ends before the faults do.
        Caster { common, keys, jobs: self.jobs, pause: span * 8 / 10 / self.jobs.max(1) }
    }

    /// Returns the pool that a node runs.
    pub(crate) fn pool(&self, book: Arc<Book>) -> Pool {
        let worker = worker_fn(move |job: KeyStep, cx: Context| {
            let book = Arc::clone(&book);
            async move {
                let (run, KeyStep { key, number }) = (book.next(), job.clone());
                let (id, fence) = (cx.id().to_string(), cx.fence());
                book.write(Record::KeyStep { run, key, number, job: id, fence });
                let mut page = Page::new(book, run);
                tokio::time::sleep(Duration::from_millis(5 + number % 20)).await;
                if job.fails(cx.attempt()) {
                    page.end(Ended::Failed);
                    return Err::<Outcome, BoxError>("not yet".into());
                }
                page.end(Ended::Done);
                Ok(Done)
            }
        });
        Pool::new(QUEUE)
            .size(self.slots)
            .mode(Mode::Phash)
            .retry_placement(RetryPlacement::BlockSlot)
            .worker(worker)
    }
}
