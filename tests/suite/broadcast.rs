//! Broadcast pools: every living slot runs a copy of the job.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poolder::Result;
use poolder::prelude::*;
use tokio::sync::mpsc;
use tracing::Level;

use crate::harness::{
    Number, Running, Space, Unready, Unserved, cast_until_received, eventually, start, within,
};
use crate::log::Log;

/// A worker that sends each number it runs, and fails the first attempt of odd ones.
#[derive(Clone)]
struct Copy {
    tell: mpsc::Sender<u64>,
    inits: Arc<AtomicU64>,
    failed: Option<u64>,
}

impl Worker for Copy {
    type Job = Number;

    async fn handle_init(&mut self) -> Result<()> {
        self.inits.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn handle_job(&mut self, job: Number, cx: Context) -> Result<Outcome> {
        self.tell.send(job.0).await?;
        if job.0 % 2 == 1 && self.failed != Some(job.0) {
            assert_eq!(cx.attempt(), 1);
            self.failed = Some(job.0);
            return Err("the first time".into());
        }
        Ok(Done)
    }
}

async fn node(space: &Space, size: u16) -> (Running, mpsc::Receiver<u64>) {
    let (tell, told) = mpsc::channel(10_000);
    let inits = Arc::default();
    let worker = Copy { tell, inits: Arc::clone(&inits), failed: None };
    let policy = Policy::default().backoff(Backoff::Fixed(Duration::from_millis(20)));
    let pool = Pool::new("q").size(size).mode(Mode::Broadcast).policy(policy);
    let node = start(space.node().pool(pool.worker(worker)));
    eventually("it is up", || async { inits.load(Ordering::SeqCst) == u64::from(size) }).await;
    (node, told)
}

/// Casts jobs until every node has received one.
async fn until_received(space: &Space, nodes: &[&mpsc::Receiver<u64>]) {
    let pool = space.client.pool::<Number>("q");
    for told in nodes {
        cast_until_received(told, async || drop(pool.cast(Number(0)).await.unwrap())).await;
    }
}

async fn drain(told: &mut mpsc::Receiver<u64>, until: u64, copies: u64) -> Vec<u64> {
    let (mut got, mut last) = (vec![], 0);
    while last < copies {
        let number = within(told.recv()).await.unwrap();
        last += u64::from(number == until);
        got.push(number);
    }
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn every_living_slot_runs_its_copy_and_who_joins_later_does_not_see_older_ones() {
    let space = Space::new("broadcast");
    let pool = space.client.pool::<Number>("q");
    let (one, mut first) = node(&space, 2).await;
    let (two, mut second) = node(&space, 3).await;
    until_received(&space, &[&first, &second]).await;
    assert_eq!(pool.size().await.unwrap(), 0);
    for number in [10, 11, 12, 1_000] {
        pool.cast(Number(number)).await.unwrap();
    }
    for (told, size) in [(&mut first, 2), (&mut second, 3)] {
        let got = drain(told, 1_000, size).await;
        let count = |number| got.iter().filter(|other| **other == number).count() as u64;
        // The odd number failed once in each slot, and was retried in the same slot.
        assert_eq!((count(10), count(11), count(12)), (size, 2 * size, size), "{got:?}");
    }
    let (three, mut late) = node(&space, 1).await;
    until_received(&space, &[&late]).await;
    pool.cast(Number(2_000)).await.unwrap();
    let got = drain(&mut late, 2_000, 1).await;
    assert!(got.iter().all(|number| matches!(number, 0 | 2_000)), "{got:?}");
    two.stop().await;
    pool.cast(Number(3_000)).await.unwrap();
    drain(&mut first, 3_000, 2).await;
    drain(&mut late, 3_000, 1).await;
    one.stop().await;
    three.stop().await;
    assert!(space.count("q", "broadcast_delivered").await >= 5 * 4 + 3);
    assert_eq!(space.count("q", "broadcast_missed").await, 0);
    // Broadcast readers use no consumer group: no pending entry can be left behind.
    let mut groups = redis::cmd("XINFO");
    groups.arg("GROUPS").arg(format!("{}:{{q}}:broadcast", space.name()));
    let groups: Vec<redis::Value> = space.redis(&mut groups).await;
    assert!(groups.is_empty(), "{groups:?}");
    let later = pool.cast(Number(1)).after(Duration::from_secs(1)).await.unwrap_err();
    assert!(later.is_invalid() && later.to_string().contains("goes out at once"), "{later}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_of_a_group_are_addressed_together_or_one_by_one() {
    let space = Space::new("group");
    let (tell, mut told) = mpsc::channel(100);
    let mut node = space.node();
    let modes = [("a", Mode::Shared), ("b", Mode::RoundRobin), ("c", Mode::Broadcast)];
    let ready = Arc::new(AtomicU64::new(0));
    for (queue, mode) in modes {
        let worker = Copy { tell: tell.clone(), inits: Arc::clone(&ready), failed: None };
        node = node.pool(Pool::new(queue).size(1).mode(mode).join_set("media").worker(worker));
    }
    let node = start(node);
    eventually("all are up", || async { ready.load(Ordering::SeqCst) == 3 }).await;
    let set = space.client.pool_set("media");
    let names: Vec<String> = set.pools().await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a", "b", "c"]);
    set.remove("c").await.unwrap();
    for (queue, result) in set.cast(Number(4)).await.unwrap() {
        result.unwrap_or_else(|error| panic!("{queue}: {error}"));
        assert_eq!(within(told.recv()).await.unwrap(), 4);
    }
    space.client.pool::<Number>("b").cast(Number(6)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), 6);
    let empty = space.client.pool_set("other").cast(Number(1)).await.unwrap_err();
    assert!(empty.is_not_found() && empty.to_string().contains("Pool::join_set"), "{empty}");
    assert!(space.client.pool_set("no{brace").pools().await.unwrap_err().is_invalid());
    node.stop().await;
}

/// A worker that sends each number that it starts. Number 1 ends when it is cancelled, 2 stops its
/// slot.
#[derive(Clone)]
struct Stops {
    tell: mpsc::Sender<u64>,
    pool_ready: Arc<AtomicU64>,
}

impl Worker for Stops {
    type Job = Number;

    async fn handle_pool_ready(&mut self) {
        self.pool_ready.fetch_add(1, Ordering::SeqCst);
    }

    async fn handle_job(&mut self, job: Number, cx: Context) -> Result<Outcome> {
        self.tell.send(job.0).await?;
        match job.0 {
            1 => {
                cx.cancelled().await;
                Ok(Done)
            }
            2 => Ok(StopSlot),
            _ => Ok(Done),
        }
    }
}

struct Stopping {
    space: Space,
    handle: poolder::NodeHandle,
    node: Running,
    told: mpsc::Receiver<u64>,
    pool_ready: Arc<AtomicU64>,
}

async fn stopping(name: &str, size: u16) -> Stopping {
    let space = Space::new(name);
    let (tell, told) = mpsc::channel(10_000);
    let pool_ready = Arc::new(AtomicU64::new(0));
    let worker = Stops { tell, pool_ready: Arc::clone(&pool_ready) };
    let mut node =
        space.node().pool(Pool::new("q").size(size).mode(Mode::Broadcast).worker(worker));
    let handle = node.handle();
    let node = start(node);
    eventually("it is registered", || async {
        space.client.pool::<Number>("q").size().await.is_ok()
    })
    .await;
    until_received(&space, &[&told]).await;
    Stopping { space, handle, node, told, pool_ready }
}

impl Stopping {
    async fn cast(&self, number: u64) -> poolder_core::broker::Receipt {
        self.space.client.pool::<Number>("q").cast(Number(number)).await.unwrap()
    }

    /// Waits until this many copies of a number have started.
    async fn started(&mut self, number: u64, copies: u64) {
        let mut left = copies;
        while left > 0 {
            let next = within(self.told.recv()).await.unwrap();
            assert!(next == number || next == 0, "{next} where {number} was expected");
            left -= u64::from(next == number);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_broadcast_pool_starts_nothing_until_it_is_resumed() {
    let mut it = stopping("broadcast-pause", 2).await;
    eventually("the pool is ready", || async { it.pool_ready.load(Ordering::SeqCst) == 1 }).await;
    assert!(it.space.client.pause("q").await.unwrap());
    // Until the node has seen the pause, copies still run.
    within(async {
        loop {
            while it.told.try_recv().is_ok() {}
            it.cast(0).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            if it.told.is_empty() {
                return;
            }
        }
    })
    .await;
    it.cast(4).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(it.told.is_empty(), "a copy ran during the pause");
    assert!(it.space.client.resume("q").await.unwrap());
    it.started(4, 2).await;
    it.node.stop().await;
    assert_eq!(it.space.count("q", "broadcast_missed").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_job_that_runs_is_cancelled_in_every_slot() {
    let mut it = stopping("broadcast-cancel", 3).await;
    let running = it.cast(1).await;
    it.started(1, 3).await;
    it.space.client.job(running).cancel().await.unwrap();
    it.cast(5).await;
    it.started(5, 3).await;
    it.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_of_a_broadcast_pool_that_a_job_has_stopped_stays_stopped() {
    let mut it = stopping("broadcast-stop", 2).await;
    it.cast(2).await;
    it.started(2, 2).await;
    eventually("both slots have stopped", || async {
        it.cast(0).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        it.told.is_empty()
    })
    .await;
    it.handle.start("q").await.unwrap();
    until_received(&it.space, &[&it.told]).await;
    it.cast(6).await;
    it.started(6, 2).await;
    it.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_slot_that_never_becomes_ready_are_counted_and_the_node_stops_at_once() {
    let space = Space::new("broadcast-unready");
    let node =
        start(space.node().pool(Pool::new("q").size(1).mode(Mode::Broadcast).worker(Unready)));
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    // The node reads once its reader has connected: then a broadcast is missed at the end.
    for number in 0..20 {
        pool.cast(Number(number)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stopped = std::time::Instant::now();
    node.stop().await;
    assert!(stopped.elapsed() < Duration::from_secs(4), "{:?}", stopped.elapsed());
    assert!(space.count("q", "broadcast_missed").await > 0);
}

#[tokio::test]
async fn after_a_panic_of_a_pool_or_of_a_slot_all_later_broadcasts_run() {
    let (log, _recording) = Log::record(Level::ERROR);
    let space = Space::new("broadcast-panic");
    let (tell, mut told) = mpsc::channel(10_000);
    let handler = move |job: Number, _cx: Context| {
        let tell = tell.clone();
        async move {
            tell.send(job.0).await?;
            if job.0 == 3 { Err("as wanted".into()) } else { Ok::<_, BoxError>(()) }
        }
    };
    let pool = Pool::new("q").size(1).mode(Mode::Broadcast).worker(worker_fn(handler));
    let node = start(space.node().pool(pool.policy(Policy::default().attempts(1))));
    let pool = space.client.pool::<Number>("q");
    eventually("it is registered", || async { pool.size().await.is_ok() }).await;
    until_received(&space, &[&told]).await;

    log.panic_at(&["broadcast copies were missed", "a job died"]);
    // No worker knows its kind: the pool counts it as missed, and its log line panics.
    space.client.pool::<Unserved>("q").cast(Unserved(1)).await.unwrap();
    eventually("the pool panics", || async { log.count("a pool panicked") == 1 }).await;
    pool.cast(Number(10)).await.unwrap();
    drain(&mut told, 10, 1).await;
    // Its end is an event, whose log line panics in the slot.
    pool.cast(Number(3)).await.unwrap();
    eventually("the slot panics", || async { log.count("a slot panicked") == 1 }).await;
    pool.cast(Number(12)).await.unwrap();
    drain(&mut told, 12, 1).await;
    node.stop().await;
    assert_eq!(space.count("q", "broadcast_missed").await, 2, "{}", log.text());
}
