//! The macro builds the same batcher as the builder.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{BatchOptions, Result};
use tokio::sync::mpsc;

use crate::harness::{Space, start, within};

#[poolder::batcher(
    name = "mybatcher",
    queue = "reports",
    limit = 3,
    timeout = "infinity",
    max_bytes = 1_000,
    max_waiting = 2_000,
    max_groups = 7,
    lifo = true,
    retry(count = 3, backoff = "1s"),
    revision = 2,
    size = 2,
    hibernate_after = "10m"
)]
#[derive(Clone)]
struct Full(mpsc::Sender<Vec<u64>>);

impl BatchWorker for Full {
    type Entry = u64;

    async fn handle_batch(&mut self, batch: &mut Batch<u64>, _: Context) -> Result<Outcome> {
        let all = batch.all().await?;
        self.0.send(all.into_iter().map(|(_, entry)| entry).collect()).await?;
        Ok(Done)
    }
}

#[poolder::batcher(name = "plain")]
#[derive(Clone)]
struct Plain;

impl BatchWorker for Plain {
    type Entry = String;

    async fn handle_batch(&mut self, _: &mut Batch<String>, _: Context) -> Result<Outcome> {
        Ok(Done)
    }
}

#[test]
fn attributes_are_options() {
    let wait = Duration::from_secs(1);
    let expected = BatchOptions {
        limit: 3,
        timeout: None,
        max_bytes: Some(1_000),
        max_waiting: Some(2_000),
        max_groups: 7,
        lifo: true,
        policy: Policy::default().attempts(3).backoff(Backoff::Fixed(wait)),
        revision: 2,
        ..BatchOptions::default()
    };
    assert_eq!(Full::options(), expected);
    assert_eq!(Plain::options(), BatchOptions::default());
    let shown = format!("{:?}", Plain.batcher());
    assert!(shown.contains("\"plain\"") && shown.contains("queue: None"), "{shown}");
}

#[tokio::test]
async fn a_type_is_a_component_and_has_a_handle() {
    let space = Space::new("batch-macro");
    let (tell, mut told) = mpsc::channel(10);
    let node = start(space.node().add(Full(tell)).add(Plain));
    let rows = Full::handle(&space.client);
    rows.push_many(0..3).await.all().unwrap();
    assert_eq!(within(told.recv()).await, Some(vec![2, 1, 0]));
    Plain::handle(&space.client).push("x".into()).await.unwrap();
    node.stop().await;
}
