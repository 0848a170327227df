//! Pausing a queue in the whole fleet, and resuming it.

use std::time::Duration;

use poolder::prelude::*;
use tokio::sync::{mpsc, watch};

use crate::harness::{Number, Space, eventually, start, teller, within};

#[tokio::test]
async fn a_paused_queue_finishes_what_runs_starts_nothing_and_goes_on_when_told() {
    // A server of this test alone, so that the blocked claims can be counted.
    let server = poolder_devserver::Server::builder().start().unwrap();
    let space = Space::on(server.url(), "pause");
    let (tell, mut told) = mpsc::channel(100);
    let (go, gone) = watch::channel(false);
    let worker = worker_fn(move |job: Number, _: Context| {
        let (tell, mut gone) = (tell.clone(), gone.clone());
        async move {
            tell.send(job.0).await?;
            if job.0 == 1 {
                gone.wait_for(|go| *go).await?;
            }
            Ok::<_, BoxError>(Done)
        }
    });
    let pool = || Pool::new("q").size(2).worker(worker.clone());
    let nodes = [start(space.node().pool(pool())), start(space.node().pool(pool()))];
    let client = &space.client;
    client.enqueue(Number(1)).await.unwrap();
    assert_eq!(within(told.recv()).await, Some(1));
    eventually("both nodes wait for more", || async { blocked(&space).await == 2 }).await;

    assert!(client.pause("q").await.unwrap());
    assert!(!client.pause("q").await.unwrap(), "it is paused already");
    assert!(space.overview("q").await.paused.is_some());
    eventually("no claim waits", || async { blocked(&space).await == 0 }).await;
    go.send_replace(true);
    space.until_count("q", "completed", 1).await;
    client.enqueue(Number(2)).await.unwrap();
    client.enqueue(Number(3)).after(Duration::from_millis(50)).await.unwrap();
    eventually("the due job waits in its lane", || async {
        let view = space.overview("q").await;
        (view.ready(), view.running(), view.due) == (2, 0, 0)
    })
    .await;
    assert!(told.try_recv().is_err());

    assert!(client.resume("q").await.unwrap());
    assert!(!client.resume("q").await.unwrap());
    let mut seen = [within(told.recv()).await.unwrap(), within(told.recv()).await.unwrap()];
    seen.sort_unstable();
    assert_eq!(seen, [2, 3]);
    space.until_count("q", "completed", 3).await;
    for node in nodes {
        node.stop().await;
    }
}

/// Returns how many clients the server keeps waiting for a job.
async fn blocked(space: &Space) -> usize {
    let info: String = space.redis(redis::cmd("INFO").arg("clients")).await;
    let line = info.lines().find_map(|line| line.strip_prefix("blocked_clients:")).unwrap();
    line.trim().parse().unwrap()
}

#[tokio::test]
async fn a_node_that_starts_on_a_paused_queue_claims_nothing_until_it_is_resumed() {
    let space = Space::new("paused");
    let client = &space.client;
    client.pause("q").await.unwrap();
    client.enqueue(Number(1)).await.unwrap();
    let (worker, mut told) = teller();
    let (other, mut elsewhere) = teller();
    let pools = space.node().pool(Pool::new("q").worker(worker)).pool(Pool::new("p").worker(other));
    let node = start(pools);
    // The node works: it leads, and serves its other queue.
    client.enqueue(Number(2)).queue("p").await.unwrap();
    assert_eq!(within(elsewhere.recv()).await.unwrap().0, 2);
    eventually("it leads", || async { space.overview("q").await.leader.is_some() }).await;
    let view = space.overview("q").await;
    assert_eq!((view.ready(), view.running()), (1, 0));
    assert!(told.try_recv().is_err());

    // Resumed without a hint: the node finds it out by asking the server.
    let meta = space.key("q", "meta");
    space.redis::<u64>(redis::cmd("HDEL").arg(meta).arg("paused")).await;
    assert_eq!(within(told.recv()).await.unwrap().0, 1);
    node.stop().await;
}
