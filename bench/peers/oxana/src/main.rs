//! oxana 2.5. Its idle poll is set to 10 ms; by default it sleeps 10 s when its queue is empty.

use std::sync::OnceLock;
use std::time::Duration;

use bench_protocol::peer::{AnyError, Handler, Peer};
use bench_protocol::{Payload, Run};
use serde::{Deserialize, Serialize};

static HANDLER: OnceLock<Handler> = OnceLock::new();

#[derive(Debug, Serialize, Deserialize)]
struct CountJob(Payload);

impl oxana::Job for CountJob {}

#[derive(Debug)]
struct Never;

impl std::fmt::Display for Never {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("never")
    }
}

impl std::error::Error for Never {}

#[derive(Debug, Clone)]
struct Nothing;

#[derive(oxana::Worker)]
#[oxana(context = Nothing, error = Never, registry = None)]
struct Count;

impl Count {
    async fn process(&self, job: CountJob, _cx: &oxana::JobContext) -> Result<(), Never> {
        if let Some(handler) = HANDLER.get() {
            handler(job.0);
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Queue;

impl oxana::Queue for Queue {
    fn to_config() -> oxana::QueueConfig {
        oxana::QueueConfig {
            kind: oxana::QueueKind::Static { key: "bench".to_owned() },
            concurrency: oxana::QueueConcurrency::Fixed(64),
            throttle: None,
        }
    }
}

#[derive(Clone)]
struct Oxana(oxana::Storage);

impl Peer for Oxana {
    async fn enqueue(&self, job: Payload) -> Result<(), AnyError> {
        self.0.enqueue(Queue, CountJob(job)).await?;
        Ok(())
    }

    async fn enqueue_many(&self, jobs: Vec<Payload>) -> Result<(), AnyError> {
        self.0.enqueue_list(Queue, jobs.into_iter().map(CountJob).collect::<Vec<_>>()).await?;
        Ok(())
    }

    async fn enqueue_after(&self, job: Payload, delay: Duration) -> Result<(), AnyError> {
        self.0.enqueue_in(Queue, CountJob(job), delay.as_secs()).await?;
        Ok(())
    }

    fn work(&self, concurrency: usize, handler: Handler) {
        let _ = HANDLER.set(handler);
        let runtime = self
            .0
            .runtime(Nothing)
            .queue_with_concurrency::<Queue>(concurrency)
            .worker::<Count, CountJob>()
            .dequeue_timeout(Duration::from_millis(10));
        tokio::spawn(runtime.run());
    }
}

#[tokio::main]
async fn main() {
    let run = Run::begin();
    let storage = oxana::Storage::builder().max_pool_size(128);
    match storage.build_from_redis_url(run.order.url.clone()) {
        Ok(storage) => bench_protocol::peer::run(run, Oxana(storage)).await,
        Err(error) => run.not_run(&error.to_string()),
    }
}
