//! The web handler and the worker, tested as a user would, without a server.

use std::time::Duration;

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

/// Returns the status and the JSON that `GET path` is answered with.
async fn get(queue: &TestQueue, path: &str) -> (StatusCode, serde_json::Value) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = handlers::router(queue.client().clone()).oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_new_user_is_welcomed_once_and_the_job_is_shown() {
    let queue = TestQueue::new();
    let ada = || r#"{"name": "Ada"}"#.to_owned();
    let response = post(&queue, ada()).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let job = assert_enqueued!(
        queue,
        Welcome { name } if name == "Ada",
        queue = "mail",
        id = "welcome-Ada",
        times = 1,
    );
    let place = format!("/jobs/{}", job.id());
    assert_eq!(response.headers()[header::LOCATION], place);
    assert_eq!(job.policy().attempts, 5);
    assert_eq!(post(&queue, ada()).await.status(), StatusCode::CONFLICT);
    assert_enqueued!(queue, Welcome { .. }, times = 1);
    assert_eq!(get(&queue, &place).await.1["state"], "ready");

    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    let node = queue.start_node(queue.node().pool(jobs::pool(Some(tell)))).await;
    assert_eq!(node.drain().await.done, 1);
    assert!(told.try_recv().is_ok());
    assert_eq!(get(&queue, &place).await.1["state"], "completed");
    queue.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(get(&queue, &place).await.0, StatusCode::NOT_FOUND);
    assert_eq!(post(&queue, ada()).await.status(), StatusCode::ACCEPTED);
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
async fn a_probe_is_answered_and_an_id_that_is_none_is_not_found() {
    let queue = TestQueue::new();
    assert_eq!(get(&queue, "/ready").await.0, StatusCode::OK);
    assert_eq!(get(&queue, "/jobs/none").await.0, StatusCode::NOT_FOUND);
}
