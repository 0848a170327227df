//! Helpers of all tests: a namespace for each test, nodes in this process, and time limits.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Config, JobView, NodeBuilder, QueueName, QueueView, Result};
use poolder_core::broker::{
    AcquireReply, ClaimConnection, DeadLimits, PollRequest, SlotLease, SlotPoll,
};
use poolder_core::view::COUNTERS;
use poolder_core::{Claim, Entry, Partition};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// The time after which a test fails: longer than any correct operation takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A stream entry as any client reads it: its id, and its fields in order.
pub(crate) type RawEntry = (String, Vec<(String, Vec<u8>)>);

/// The namespace of one test.
pub(crate) struct Space {
    url: String,
    name: String,
    /// A client of this namespace.
    pub(crate) client: Client,
}

impl Space {
    /// Returns a namespace on the server that all tests share.
    pub(crate) fn new(test: &str) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_env("POOLDER_LOG"))
            .with_test_writer()
            .try_init();
        let server = poolder_devserver::shared().unwrap_or_else(|error| panic!("{error}"));
        Self::on(server.url(), test)
    }

    /// Returns a namespace on the server at `url`.
    pub(crate) fn on(url: impl Into<String>, test: &str) -> Self {
        Self::named(url.into(), poolder_devserver::namespace(test))
    }

    /// Returns the namespace `name` on the server at `url`.
    pub(crate) fn named(url: String, name: String) -> Self {
        let client = Client::new(Config::new(&url).namespace(&name)).unwrap();
        Self { url, name, client }
    }

    /// Returns the same namespace with another client, for a task that needs an owned `Space`.
    pub(crate) fn beside(other: &Self, client: Client) -> Self {
        Self { url: other.url.clone(), name: other.name.clone(), client }
    }

    /// Returns the name of the namespace.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the URL of the server.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns a key of partition 0 of a queue. Written here by hand because the key format is
    /// public.
    pub(crate) fn key(&self, queue: &str, rest: &str) -> String {
        format!("{}:{{{queue}.0}}:{rest}", self.name)
    }

    /// Returns the builder of a node for [`start`].
    pub(crate) fn node(&self) -> NodeBuilder {
        Node::builder(self.client.clone())
    }

    /// Sends a command as a plain Redis client.
    pub(crate) async fn redis<T: redis::FromRedisValue>(&self, command: &mut redis::Cmd) -> T {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        command.query_async(&mut connection).await.unwrap()
    }

    /// Opens a connection that claims as the consumer `consumer`.
    pub(crate) async fn connection(&self, queue: &str, consumer: &str) -> ClaimConnection {
        let partition = Partition::first(QueueName::new(queue).unwrap());
        let limits = DeadLimits::default();
        ClaimConnection::open(self.client.broker(), &partition, consumer, limits).await.unwrap()
    }

    /// Returns the consumers of a queue's normal lane.
    pub(crate) async fn consumers(&self, queue: &str) -> Vec<String> {
        let mut ask = redis::cmd("XINFO");
        ask.arg("CONSUMERS").arg(self.key(queue, "ready:normal")).arg("workers");
        let about: Vec<HashMap<String, redis::Value>> = self.redis(&mut ask).await;
        about.into_iter().map(|it| redis::from_redis_value(it["name"].clone()).unwrap()).collect()
    }

    /// Returns the counts of a queue. Repeats the request while the server does not answer.
    pub(crate) async fn overview(&self, queue: &str) -> QueueView {
        let asking = async {
            loop {
                match self.client.inspect(queue).overview().await {
                    Ok(view) => return view,
                    Err(error) if error.is_refused() || error.is_unknown() => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        };
        within(asking).await
    }

    /// Returns a counter of a queue.
    pub(crate) async fn count(&self, queue: &str, counter: &str) -> u64 {
        assert!(COUNTERS.contains(&counter), "there is no counter {counter:?}");
        self.overview(queue).await.counter(counter)
    }

    /// Returns how many jobs wait or run in the ready lanes of a queue.
    pub(crate) async fn ready(&self, queue: &str) -> u64 {
        let view = self.overview(queue).await;
        view.ready() + view.running()
    }

    /// Returns how many jobs of a queue wait for their time.
    pub(crate) async fn due(&self, queue: &str) -> u64 {
        self.overview(queue).await.due
    }

    /// Returns the dead jobs of a queue: their reasons and their stored forms.
    pub(crate) async fn dead(&self, queue: &str) -> Vec<String> {
        let page = self.client.inspect(queue).dead(None, 500).await.unwrap();
        let show = |job: &JobView| {
            let raw = job.raw().map(String::from_utf8_lossy).unwrap_or_default();
            format!("{} {:?} {raw}", job.failure().unwrap(), job.node)
        };
        page.jobs.iter().map(show).collect()
    }

    /// Waits until a counter of a queue has at least this value.
    pub(crate) async fn until_count(&self, queue: &str, counter: &str, least: u64) {
        eventually(&format!("{queue}: {counter} ≥ {least}"), || async {
            self.count(queue, counter).await >= least
        })
        .await;
    }
}

/// A node that runs in this process.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), poolder::Error>>,
}

