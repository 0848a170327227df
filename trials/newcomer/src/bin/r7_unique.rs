//! "At most one of this id queued or running" cannot be expressed: an own id alone allows two, and
//! idempotent outlives the job, even a cancelled or dead one. The window cannot be released.
use poolder::{Config, JobId, prelude::*};
use serde::{Deserialize, Serialize};
use std::time::Duration;
#[derive(Serialize, Deserialize, Job)]
#[job(queue = "u", attempts = 1)]
struct U {}
#[tokio::main]
async fn main() {
    let client = Client::new(
        Config::new(std::env::var("POOLDER_REDIS_URL").unwrap())
            .namespace(format!("r7-{}", JobId::generate())),
    )
    .unwrap();
    let first = client.enqueue(U {}).id("a").await.unwrap();
    let second = client.enqueue(U {}).id("a").await.unwrap();
    println!(
        "own id, both ready: {:?} {:?}, same id {}",
        first.stored,
        second.stored,
        first.job == second.job
    );
    println!(
        "cancel one of two: {}; left: {}",
        client.job(&first).cancel().await.unwrap(),
        client.inspect("u").overview().await.unwrap().ready()
    );
    let again = || client.enqueue(U {}).id("b").idempotent(Duration::from_secs(3600));
    let job = again().await.unwrap();
    println!(
        "cancelled: {}; enqueue it anew: {:?}",
        client.job(&job).cancel().await.unwrap(),
        again().await.unwrap().stored
    );
}
