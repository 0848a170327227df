//! Broadcast pools: every living slot runs a copy of the job.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use tokio::sync::mpsc;

use crate::harness::{Number, Running, Space, eventually, start, within};

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

async fn node(space: &Space, size: u64) -> (Running, mpsc::Receiver<u64>) {
    let (tell, told) = mpsc::channel(10_000);
    let inits = Arc::default();
    let worker = Copy { tell, inits: Arc::clone(&inits), failed: None };
    let policy = Policy::default().backoff(Backoff::Fixed(Duration::from_millis(20)));
    let pool = Pool::new("q").size(size as usize).mode(Mode::Broadcast).policy(policy);
    let node = start(space.node().pool(pool.worker(worker)));
    eventually("it is up", || async { inits.load(Ordering::SeqCst) == size }).await;
    (node, told)
}

/// Casts jobs until every node has received one: a node receives broadcasts once its reader is
/// connected.
async fn until_heard(space: &Space, heard: &mut [(&mut mpsc::Receiver<u64>, u64)]) {
    let pool = space.client.pool::<Number>("q");
    for (told, size) in heard {
        while told.is_empty() {
            pool.cast(Number(0)).await.unwrap();
            // One copy at a time, so that few are left over.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let _ = size;
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
    until_heard(&space, &mut [(&mut first, 2), (&mut second, 3)]).await;
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
    until_heard(&space, &mut [(&mut late, 1)]).await;
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
    assert!(empty.is_gone() && empty.to_string().contains("Pool::join_set"), "{empty}");
    assert!(space.client.pool_set("no{brace").pools().await.unwrap_err().is_invalid());
    node.stop().await;
}
