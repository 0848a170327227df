//! A worker process: a node with two pools.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use poolder::Result;
use poolder::prelude::*;
use tokio::io::AsyncReadExt;

use crate::events::{self, Event};
use crate::jobs::{AddUpWorker, count_file};

/// Slots per pool and process.
const SLOTS: u16 = 8;
/// The number of jobs per pool that the doomed worker keeps running until it is killed.
const KEPT: u32 = 4;

/// The time after which a stopping worker exits in any case. If the coordinator has died, a private
/// server has died with it, and the node would wait for the server to return.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs jobs until standard input ends, because the coordinator is done or has died. A service
/// would call `.run()` instead, which stops at SIGTERM or Ctrl-C.
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
    // A read error counts as the end of the input, too.
    while tokio::io::stdin().read(&mut byte).await.is_ok_and(|length| length > 0) {}
    tokio::spawn(async {
        tokio::time::sleep(EXIT_TIMEOUT).await;
        std::process::exit(1);
    });
}

/// Reports every attempt to the coordinator. A middleware wraps all workers of a pool.
struct Report;

impl Middleware for Report {
    async fn call(&self, cx: Context, next: Next<'_>) -> Result<Outcome> {
        events::tell(cx.queue(), Event::Started);
        let outcome = next.run(cx.clone()).await;
        events::tell(cx.queue(), Event::Ended);
        outcome
    }
}

/// Keeps the first jobs of the doomed worker running after they have done all their work. Their
/// effects are in Redis, their completions are not. So the kill always hits a process that holds
/// jobs, at the worst moment.
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
