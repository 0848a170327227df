//! The web handler and the worker, tested as a user would, without a server.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use poolder::testing::{TestQueue, assert_enqueued, refute_enqueued};
use tower::ServiceExt;

use crate::handlers;
use crate::jobs::{self, Welcome};

async fn post(queue: &TestQueue, body: String) -> Response {
    let request = Request::post("/users").header(header::CONTENT_TYPE, "application/json");
    let router = handlers::router(queue.client().clone());
    router.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_new_user_is_welcomed_by_a_worker() {
    let queue = TestQueue::new();
    let response = post(&queue, r#"{"name": "Ada"}"#.into()).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let job = assert_enqueued!(queue, Welcome { name } if name == "Ada", queue = "mail", times = 1);
    assert_eq!(response.headers()[header::LOCATION], format!("/jobs/{}", job.id()));
    assert_eq!(job.policy().attempts, 5);

    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let node = queue.start_node(queue.node().pool(jobs::pool(Some(tell)))).await;
    assert_eq!(node.drain().await.done, 1);
    assert!(told.try_recv().is_ok());
}

#[tokio::test]
async fn a_welcome_that_cannot_be_reported_is_tried_again() {
    let queue = TestQueue::new();
    let (tell, told) = tokio::sync::mpsc::channel(1);
    drop(told);
    let node = queue.start_node(queue.node().pool(jobs::pool(Some(tell)))).await;
    let welcome = || Welcome { name: "Ada".into() };
    let run = node.perform(welcome()).attempt(4).await;
    assert!(run.failed_with("channel closed") && run.is_retried_after(..));
    assert!(node.perform(welcome()).attempt(5).await.is_dead());
}

#[tokio::test]
async fn a_name_that_is_too_long_to_store_is_refused() {
    let queue = TestQueue::new();
    let name = "x".repeat(poolder::MAX_PAYLOAD + 1);
    // The web framework itself takes bodies of up to 2 MB.
    let response = post(&queue, format!(r#"{{"name": "{name}"}}"#)).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    refute_enqueued!(queue, Welcome { .. });
}

#[tokio::test]
async fn a_server_without_redis_would_be_ready() {
    let queue = TestQueue::new();
    let request = Request::get("/ready").body(Body::empty()).unwrap();
    let response = handlers::router(queue.client().clone()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
