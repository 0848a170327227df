//! Middleware of pools, nodes and clients: its order, the jobs that pass it, and the facts it sees.

use std::sync::Arc;
use std::time::Duration;

use poolder::prelude::*;
use poolder::{EnqueueMiddleware, NodeBuilder, Outgoing, QueueName, Result};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, start, within};

/// Sends its name and a fact about each job that passes it.
struct Gate {
    name: &'static str,
    tell: mpsc::Sender<String>,
}

impl Middleware for Gate {
    async fn call(&self, cx: Context, next: Next<'_>) -> Result<Outcome> {
        let tenant = cx.headers().get("tenant").unwrap_or("none").to_owned();
        let (kind, attempts) = (cx.kind().to_owned(), cx.max_attempts());
        self.tell.try_send(format!("{}: {kind} of {tenant}, {attempts}", self.name))?;
        next.run(cx).await
    }
}

/// Returns a node with two middlewares, of which each sends its name and the job.
fn guarded(space: &Space) -> (NodeBuilder, mpsc::Receiver<String>, impl Fn(&'static str) -> Gate) {
    let (tell, told) = mpsc::channel(1_000);
    let gate = move |name| Gate { name, tell: tell.clone() };
    (space.node().middleware(gate("node 1")).middleware(gate("node 2")), told, gate)
}

async fn next(told: &mut mpsc::Receiver<String>, count: usize) -> Vec<String> {
    let mut all = vec![];
    while all.len() < count {
        all.push(within(told.recv()).await.unwrap());
    }
    all
}

fn done() -> impl Worker<Job = Number> {
    worker_fn(|_: Number, _: Context| async { Done })
}

#[tokio::test]
async fn the_middleware_of_a_node_is_outside_of_that_of_its_pools() {
    let space = Space::new("middleware-order");
    let (node, mut told, gate) = guarded(&space);
    let pool = Pool::new("q").size(1).policy(Policy::default().attempts(7));
    let pool = pool.middleware(gate("pool 1")).middleware(gate("pool 2")).worker(done());
    let mut node = node.pool(pool);
    let handle = node.handle();
    let node = start(node);
    space.client.enqueue(Number(1)).header("tenant", "acme").await.unwrap();
    let expected = ["node 1", "node 2", "pool 1", "pool 2"];
    let expected = expected.map(|name| format!("{name}: number of acme, 7"));
    assert_eq!(next(&mut told, 4).await, expected);

    handle.add(Pool::new("later").size(1).worker(done())).await.unwrap();
    space.client.enqueue(Number(2)).queue("later").await.unwrap();
    let expected = ["node 1", "node 2"].map(|name| format!("{name}: number of none, 25"));
    assert_eq!(next(&mut told, 2).await, expected);
    node.stop().await;
}

#[derive(Clone)]
struct Often;

impl Periodic for Often {
    const NAME: &'static str = "often";

    async fn handle_job(&mut self, _: &str, _: Context) -> Result<Then> {
        Ok(Then::Stop)
    }
}

#[derive(Clone)]
struct Rows(Arc<mpsc::Sender<String>>);

impl BatchWorker for Rows {
    type Entry = u64;

    async fn handle_batch(&mut self, batch: &mut Batch<u64>, _: Context) -> Result<Outcome> {
        let entries = batch.all().await?.len();
        self.0.try_send(format!("{entries} entries"))?;
        Ok(Done)
    }
}

#[tokio::test]
async fn batches_and_the_jobs_of_schedulers_pass_the_middleware_of_the_node() {
    let space = Space::new("middleware-all");
    let (node, mut told, gate) = guarded(&space);
    let rows =
        Batcher::new("rows", Rows(Arc::new(gate("").tell))).limit(2).header("tenant", "acme");
    let handle = rows.handle(&space.client);
    let node = start(node.add(rows.middleware(gate("batcher"))));
    handle.push_many([1, 2]).await.all().unwrap();
    let mut expected: Vec<String> = ["node 1", "node 2", "batcher"]
        .map(|name| format!("{name}: poolder.batch/rows of acme, 25"))
        .into();
    expected.push("2 entries".into());
    assert_eq!(next(&mut told, 4).await, expected);
    node.stop().await;

    let (node, mut told, _) = guarded(&space);
    let node = start(node.add(Scheduler::new(Often).job("tick", Duration::from_millis(100))));
    let expected = ["node 1", "node 2"].map(|name| format!("{name}: often of none, 5"));
    assert_eq!(next(&mut told, 2).await, expected);
    node.stop().await;
}

/// Adds the number of jobs so far as a header, and refuses jobs of the tenant `nobody`.
#[derive(Default)]
struct Counting(std::sync::atomic::AtomicU64);

impl EnqueueMiddleware for Counting {
    fn on_enqueue(&self, job: &mut Outgoing<'_>) -> std::result::Result<(), poolder::BoxError> {
        if job.headers().get("tenant") == Some("nobody") {
            return Err("there is no such tenant".into());
        }
        let count = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let about = format!(
            "{count}: {} to {}, {} bytes, {}, call: {}, {:?}",
            job.kind(),
            job.queue(),
            job.payload_len(),
            job.lane(),
            job.is_call(),
            job.schedule()
        );
        job.headers_mut().insert("about", about);
        Ok(())
    }
}

#[tokio::test]
async fn each_way_to_send_passes_the_middleware_of_the_client_once() {
    let space = Space::new("middleware-client");
    let second = |job: &mut Outgoing<'_>| {
        let first = job.headers().get("about").unwrap_or("none").to_owned();
        job.headers_mut().insert("second", first);
        Ok(())
    };
    let client = space.client.clone().middleware(Counting::default()).middleware(second);
    let timeout = Duration::from_millis(100);
    let slots: QueueName = "slots".parse().unwrap();
    client.broker().define_pool(&slots, Mode::RoundRobin, 1).await.unwrap();
    client.enqueue(Number(1)).lane(Lane::High).await.unwrap();
    client.enqueue_many([Number(2), Number(3)]).await.remove(0).unwrap();
    assert!(client.call::<_, ()>(Number(4)).timeout(timeout).await.unwrap_err().is_timeout());
    client.schedule("s", Duration::from_secs(3600), Number(5)).await.unwrap();
    client.schedules("q").run_now("s").await.unwrap();
    client.pool::<Number>("slots").cast(Number(6)).await.unwrap();
    let mut seen = vec![];
    for (queue, lane) in [("q", Lane::High), ("q", Lane::Normal), ("slots", Lane::Normal)] {
        for job in client.inspect(queue).ready(lane, None, 10).await.unwrap().jobs {
            let about = job.headers().get("about").unwrap().to_owned();
            assert_eq!(job.headers().get("second"), Some(about.as_str()));
            seen.push(about);
        }
    }
    assert_eq!(
        seen,
        [
            "0: number to q, 1 bytes, high, call: false, None",
            "1: number to q, 1 bytes, normal, call: false, None",
            "2: number to q, 1 bytes, normal, call: false, None",
            "3: number to q, 1 bytes, normal, call: true, None",
            "4: number to q, 1 bytes, normal, call: false, Some(\"s\")",
            "5: number to slots, 1 bytes, normal, call: false, None",
        ]
    );
    let refused = client.enqueue(Number(7)).header("tenant", "nobody").await.unwrap_err();
    assert!(refused.is_invalid() && refused.job_id().is_some());
    let text = refused.to_string();
    assert!(text.contains("\"number\"") && text.contains("there is no such tenant"), "{text}");
    assert_eq!(space.ready("q").await, 5, "nothing was sent");
    space.client.enqueue(Number(8)).await.unwrap();
    let plain = space.client.inspect("q").ready(Lane::Normal, None, 10).await.unwrap();
    assert!(plain.jobs.last().unwrap().headers().is_empty(), "another client has no middleware");
}
