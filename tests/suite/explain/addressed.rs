//! Jobs of addressed slots that wait.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{QueueName, Receipt, Result, Timestamp, Why};
use poolder_core::Partition;
use redis::cmd;

use super::{assert_why, explain};
use crate::harness::{Number, Space, claim_first};

/// Registers the pool `q` with one slot, and casts a job of each of these keys.
async fn cast(space: &Space, keys: &[&str]) -> Vec<Receipt> {
    let queue = QueueName::new("q").unwrap();
    space.client.broker().define_pool(&queue, Mode::Phash, 1).await.unwrap();
    let pool = space.client.pool::<Number>("q");
    let mut receipts = vec![];
    for (number, key) in (0..).zip(keys) {
        receipts.push(pool.cast(Number(number)).key(key).await.unwrap());
    }
    receipts
}

fn first() -> Partition {
    Partition::first(QueueName::new("q").unwrap())
}

async fn lease(space: &Space, fields: &[&str]) {
    space.redis::<u64>(cmd("HSET").arg(space.key("q", "lease")).arg(fields)).await;
}

#[tokio::test]
async fn a_slot_that_is_free_stopped_or_of_a_dead_holder_is_named() -> Result<()> {
    let space = Space::new("explain-slot");
    space.enter("n1", 0, 1, "").await;
    let job = cast(&space, &["a"]).await.remove(0);
    let found = explain(&space, &job).await;
    assert_why(&found, Why::SlotFree, "no node holds slot 0");
    assert!(found.is_stuck());

    let pool = space.client.pool::<Number>("q");
    pool.stop().await?;
    assert_why(&explain(&space, &job).await, Why::PoolStopped, "the whole pool is stopped");
    pool.start().await?;
    pool.slot(0).stop().await?;
    assert_why(&explain(&space, &job).await, Why::SlotStopped, "slot 0");
    pool.slot(0).start().await?;

    lease(&space, &["holder", "n1", "term", "1", "until", "9999999999999"]).await;
    assert_why(&explain(&space, &job).await, Why::Next, "nothing is in its way");
    lease(&space, &["holder", "n2"]).await;
    let found = explain(&space, &job).await;
    assert_why(&found, Why::HolderGone, "n2, which holds slot 0, is not in the roster");
    space.enter("n2", 60_000, 1, "").await;
    let found = explain(&space, &job).await;
    assert_why(&found, Why::HolderGone, "is silent for 1 min");
    assert!(found.until.is_some() && !found.is_stuck(), "{found}");
    space.mark("n2").await;
    assert_why(&explain(&space, &job).await, Why::HolderGone, "was declared dead");
    Ok(())
}

#[tokio::test]
async fn a_job_behind_one_of_its_key_is_told_from_one_behind_another() {
    let space = Space::new("explain-key");
    space.enter("n1", 0, 1, "").await;
    let jobs = cast(&space, &["a", "b", "a", "c"]).await;
    lease(&space, &["holder", "n1", "term", "1", "until", "9999999999999"]).await;
    let found = explain(&space, &jobs[3]).await;
    assert_why(&found, Why::BehindOthers, "is next in slot 0");
    assert!(found.reason.contains("2 other jobs before this one"), "{found}");
    let found = explain(&space, &jobs[2]).await;
    assert_why(&found, Why::SameKey, "it has the same key");
    assert!(found.reason.contains(&jobs[0].job.to_string()), "{found}");
    assert_why(&explain(&space, &jobs[0]).await, Why::Next, "nothing is in its way");

    let (_, claim) = claim_first(&space, &first(), "n1", None).await;
    assert_eq!(claim.job_id(), jobs[0].job);
    assert_why(&explain(&space, &jobs[0]).await, Why::Running, "it runs on node n1");
    let found = explain(&space, &jobs[2]).await;
    assert_why(&found, Why::SameKey, "runs in slot 0 for");
    assert_why(&explain(&space, &jobs[1]).await, Why::BehindOthers, "runs in slot 0 for");
}

#[tokio::test]
async fn a_retry_that_holds_its_slot_and_the_jobs_behind_it_say_until_when() {
    let space = Space::new("explain-hold");
    space.enter("n1", 0, 1, "").await;
    let jobs = cast(&space, &["a", "b"]).await;
    let until = Timestamp::now() + Duration::from_secs(600);
    let entry = match &jobs[0].stored {
        poolder::Stored::Ready(entry) => entry.to_string(),
        other => panic!("{other:?}"),
    };
    let (hold, held) = (until.millis().to_string(), format!("{} {entry}", until.millis()));
    lease(&space, &["holder", "n1", "term", "1", "hold", &hold, "held", &held]).await;
    let found = explain(&space, &jobs[0]).await;
    assert_why(&found, Why::Retrying, "its slot waits for it");
    let found = explain(&space, &jobs[1]).await;
    assert_why(&found, Why::Held, "a retry in front blocks the slot");
    assert_eq!(found.until, Some(until));
}

#[tokio::test]
async fn a_job_stored_after_a_resize_waits_until_the_slots_have_run_the_jobs_before() -> Result<()>
{
    let space = Space::new("explain-resize");
    space.enter("n1", 0, 1, "").await;
    let before = cast(&space, &["a"]).await.remove(0);
    lease(&space, &["holder", "n1", "term", "1", "until", "9999999999999"]).await;
    let pool = space.client.pool::<Number>("q");
    pool.resize(2).await?;
    let after = loop {
        // The first key that stays in slot 0.
        let sent = pool.cast(Number(9)).key(format!("{}", Timestamp::now().millis())).await?;
        if sent.partition.index == 0 {
            break sent;
        }
    };
    assert_why(&explain(&space, &after).await, Why::Resizing, "the pool was resized");
    assert_why(&explain(&space, &before).await, Why::Next, "nothing is in its way");
    Ok(())
}
