//! The operations on the sealed list of a batch job.

use std::time::Duration;

use poolder::{Cause, Failure, JobId, Lane, Timestamp};
use poolder_core::broker::{DeadLimits, Effect, ListEnd, Settled, Settlement};
use poolder_core::policy::decide::Transition;

use super::{Contents, Shape, Stage, bury, counted, id_of, release, retry, settlement};

const BATCH: Shape<'static> = Shape { number: 1, batch: true, alone: None, kept: false };

/// Names of lists of entries that were set aside.
const KEPT: &str = "kept";
const BURIED: &str = "buried";

impl Stage {
    /// Sets entries of a batch aside.
    pub(super) async fn set_aside(&self, number: u8, part: &str, entries: &[Vec<u8>]) {
        let broker = self.space.client.broker();
        broker.set_aside(&self.partition, id_of(number), part, entries).await.unwrap();
    }

    async fn list(&self, job: JobId) -> Vec<Vec<u8>> {
        self.space
            .client
            .broker()
            .sealed_entries(&self.partition, job, (0, 10), ListEnd::Front)
            .await
            .unwrap()
    }

    async fn batcher(&self) -> std::collections::BTreeMap<String, i64> {
        self.counts("batch:about:rows").await
    }
}

/// Returns the id of the dead batch into which entries of a batch are buried.
pub(super) fn part_of(number: u8) -> JobId {
    id_of(number | 0x80)
}

pub(super) fn keep(settlement: Settlement) -> Settlement {
    settlement.with_effect(Effect::KeepEntries(KEPT.into()))
}

pub(super) fn bury_entries(settlement: Settlement, number: u8) -> Settlement {
    let failure = Failure::new(Cause::Error, "no");
    let (part, id) = (BURIED.into(), part_of(number));
    settlement.with_effect(Effect::BuryEntries { part, id, failure })
}

#[tokio::test]
async fn the_end_of_a_batch_ends_its_list() {
    let mut stage = Stage::new("op-batch").await;
    let shapes = [1, 2, 3].map(|number| Shape { number, ..BATCH });
    let claims = stage.claim_from(Lane::Normal, &shapes).await;
    stage.apply(settlement(&claims[0], Transition::Complete)).await;
    let expected = [("waiting", 4), ("completed_entries", 2), ("completed", 1)];
    assert_eq!(stage.batcher().await, counted(&expected));
    stage.apply(settlement(&claims[1], Transition::Cancel("why".into()))).await;
    let expected = [("waiting", 2), ("completed_entries", 2), ("completed", 1), ("cancelled", 1)];
    assert_eq!(stage.batcher().await, counted(&expected));
    stage.apply(settlement(&claims[2], bury(&claims[2]))).await;
    assert_eq!(stage.batcher().await["waiting"], 0);
    assert_eq!(stage.batcher().await["buried"], 1);
    assert!(stage.list(id_of(1)).await.is_empty() && stage.list(id_of(2)).await.is_empty());
    assert_eq!(stage.list(id_of(3)).await.len(), 2, "the list of a dead batch can be revived");
    let index = stage.contents().await["batch:index"].clone();
    let Contents::Hash(index) = index else { panic!("{index:?}") };
    let only = [(id_of(3).as_bytes().to_vec(), b"0 2 4 5 3 rows:".to_vec())];
    assert_eq!(index, only.into(), "its entries are not counted");
}

#[tokio::test]
async fn a_batch_that_goes_on_keeps_its_list_unless_it_was_cancelled() {
    let mut stage = Stage::new("op-batch-on").await;
    let shapes = [1, 2, 3].map(|number| Shape { number, ..BATCH });
    let claims = stage.claim_from(Lane::Normal, &shapes).await;
    stage.cancel(3).await;
    stage.apply(settlement(&claims[0], retry(&claims[0]))).await;
    stage.apply(settlement(&claims[1], release(&claims[1]))).await;
    stage.apply(settlement(&claims[2], retry(&claims[2]))).await;
    let expected = [("waiting", 6), ("retried", 1), ("cancelled", 1)];
    assert_eq!(stage.batcher().await, counted(&expected));
    let dropped = stage.contents().await["batch:dropped"].clone();
    let only = [id_of(3).as_bytes().to_vec()];
    assert_eq!(dropped, Contents::Set(only.into()), "the pruner removes the list");
    assert_eq!(stage.list(id_of(3)).await.len(), 2);
}

