//! BUG: of an addressed pool the inspector, `cancel` and `state` see partition 0 only.
//! docs/operating.md: "A receipt is the quickest way to a job; the queue and the id will do."
use poolder::{Config, Handle, JobId, QueueName, prelude::*};
use serde::{Deserialize, Serialize};
use std::time::Duration;
#[derive(Serialize, Deserialize, Job)]
#[job(queue = "acc", attempts = 1)]
struct A {
    fail: bool,
}
#[tokio::main]
async fn main() {
    let client = Client::new(
        Config::new(std::env::var("POOLDER_REDIS_URL").unwrap())
            .namespace(format!("r3-{}", JobId::generate())),
    )
    .unwrap();
    let c = client.clone();
    let node = tokio::spawn(async move {
        Node::builder(c)
            .pool(Pool::new("acc").mode(Mode::RoundRobin).size(8).worker(worker_fn(
                |j: A, cx: Context| async move {
                    if j.fail {
                        return Err::<Outcome, BoxError>("broken".into());
                    }
                    for _ in 0..30 {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        if cx.is_cancelled() {
                            println!("cancelled");
                            return Err("stopped".into());
                        }
                    }
                    println!("ran to its end although cancel() was called");
                    Ok(Done)
                },
            )))
            .run_until(tokio::time::sleep(Duration::from_secs(7)))
            .await
    });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let pool = client.pool::<A>("acc");
    let mut dead = None;
    for _ in 0..16 {
        dead = Some(pool.cast(A { fail: true }).await.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let q = client.inspect("acc");
    let v = q.overview().await.unwrap();
    println!(
        "16 jobs died. overview: dead {} {:?}; dead list {}; purge_dead {}",
        v.dead,
        v.counters,
        q.dead(None, 50).await.unwrap().jobs.len(),
        q.purge_dead().await.unwrap()
    );
    println!(
        "the last of them by its receipt: {:?}",
        client.job(dead.unwrap()).state().await.unwrap()
    );
    let _ = pool.cast(A { fail: false }).await.unwrap(); // leaves slot 0
    let r = pool.cast(A { fail: false }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let by_id = Handle::new(QueueName::new("acc").unwrap(), r.job);
    println!(
        "slot {}: state by queue and id {:?}, by receipt {:?}",
        r.partition.index,
        client.job(by_id.clone()).state().await.unwrap(),
        client.job(&r).state().await.unwrap()
    );
    println!("cancel by queue and id: {}", client.job(by_id).cancel().await.unwrap());
    node.await.unwrap().unwrap();
}
