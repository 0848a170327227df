//! Repeats one operation, so that callgrind can count the instructions. The guard runs twice with
//! different counts: the difference is the cost of the operation, without start and end of the
//! process. It uses one thread, and a scripted server in another process whose replies are always
//! the same. So the same source gives the same count, on a busy machine as on a quiet one.
//!
//! `bench-guard serve PATH` is that server; `bench-guard PATH WHAT COUNT` runs the operation.

mod script;

use std::sync::Arc;
use std::time::Duration;

use bench_protocol::{Meter, Payload};
use poolder::{Client, Config, Context, Job, Node, Outcome, Pool, Result, worker_fn};
use poolder_core::broker::{ClaimConnection, DeadLimits, Settlement};
use poolder_core::policy::decide::Transition;
use poolder_core::{Lane, Partition, QueueName};
use serde::{Deserialize, Serialize};

/// The number of jobs that a claim brings.
const BATCH: usize = 64;

#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Bench(Payload);

impl Job for Bench {
    const KINDS: &'static [&'static str] = &["bench.job"];
    const QUEUE: &'static str = "bench";
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn main() -> std::result::Result<(), AnyError> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match words.as_slice() {
        [serve, path] if serve == "serve" => runtime.block_on(script::serve(path)),
        [path, what, count] => runtime.block_on(async {
            // The scripted server may not know a new command, and then the operation would wait
            // without end.
            let work = work(path, what, count.parse()?);
            tokio::time::timeout(Duration::from_secs(60), work).await?
        }),
        _ => Err("bench-guard serve PATH, or bench-guard PATH WHAT COUNT".into()),
    }
}

async fn work(path: &str, what: &str, count: usize) -> std::result::Result<(), AnyError> {
    let client = Client::new(Config::new(format!("unix://{path}")))?;
    match what {
        "enqueue" => {
            for n in 0..count {
                client.enqueue(job(n)).await?;
            }
        }
        "bulk" => {
            for result in client.enqueue_many((0..count).map(job)).await {
                result?;
            }
        }
        "claim" => claims(&client, count, false).await?,
        "settle" => claims(&client, count, true).await?,
        "run" => {
            let meter = Meter::new(count as u64);
            let count = meter.clone();
            let handler = move |_job: Bench, _cx: Context| {
                count.hit();
                std::future::ready(Result::Ok(Outcome::Done))
            };
            let pool = Pool::new("bench").size(BATCH).worker(worker_fn(handler));
            let stop = async move { meter.reached().await };
            Node::builder(client)
                .pool(pool)
                .shutdown_timeout(Duration::ZERO)
                .run_until(stop)
                .await?;
        }
        _ => return Err(format!("{what} cannot be counted").into()),
    }
    Ok(())
}

fn job(n: usize) -> Bench {
    Bench(Payload::new(n as u64, 100))
}

/// Claims `count` jobs, 64 at a time. With `settle`, each claim also settles the jobs before it.
async fn claims(client: &Client, count: usize, settle: bool) -> std::result::Result<(), AnyError> {
    let partition = Partition::first(QueueName::new("bench")?);
    let limits = DeadLimits::default();
    let mut line = ClaimConnection::open(client.broker(), &partition, "guard", limits).await?;
    let (owner, history): (Arc<str>, _) = ("guard".into(), line.history());
    let mut settlements = vec![];
    for _ in 0..count.div_ceil(BATCH) {
        let exchange = line.exchange(&settlements, Some((Lane::Normal, BATCH)), true).await?;
        let jobs = exchange.claimed?.jobs;
        settlements.clear();
        if settle {
            let done = |claim| {
                Settlement::new(claim, owner.clone(), history.clone(), Transition::Complete)
            };
            settlements.extend(jobs.into_iter().map(done));
        }
    }
    Ok(())
}
