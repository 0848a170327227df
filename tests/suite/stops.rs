//! The ends of a node: a stop within its time, signals, and a future that is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use poolder::prelude::*;
use poolder::{Config, NodeBuilder, Result};
use poolder_devserver::Server;
use tokio::sync::{mpsc, oneshot, watch};

use crate::child::{BLOCKING, HELD, Process};
use crate::harness::{Number, Space, cast_until_received, eventually, start, teller, within};

/// The time by which a stop may exceed its timeout, and some for a busy machine.
const MARGIN: Duration = Duration::from_secs(3);

fn server() -> Server {
    Server::start().unwrap_or_else(|error| panic!("{error}"))
}

/// Counts the handlers whose futures exist.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A worker whose jobs never end and whose callbacks neither, once the node stops.
#[derive(Clone)]
struct Stuck {
    alive: Arc<AtomicUsize>,
    tell: mpsc::Sender<u64>,
}

impl Worker for Stuck {
    type Job = Number;

    async fn handle_job(&mut self, job: Number, cx: Context) -> Result<Outcome> {
        let _alive = Alive::new(&self.alive);
        self.tell.send(job.0).await?;
        if job.0 > 0 {
            // It does not end when it is interrupted, either.
            cx.cancelled().await;
            std::future::pending::<()>().await;
        }
        Ok(Done)
    }

    async fn handle_stop(&mut self) {
        std::future::pending::<()>().await;
    }
}

fn stuck() -> (Stuck, mpsc::Receiver<u64>, Arc<AtomicUsize>) {
    let (tell, told) = mpsc::channel(100);
    let alive = Arc::default();
    (Stuck { alive: Arc::clone(&alive), tell }, told, alive)
}

/// Returns the builder of a node with a pool of each kind.
fn node_of_all_kinds(space: &Space, worker: &Stuck) -> NodeBuilder {
    let pool = |name, mode| Pool::new(name).size(1).mode(mode).worker(worker.clone());
    let kinds = [("q", Mode::Shared), ("keyed", Mode::Phash), ("copies", Mode::Broadcast)];
    kinds.into_iter().fold(space.node(), |node, (name, mode)| node.pool(pool(name, mode)))
}

/// Starts a job in each pool of such a node.
async fn occupy(space: &Space, told: &mut mpsc::Receiver<u64>, job: u64) {
    space.client.enqueue(Number(job)).await.unwrap();
    assert_eq!(within(told.recv()).await, Some(job));
    for name in ["keyed", "copies"] {
        let pool = space.client.pool::<Number>(name);
        eventually("the pool is registered", || async { pool.size().await.is_ok() }).await;
        if name == "keyed" {
            pool.cast(Number(job)).await.unwrap();
        } else {
            cast_until_received(told, async || drop(pool.cast(Number(job)).await.unwrap())).await;
        }
        assert_eq!(within(told.recv()).await, Some(job));
    }
}

#[tokio::test]
async fn a_stop_ends_in_its_time_whatever_is_stuck() {
    // Jobs with number 0 end: then only `handle_stop` is stuck.
    for (job, hung) in [(1, false), (0, false), (1, true)] {
        let server = server();
        let space = Space::on(server.url(), "stuck");
        let (worker, mut told, alive) = stuck();
        let timeout = Duration::from_secs(2);
        let node = start(node_of_all_kinds(&space, &worker).shutdown_timeout(timeout));
        occupy(&space, &mut told, job).await;
        if hung {
            server.pause().unwrap();
        }
        let begin = Instant::now();
        node.stop().await;
        let took = begin.elapsed();
        assert!(took < timeout + MARGIN, "job {job}, hung {hung}: {took:?}");
        eventually("no handler is left", || async { alive.load(Ordering::SeqCst) == 0 }).await;
        if !hung {
            assert!(space.client.nodes().await.unwrap().is_empty(), "it has left the roster");
            assert_eq!(space.count("q", "handed_back").await, job);
            assert_eq!(space.ready("q").await, job, "released, and not running");
        }
    }
}

#[tokio::test]
async fn a_node_whose_future_is_dropped_stops_at_once() {
    let server = server();
    let space = Space::on(server.url(), "dropped");
    space.client.ping().await.unwrap();
    let metrics = tokio::runtime::Handle::current().metrics();
    let (worker, mut told, alive) = stuck();
    {
        let node = node_of_all_kinds(&space, &worker).run_until(std::future::pending());
        tokio::select! {
            ended = node => panic!("{ended:?}"),
            () = occupy(&space, &mut told, 1) => {}
        }
    }
    eventually("no handler is left", || async { alive.load(Ordering::SeqCst) == 0 }).await;
    // The client's own tasks are left, one for each of its connections.
    let connections = async {
        let list = space.redis::<String>(redis::cmd("CLIENT").arg("LIST")).await;
        list.lines().count()
    };
    let connections = connections.await;
    eventually("no task is left", || async { metrics.num_alive_tasks() <= connections }).await;
    let last_beats = async || {
        let roster = format!("{}:{{roster}}:nodes", space.name());
        let mut read = redis::cmd("ZRANGE");
        space.redis::<Vec<String>>(read.arg(roster).arg(0).arg(-1).arg("WITHSCORES")).await
    };
    let before = last_beats().await;
    assert_eq!(before.len(), 2, "it has not left the roster, since it held jobs");
    // Longer than the time between two beats.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(last_beats().await, before, "it sends no more beats");

    let (worker, mut told) = teller();
    let other = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    assert_eq!(within(told.recv()).await.unwrap().0, 1, "another node takes its job over");
    other.stop().await;
}

