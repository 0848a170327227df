//! Entries that this version of Poolder did not write: plain ones, foreign ones, garbage.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

use crate::harness::{Number, Space, start, teller, within};

#[tokio::test]
async fn a_plain_entry_is_a_job() {
    let space = Space::new("plain");
    let key = space.key("q", "ready:normal");
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    let add = |payload| {
        let mut cmd = redis::cmd("XADD");
        cmd.arg(&key).arg("*").arg("kind").arg("number").arg("payload").arg(payload);
        cmd
    };
    space.redis::<String>(&mut add("41")).await;
    assert_eq!(within(told.recv()).await.unwrap().0, 41);
    space.until_count("q", "completed", 1).await;
    // Broken JSON is a failed attempt like any other: a later deploy may have the type that fits.
    space.redis::<String>(&mut add("{41")).await;
    space.until_count("q", "retried", 1).await;
    assert_eq!((space.ready("q").await, space.due("q").await), (0, 1));
    node.stop().await;
}

#[tokio::test]
async fn an_entry_that_is_no_job_goes_to_the_dead_as_it_is() {
    let space = Space::new("garbage");
    let key = space.key("q", "ready:normal");
    let add = |field: &str, value: &[u8]| {
        let mut cmd = redis::cmd("XADD");
        cmd.arg(&key).arg("*").arg(field).arg(value);
        cmd
    };
    space.redis::<String>(&mut add("j", b"\x01garbage")).await;
    space.redis::<String>(&mut add("surprise", b"here")).await;
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    space.until_count("q", "buried", 2).await;
    let dead = space.dead("q").await.join("\n");
    assert!(dead.contains("shorter than a header") && dead.contains("surprise\0here"), "{dead:?}");
    space.client.enqueue(Number(5)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 5, "the node goes on");
    node.stop().await;
}

#[tokio::test]
async fn a_kind_or_version_that_this_node_does_not_know_waits_for_one_that_does() {
    #[derive(Serialize, Deserialize, Job)]
    #[job(kind = "number", queue = "q", version = 2)]
    struct Newer(u64);
    #[derive(Serialize, Deserialize, Job)]
    #[job(kind = "stranger", queue = "q")]
    struct Stranger(u64);

    let space = Space::new("unknown");
    let (worker, mut told) = teller();
    let old = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    space.client.enqueue(Newer(1)).await.unwrap();
    space.client.enqueue(Stranger(2)).await.unwrap();
    space.until_count("q", "not_for_us", 2).await;
    old.stop().await;
    assert!(told.try_recv().is_err());

    let (tell, mut told) = tokio::sync::mpsc::channel(10);
    let newer = {
        let tell = tell.clone();
        worker_fn(move |job: Newer, cx: Context| {
            let tell = tell.clone();
            async move {
                tell.send((job.0, cx.attempt())).await?;
                Ok::<_, BoxError>(Done)
            }
        })
    };
    let stranger = worker_fn(move |job: Stranger, cx: Context| {
        let tell = tell.clone();
        async move {
            tell.send((job.0, cx.attempt())).await?;
            Ok::<_, BoxError>(Done)
        }
    });
    let pool = Pool::new("q").size(1).worker(newer).worker(stranger);
    let new = start(space.node().pool(pool));
    let mut seen = [within(told.recv()).await.unwrap(), within(told.recv()).await.unwrap()];
    seen.sort_unstable();
    assert_eq!(seen, [(1, 1), (2, 1)], "waiting for a worker is no failed attempt");
    new.stop().await;
}
