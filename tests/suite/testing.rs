//! The private server for the tests of applications.

use std::sync::Arc;
use std::time::Duration;

use poolder::prelude::*;
use poolder::testing::TestServer;
use tokio::sync::{Notify, mpsc};

use crate::harness::{Number, teller, within};

/// Returns the text of a panic.
fn text(panic: Box<dyn std::any::Any + Send>) -> String {
    let owned = panic.downcast::<String>().map(|text| *text);
    owned.or_else(|panic| panic.downcast::<&str>().map(|text| text.to_string())).unwrap()
}

#[tokio::test]
async fn a_killed_node_releases_nothing_and_another_takes_its_jobs() {
    let server = TestServer::start().await;
    let (began, mut begins) = mpsc::channel(100);
    let finish = Arc::new(Notify::new());
    let pool = |name: &'static str| {
        let (began, finish) = (began.clone(), Arc::clone(&finish));
        Pool::new("q").size(1).worker(worker_fn(move |job: Number, cx: Context| {
            let (began, finish) = (began.clone(), Arc::clone(&finish));
            async move {
                began.send((name, job.0, cx.attempt())).await?;
                finish.notified().await;
                Ok::<_, BoxError>(())
            }
        }))
    };
    let first = server.start_node(server.node().pool(pool("first"))).await;
    server.client().enqueue(Number(7)).await.unwrap();
    assert_eq!(within(begins.recv()).await.unwrap(), ("first", 7, 1));

    first.kill();
    let view = server.client().inspect("q").overview().await.unwrap();
    assert_eq!((view.running(), view.counter("handed_back")), (1, 0), "it stays claimed");
    assert_eq!(server.client().nodes().await.unwrap().len(), 1, "it stays in the roster");

    let second = server.start_node(server.node().pool(pool("second"))).await;
    assert_eq!(within(begins.recv()).await.unwrap(), ("second", 7, 1), "a crash is no attempt");
    finish.notify_one();
    server.until_idle("q").await;
    second.stop().await;
    assert_eq!(server.client().inspect("q").overview().await.unwrap().counter("rescued"), 1);
}

#[tokio::test]
async fn a_stopped_node_finishes_its_jobs_and_leaves() {
    let server = TestServer::start().await;
    let (worker, mut told) = teller();
    let node = server.start_node(server.node().pool(Pool::new("q").worker(worker))).await;
    server.client().enqueue_many((0..20).map(Number)).await;
    server.until_idle("q").within(Duration::from_secs(20)).await;
    node.stop().await;
    assert!(server.client().nodes().await.unwrap().is_empty());
    let mut seen: Vec<u64> = std::iter::from_fn(|| told.try_recv().ok()).map(|it| it.0).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn each_test_has_a_server_and_a_namespace_of_its_own() {
    let (one, other) = (TestServer::start().await, TestServer::start().await);
    assert_ne!(one.url(), other.url());
    assert_ne!(one.namespace(), other.namespace());
    one.client().enqueue(Number(1)).await.unwrap();
    other.until_idle("q").await;
    assert_eq!(one.client().inspect("q").overview().await.unwrap().ready(), 1);
}

#[tokio::test]
async fn a_wait_that_takes_too_long_says_what_is_left() {
    let server = TestServer::start().await;
    server.client().enqueue(Number(1)).await.unwrap();
    server.client().enqueue(Number(2)).after(Duration::from_secs(60)).await.unwrap();
    let wait = server.until_idle("q").within(Duration::ZERO);
    let panic = tokio::spawn(async { wait.await }).await.unwrap_err().into_panic();
    assert_eq!(
        text(panic),
        "queue q is not idle after 0ns:\n\
         slot  ready or running  due  dead\n   \
            0                 1    1     0"
    );
}

#[tokio::test]
async fn a_node_that_cannot_start_panics_with_its_error() {
    let server = TestServer::start().await;
    let starting = tokio::spawn(async move { server.start_node(server.node()).await });
    let panic = starting.await.unwrap_err().into_panic();
    let expected = "the node does not start: the node has no pool: add one with .pool(…)";
    assert_eq!(text(panic), expected);
}
