//! Pushing and working processes are killed while they work. Every acknowledged entry must be in
//! exactly one completed batch, in the order of its pusher, and no batch may be too large.
//!
//! `POOLDER_CHAOS_ENTRIES` sets the number of entries, for a run longer than the default.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::process::Stdio;
use std::task::Poll;
use std::time::Duration;

use poolder::prelude::*;
use poolder::{BatchEntry, BatcherHandle, BoxError, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc;

use super::{NAME, sealed_lists};
use crate::child::itself;
use crate::harness::{Space, eventually};

const ROLE: &str = "POOLDER_SUITE_BATCH_ROLE";
const LIMIT: usize = 100;
/// The number of pushing processes at a time, and of working ones.
const PUSHERS: u64 = 4;
const WORKERS: usize = 2;

/// The pusher of an entry, and the number of the entry in the order of that pusher.
type Numbered = (u64, u64);

fn batcher(worker: Ledger) -> Batcher<Ledger> {
    let limit = u32::try_from(LIMIT).unwrap();
    Batcher::new(NAME, worker).limit(limit).timeout(Duration::from_millis(500)).size(4)
}

/// Stores the entries of each batch in a Redis hash, under the id of the batch. Other entries under
/// the same id count as a change.
#[derive(Clone)]
struct Ledger {
    redis: Option<redis::aio::MultiplexedConnection>,
}

impl BatchWorker for Ledger {
    type Entry = Numbered;

    async fn handle_init(&mut self) -> Result<()> {
        let client = redis::Client::open(std::env::var("POOLDER_REDIS_URL")?)?;
        self.redis = Some(client.get_multiplexed_async_connection().await?);
        Ok(())
    }

    async fn handle_batch(&mut self, batch: &mut Batch<Numbered>, _: Context) -> Result<Outcome> {
        let entries: Vec<String> =
            batch.all().await?.iter().map(|(_, (who, at))| format!("{who}:{at}")).collect();
        let space = std::env::var("POOLDER_NAMESPACE")?;
        let redis = self.redis.as_mut().ok_or("no connection")?;
        let (key, id, text) =
            (format!("{space}:ledger"), batch.id().to_string(), entries.join(" "));
        let mut first = redis::cmd("HSETNX");
        let first: bool = first.arg(&key).arg(&id).arg(&text).query_async(redis).await?;
        if !first {
            let before: String = redis::cmd("HGET").arg(&key).arg(&id).query_async(redis).await?;
            if before != text {
                let changed = format!("{space}:changed");
                let _: i64 = redis::cmd("INCR").arg(changed).query_async(redis).await?;
            }
        }
        // Long enough that processes are killed while they hold a batch.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(Done)
    }
}

/// The body of a child process. Returns at once when it runs as a test.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let client = Client::from_env().await.unwrap();
    match role.parse::<u64>() {
        Ok(pusher) => push_until_killed(&client, pusher).await.unwrap(),
        Err(_) => Node::builder(client).add(batcher(Ledger { redis: None })).run().await.unwrap(),
    }
}

/// Pushes one number after the other, as 64 single pushes in flight or in bulks of 250, and prints
/// how many have been acknowledged.
async fn push_until_killed(client: &Client, pusher: u64) -> Result<(), BoxError> {
    let rows = batcher(Ledger { redis: None }).handle(client);
    let mut next = 0;
    loop {
        let count = if pusher.is_multiple_of(2) { 64 } else { 250 };
        let entries = (next..next + count).map(|at| (pusher, at));
        if pusher.is_multiple_of(2) {
            for result in in_order(&rows, entries).await {
                result?;
            }
        } else {
            rows.push_many(entries).await.all()?;
        }
        next += count;
        println!("acknowledged {pusher} {next}");
    }
}

