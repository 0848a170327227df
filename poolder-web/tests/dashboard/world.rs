//! A namespace with a dashboard, and requests to it.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use poolder::prelude::*;
use poolder::{Config, NodeBuilder};
use poolder_web::{Access, Dashboard};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt;

const PATIENCE: Duration = Duration::from_secs(60);

/// A namespace of its own.
pub(crate) struct World {
    pub(crate) client: Client,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl World {
    pub(crate) fn new(test: &str) -> Self {
        let server = poolder_devserver::shared().unwrap_or_else(|error| panic!("{error}"));
        let config = Config::new(server.url()).namespace(poolder_devserver::namespace(test));
        Self { client: Client::new(config).unwrap() }
    }

    /// Returns a world whose server is not there.
    pub(crate) fn without_server() -> Self {
        Self { client: Client::new(Config::new("redis://127.0.0.1:1")).unwrap() }
    }

    /// Returns the dashboard of an operator with all rights.
    pub(crate) fn dashboard(&self) -> Dashboard {
        Dashboard::new(self.client.clone()).authorize(|_, _| Access::Admin)
    }

    pub(crate) fn router(&self) -> Router {
        self.dashboard().router()
    }

    /// Starts a node.
    pub(crate) fn start(&self, pool: Pool) -> Running {
        start(Node::builder(self.client.clone()).deploy("v1").pool(pool))
    }
}

/// Asks for a page.
pub(crate) async fn get(router: &Router, path: &str) -> Answer {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}

/// Asks for a page that must be there.
pub(crate) async fn page(router: &Router, path: &str) -> String {
    let answer = get(router, path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    answer.text
}

/// Sends a form, as a page of the dashboard does.
pub(crate) async fn post(router: &Router, path: &str, form: &str) -> Answer {
    let request = Request::post(path)
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()))
        .unwrap();
    send(router, request).await
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let answer = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap_or_default();
    Answer { status: parts.status, headers: parts.headers, text }
}

/// A node that runs in this process.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), poolder::Error>>,
}

fn start(node: NodeBuilder) -> Running {
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(node.run_until(async {
        let _ = stopped.await;
    }));
    Running { stop, task }
}

impl Running {
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        within(self.task).await.unwrap().unwrap();
    }
}

pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it did not happen in time")
}

/// Repeats a condition until it is true.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let asking = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A job with a text.
#[derive(Serialize, Deserialize, Debug, Clone, Job)]
#[job(kind = "mail.welcome", queue = "mail")]
pub(crate) struct Welcome {
    pub(crate) to: String,
}

pub(crate) fn welcome(to: &str) -> Welcome {
    Welcome { to: to.to_owned() }
}

/// A worker whose attempts all fail, with the text of the job.
pub(crate) async fn fails(job: Welcome) -> Result<(), String> {
    Err(format!("SMTP 451 for {}", job.to))
}

/// Enqueues a job that dies at its first attempt, and waits until it is dead.
pub(crate) async fn die(world: &World, to: &str) {
    let before = world.client.inspect("mail").overview().await.unwrap().dead;
    world.client.enqueue(welcome(to)).policy(Policy::default().attempts(1)).await.unwrap();
    let node = world.start(Pool::new("mail").size(1).worker(worker_fn(fails)));
    eventually("the job is dead", || async {
        world.client.inspect("mail").overview().await.unwrap().dead > before
    })
    .await;
    node.stop().await;
}
