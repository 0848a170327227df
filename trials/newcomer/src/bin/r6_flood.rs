//! Log flood 1: a kind that this node does not know (every rolling deploy): one ERROR per job and try.
//! Log flood 2: SERVER=down: a short outage with an addressed pool. Count the lines.
use poolder::{Config, JobId, prelude::*};
use serde::{Deserialize, Serialize};
use std::time::Duration;
#[derive(Serialize, Deserialize, Job)]
#[job(queue = "x")]
struct New {
    n: u64,
}
#[derive(Serialize, Deserialize, Job)]
#[job(queue = "x")]
struct Old {
    n: u64,
}
#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().without_time().with_ansi(false).init();
    let client = Client::new(
        Config::new(std::env::var("POOLDER_REDIS_URL").unwrap())
            .namespace(format!("r6-{}", JobId::generate())),
    )
    .unwrap();
    client.enqueue_many((0..5000).map(|n| New { n })).await;
    client.enqueue(Old { n: 1 }).await.unwrap();
    let start = std::time::Instant::now();
    Node::builder(client.clone())
        .pool(Pool::new("x").size(4).worker(worker_fn(move |_: Old, _: Context| async move {
            println!("the known job behind 5,000 unknown ones ran after {:?}", start.elapsed());
            Done
        })))
        .run_until(tokio::time::sleep(Duration::from_secs(15)))
        .await
        .unwrap();
    println!("{:?}", client.inspect("x").overview().await.unwrap().counters);
}