#[tokio::test]
async fn a_second_signal_exits_at_once_and_says_which() {
    let space = Space::new("signals");
    // The handler of the second job blocks the only thread of its node's runtime.
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        for job in [HELD, BLOCKING] {
            let mode = Mode::Shared;
            let mut child = Process::stopping_within(&space, 1, mode, Duration::from_secs(300));
            space.client.enqueue(Number(job)).await.unwrap();
            assert_eq!(child.next().await.map(|start| start.number), Some(job));
            assert_eq!(child.signal_until_it_ends(signal).await, Some(code), "{signal}, {job}");
            child.age(&space).await;
        }
    }
}

#[tokio::test]
async fn a_request_that_waits_for_the_server_does_not_delay_a_stop() {
    let server = server();
    // Requests to this client wait for as long as the server hangs.
    let patient = Config::new(server.url()).namespace("patient");
    let patient = Client::new(patient.response_timeout(Duration::from_secs(120))).unwrap();
    let space = Space::beside(&Space::named(server.url(), "patient".into()), patient);
    let mut node = space.node().shutdown_timeout(Duration::from_secs(1));
    let handle = node.handle();
    let node = start(node);
    assert!(handle.pools().await.unwrap().is_empty());
    server.pause().unwrap();
    let request = handle.add(Pool::new("keyed").mode(Mode::Phash).worker(teller().0));
    tokio::pin!(request);
    let moment = tokio::time::timeout(Duration::from_millis(200), &mut request).await;
    assert!(moment.is_err(), "the server hangs");
    node.stop().await;
    assert!(within(request).await.unwrap_err().is_gone());
}

#[tokio::test]
async fn a_pool_that_is_removed_and_added_again_has_one_claimer_at_a_time() {
    let space = Space::new("again");
    let (tell, mut told) = mpsc::channel(10);
    let (open, gate) = watch::channel(false);
    let worker = worker_fn(move |job: Number, _| {
        let (tell, mut gate) = (tell.clone(), gate.clone());
        async move {
            tell.send((job.0, "starts")).await?;
            if job.0 == 1 {
                gate.wait_for(|open| *open).await?;
            }
            tell.send((job.0, "ends")).await?;
            Ok::<_, BoxError>(Done)
        }
    });
    let pool = || Pool::new("q").size(2).worker(worker.clone());
    let mut node = space.node();
    let handle = node.handle();
    let node = start(node.pool(pool()));
    space.client.enqueue(Number(1)).await.unwrap();
    assert_eq!(within(told.recv()).await, Some((1, "starts")));
    for _ in 0..2 {
        handle.remove("q").await.unwrap();
        handle.add(pool()).await.unwrap();
        assert!(handle.add(pool()).await.unwrap_err().is_invalid(), "it has one already");
    }
    space.client.enqueue(Number(2)).await.unwrap();
    // A second claimer would start the job in this time.
    tokio::time::sleep(Duration::from_millis(500)).await;
    open.send_replace(true);
    for event in [(1, "ends"), (2, "starts"), (2, "ends")] {
        assert_eq!(within(told.recv()).await, Some(event));
    }
    space.until_count("q", "completed", 2).await;
    assert_eq!(space.count("q", "rescued").await, 0);
    node.stop().await;
    assert!(space.client.nodes().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_job_that_stops_its_pool_while_the_server_hangs_does_not_delay_a_stop() {
    let server = server();
    let space = Space::on(server.url(), "stop-pool");
    let (tell, mut told) = mpsc::channel(10);
    let (release, released) = oneshot::channel::<()>();
    let released = Arc::new(tokio::sync::Mutex::new(Some(released)));
    let worker = worker_fn(move |_: Number, _| {
        let (tell, released) = (tell.clone(), Arc::clone(&released));
        async move {
            tell.send(()).await?;
            if let Some(released) = released.lock().await.take() {
                let _ = released.await;
            }
            Ok::<_, BoxError>(Outcome::StopPool)
        }
    });
    let timeout = Duration::from_secs(2);
    let pool = Pool::new("keyed").size(1).mode(Mode::Phash).worker(worker);
    let node = start(space.node().pool(pool).shutdown_timeout(timeout));
    let pool = space.client.pool::<Number>("keyed");
    eventually("the pool is registered", || async { pool.cast(Number(1)).await.is_ok() }).await;
    within(told.recv()).await.unwrap();
    server.pause().unwrap();
    release.send(()).unwrap();
    let begin = Instant::now();
    node.stop().await;
    assert!(begin.elapsed() < timeout + MARGIN, "{:?}", begin.elapsed());
}
