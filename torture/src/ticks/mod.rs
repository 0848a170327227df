//! A schedule of which no tick may be left out, and none published twice.

pub(crate) mod check;
mod plan;

use std::sync::Arc;
use std::time::{Duration, Instant};

use poolder::prelude::*;
use poolder::{Schedules, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use plan::draw;

use crate::child::{Book, Page};
use crate::ledger::{Ended, Ledger, Record};
use crate::servers::Stand;

/// The queue of the ticks.
pub(crate) const QUEUE: &str = "ticks";
const NAME: &str = "second";
/// The time limit for the last ticks: the clock may jump back several times by up to a quarter of a
/// minute, and each outage delays them.
const PATIENCE: Duration = Duration::from_secs(240);

/// The schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ticks {
    /// The interval in ms.
    pub(crate) every: u64,
    /// The number of ticks; `None` ticks until the faults are over.
    pub(crate) count: Option<u64>,
}

/// The job of a tick.
#[derive(Debug, Clone, Serialize, Deserialize, Job)]
#[job(kind = "torture.tick", queue = "ticks", attempts = 20, backoff = "200ms", crashes = 50)]
struct Beat;

/// Returns the pool that runs the jobs.
pub(crate) fn pool(book: Arc<Book>) -> Pool {
    let worker = worker_fn(move |_: Beat, cx: Context| {
        let book = Arc::clone(&book);
        async move {
            let tick = cx.tick().ok_or("it is no tick")?.at().millis();
            let run = book.next();
            book.write(Record::Tick { run, tick, job: cx.id().to_string() });
            let mut page = Page::new(book, run);
            tokio::time::sleep(Duration::from_millis(5)).await;
            page.end(Ended::Done);
            Ok::<_, BoxError>(Done)
        }
    });
    Pool::new(QUEUE).size(4).worker(worker)
}

impl Ticks {
    /// Adds the schedule, which starts in 5 s.
    pub(super) async fn begin(
        &self,
        stand: &Stand,
        client: &Client,
        ledger: &Ledger,
    ) -> Result<(), String> {
        let now = stand.command(&["TIME"])?;
        let now: i64 = now.lines().next().and_then(|word| word.trim().parse().ok()).unwrap_or(0);
        // Nodes need a moment until one of them leads.
        let first = (now + 5) * 1_000;
        let every = i64::try_from(self.every).unwrap_or(1_000);
        let missed = Missed::All { most: 10_000, within: Duration::from_secs(3_600) };
        let mut schedule = client
            .schedule(NAME, Duration::from_millis(self.every), Beat)
            .start(Timestamp::from_millis(first))
            .missed(missed);
        if let Some(count) = self.count {
            let last = first + every * (i64::try_from(count).unwrap_or(1) - 1);
            schedule = schedule.end(Timestamp::from_millis(last));
        }
        schedule.await.map_err(|error| error.to_string())?;
        ledger.write(Record::Scheduled { first, every, count: self.count });
        Ok(())
    }

    /// Waits until the schedule has ticked often enough, ends it, and records its final counters.
    pub(super) async fn conclude(&self, client: &Client, ledger: &Ledger) -> Result<(), String> {
        let text = |error: poolder::Error| error.to_string();
        let schedules = client.schedules(QUEUE);
        if let Some(count) = self.count {
            let begun = Instant::now();
            while self.runs(&schedules).await.unwrap_or(0) < count && begun.elapsed() < PATIENCE {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        schedules.pause(NAME).await.map_err(text)?;
        let info = schedules.get(NAME).await.map_err(text)?.ok_or("the schedule is gone")?;
        let (last, runs, missed) = (info.last.millis(), info.runs, info.missed);
        ledger.write(Record::Concluded { last, runs, missed });
        schedules.remove(NAME).await.map_err(text)?;
        Ok(())
    }

    async fn runs(&self, schedules: &Schedules) -> Option<u64> {
        Some(schedules.get(NAME).await.ok()??.runs)
    }
}
