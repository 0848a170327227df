//! A namespace for each case, and the jobs that most of them use.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Config, Handle, JobId, NodeBuilder, QueueName, QueueView};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Space {
    pub(crate) url: String,
    pub(crate) name: String,
    pub(crate) client: Client,
}

impl Space {
    pub(crate) fn new(test: &str) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_env("CASES_LOG"))
            .with_test_writer()
            .try_init();
        let url = url();
        let name = poolder_devserver::namespace(test);
        let client = Client::new(Config::new(&url).namespace(&name)).unwrap();
        Self { url, name, client }
    }
    pub(crate) fn key(&self, queue: &str, rest: &str) -> String {
        format!("{}:{{{queue}.0}}:{rest}", self.name)
    }
    pub(crate) fn node(&self) -> NodeBuilder {
        Node::builder(self.client.clone())
    }
    pub(crate) async fn redis<T: redis::FromRedisValue>(&self, command: &mut redis::Cmd) -> T {
        self.try_redis(command).await.unwrap()
    }
    pub(crate) async fn try_redis<T: redis::FromRedisValue>(
        &self,
        command: &mut redis::Cmd,
    ) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await?;
        command.query_async(&mut connection).await
    }
    pub(crate) async fn overview(&self, queue: &str) -> QueueView {
        self.client.inspect(queue).overview().await.unwrap()
    }
    pub(crate) async fn brief(&self, queue: &str) -> String {
        let v = self.overview(queue).await;
        format!(
            "ready={} running={} due={} retrying={} dead={} counters={:?}",
            v.ready(),
            v.running(),
            v.due,
            v.retrying,
            v.dead,
            v.counters
        )
    }
}

/// The private server of this process.
pub(crate) fn url() -> String {
    poolder_devserver::shared().unwrap().url().to_owned()
}

pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<Result<(), poolder::Error>>,
}

pub(crate) fn start(node: NodeBuilder) -> Running {
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(node.run_until(async {
        let _ = stopped.await;
    }));
    Running { stop, task }
}

impl Running {
    /// Stops it; how long that took, or None if it hung beyond 40 s.
    pub(crate) async fn stop(self) -> Option<Duration> {
        let at = std::time::Instant::now();
        let _ = self.stop.send(());
        match tokio::time::timeout(Duration::from_secs(40), self.task).await {
            Ok(ended) => {
                if let Err(e) = ended {
                    println!("   node ended with {e:?}");
                }
                Some(at.elapsed())
            }
            Err(_) => None,
        }
    }
}

pub(crate) async fn until<F: Future<Output = bool>>(
    most: Duration,
    mut ask: impl FnMut() -> F,
) -> bool {
    let asking = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(most, asking).await.is_ok()
}

pub(crate) fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}
pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
/// Prints the line that `cargo xtask trials` reads.
pub(crate) fn report(case: &str, pass: bool, what: impl std::fmt::Display) {
    println!("CASE {} {case} | {what}", if pass { "PASS" } else { "FAIL" });
}

#[derive(Serialize, Deserialize, Debug, Clone, Job)]
#[job(kind = "n", queue = "q", attempts = 1)]
pub(crate) struct N(pub(crate) u64);

pub(crate) fn counter(ran: &Arc<AtomicU64>) -> impl Worker<Job = N> + use<> {
    let ran = Arc::clone(ran);
    worker_fn(move |_job: N, _cx: Context| {
        let ran = Arc::clone(&ran);
        async move {
            ran.fetch_add(1, Ordering::Relaxed);
            Done
        }
    })
}

#[derive(Serialize, Deserialize, Debug, Clone, Job)]
#[job(kind = "f", queue = "q", attempts = 5, backoff = "300ms")]
pub(crate) struct F(pub(crate) u64);

/// The handle of a job by its own id.
pub(crate) fn named(queue: &str, name: &str) -> Handle {
    let q = QueueName::new(queue).unwrap();
    Handle::new(q.clone(), JobId::named(&q, name))
}
