//! The shop, tested as a user would: requests go to the web server's own routes, and the workers'
//! own node works off what these enqueue. No server is needed, and nothing sleeps.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use poolder::testing::{
    Fate, QueueNode, TestQueue, assert_enqueued, assert_payload_compatible, refute_enqueued,
};
use poolder::{JobState, Timestamp};
use tower::ServiceExt;

use crate::jobs::{self, Charge, Report, Ship};
use crate::store::Store;
use crate::web;

const HOUR: Duration = Duration::from_secs(3_600);

/// Starts the node of the shop.
async fn workers(queue: &TestQueue, store: &Store) -> QueueNode {
    queue.start_node(jobs::node(queue.node(), store.clone())).await
}

async fn send(queue: &TestQueue, method: &str, path: &str, body: &'static str) -> StatusCode {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json").body(Body::from(body));
    web::router(queue.client().clone()).oneshot(request.unwrap()).await.unwrap().status()
}

#[tokio::test]
async fn an_order_is_charged_and_shipped() {
    let (queue, store) = (TestQueue::new(), Store::default());
    let status = send(&queue, "POST", "/orders", r#"{"item": "tea", "cents": 450}"#).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_enqueued!(queue, Charge { cents: 450, .. }, header = ("item", "tea"), times = 1);
    refute_enqueued!(queue, Ship { .. });

    let node = workers(&queue, &store).await;
    let sums = node.drain().recursive().await;
    assert_eq!((sums.done, sums.retried), (2, 0));
    assert_eq!(store.shipped().len(), 1);
    assert!(store.shipped()[0].starts_with("tea-"));
}

#[tokio::test]
async fn a_body_that_is_no_order_enqueues_nothing() {
    let queue = TestQueue::new();
    let status = send(&queue, "POST", "/orders", r#"{"item": "tea"}"#).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    refute_enqueued!(queue, Charge { .. });
}

#[tokio::test]
async fn a_closed_bank_is_tried_five_times_and_a_refusal_once() {
    let (queue, store) = (TestQueue::new(), Store::default());
    let node = workers(&queue, &store).await;
    let charge = |cents| Charge { order: "o-1".into(), cents };
    let run = node.perform(charge(1_000_000)).attempt(4).await;
    assert!(run.failed_with("503") && run.is_retried_after(Duration::from_secs(60)..HOUR));
    assert!(node.perform(charge(1_000_000)).attempt(5).await.is_dead());
    let run = node.perform(charge(0)).await;
    assert_eq!(*run.fate(), Fate::Cancelled("402 nothing to charge".into()));
    assert!(run.jobs().is_empty() && store.shipped().is_empty());
}

#[tokio::test]
async fn a_charge_that_runs_twice_ships_once() {
    let (queue, store) = (TestQueue::new(), Store::default());
    let node = workers(&queue, &store).await;
    for _ in 0..2 {
        let run = node.perform(Charge { order: "o-1".into(), cents: 450 }).await;
        assert!(run.is_done());
    }
    assert_eq!(queue.enqueued::<Ship>(), [Ship { order: "o-1".into() }]);
}

#[tokio::test]
async fn visits_are_counted_in_batches() {
    let (queue, store) = (TestQueue::new(), Store::default());
    let node = workers(&queue, &store).await;
    for _ in 0..101 {
        assert_eq!(send(&queue, "GET", "/items/tea", "").await, StatusCode::OK);
    }
    assert_eq!((node.drain().await.done, store.visits()), (1, 100));
    queue.advance(Duration::from_secs(1));
    assert_eq!((node.drain().await.done, store.visits()), (1, 101));
}

#[tokio::test]
async fn the_report_comes_every_night_at_three() {
    // 5 January 2026, 02:00 UTC.
    let queue = TestQueue::starting_at(Timestamp::from_millis(1_767_578_400_000));
    let store = Store::default();
    let node = workers(&queue, &store).await;
    store.charge("o-1", 450).unwrap();
    queue.advance(HOUR / 2);
    refute_enqueued!(queue, Report {});
    queue.advance(HOUR / 2);
    assert_eq!((node.drain().await.done, store.reports()), (1, vec![450]));
    queue.advance(HOUR * 24 * 7);
    assert_eq!(queue.jobs_in(JobState::Ready).len(), 7);
}

#[test]
fn charges_that_wait_in_production_can_still_be_read() {
    let stored = Charge { order: "tea-1".into(), cents: 450 };
    assert_payload_compatible!(stored, "payloads/charge_v1.job");
}
