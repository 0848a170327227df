//! The macro builds the same batcher as the builder.

use std::marker::PhantomData;
use std::time::Duration;

use poolder::prelude::*;
use poolder::{BatchEntry, BatchOptions, Result};
use tokio::sync::mpsc;

use crate::harness::{Space, start, within};

#[derive(Clone)]
struct Full(mpsc::Sender<Vec<u64>>);

#[poolder::batcher(
    name = "mybatcher",
    queue = "reports",
    limit = 3,
    timeout = "none",
    max_bytes = 1_000,
    max_waiting = 2_000,
    max_groups = 7,
    lifo = true,
    policy(attempts = 3, backoff = "1s"),
    revision = 2,
    size = 2,
    hibernate_after = "10m"
)]
impl BatchWorker for Full {
    type Entry = u64;

    async fn handle_batch(&mut self, batch: &mut Batch<u64>, _: Context) -> Result<Outcome> {
        let all = batch.all().await?;
        self.0.send(all.into_iter().map(|(_, entry)| entry).collect()).await?;
        Ok(Done)
    }
}

#[derive(Clone)]
struct Plain;

#[poolder::batcher(name = "plain")]
impl BatchWorker for Plain {
    type Entry = String;

    async fn handle_batch(&mut self, _: &mut Batch<String>, _: Context) -> Result<Outcome> {
        Ok(Done)
    }
}

#[derive(Clone)]
struct Typed<T>(PhantomData<T>);

#[poolder::batcher(name = "typed", policy(timeout = "none", crashes = 5))]
impl<T: BatchEntry + Clone> BatchWorker for Typed<T> {
    type Entry = T;

    async fn handle_batch(&mut self, _: &mut Batch<T>, _: Context) -> Result<Outcome> {
        Ok(Done)
    }
}

#[test]
fn attributes_are_options() {
    let wait = Duration::from_secs(1);
    let expected = BatchOptions::default()
        .limit(3)
        .timeout(None)
        .max_bytes(1_000)
        .max_waiting(2_000)
        .max_groups(7)
        .lifo()
        .policy(Policy::default().attempts(3).backoff(Backoff::Fixed(wait)))
        .revision(2);
    assert_eq!(Full::options(), expected);
    assert_eq!(Plain::options(), BatchOptions::default());
    let policy = Policy::default().timeout(None).crashes(5);
    assert_eq!(Typed::<u64>::options().policy, policy);
    let shown = format!("{:?}", Plain.batcher());
    assert!(shown.contains("\"plain\"") && shown.contains("queue: None"), "{shown}");
}

#[tokio::test]
async fn a_type_is_a_component_and_has_a_client() {
    let space = Space::new("batch-macro");
    let (tell, mut told) = mpsc::channel(10);
    let node = start(space.node().add(Full(tell)).add(Plain));
    let rows = Full::on(&space.client);
    rows.push_many(0..3).await.all().unwrap();
    assert_eq!(within(told.recv()).await, Some(vec![2, 1, 0]));
    Plain::on(&space.client).push("x".into()).await.unwrap();
    node.stop().await;
}
