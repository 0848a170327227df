//! A worker process: a node with two pools.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use tokio::io::AsyncReadExt;

use crate::events::{self, Event};
use crate::jobs::{AddUpWorker, count_file};

/// Slots per pool and process.
const SLOTS: usize = 8;
/// So many jobs of each pool the doomed worker does not let go of.
const KEPT: u32 = 4;

/// A worker that was told to stop is gone after this time, in order or not: if the coordinator died,
/// so did a private server, and a node would wait for it to come back.
const LAST_MOMENT: Duration = Duration::from_secs(5);

/// Runs jobs until standard input ends, which it does when the coordinator is done, or dead.
/// (A service of its own would say `.run()`, and stop at SIGTERM or Ctrl-C.)
pub(crate) async fn run(doomed: bool) -> Result<()> {
    let pool = |name: &str| {
        let pool = Pool::new(name).size(SLOTS).middleware(Report);
        if doomed { pool.middleware(KeepSome::default()) } else { pool }
    };
    Node::builder(Client::from_env().await?)
        .pool(pool("files").worker(worker_fn(count_file)))
        .pool(pool("totals").worker(AddUpWorker::default()))
        .shutdown_timeout(Duration::from_secs(2))
        .run_until(end_of_input())
        .await?;
    Ok(())
}

async fn end_of_input() {
    let mut byte = [0];
    // An error is an end, too.
    while tokio::io::stdin().read(&mut byte).await.is_ok_and(|length| length > 0) {}
    tokio::spawn(async {
        tokio::time::sleep(LAST_MOMENT).await;
        std::process::exit(1);
    });
}

/// Tells the coordinator of every attempt. Middleware wraps all workers of a pool.
struct Report;

impl Middleware for Report {
    async fn call(&self, cx: Context, next: Next<'_>) -> Result<Outcome> {
        events::tell(cx.queue(), Event::Started);
        let outcome = next.run(cx.clone()).await;
        events::tell(cx.queue(), Event::Ended);
        outcome
    }
}

/// Makes the demo certain instead of lucky. The first jobs of the doomed worker do all of their
/// work, and then do not end: their effects are in Redis, the news that they are done is not. So
/// the kill always meets a process that holds jobs, and at the worst moment there is.
#[derive(Default)]
struct KeepSome {
    kept: AtomicU32,
}

impl Middleware for KeepSome {
    async fn call(&self, cx: Context, next: Next<'_>) -> Result<Outcome> {
        let outcome = next.run(cx.clone()).await;
        if self.kept.fetch_add(1, Ordering::Relaxed) < KEPT {
            events::tell(cx.queue(), Event::Kept);
            cx.cancelled().await;
        }
        outcome
    }
}
