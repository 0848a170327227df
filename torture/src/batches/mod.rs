//! A batcher whose entries are numbered by their pushers, so that each entry can be found again in
//! one batch, and in its place.

pub(crate) mod check;
mod plan;
mod pusher;

use std::sync::Arc;
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Batch, BatchOptions, BatchWorker, Batcher, BoxError, Result};
use serde::{Deserialize, Serialize};

pub(crate) use plan::draw;
pub(crate) use pusher::run;

use crate::child::{Book, Common, Page};
use crate::ledger::{Ended, Record};

/// The queue and the name of the batcher.
pub(crate) const QUEUE: &str = "batches";

/// An entry: its pusher, and its number there, from 0.
pub(crate) type Entry = (u64, u64);

/// The batcher and its load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batches {
    /// The number of entries of all pushers.
    pub(crate) entries: u64,
    pub(crate) pushers: u64,
    /// The largest number of entries in a batch.
    pub(crate) limit: u32,
    /// The largest number of entries in one push.
    pub(crate) bulk: u64,
    /// The time in ms from the first entry of a batch until it is sealed.
    pub(crate) timeout: u64,
    /// The first run of each batch buries it, and nodes keep dead jobs for [`KEPT`] only.
    pub(crate) dies: bool,
}

/// How long nodes keep dead batches that are to be pruned.
pub(crate) const KEPT: Duration = Duration::from_secs(1);

/// The instructions of a pusher.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pusher {
    pub(crate) common: Common,
    pub(crate) index: u64,
    pub(crate) count: u64,
    /// The number of entries per second.
    pub(crate) rate: f64,
    pub(crate) batches: Batches,
}

impl Batches {
    /// Returns the batcher with this number of pushers, and no entries.
    pub(crate) fn of(pushers: u64) -> Self {
        Self { entries: 0, pushers, limit: 40, bulk: 60, timeout: 1_000, dies: false }
    }

    pub(super) fn pusher(&self, common: Common, index: u64, span: Duration) -> Pusher {
        let count = self.entries / self.pushers + u64::from(index < self.entries % self.pushers);
        // A little faster than needed, so that pushing ends before the faults do.
        let rate = count as f64 / (span.as_secs_f64() * 0.85).max(1.0);
        Pusher { common, index, count, rate, batches: self.clone() }
    }

    /// Returns the batcher that a node runs.
    pub(crate) fn batcher(&self, book: Arc<Book>) -> Batcher<Rows> {
        let rows = Rows { book, dies: self.dies };
        Batcher::new(QUEUE, rows).with_options(self.options()).size(2)
    }

    pub(crate) fn options(&self) -> BatchOptions {
        // Nodes die often here: a batch must not be buried because its nodes have died.
        let policy = Policy::default().attempts(20).crashes(50);
        BatchOptions::default()
            .limit(self.limit)
            .timeout(Duration::from_millis(self.timeout))
            .policy(policy.backoff(Backoff::Fixed(Duration::from_millis(200))))
    }
}

/// Records the entries of each batch. Some entries and some batches fail once.
#[derive(Clone)]
pub(crate) struct Rows {
    book: Arc<Book>,
    dies: bool,
}

impl BatchWorker for Rows {
    type Entry = Entry;

    async fn handle_batch(&mut self, batch: &mut Batch<Entry>, cx: Context) -> Result<Outcome> {
        let run = self.book.next();
        let (mut ranges, mut left): (Vec<(u64, u64, u64)>, Vec<Entry>) = (vec![], vec![]);
        while let Some((index, (who, number))) = batch.next().await? {
            match ranges.last_mut() {
                Some((last, from, count)) if *last == who && *from + *count == number => {
                    *count += 1;
                }
                _ => ranges.push((who, number, 1)),
            }
            if number % 9_973 == 7 && cx.attempt() == 1 {
                left.push((who, number));
                batch.retry(index, "the first time");
            }
        }
        let first = ranges.first().map_or(0, |(_, number, _)| *number);
        self.book.write(Record::Batch {
            run,
            job: cx.id().to_string(),
            sealed: batch.sealed().millis(),
            ranges,
            left,
        });
        let mut page = Page::new(Arc::clone(&self.book), run);
        tokio::time::sleep(Duration::from_millis(3 + first % 20)).await;
        if self.dies && cx.fence() == 1 || first % 97 == 5 && cx.attempt() == 1 {
            page.end(Ended::Failed);
            return Err("the first time".into());
        }
        page.end(Ended::Done);
        Ok(Done)
    }

    async fn handle_error(&mut self, _: Context, _: &BoxError) -> Verdict {
        if self.dies { Verdict::Halt } else { Verdict::Policy }
    }
}
