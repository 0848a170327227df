//! apalis-redis 1.0, with its storage polled every 10 ms.

use std::sync::OnceLock;
use std::time::Duration;

use apalis::prelude::*;
use apalis_redis::{Config, ConnectionManager, RedisStorage};
use bench_protocol::peer::{AnyError, Handler, Peer};
use bench_protocol::{Payload, Run};

static HANDLER: OnceLock<Handler> = OnceLock::new();

#[derive(Clone)]
struct Apalis {
    connection: ConnectionManager,
    batch: usize,
}

impl Apalis {
    fn storage(&self) -> RedisStorage<Payload> {
        RedisStorage::new(self.connection.clone())
            .with_config(Config::default().queue("bench").batch_size(self.batch))
    }
}

impl Peer for Apalis {
    async fn enqueue(&self, job: Payload) -> Result<(), AnyError> {
        self.storage().push(job).await.map_err(|error| format!("{error:?}"))?;
        Ok(())
    }

    async fn enqueue_many(&self, jobs: Vec<Payload>) -> Result<(), AnyError> {
        for some in jobs.chunks(500) {
            let pushed = self.storage().push_bulk(some.to_vec()).await;
            pushed.map_err(|error| format!("{error:?}"))?;
        }
        Ok(())
    }

    async fn enqueue_after(&self, job: Payload, delay: Duration) -> Result<(), AnyError> {
        let task = TaskBuilder::new(job).run_after(delay).build();
        self.storage().push_task(task).await.map_err(|error| format!("{error:?}"))?;
        Ok(())
    }

    fn work(&self, _concurrency: usize, handler: Handler) {
        let _ = HANDLER.set(handler);
        let backend = self.storage().poll_with_interval(Duration::from_millis(10));
        let worker =
            WorkerBuilder::new("bench").backend(backend).parallelize(tokio::spawn).build(work);
        let runtime = tokio::runtime::Handle::current();
        // Its future cannot be spawned.
        std::thread::spawn(move || {
            if let Err(error) = runtime.block_on(worker.run()) {
                eprintln!("the worker ended: {error}");
                std::process::exit(1);
            }
        });
    }
}

async fn work(job: Payload) -> Result<(), BoxDynError> {
    if let Some(handler) = HANDLER.get() {
        handler(job);
    }
    Ok(())
}

#[tokio::main]
async fn main() {
    let run = Run::begin();
    let batch = run.order.concurrency.max(1);
    match apalis_redis::connect(run.order.url.as_str()).await {
        Ok(connection) => bench_protocol::peer::run(run, Apalis { connection, batch }).await,
        Err(error) => run.not_run(&error.to_string()),
    }
}
