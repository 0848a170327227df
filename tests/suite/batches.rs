//! Batches: entries gather in Redis, are sealed, and run as one job.

mod chaos;
mod fates;
mod macros;
mod outages;
mod pushes;
mod sealing;
mod totals;

use std::time::Duration;

use poolder::prelude::*;
use poolder::{BatchOptions, BatcherHandle, Result};
use tokio::sync::mpsc;

use crate::harness::Space;

/// The name of the batcher in tests that need only one.
const NAME: &str = "rows";

/// Stores these options for the batcher, and returns a handle to push with.
async fn declared(space: &Space, options: BatchOptions) -> BatcherHandle<u64> {
    let handle = space.client.batcher::<u64>(NAME);
    handle.declare(options).await.unwrap();
    handle
}

/// Options that seal a list only when it reaches `limit` entries.
fn limit(limit: u32) -> BatchOptions {
    BatchOptions::default().limit(limit).timeout(None)
}

/// A batch as a handler saw it.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Seen {
    id: poolder::JobId,
    group: String,
    attempt: u32,
    entries: Vec<u64>,
}

/// A batch worker that calls `act` with each batch, and sends what it saw of the batch.
#[derive(Clone)]
struct Teller<F> {
    tell: mpsc::Sender<Seen>,
    act: F,
}

impl<F> BatchWorker for Teller<F>
where
    F: Fn(&mut Batch<u64>, &[(usize, u64)], &Context) -> Result<Outcome> + Clone + Send + 'static,
{
    type Entry = u64;

    async fn handle_batch(&mut self, batch: &mut Batch<u64>, cx: Context) -> Result<Outcome> {
        let all = batch.all().await?;
        let outcome = (self.act)(batch, &all, &cx);
        let entries = all.into_iter().map(|(_, entry)| entry).collect();
        let group = batch.group().to_owned();
        self.tell.send(Seen { id: batch.id(), group, attempt: cx.attempt(), entries }).await?;
        outcome
    }
}

/// Returns a batcher that calls `act` with each batch, and the receiver of the batches it has seen.
fn batcher<F>(act: F) -> (Batcher<Teller<F>>, mpsc::Receiver<Seen>)
where
    F: Fn(&mut Batch<u64>, &[(usize, u64)], &Context) -> Result<Outcome> + Clone + Send + 'static,
{
    let (tell, told) = mpsc::channel(100_000);
    (Batcher::new(NAME, Teller { tell, act }).timeout(None), told)
}

/// Returns a batcher whose handler always completes the batch.
#[expect(clippy::type_complexity, reason = "a worker with any function that is always done")]
fn doer() -> (
    Batcher<Teller<impl Fn(&mut Batch<u64>, &[(usize, u64)], &Context) -> Result<Outcome> + Clone>>,
    mpsc::Receiver<Seen>,
) {
    batcher(|_: &mut Batch<u64>, _: &[(usize, u64)], _: &Context| Ok(Done))
}

/// Returns the keys of the sealed lists of a space.
async fn sealed_lists(space: &Space) -> Vec<String> {
    let pattern = space.key(NAME, "batch:sealed:*");
    let mut lists: Vec<String> = space.redis(redis::cmd("KEYS").arg(pattern)).await;
    lists.sort();
    lists
}

/// Returns the stored number of waiting entries, which must never fall below 0.
async fn waiting(space: &Space) -> i64 {
    let key = space.key(NAME, &format!("batch:about:{NAME}"));
    space.redis(redis::cmd("HGET").arg(key).arg("waiting")).await
}

/// Waits until a handler has seen a batch, and returns it.
async fn next(told: &mut mpsc::Receiver<Seen>) -> Seen {
    crate::harness::within(told.recv()).await.expect("the batcher is gone")
}

const SHORT: Duration = Duration::from_millis(300);