/// Starts a node in this process.
pub(crate) fn start(node: NodeBuilder) -> Running {
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(node.run_until(async {
        let _ = stopped.await;
    }));
    Running { stop, task }
}

impl Running {
    /// Stops the node as a signal would, and waits until it has ended.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        within(self.task).await.unwrap().unwrap();
    }

    /// Drops the node, as if its process was killed: its connections close, and it stays in the
    /// roster.
    pub(crate) async fn vanish(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()));
    }
}

/// Awaits a future; panics after [`PATIENCE`].
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it did not happen in time")
}

/// Casts to a broadcast pool until a copy of the job has been received: a reader receives only the
/// copies that are cast after it has connected.
pub(crate) async fn cast_until_received<T>(told: &mpsc::Receiver<T>, cast: impl AsyncFn()) {
    let received = async {
        while told.is_empty() {
            cast().await;
            // One copy at a time, so that few are left over.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(received).await;
}

/// Repeats a condition until it is true, for changes that send no event; panics after [`PATIENCE`].
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let asking = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A job that carries a number.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Job)]
#[job(kind = "number", queue = "q")]
pub(crate) struct Number(pub(crate) u64);

/// Returns a worker that sends each job it gets and completes it.
pub(crate) fn teller() -> (impl Worker<Job = Number>, mpsc::Receiver<(u64, Context)>) {
    let (tell, told) = mpsc::channel(100_000);
    let worker = worker_fn(move |job: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            tell.send((job.0, cx)).await?;
            Ok::<_, BoxError>(Done)
        }
    });
    (worker, told)
}

/// A worker whose init always fails.
#[derive(Clone)]
pub(crate) struct Unready;

impl Worker for Unready {
    type Job = Number;

    async fn handle_init(&mut self) -> Result<()> {
        Err("no database".into())
    }

    async fn handle_job(&mut self, _: Number, _: Context) -> Result<Outcome> {
        Ok(Done)
    }
}

/// Takes a slot of pool `q`, and claims its first job. `gone` is a holder that is dead.
pub(crate) async fn claim_first(
    space: &Space,
    slot: &Partition,
    node: &str,
    gone: Option<&str>,
) -> (SlotLease, Claim) {
    let broker = space.client.broker();
    let AcquireReply::Ours(lease) = broker.acquire_slot(slot, &node.into(), gone).await.unwrap()
    else {
        panic!("no other node holds it")
    };
    let view = broker.pool_view(&slot.queue).await.unwrap();
    let (generation, open) = view.map_or((1, true), |view| (view.generation, view.open));
    let request = PollRequest { claim: 1, generation, open, ..PollRequest::default() };
    match broker.poll_slot(&lease, &request).await.unwrap().result {
        SlotPoll::Claimed(mut entries) => match entries.pop() {
            Some(Entry::Job(claim)) => (lease, claim),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// A job that no worker of the suite runs.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Job)]
#[job(kind = "unserved", queue = "q")]
pub(crate) struct Unserved(pub(crate) u64);
