//! Orders of operators for nodes: quiet, stop and forget.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{NodeOrder, NodePhase};
use redis::cmd;

use crate::harness::{Number, Space, eventually, start, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_node_finishes_its_job_and_takes_no_more() {
    let space = Space::new("node_quiet");
    let client = space.client.clone();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let (started, mut starts) = tokio::sync::mpsc::channel(100);
    let worker = |name: &'static str| {
        let (gate, started) = (gate.clone(), started.clone());
        worker_fn(move |job: Number, _: Context| {
            let (gate, started) = (gate.clone(), started.clone());
            async move {
                started.send((name, job.0)).await.unwrap();
                gate.acquire().await.unwrap().forget();
                Ok::<_, BoxError>(Done)
            }
        })
    };
    let slots = |name| Pool::new("slots").size(2).mode(Mode::Phash).worker(worker(name));
    let mut first =
        space.node().pool(Pool::new("q").size(2).worker(worker("first"))).pool(slots("first"));
    let handle = first.handle();
    let first = start(first);
    client.enqueue(Number(1)).await.unwrap();
    assert_eq!(within(starts.recv()).await, Some(("first", 1)));
    let name = client.nodes().await.unwrap()[0].name.clone();
    eventually("it holds both slots", || async {
        let slots = client.pool::<Number>("slots").slots().await.unwrap_or_default();
        slots.len() == 2 && slots.iter().all(|slot| slot.node.is_some())
    })
    .await;

    client.quiet_node(&name).await.unwrap();
    eventually("it is quiet", || async { handle.status().phase == NodePhase::Quiet }).await;
    assert!(!handle.health().ready && handle.health().live);
    let add = handle.add(Pool::new("other").worker(worker("first"))).await.unwrap_err();
    assert!(add.is_refused(), "{add}");
    client.enqueue(Number(2)).await.unwrap();
    gate.add_permits(3);
    eventually("its job is done and its slots are free", || async {
        let slots = client.pool::<Number>("slots").slots().await.unwrap();
        space.count("q", "completed").await == 1 && slots.iter().all(|slot| slot.node.is_none())
    })
    .await;
    assert_eq!(space.ready("q").await, 1);
    eventually("it says that it serves no queue", || async {
        let node = &client.nodes().await.unwrap()[0];
        node.order == Some(NodeOrder::Quiet)
            && node.info.as_ref().is_some_and(|info| info.pools.is_empty())
    })
    .await;

    // Another node takes over what waits, and the slots.
    let second =
        start(space.node().pool(Pool::new("q").worker(worker("second"))).pool(slots("second")));
    assert_eq!(within(starts.recv()).await, Some(("second", 2)));
    client.pool::<Number>("slots").cast(Number(3)).key("a").await.unwrap();
    assert_eq!(within(starts.recv()).await, Some(("second", 3)));
    second.stop().await;
    // The way back: it serves its queues and holds its slots again.
    client.resume_node(&name).await.unwrap();
    eventually("it is ready", || async { handle.health().ready }).await;
    gate.add_permits(3);
    for (number, queue) in [(4, "q"), (5, "slots")] {
        match queue {
            "q" => drop(client.enqueue(Number(number)).await.unwrap()),
            _ => drop(client.pool::<Number>(queue).cast(Number(number)).key("a").await.unwrap()),
        }
        assert_eq!(within(starts.recv()).await, Some(("first", number)));
    }
    eventually("it says that it serves both queues", || async {
        let node = client.nodes().await.unwrap();
        let node = node.iter().find(|node| node.name == name).unwrap();
        node.info.as_ref().is_some_and(|info| info.pools.len() == 2)
    })
    .await;
    // It can be quieted once more.
    client.quiet_node(&name).await.unwrap();
    eventually("it is quiet again", || async { handle.status().phase == NodePhase::Quiet }).await;
    first.stop().await;
    assert!(!client.nodes().await.unwrap().iter().any(|node| node.name == name));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_ordered_to_stop_finishes_its_job_and_ends() {
    let space = Space::new("node_stop");
    let client = space.client.clone();
    let (started, mut starts) = tokio::sync::mpsc::channel(100);
    let worker = worker_fn(move |_: Number, _: Context| {
        let started = started.clone();
        async move {
            started.send(()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok::<_, BoxError>(Done)
        }
    });
    let node = tokio::spawn(space.node().pool(Pool::new("q").worker(worker)).run());
    client.enqueue(Number(1)).await.unwrap();
    within(starts.recv()).await.unwrap();
    let name = client.nodes().await.unwrap()[0].name.clone();
    client.stop_node(&name).await.unwrap();
    // An order to stop stands.
    client.quiet_node(&name).await.ok();
    client.resume_node(&name).await.ok();
    within(node).await.unwrap().unwrap();
    assert_eq!(space.count("q", "completed").await, 1);
    assert!(client.nodes().await.unwrap().is_empty());
    let left: u64 =
        space.redis(cmd("EXISTS").arg(format!("{}:{{roster}}:orders", space.name()))).await;
    assert_eq!(left, 0);
    assert!(client.stop_node(&name).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn only_a_silent_node_is_forgotten() {
    let space = Space::new("node_forget");
    let client = space.client.clone();
    let roster = |key: &str| format!("{}:{{roster}}:{key}", space.name());
    let now = client.time().await.unwrap().millis();
    let mut add = cmd("ZADD");
    add.arg(roster("nodes")).arg(now).arg("alive").arg(now - 9_000).arg("silent");
    space.redis::<()>(&mut add).await;
    client.quiet_node("silent").await.unwrap();
    assert!(client.forget_node("alive").await.unwrap_err().is_gone());
    assert!(client.forget_node("none").await.unwrap_err().is_not_found());
    client.forget_node("silent").await.unwrap();
    let audit = client.audit(&poolder::AuditFilter::default(), None, 1).await.unwrap();
    assert_eq!(audit.entries[0].record.action, "node.forget");
    let names: Vec<String> =
        client.nodes().await.unwrap().into_iter().map(|node| node.name).collect();
    assert_eq!(names, ["alive"]);
    let marked: Option<f64> = space.redis(cmd("ZSCORE").arg(roster("marks")).arg("silent")).await;
    assert!(marked.is_some());
    let order: Option<String> = space.redis(cmd("HGET").arg(roster("orders")).arg("silent")).await;
    assert_eq!(order, None);
}
