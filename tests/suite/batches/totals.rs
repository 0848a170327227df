//! The counters of a batcher: each event is counted once, under its kind.

use poolder::BatcherTotals;
use poolder::prelude::*;

use super::{NAME, SHORT, batcher, limit, next, waiting};
use crate::harness::{Space, eventually, start};

#[tokio::test]
async fn seals_are_counted_by_their_reason() {
    let space = Space::new("batch-totals-seals");
    let text = space.client.batcher::<String>(NAME);
    // A text of 97 characters takes 99 bytes.
    let options = limit(5).max_bytes(300).timeout(SHORT);
    text.declare(options.clone()).await.unwrap();
    // Two full batches in one call, of which no entry is gathered, and one that is gathered first.
    text.push_many((0..12).map(|n| n.to_string())).await.all().unwrap();
    text.push_many((0..3).map(|n| n.to_string())).await.all().unwrap();
    // Three texts fit the limit of bytes, a fourth exceeds it.
    text.push_many((0..4).map(|_| "x".repeat(97))).await.all().unwrap();
    text.flush().await.unwrap().unwrap();
    text.push("popped".into()).await.unwrap();
    text.pop(0).await.unwrap();
    text.push("timeout".into()).await.unwrap();
    let totals = |totals: BatcherTotals| {
        let BatcherTotals { sealed_by_limit, sealed_by_bytes, .. } = totals;
        let BatcherTotals { sealed_by_flush, sealed_by_timeout, .. } = totals;
        [sealed_by_limit, sealed_by_bytes, sealed_by_flush, sealed_by_timeout]
    };
    let sums = text.sums().await.unwrap();
    assert_eq!(totals(sums.totals), [3, 1, 1, 0]);
    assert_eq!((sums.totals.pushed, sums.totals.popped), (21, 1));

    let (batcher, _told) = super::doer();
    let node = start(space.node().add(batcher.with_options(options)));
    eventually("its time has come", || async {
        text.sums().await.unwrap().totals.sealed_by_timeout == 1
    })
    .await;
    let sums = text.sums().await.unwrap();
    assert_eq!(totals(sums.totals), [3, 1, 1, 1]);
    assert_eq!(sums.sealed, 6);
    node.stop().await;
}

#[tokio::test]
async fn batches_and_entries_are_counted_by_their_fate() {
    let space = Space::new("batch-totals-fates");
    // In the first batch one entry is buried and one retried; the second batch fails for good.
    let (batcher, mut told) =
        batcher(|batch: &mut Batch<u64>, entries: &[(usize, u64)], cx: &Context| {
            if entries.iter().any(|(_, entry)| *entry >= 100) {
                return Err("never".into());
            }
            if cx.attempt() == 1 {
                batch.bury(0, "bad");
                batch.retry(1, "later");
            }
            Ok(Done)
        });
    let batcher =
        batcher.limit(4).policy(Policy::default().attempts(2).backoff(Backoff::Fixed(SHORT / 10)));
    let rows = batcher.handle(&space.client);
    let node = start(space.node().add(batcher));
    rows.push_many(0..4).await.all().unwrap();
    assert_eq!(next(&mut told).await.entries, [0, 1, 2, 3]);
    assert_eq!(next(&mut told).await.entries, [1]);
    rows.push_many(100..104).await.all().unwrap();
    eventually("all is settled", || async {
        let totals = rows.sums().await.unwrap().totals;
        (totals.completed, totals.dead) == (1, 1)
    })
    .await;
    let totals = rows.sums().await.unwrap().totals;
    assert_eq!((totals.pushed, totals.completed_entries), (8, 3));
    assert_eq!((totals.entries_buried, totals.entries_retried), (1, 1));
    assert_eq!((totals.retried, totals.cancelled), (2, 0));
    assert_eq!(waiting(&space).await, 0);
    node.stop().await;
}
