//! Live pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt;
use poolder_web::{Access, Dashboard};
use tower::ServiceExt;

use crate::world::{World, welcome, within};

/// Opens a stream.
async fn open(router: &Router, path: &str) -> axum::body::BodyDataStream {
    let request = Request::get(path).header("accept-encoding", "gzip").body(Body::empty());
    let answer = router.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert!(!answer.headers().contains_key("content-encoding"), "events are held back");
    answer.into_body().into_data_stream()
}

async fn next(stream: &mut axum::body::BodyDataStream) -> Option<String> {
    let bytes = within(stream.next()).await?;
    Some(String::from_utf8(bytes.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn an_open_page_follows_the_queue_until_the_session_of_its_visitor_ends() {
    let world = World::new("web-live");
    world.client.enqueue(welcome("ana")).await.unwrap();
    let session = Arc::new(AtomicBool::new(true));
    let valid = Arc::clone(&session);
    let router = Dashboard::new(world.client.clone())
        .authorize(move |_, _| match valid.load(Ordering::Relaxed) {
            true => Access::Read,
            false => Access::None,
        })
        .router();
    let mut overview = open(&router, "/live/overview").await;
    let mut queue = open(&router, "/live/queue/mail?range=15m").await;
    assert!(
        next(&mut overview).await.unwrap().contains("data: <div class=\"bar\"><h1>Overview</h1>")
    );
    assert!(next(&mut queue).await.unwrap().contains("1 job wait"));
    for _ in 0..6 {
        world.client.enqueue(welcome("bob")).await.unwrap();
    }
    while !next(&mut queue).await.unwrap().contains("7 jobs wait") {}
    session.store(false, Ordering::Relaxed);
    while next(&mut overview).await.is_some() {}
    while next(&mut queue).await.is_some() {}
}

#[tokio::test]
async fn a_stream_without_a_server_says_so() {
    let router: Router = World::without_server().router();
    let mut stream = open(&router, "/live/overview").await;
    assert!(next(&mut stream).await.unwrap().starts_with("event: away\ndata: "));
}
