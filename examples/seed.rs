//! The README of Elixir's Poolder, line by line: a pool of workers, its installation, its use, and
//! the tasker.
//!
//! Needs a Redis: `POOLDER_REDIS_URL=redis://… cargo run --example seed`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{BoxError, Config};
use serde::{Deserialize, Serialize};

/// What a job may be: `{:push, …}`, `{:hardwork, …}`, `{:hardwork, …, :notify}`, `:stop_worker`,
/// `:stop_pool`.
#[derive(Serialize, Deserialize, Debug, Clone, Job)]
#[job(queue = "mypool")]
enum Work {
    Push { channel: String, message: String },
    Hardwork { message: String },
    HardworkNotify { message: String },
    StopWorker,
    StopPool,
}

/// The state of a worker; each slot has its own.
#[derive(Debug, Clone, Default)]
struct MyPool {
    key: u32,
}

#[poolder::pool(
    // pool unique name
    name = "mypool",
    // number of workers
    size = 10,
    retry(count = 5, backoff = "1s"),
    // "shared" | "round_robin" | "random" | "monotonic" | "phash" | "broadcast"
    mode = "round_robin",
    // list of custom callbacks
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

    /// For `MyPool::on(&client).call(…)`, which waits for the reply.
    async fn handle_call(&mut self, job: Work, _: Context) -> Result<Outcome> {
        Ok(Outcome::result(&format!("{job:?}, with key {}", self.key))?)
    }

    async fn handle_error(&mut self, _: Work, cx: Context, error: &BoxError) -> Verdict {
        println!("Error: {error}");
        match cx.attempt() {
            // retry immediately and update state
            1 => {
                self.key = 5;
                Verdict::RetryNow
            }
            // backoff for a moment
            2 => Verdict::Backoff(Duration::from_millis(50)),
            // stop retrying
            4 => Verdict::Halt,
            // retry immediately without updating state
            _ => Verdict::RetryNow,
        }
    }
}

impl MyPool {
    /// Does something heavy. What is unlucky fails twice.
    fn heavy_work(&self, message: &str, cx: &Context) -> Result<String> {
        if message == "unlucky" && cx.attempt() < 3 {
            return Err(format!("attempt {} went wrong", cx.attempt()).into());
        }
        Ok(message.to_owned())
    }
}

/// How many callbacks have come.
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
    // A namespace of its own, so that the example can be run again and again.
    let namespace = format!("seed-{}", std::process::id());
    let client = Client::new(Config::from_env().namespace(namespace))?;

    // Pool installation: what breaks is restarted, one for one.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let node = Node::builder(client.clone()).add(MyPool::default()).run_until(async {
        let _ = stopped.await;
    });
    let node = tokio::spawn(node);
    let pool = MyPool::on(&client);
    while pool.size().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // cast to a worker that the mode picks
    let message = "Hello Worker!".to_owned();
    pool.cast(Work::Push { channel: "lobby".into(), message: message.clone() }).await?;

    // cast to specific worker
    pool.slot(5).cast(Work::HardworkNotify { message: message.clone() }).await?;
    pool.slot(5).cast(Work::HardworkNotify { message: "unlucky".into() }).await?;

    // get pool size
    for i in 0..pool.size().await? {
        pool.slot(i).cast(Work::Hardwork { message: message.clone() }).await?;
    }
    while CALLED.load(Ordering::SeqCst) < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // call a worker and wait for its reply: its state was updated by handle_error
    let reply: String = pool.slot(5).call(Work::StopWorker).await?;
    println!("reply: {reply}");
    assert!(reply.ends_with("with key 5"), "{reply}");

    // stop one worker, stop them all, start them again
    pool.slot(2).cast(Work::StopWorker).await?;
    pool.slot(0).cast(Work::StopPool).await?;
    while pool.slots().await?.iter().any(|slot| slot.node.is_some()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("all have stopped");
    pool.start().await?;
    let _: String = pool.slot(2).call(Work::StopPool).await?;
    println!("and started again");

    // Tasker
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
