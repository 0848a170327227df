//! Claims beside foreign consumers, and beside a settlement that is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use poolder::prelude::*;

use crate::harness::*;

/// One settlement that the server refuses, and its neighbours.
#[tokio::test(flavor = "multi_thread")]
async fn neighbours_of_a_poisoned_settlement() {
    let space = Space::new("poison");
    let gate = Arc::new(tokio::sync::Notify::new());
    let g2 = Arc::clone(&gate);
    let runs = Arc::new(AtomicU64::new(0));
    let r2 = Arc::clone(&runs);
    let node = start(space.node().shutdown_timeout(s(3)).pool(Pool::new("q").size(16).worker(
        worker_fn(move |job: N, _c: Context| {
            let (g, r) = (Arc::clone(&g2), Arc::clone(&r2));
            async move {
                r.fetch_add(1, Ordering::Relaxed);
                if job.0 < 100 {
                    g.notified().await;
                }
                match job.0 {
                    0 => Ok(Outcome::result(&1_u8)?),
                    1..=4 => Ok(Snooze(s(3600))),
                    5..=8 => Err("no".into()),
                    _ => Ok::<_, BoxError>(Outcome::result(&2_u8)?),
                }
            }
        }),
    )));
    space.client.enqueue(N(0)).keep_completion(Duration::MAX).await.unwrap();
    for n in 1..12 {
        space.client.enqueue(N(n)).await.unwrap();
    }
    until(s(5), || async { runs.load(Ordering::Relaxed) == 12 }).await;
    gate.notify_waiters();
    tokio::time::sleep(s(6)).await;
    let v = space.overview("q").await;
    report(
        "11 innocent jobs settled beside one whose settlement is refused",
        v.running() <= 1 && v.due == 4 && v.dead == 4,
        format!("{} started, {}", runs.load(Ordering::Relaxed), space.brief("q").await),
    );
    for n in 100..150 {
        space.client.enqueue(N(n)).await.unwrap();
    }
    tokio::time::sleep(s(6)).await;
    let v = space.overview("q").await;
    report(
        "50 later jobs with results settle",
        v.counter("completed") >= 50,
        space.brief("q").await.to_string(),
    );
    println!("   stop {:?}", node.stop().await);
    let node = start(
        space
            .node()
            .shutdown_timeout(s(3))
            .pool(Pool::new("q").size(16).worker(worker_fn(|_: N, _c: Context| async { Done }))),
    );
    tokio::time::sleep(s(16)).await;
    report(
        "a new node clears it up",
        space.overview("q").await.running() == 0,
        space.brief("q").await,
    );
    println!("   stop {:?}", node.stop().await);
}

/// watermill-redisstream#24: a foreign consumer with several pending entries.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_consumer_with_many_pending() {
    let space = Space::new("foreign");
    let ran = Arc::new(AtomicU64::new(0));
    for i in 0..7 {
        space.client.enqueue(N(i)).await.unwrap();
    }
    let key = space.key("q", "ready:normal");
    let _: redis::Value = space
        .redis(redis::cmd("XGROUP").arg("CREATE").arg(&key).arg("workers").arg("0").arg("MKSTREAM"))
        .await;
    let _: redis::Value = space
        .redis(
            redis::cmd("XREADGROUP")
                .arg("GROUP")
                .arg("workers")
                .arg("stranger")
                .arg("COUNT")
                .arg(7)
                .arg("STREAMS")
                .arg(&key)
                .arg(">"),
        )
        .await;
    let ids: Vec<(String, String, u64, u64)> = space
        .redis(redis::cmd("XPENDING").arg(&key).arg("workers").arg("-").arg("+").arg(10))
        .await;
    println!("   {} pending", ids.len());
    let node = start(space.node().pool(Pool::new("q").size(2).worker(counter(&ran))));
    let t = Instant::now();
    let ok = until(s(690), || async { ran.load(Ordering::Relaxed) >= 7 }).await;
    tokio::time::sleep(s(1)).await;
    report(
        "watermill-redisstream#24: all 7 of a stranger's claims run, once",
        ok && ran.load(Ordering::Relaxed) == 7,
        format!(
            "{} after {:?}; {}",
            ran.load(Ordering::Relaxed),
            t.elapsed(),
            space.brief("q").await
        ),
    );
    node.stop().await;
}