/// Polls all pushes at once, in the order of `entries`: the first entry is pushed first.
async fn in_order<T: BatchEntry>(
    rows: &BatcherHandle<T>,
    entries: impl Iterator<Item = T>,
) -> Vec<Result<(), poolder::Error>> {
    type Pushing<'a> = Pin<Box<dyn Future<Output = Result<(), poolder::Error>> + Send + 'a>>;
    let mut pushing: Vec<(Pushing<'_>, Option<Result<(), poolder::Error>>)> =
        entries.map(|entry| (rows.push(entry).into_future(), None)).collect();
    poll_fn(|cx| {
        for (future, result) in pushing.iter_mut().filter(|(_, result)| result.is_none()) {
            if let Poll::Ready(ready) = future.as_mut().poll(cx) {
                *result = Some(ready);
            }
        }
        if pushing.iter().all(|(_, result)| result.is_some()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    pushing.into_iter().filter_map(|(_, result)| result).collect()
}

/// Starts a child process, and a task that forwards its output.
fn start(space: &Space, role: &str, told: &mpsc::Sender<String>) -> Child {
    let mut command = itself("batches::chaos::child", space);
    let mut child = command.env(ROLE, role).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = told.clone();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = told.send(line).await;
        }
    });
    child
}

#[tokio::test]
async fn every_acknowledged_entry_is_in_one_completed_batch() {
    let wanted: u64 = std::env::var("POOLDER_CHAOS_ENTRIES")
        .ok()
        .and_then(|entries| entries.parse().ok())
        .unwrap_or(30_000);
    let space = Space::new("batch-chaos");
    let (tell, mut told) = mpsc::channel(1_000);
    let mut pushers: Vec<Child> =
        (0..PUSHERS).map(|pusher| start(&space, &pusher.to_string(), &tell)).collect();
    let mut workers: Vec<Child> = (0..WORKERS).map(|_| start(&space, "worker", &tell)).collect();

    let mut acknowledged = BTreeMap::<u64, u64>::new();
    let mut killed = 0;
    loop {
        let line = tokio::time::timeout(Duration::from_secs(60), told.recv()).await;
        let line = line.expect("a pusher still runs").unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        if let ["acknowledged", pusher, count] = words[..] {
            acknowledged.insert(pusher.parse().unwrap(), count.parse().unwrap());
        }
        let sum: u64 = acknowledged.values().sum();
        if sum >= wanted {
            break;
        }
        // After each tenth of the entries one process is killed, alternately a pusher and a worker.
        if sum * 10 / wanted > killed {
            let at = usize::try_from(killed / 2).unwrap();
            if killed % 2 == 0 {
                let one = &mut pushers[at % usize::try_from(PUSHERS).unwrap()];
                one.kill().await.unwrap();
                *one = start(&space, &(PUSHERS + killed).to_string(), &tell);
            } else {
                let one = &mut workers[at % WORKERS];
                one.kill().await.unwrap();
                *one = start(&space, "worker", &tell);
            }
            killed += 1;
        }
    }
    for pusher in &mut pushers {
        pusher.kill().await.unwrap();
    }
    assert!(killed >= 4, "some were killed");
    while let Ok(line) = told.try_recv() {
        if let ["acknowledged", pusher, count] = line.split(' ').collect::<Vec<_>>()[..] {
            acknowledged.insert(pusher.parse().unwrap(), count.parse().unwrap());
        }
    }

    let rows = space.client.batcher::<Numbered>(NAME);
    rows.flush().await.unwrap();
    eventually("all batches are done", || async {
        let sums = rows.sums().await.unwrap();
        (sums.open, sums.waiting) == (0, 0)
    })
    .await;
    assert_eq!(sealed_lists(&space).await, [""; 0]);
    let dead: u64 = space.redis(redis::cmd("ZCARD").arg(space.key(NAME, "dead"))).await;
    assert_eq!(dead, 0);
    let changed: Option<u64> =
        space.redis(redis::cmd("GET").arg(format!("{}:changed", space.name()))).await;
    assert_eq!(changed, None, "a batch is the same in every attempt");
    let ledger: BTreeMap<String, String> =
        space.redis(redis::cmd("HGETALL").arg(format!("{}:ledger", space.name()))).await;
    let completed = space.count(NAME, "completed").await;
    assert_eq!(ledger.len() as u64, completed, "each batch is completed once");
    check(&acknowledged, ledger.into_values());
}

/// Checks the completed batches against the acknowledged entries.
fn check(acknowledged: &BTreeMap<u64, u64>, batches: impl Iterator<Item = String>) {
    let mut seen = BTreeSet::<Numbered>::new();
    // For each pusher, the first and the last number in each batch.
    let mut spans = BTreeMap::<u64, Vec<(u64, u64)>>::new();
    for batch in batches {
        let entries: Vec<Numbered> = batch
            .split(' ')
            .map(|entry| entry.split_once(':').unwrap())
            .map(|(who, at)| (who.parse().unwrap(), at.parse().unwrap()))
            .collect();
        assert!(entries.len() <= LIMIT, "{} entries", entries.len());
        let mut of_batch = BTreeMap::<u64, (u64, u64)>::new();
        for (who, at) in entries {
            assert!(seen.insert((who, at)), "{who}:{at} is in two batches");
            let span = of_batch.entry(who).or_insert((at, at));
            assert!(at >= span.1, "{who}:{at} is behind {}", span.1);
            span.1 = at;
        }
        for (who, span) in of_batch {
            spans.entry(who).or_default().push(span);
        }
    }
    for (who, count) in acknowledged {
        let lost = (0..*count).find(|at| !seen.contains(&(*who, *at)));
        assert_eq!(lost, None, "of {count} acknowledged entries of pusher {who} are stored");
    }
    for (who, mut spans) in spans {
        spans.sort_unstable();
        for pair in spans.windows(2) {
            assert!(pair[0].1 < pair[1].0, "batches of pusher {who} overlap: {pair:?}");
        }
    }
}
