//! Dead jobs: kept, bounded, edited.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

use crate::harness::*;

/// Dead batches beyond the cap: their entries go, too.
#[tokio::test(flavor = "multi_thread")]
async fn dead_set_stays_bounded() {
    let space = Space::new("dead");
    let node =
        start(space.node().keep_dead(10, s(3600)).pool(Pool::new("q").size(4).worker(worker_fn(
            |_: N, _c: Context| async { Err::<Outcome, BoxError>("x".into()) },
        ))));
    for i in 0..200 {
        space.client.enqueue(N(i)).await.unwrap();
    }
    until(s(10), || async { space.overview("q").await.counter("buried") >= 200 }).await;
    let (z, h): (i64, i64) = (
        space.redis(redis::cmd("ZCARD").arg(space.key("q", "dead"))).await,
        space.redis(redis::cmd("HLEN").arg(space.key("q", "dead:bodies"))).await,
    );
    let keys: Vec<String> = space.redis(redis::cmd("KEYS").arg(format!("{}:*", space.name))).await;
    report(
        "dead set bounded (asynq#743/#885)",
        z == 10 && (h == 10 || h == 0),
        format!("dead={z} bodies={h} keys={keys:?}"),
    );
    node.stop().await;
}

/// Editing dead jobs of common shapes.
#[tokio::test(flavor = "multi_thread")]
async fn edit_common_shapes() {
    #[derive(Serialize, Deserialize, Debug, Clone, Job)]
    #[job(kind = "order", queue = "q", attempts = 1)]
    struct Order {
        id: uuid::Uuid,
        note: String,
    }
    #[derive(Serialize, Deserialize, Debug, Clone, Job)]
    #[job(kind = "cleanup", queue = "u", attempts = 1)]
    struct Cleanup;
    let space = Space::new("edit");
    let ran = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&ran);
    let seen2 = Arc::clone(&ran);
    let node = start(
        space
            .node()
            .pool(Pool::new("q").size(1).worker(worker_fn(move |job: Order, _c: Context| {
                let seen = Arc::clone(&seen);
                async move {
                    if job.note == "bad" {
                        Err::<Outcome, BoxError>("bad note".into())
                    } else {
                        seen.fetch_add(1, Ordering::Relaxed);
                        Ok(Done)
                    }
                }
            })))
            .pool(Pool::new("u").size(1).worker(worker_fn(move |_: Cleanup, cx: Context| {
                let seen = Arc::clone(&seen2);
                async move {
                    if cx.fence() == 1 {
                        Err::<Outcome, BoxError>("once".into())
                    } else {
                        seen.fetch_add(1, Ordering::Relaxed);
                        Ok(Done)
                    }
                }
            }))),
    );
    let r =
        space.client.enqueue(Order { id: uuid::Uuid::new_v4(), note: "bad".into() }).await.unwrap();
    let q = space.client.inspect("q");
    until(s(5), || async { space.overview("q").await.dead == 1 }).await;
    let view = space.client.job(&r).view().await.unwrap().unwrap();
    let mut json = view.payload_json().unwrap();
    json["note"] = "good".into();
    space.client.job(&view.handle).edit_and_revive(&json).await.unwrap();
    let ok = until(s(4), || async { ran.load(Ordering::Relaxed) == 1 }).await;
    let why = q
        .dead(None, 1)
        .await
        .unwrap()
        .jobs
        .first()
        .and_then(|j| j.failure().map(ToString::to_string));
    report(
        "edit another field of a dead job that has a Uuid",
        ok,
        format!("payload {json}; {why:?}"),
    );
    let r = space.client.enqueue(Cleanup).await.unwrap();
    until(s(5), || async { space.overview("u").await.dead == 1 }).await;
    let u = space.client.inspect("u");
    let view = space.client.job(&r).view().await.unwrap().unwrap();
    let json = view.payload_json().unwrap();
    let before = ran.load(Ordering::Relaxed);
    space.client.job(&view.handle).edit_and_revive(&json).await.unwrap();
    let ok = until(s(4), || async { ran.load(Ordering::Relaxed) > before }).await;
    let why = u
        .dead(None, 1)
        .await
        .unwrap()
        .jobs
        .first()
        .and_then(|j| j.failure().map(ToString::to_string));
    report("put back the payload of a dead unit struct", ok, format!("payload {json}; {why:?}"));
    node.stop().await;
}

/// Keep the end of a job that dies: destination is written before the record.
#[tokio::test(flavor = "multi_thread")]
async fn keep_completion_forever_of_a_dying_job() {
    let space = Space::new("dying");
    let runs = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&runs);
    let node = start(space.node().pool(Pool::new("q").size(2).worker(worker_fn(
        move |_job: N, _cx: Context| {
            let seen = Arc::clone(&seen);
            async move {
                seen.fetch_add(1, Ordering::Relaxed);
                Err::<Outcome, BoxError>("no".into())
            }
        },
    ))));
    let _ = space.client.enqueue(N(1)).keep_completion(Duration::MAX).await;
    tokio::time::sleep(s(6)).await;
    let v = space.overview("q").await;
    report(
        "keep_completion(MAX) of a job that dies",
        v.dead == 1 && v.running() == 0 && v.ready() == 0,
        format!("runs={} {}", runs.load(Ordering::Relaxed), space.brief("q").await),
    );
    println!("   stop took {:?}", node.stop().await);
    println!("   after stop {}", space.brief("q").await);
}
