//! The smallest program: a job, an enqueue, a worker. It ends when the job has run.
//!
//! Needs a Redis or Valkey on this machine or in `POOLDER_REDIS_URL`: `cargo run --example hello`.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "hello", queue = "hello", attempts = 5)]
struct Hello {
    name: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let client = Client::from_env().await?;
    let receipt = client.enqueue(Hello { name: "world".into() }).await?;
    println!("enqueued job {}", receipt.job);

    let (done, mut ended) = mpsc::channel(1);
    let hello = worker_fn(move |job: Hello, cx: Context| {
        let done = done.clone();
        async move {
            println!("hello, {}! (attempt {} of job {})", job.name, cx.attempt(), cx.id());
            done.send(()).await?;
            Ok(Done)
        }
    });
    let one_job = async move {
        ended.recv().await;
    };
    Node::builder(client).pool(Pool::new("hello").size(2).worker(hello)).run_until(one_job).await?;
    Ok(())
}
