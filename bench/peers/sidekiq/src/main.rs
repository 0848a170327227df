//! rusty-sidekiq 0.15. It takes jobs with BRPOP: a killed worker loses what it was working on.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use bench_protocol::peer::{AnyError, Handler, Peer};
use bench_protocol::{Payload, Run};
use sidekiq::{Processor, ProcessorConfig, RedisConnectionManager, RedisPool, Worker};

static HANDLER: OnceLock<Handler> = OnceLock::new();

#[derive(Clone)]
struct Bench;

#[async_trait]
impl Worker<Payload> for Bench {
    fn opts() -> sidekiq::WorkerOpts<Payload, Self> {
        sidekiq::WorkerOpts::new().queue("bench")
    }

    async fn perform(&self, job: Payload) -> sidekiq::Result<()> {
        if let Some(handler) = HANDLER.get() {
            handler(job);
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Sidekiq(RedisPool);

impl Peer for Sidekiq {
    async fn enqueue(&self, job: Payload) -> Result<(), AnyError> {
        Bench::perform_async(&self.0, job).await?;
        Ok(())
    }

    /// It has no bulk call: 64 callers at once.
    async fn enqueue_many(&self, jobs: Vec<Payload>) -> Result<(), AnyError> {
        let mut tasks = tokio::task::JoinSet::new();
        for some in jobs.chunks(jobs.len().div_ceil(64)) {
            let (peer, some) = (self.clone(), some.to_vec());
            tasks.spawn(async move {
                for job in some {
                    peer.enqueue(job).await?;
                }
                Ok::<_, AnyError>(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn enqueue_after(&self, job: Payload, delay: Duration) -> Result<(), AnyError> {
        Bench::opts().perform_in(&self.0, delay, job).await?;
        Ok(())
    }

    fn work(&self, concurrency: usize, handler: Handler) {
        let _ = HANDLER.set(handler);
        let config = ProcessorConfig::default().num_workers(concurrency);
        let mut processor =
            Processor::new(self.0.clone(), vec!["bench".to_owned()]).with_config(config);
        processor.register(Bench);
        tokio::spawn(processor.run());
    }
}

#[tokio::main]
async fn main() {
    let run = Run::begin();
    let pool = match RedisConnectionManager::new(run.order.url.as_str()) {
        Ok(manager) => bb8::Pool::builder().max_size(128).build(manager).await,
        Err(error) => run.not_run(&error.to_string()),
    };
    match pool {
        Ok(pool) => bench_protocol::peer::run(run, Sidekiq(pool)).await,
        Err(error) => run.not_run(&error.to_string()),
    }
}
