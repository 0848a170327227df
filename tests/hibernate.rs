//! Checks that a hibernating pool frees the memory of its workers, in bytes of the heap. A binary
//! with one test: another test would allocate at the same time.

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Client, Config, Result};
use serde::{Deserialize, Serialize};

#[global_allocator]
static HEAP: cap::Cap<System> = cap::Cap::new(System, usize::MAX);

const SLOTS: usize = 8;
const HOARD: usize = 1 << 20;

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "hoard", queue = "q")]
struct Hoard;

/// A worker that keeps a megabyte per slot.
#[derive(Clone, Default)]
struct Hoarder {
    hoard: Vec<u8>,
    inits: Arc<AtomicUsize>,
    hibernates: Arc<AtomicUsize>,
    done: Arc<AtomicUsize>,
}

impl Worker for Hoarder {
    type Job = Hoard;

    async fn handle_init(&mut self) -> Result<()> {
        self.inits.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn handle_job(&mut self, _: Hoard, _: Context) -> Result<Outcome> {
        self.hoard.resize(HOARD, 1);
        // Long enough that every slot gets some of the jobs.
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.done.fetch_add(1, Ordering::SeqCst);
        Ok(Done)
    }

    async fn handle_hibernate(&mut self) {
        self.hibernates.fetch_add(1, Ordering::SeqCst);
    }
}

async fn until(what: &str, mut met: impl FnMut() -> bool) {
    let asking = async {
        while !met() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect(what);
}

/// Returns the bytes of the heap at rest: the least of 50 measurements within half a second.
async fn resting() -> usize {
    let mut least = usize::MAX;
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        least = least.min(HEAP.allocated());
    }
    least
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_hibernates_gives_back_what_its_workers_held() {
    let server = poolder_devserver::shared().unwrap_or_else(|error| panic!("{error}"));
    let namespace = poolder_devserver::namespace("hibernate-heap");
    let client = Client::new(Config::new(server.url()).namespace(namespace)).unwrap();
    let worker = Hoarder::default();
    let (inits, hibernates) = (Arc::clone(&worker.inits), Arc::clone(&worker.hibernates));
    let done = Arc::clone(&worker.done);
    let pool = Pool::new("q").size(SLOTS as u16).hibernate_after(Duration::from_millis(500));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let node = Node::builder(client.clone()).pool(pool.worker(worker)).run_until(async {
        let _ = stopped.await;
    });
    let node = tokio::spawn(node);
    until("the slots are up", || inits.load(Ordering::SeqCst) == SLOTS).await;
    // One job first: connections, names and thread pools are allocated with it and stay.
    client.enqueue(Hoard).await.unwrap();
    let asleep = || inits.load(Ordering::SeqCst) == hibernates.load(Ordering::SeqCst);
    until("the first is done", || done.load(Ordering::SeqCst) == 1).await;
    until("all hibernate", asleep).await;
    let before = resting().await;
    client.enqueue_many((0..200).map(|_| Hoard)).await;
    until("half of them are done", || done.load(Ordering::SeqCst) >= 101).await;
    let busy = HEAP.allocated();
    assert!(busy > before + SLOTS * HOARD / 2, "the workers hold something: {busy}, not {before}");
    until("all are done", || done.load(Ordering::SeqCst) == 201).await;
    until("all hibernate", asleep).await;
    let after = resting().await;
    println!("heap before {before}, at work {busy}, hibernating {after}");
    assert!(after * 10 <= before * 11, "{after} bytes are more than 10 % above {before}");
    let _ = stop.send(());
    node.await.unwrap().unwrap();
}
