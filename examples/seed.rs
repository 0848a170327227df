//! The examples in the README of Elixir's Poolder, one by one: a pool of workers, its installation
//! and use, scheduled jobs, a batcher, and the tasker.
//!
//! Needs a Redis: `POOLDER_REDIS_URL=redis://… cargo run --example seed`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Config, Result};
use serde::{Deserialize, Serialize};

/// The jobs of the pool. In Elixir: `{:push, …}`, `{:hardwork, …}`, `{:hardwork, …, :notify}`,
/// `:stop_worker`, `:stop_pool`.
#[derive(Serialize, Deserialize, Debug, Clone, Job)]
#[job(queue = "mypool")]
pub(crate) enum Work {
    Push { channel: String, message: String },
    Hardwork { message: String },
    HardworkNotify { message: String },
    StopWorker,
    StopPool,
}

/// The state of a worker. Each slot has its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct MyPool {
    key: u32,
}

#[poolder::pool(
    // the unique name of the pool
    name = "mypool",
    // the number of workers
    size = 10,
    policy(attempts = 5, backoff = "1s"),
    // "shared" | "round_robin" | "random" | "monotonic" | "phash" | "broadcast"
    mode = "round_robin",
    // the callbacks that outcomes may name
    callbacks(event = event_bus::notify, push = pubsub::broadcast, cast = websocket::cast)
)]
impl Worker for MyPool {
    type Job = Work;

    async fn handle_init(&mut self) -> Result<()> {
        println!("Worker started {self:?}");
        Ok(())
    }

    async fn handle_pool_ready(&mut self) {
        println!("Pool ready");
    }

    async fn handle_job(&mut self, job: Work, cx: Context) -> Result<Outcome> {
        match job {
            Work::Push { channel, message } => Ok(Outcome::callback("push", &(channel, message))?),
            Work::Hardwork { message } => {
                let result = self.heavy_work(&message, &cx)?;
                println!("slot {} did {result:?}", cx.slot());
                Ok(Done)
            }
            Work::HardworkNotify { message } => {
                let data = self.heavy_work(&message, &cx)?;
                let event =
                    event_bus::Event { id: cx.id().to_string(), topic: "done".into(), data };
                Ok(Outcome::callback("event", &event)?)
            }
            Work::StopWorker => Ok(StopSlot),
            Work::StopPool => Ok(StopPool),
        }
    }

    /// Answers `MyPool::on(&client).call(…)`, which waits for the reply.
    async fn handle_call(&mut self, job: Work, _: Context) -> Result<Outcome> {
        Ok(Outcome::result(&format!("{job:?}, with key {}", self.key))?)
    }

    async fn handle_error(&mut self, _: Work, cx: Context, error: &BoxError) -> Verdict {
        println!("Error: {error}");
        match cx.attempt() {
            // retry immediately, and update the state
            1 => {
                self.key = 5;
                Verdict::RetryNow
            }
            // retry after a short wait
            2 => Verdict::Backoff(Duration::from_millis(50)),
            // stop retrying
            4 => Verdict::Halt,
            // retry immediately without updating the state
            _ => Verdict::RetryNow,
        }
    }
}

impl MyPool {
    /// Does some work. The message "unlucky" fails twice.
    fn heavy_work(&self, message: &str, cx: &Context) -> Result<String> {
        if message == "unlucky" && cx.attempt() < 3 {
            return Err(format!("attempt {} went wrong", cx.attempt()).into());
        }
        Ok(message.to_owned())
    }
}

/// Scheduled jobs, by cron expression or by interval.
#[derive(Debug, Clone, Default)]
struct MyJobs;

#[poolder::scheduler(
    name = "myjobs",
    jobs(prune = "*/15 * * * * *", update = "*/10 * * * * *", five_seconds = 50),
    policy(attempts = 5, backoff = "1s")
)]
impl MyJobs {
    async fn prune(&mut self) {
        println!("Pruning");
    }

    async fn update(&mut self) {
        println!("Updating");
    }

    // Then::set("2h") changes the interval of this job, Then::create(name, "0 0 0 * * *") adds a
    // schedule, Then::Stop stops this job, Then::StopAll stops all, and Then::Go changes nothing.
    async fn five_seconds(&mut self) -> Result<Then> {
        println!("Five seconds, or a little less");
        TICKED.fetch_add(1, Ordering::SeqCst);
        Ok(Then::set("2h")?)
    }

    async fn handle_error(&mut self, job: &str, _: Context, error: &BoxError) -> Verdict {
        println!("Periodic job {job}: {error}");
        Verdict::Policy
    }
}

/// The number of ticks of `five_seconds`.
static TICKED: AtomicU64 = AtomicU64::new(0);