#[tokio::test]
async fn a_part_of_a_batch_is_buried_and_the_rest_is_tried_again() {
    let mut stage = Stage::new("op-parts").await;
    let claim = stage.claim(BATCH).await;
    stage.set_aside(1, KEPT, &[b"later".to_vec()]).await;
    stage.set_aside(1, BURIED, &[b"bad".to_vec()]).await;
    let parts = || keep(bury_entries(settlement(&claim, retry(&claim)), 1));
    // First another consumer holds the entry, then this one again.
    stage.refuses(&claim, parts()).await;
    let lane = stage.key("ready:normal");
    let entry = claim.entry.as_bytes();
    let back: [&[u8]; 5] = [lane.as_bytes(), b"workers", b"me", b"0", entry];
    let _: redis::Value = stage.set("XCLAIM", &back).await;
    stage.apply(parts()).await;
    assert_eq!(stage.list(id_of(1)).await, [b"later".to_vec()]);
    assert_eq!(stage.list(part_of(1)).await, [b"bad".to_vec()]);
    let expected = [
        ("waiting", 1),
        ("completed_entries", 0),
        ("entries_retried", 1),
        ("entries_buried", 1),
        ("retried", 1),
    ];
    assert_eq!(stage.batcher().await, counted(&expected));
    assert_eq!(stage.space.dead("q").await.len(), 1);
    let left: i64 = stage.space.redis(redis::cmd("TTL").arg(stage.sealed(1))).await;
    assert_eq!(left, -1, "the list no longer ends by itself");
}

#[tokio::test]
async fn a_job_with_the_id_of_another_batch_leaves_its_list_alone() {
    let mut stage = Stage::new("op-batch-forged").await;
    let shapes = [1, 2, 3].map(|number| Shape { number, ..BATCH });
    let claims = stage.claim_from(Lane::Normal, &shapes).await;
    // The records tell of batches that were sealed at other times.
    let index = stage.key("batch:index");
    for number in [1, 2, 3] {
        let id = id_of(number);
        let words: [&[u8]; 3] = [index.as_bytes(), id.as_bytes(), b"1 2 4 5 99 rows:"];
        let _: u64 = stage.set("HSET", &words).await;
    }
    stage.cancel(3).await;
    stage.apply(settlement(&claims[0], Transition::Complete)).await;
    stage.apply(settlement(&claims[1], bury(&claims[1]))).await;
    stage.apply(settlement(&claims[2], retry(&claims[2]))).await;
    for number in [1, 2, 3] {
        assert_eq!(stage.list(id_of(number)).await.len(), 2);
    }
    assert_eq!(stage.batcher().await["waiting"], 6);
    assert!(!stage.contents().await.contains_key("batch:dropped"));
    // The dead job of the same id is pruned, and the list stays.
    let later = Timestamp::from_millis(i64::from(u32::MAX) * 1000);
    let limits = DeadLimits { age: Duration::ZERO, ..DeadLimits::default() };
    let pruned = stage.space.client.broker().prune_dead(&stage.partition, limits, later).await;
    assert_eq!(pruned.unwrap(), 1);
    assert_eq!(stage.list(id_of(2)).await.len(), 2);
}

#[tokio::test]
async fn a_part_that_was_lost_buries_the_whole_batch() {
    let mut stage = Stage::new("op-parts-lost").await;
    let claim = stage.claim(BATCH).await;
    let all = stage.list(id_of(1)).await;
    stage.apply(bury_entries(settlement(&claim, Transition::Complete), 1)).await;
    assert_eq!(stage.list(part_of(1)).await, all);
    assert_eq!(stage.space.dead("q").await.len(), 1);
    let expected =
        [("waiting", 0), ("completed_entries", 0), ("entries_buried", 2), ("completed", 1)];
    assert_eq!(stage.batcher().await, counted(&expected));
}

#[tokio::test]
async fn keys_of_wrong_types_leave_the_batch_claimed_and_in_no_other_place() {
    let mut stage = Stage::new("op-batch-types").await;
    let claim = stage.claim(BATCH).await;
    let list = stage.sealed(1);
    let _: String = stage.set("SET", &[list.as_bytes(), b"mine"]).await;
    let before = stage.contents().await;
    for transition in [Transition::Complete, bury(&claim)] {
        let settled = stage.settle(&[settlement(&claim, transition)]).await;
        assert!(matches!(settled[0], Settled::Broken(_)), "{settled:?}");
        assert_eq!(stage.contents().await, before);
    }
    // The counters of the batcher do not keep a batch from its end.
    let _: u64 = stage.set("DEL", &[list.as_bytes()]).await;
    let about = stage.about();
    let _: String = stage.set("SET", &[about.as_bytes(), b"mine"]).await;
    stage.apply(settlement(&claim, Transition::Complete)).await;
    assert_eq!(stage.counts("stats").await, counted(&[("completed", 1)]));
}
