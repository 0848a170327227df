//! An anyhow error with context: only its first line is stored and logged; the cause is nowhere.
use anyhow::Context as _;
use poolder::{Config, JobId, prelude::*};
use serde::{Deserialize, Serialize};
use std::time::Duration;
#[derive(Serialize, Deserialize, Debug, Job)]
#[job(queue = "x", attempts = 1)]
struct X {}
fn read() -> anyhow::Result<()> {
    std::fs::read("/nope").context("reading the template").context("rendering the mail")?;
    Ok(())
}
#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().without_time().with_ansi(false).init();
    let client = Client::new(
        Config::new(std::env::var("POOLDER_REDIS_URL").unwrap())
            .namespace(format!("r5-{}", JobId::generate())),
    )
    .unwrap();
    client.enqueue(X {}).await.unwrap();
    Node::builder(client.clone())
        .pool(Pool::new("x").size(1).worker(worker_fn(|_: X, _: poolder::Context| async {
            read()?;
            Ok::<_, BoxError>(Done)
        })))
        .run_until(tokio::time::sleep(Duration::from_millis(500)))
        .await
        .unwrap();
    println!("stored: {:?}", client.inspect("x").dead(None, 1).await.unwrap().jobs[0].failure());
    println!("wanted: {:#}", read().unwrap_err());
}
