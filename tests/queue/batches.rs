//! Entries that gather, and the batches made of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolder::BatchOptions;
use poolder::prelude::*;
use poolder::testing::TestQueue;

const SECOND: Duration = Duration::from_secs(1);

type Loads = Arc<Mutex<Vec<(String, Vec<u64>)>>>;

/// Notes the entries of each batch. Entry 7 is tried again, entry 13 is buried.
#[derive(Clone)]
struct Rows(Loads);

impl BatchWorker for Rows {
    type Entry = u64;

    async fn handle_batch(
        &mut self,
        batch: &mut Batch<u64>,
        _: Context,
    ) -> poolder::Result<Outcome> {
        let entries = batch.all().await?;
        for (index, entry) in &entries {
            match entry {
                7 if entries.len() > 1 => batch.retry(*index, "not yet"),
                13 => batch.bury(*index, "never"),
                _ => {}
            }
        }
        let entries = entries.into_iter().map(|(_, entry)| entry).collect();
        self.0.lock().unwrap().push((batch.group().to_owned(), entries));
        Ok(Done)
    }
}

fn rows(loads: &Loads) -> Batcher<Rows> {
    Batcher::new("rows", Rows(Arc::clone(loads))).limit(3).timeout(SECOND * 5)
}

#[tokio::test]
async fn a_batch_is_sealed_by_its_limit_its_timeout_and_a_flush() {
    let (queue, loads) = (TestQueue::new(), Loads::default());
    let node = queue.start_node(queue.node().add(rows(&loads))).await;
    let handle = queue.client().batcher::<u64>("rows");
    handle.push_many(0..4).await.all().unwrap();
    handle.group("b").push(5).await.unwrap();
    assert_eq!((handle.len().await.unwrap(), handle.list(0).await.unwrap().entries), (1, vec![3]));
    assert_eq!(node.drain().await.done, 1);
    queue.advance(SECOND * 4);
    assert_eq!(node.drain().await.done, 0);
    handle.push(6).await.unwrap();
    assert!(handle.group("b").flush().await.unwrap().is_some());
    assert!(handle.group("b").flush().await.unwrap().is_none());
    assert_eq!(node.drain().await.done, 1);
    queue.advance(SECOND);
    assert_eq!(node.drain().await.done, 1);
    let expected = [("", vec![0, 1, 2]), ("b", vec![5]), ("", vec![3, 6])];
    let loads: Vec<_> = loads.lock().unwrap().clone();
    let loads: Vec<_> = loads.iter().map(|(group, all)| (group.as_str(), all.clone())).collect();
    assert_eq!(loads, expected);
}

#[tokio::test]
async fn a_drain_with_due_waits_for_the_timeout() {
    let (queue, loads) = (TestQueue::new(), Loads::default());
    let node = queue.start_node(queue.node().add(rows(&loads))).await;
    let began = queue.now();
    queue.client().batcher::<u64>("rows").push(1).await.unwrap();
    assert_eq!(node.drain().with_due().await.done, 1);
    assert_eq!(queue.now().since(began), SECOND * 5);
}

#[tokio::test]
async fn entries_are_tried_again_or_buried_alone() {
    let (queue, loads) = (TestQueue::new(), Loads::default());
    let node = queue.start_node(queue.node().add(rows(&loads))).await;
    queue.client().batcher::<u64>("rows").push_many([1, 7, 13]).await.all().unwrap();
    let sums = node.drain().with_due().await;
    assert_eq!((sums.done, sums.retried), (1, 1));
    let seen: Vec<_> = loads.lock().unwrap().iter().map(|(_, all)| all.clone()).collect();
    assert_eq!(seen, [vec![1, 7, 13], vec![7]]);
    let dead = queue.jobs_in(poolder::JobState::Dead);
    assert_eq!(dead.len(), 1);
    let listed = queue.client().batcher::<u64>("rows").list_sealed(dead[0].id(), 0).await.unwrap();
    assert_eq!(listed, [13]);
    queue.client().job(&dead[0]).revive().await.unwrap();
    node.drain().await;
    assert_eq!(loads.lock().unwrap()[2].1, [13]);
}

#[tokio::test]
async fn limits_of_a_batcher_hold_and_a_token_stores_once() {
    let queue = TestQueue::new();
    let handle = queue.client().batcher::<u64>("rows");
    assert!(handle.push(1).await.unwrap_err().is_not_found(), "it is not declared");
    let options = BatchOptions::default().max_waiting(2).max_groups(1);
    handle.declare(options.clone()).await.unwrap();
    handle.push(1).token("t", SECOND).await.unwrap();
    handle.push(1).token("t", SECOND).await.unwrap();
    assert_eq!(handle.len().await.unwrap(), 1);
    assert!(handle.group("other").push(2).await.unwrap_err().is_full());
    handle.push_front(2).await.unwrap();
    assert!(handle.push(3).await.unwrap_err().is_full());
    assert_eq!(handle.pop(0).await.unwrap().entry, 2);
    assert!(handle.pop(9).await.unwrap_err().is_not_found());
    let generation = handle.list(0).await.unwrap().generation.unwrap();
    assert!(handle.pop(0).in_generation(generation + 1).await.unwrap_err().is_gone());
    let other = options.limit(9);
    let error = handle.declare(other.clone()).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("revision 1"), "{error}");
    handle.declare(other.revision(1)).await.unwrap();
    handle.push(4).await.unwrap();
    let sums = handle.sums().await.unwrap_err();
    assert!(sums.is_unsupported());
}
