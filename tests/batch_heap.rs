//! Measures how much of a large batch is in memory while it is pushed and while it is handled, in
//! bytes of the heap. A binary with one test: another test would allocate at the same time.

use std::alloc::System;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{BatchOptions, Config, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::mpsc;

#[global_allocator]
static HEAP: cap::Cap<System> = cap::Cap::new(System, usize::MAX);

/// The most bytes allocated at a moment when an entry was serialized or deserialized.
static PEAK: AtomicUsize = AtomicUsize::new(0);

const ENTRIES: usize = 100_000;
/// The size of one text in bytes. `ALL` is the size of all texts.
const SIZE: usize = 200;
const ALL: usize = ENTRIES * SIZE;
/// Room for a few chunks in each of their forms, and for what the client and the node allocate
/// besides.
const FEW_CHUNKS: usize = ALL / 10;

/// An entry that records the size of the heap whenever it is serialized or deserialized.
struct Text(String);

fn look() {
    PEAK.fetch_max(HEAP.allocated(), Ordering::SeqCst);
}

/// Resets the peak to the bytes allocated now, and returns them.
fn start() -> usize {
    let now = HEAP.allocated();
    PEAK.store(now, Ordering::SeqCst);
    now
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        look();
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        look();
        Ok(Self(text))
    }
}

/// The bytes a handler allocated at its peak, and those it kept at its end.
#[derive(Debug)]
struct Needed {
    most: usize,
    kept: usize,
}

/// Reads the entries one by one in the first attempt, and all at once in the second.
#[derive(Clone)]
struct Weigher(mpsc::Sender<Needed>);

impl BatchWorker for Weigher {
    type Entry = Text;

    async fn handle_batch(&mut self, batch: &mut Batch<Text>, cx: Context) -> Result<Outcome> {
        let before = start();
        let (mut count, mut all) = (0, vec![]);
        if cx.attempt() == 1 {
            while batch.next().await?.is_some() {
                count += 1;
            }
        } else {
            all = batch.all().await?;
            count = all.len();
        }
        assert_eq!(count, ENTRIES);
        let kept = HEAP.allocated().saturating_sub(before);
        let most = PEAK.load(Ordering::SeqCst) - before;
        self.0.send(Needed { most, kept }).await?;
        drop(all);
        if cx.attempt() == 1 { Err("now at once".into()) } else { Ok(Done) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_batch_is_in_memory_a_few_chunks_at_a_time() {
    let server = poolder_devserver::shared().unwrap_or_else(|error| panic!("{error}"));
    let namespace = poolder_devserver::namespace("batch-heap");
    let client = Client::new(Config::new(server.url()).namespace(namespace)).unwrap();
    let (tell, mut told) = mpsc::channel(2);
    let limit = u32::try_from(ENTRIES).unwrap();
    let options = BatchOptions::default().limit(limit).timeout(None);
    let batcher = Batcher::new("texts", Weigher(tell)).with_options(options);
    let batcher = batcher
        .policy(Policy::default().attempts(2).backoff(Backoff::Fixed(Duration::from_millis(1))));
    let texts = batcher.handle(&client);

    let before = start();
    let bulk = texts.push_many((0..ENTRIES).map(|_| Text("x".repeat(SIZE)))).await;
    let pushed = PEAK.load(Ordering::SeqCst) - before;
    assert_eq!(bulk.sealed, 1, "{bulk:?}");

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let node = Node::builder(client).add(batcher).run_until(async {
        let _ = stopped.await;
    });
    let node = tokio::spawn(node);
    let mut needed = vec![];
    while needed.len() < 2 {
        let next = tokio::time::timeout(Duration::from_secs(60), told.recv()).await;
        needed.push(next.expect("no batch came").unwrap());
    }
    println!("of {ALL} bytes: {pushed} pushing; one by one, then all at once: {needed:?}");
    let [streamed, at_once] = &needed[..] else { panic!("{needed:?}") };
    assert!(pushed < FEW_CHUNKS, "{pushed} bytes while they were pushed");
    assert!(streamed.most < FEW_CHUNKS, "{streamed:?}");
    assert!(at_once.kept >= ALL, "the handler has them: {at_once:?}");
    assert!(at_once.most < at_once.kept + FEW_CHUNKS, "once, not twice: {at_once:?}");
    let _ = stop.send(());
    node.await.unwrap().unwrap();
}
