//! The smallest program: a job, an enqueue, a worker. It ends when the job has run.
//!
//! Needs a Redis or Valkey on this machine or in `POOLDER_REDIS_URL`: `cargo run --example hello`.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "hello", queue = "hello", attempts = 5)]
pub(crate) struct Hello {
    pub(crate) name: String,
}

/// Tells `main` that a job has run.
#[derive(Clone)]
pub(crate) struct Ran(pub(crate) mpsc::Sender<()>);

pub(crate) async fn hello(State(ran): State<Ran>, job: Hello, cx: Context) -> Result<(), BoxError> {
    println!("hello, {}! (attempt {} of job {})", job.name, cx.attempt(), cx.id());
    Ok(ran.0.send(()).await?)
}

#[tokio::main]
async fn main() -> Result<(), poolder::Error> {
    let client = Client::from_env().await?;
    let receipt = client.enqueue(Hello { name: "world".into() }).await?;
    println!("enqueued job {}", receipt.job);

    let (ran, mut told) = mpsc::channel(1);
    let one_job = async move {
        told.recv().await;
    };
    let pool = Pool::new("hello").size(2).state(Ran(ran)).worker(worker_fn(hello));
    Node::builder(client).pool(pool).run_until(one_job).await
}