/// The entries of the batcher. In Elixir: `:yellow`, `5`, `"Amsterdam"`, a list.
#[derive(Serialize, Deserialize, Debug, Clone)]
pub(crate) enum Entry {
    Colour(String),
    Number(i64),
    City(String),
    Fruit(Vec<String>),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct MyBatcher;

#[poolder::batcher(
    // the unique name of the batcher
    name = "mybatcher",
    // the largest number of entries in a batch
    limit = 100,
    // the longest time before a batch is processed, or "none"
    timeout = "10s",
    // true hands out the last entry first
    lifo = false,
    // attempts and waits
    policy(attempts = 3, backoff = "1s"),
    // the idle time before a slot hibernates, or "none"
    hibernate_after = "10m"
)]
impl BatchWorker for MyBatcher {
    type Entry = Entry;

    async fn handle_init(&mut self) -> Result<()> {
        Ok(())
    }

    async fn handle_batch(&mut self, batch: &mut Batch<Entry>, _: Context) -> Result<Outcome> {
        let entries = batch.all().await?;
        println!("batch: {entries:?}");
        BATCHED.fetch_add(entries.len() as u64, Ordering::SeqCst);
        Ok(Done)
    }

    async fn handle_hibernate(&mut self) {
        println!("hibernating");
    }
}

/// The number of entries that came in batches.
static BATCHED: AtomicU64 = AtomicU64::new(0);

/// The number of callbacks that ran.
static CALLED: AtomicU64 = AtomicU64::new(0);

mod event_bus {
    use super::{CALLED, Deserialize, Ordering, Result, Serialize};

    #[derive(Serialize, Deserialize, Debug)]
    pub(super) struct Event {
        pub(super) id: String,
        pub(super) topic: String,
        pub(super) data: String,
    }

    pub(super) async fn notify(event: Event) -> Result<()> {
        println!("event {} on {}: {}", event.id, event.topic, event.data);
        CALLED.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

mod pubsub {
    use super::{CALLED, Ordering, Result};

    pub(super) async fn broadcast((channel, message): (String, String)) -> Result<()> {
        println!("{channel}: {message}");
        CALLED.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

mod websocket {
    use super::Result;

    pub(super) async fn cast(frame: String) -> Result<()> {
        println!("sent {frame}");
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    // A new namespace, so that every run starts empty.
    let namespace = format!("seed-{}", std::process::id());
    let client = Client::new(Config::from_env().namespace(namespace))?;

    // Pool installation: a worker that panics is replaced by a fresh one, the others go on.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let node =
        Node::builder(client.clone()).add(MyPool::default()).add(MyJobs).add(MyBatcher).run_until(
            async {
                let _ = stopped.await;
            },
        );
    let node = tokio::spawn(node);
    let pool = MyPool::on(&client);
    while pool.size().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // cast to a worker chosen by the mode
    let message = "Hello Worker!".to_owned();
    pool.cast(Work::Push { channel: "lobby".into(), message: message.clone() }).await?;

    // cast to a specific worker
    pool.slot(5).cast(Work::HardworkNotify { message: message.clone() }).await?;
    pool.slot(5).cast(Work::HardworkNotify { message: "unlucky".into() }).await?;

    // get the size of the pool
    for i in 0..pool.size().await? {
        pool.slot(i).cast(Work::Hardwork { message: message.clone() }).await?;
    }
    while CALLED.load(Ordering::SeqCst) < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // call a worker and wait for its reply: handle_error has updated its state
    let reply: String = pool.slot(5).call(Work::StopWorker).await?;
    println!("reply: {reply}");
    assert!(reply.ends_with("with key 5"), "{reply}");

    // stop one worker, stop all workers, start them again
    pool.slot(2).cast(Work::StopWorker).await?;
    pool.slot(0).cast(Work::StopPool).await?;
    while pool.slots().await?.iter().any(|slot| slot.node.is_some()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("all have stopped");
    pool.start().await?;
    let _: String = pool.slot(2).call(Work::StopPool).await?;
    println!("and started again");

    // scheduled jobs tick without any enqueue
    while TICKED.load(Ordering::SeqCst) < 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // push entries, and process them although the batch is not full
    let batcher = MyBatcher::on(&client);
    batcher.push(Entry::Colour("yellow".into())).await?;
    batcher.push(Entry::Number(5)).await?;
    batcher.push(Entry::City("Amsterdam".into())).await?;
    batcher.push(Entry::Fruit(["orange", "apple", "watermelon"].map(Into::into).into())).await?;
    batcher.flush().await?;
    while BATCHED.load(Ordering::SeqCst) < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // run futures in this process with limited concurrency
    let tasker =
        Tasker::builder("mytasker").limit(2).hibernate_after(Duration::from_secs(60)).build()?;
    let mut executions = vec![];
    for i in 1..=100 {
        executions.push(tasker.execute(async move { i }).await?);
    }
    let results = tasker.await_all(executions, Duration::from_secs(10)).await;
    println!("results: {:?}", results.iter().flatten().sum::<i32>());

    let _ = stop.send(());
    node.await??;
    Ok(())
}
