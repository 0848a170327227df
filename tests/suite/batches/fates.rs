//! Ends of a batch: completed, completed in part, retried, dead with its entries, revived, dropped.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{BatchState, Error, Result};
use poolder_core::broker::{ClaimConnection, DeadLimits, Settled, Settlement};
use poolder_core::policy::decide::Transition;
use poolder_core::{Claim, Partition};

use super::{NAME, SHORT, Seen, batcher, declared, doer, limit, next, sealed_lists, waiting};
use crate::harness::{RawEntry, Space, eventually, start};

const AT_ONCE: Backoff = Backoff::Fixed(Duration::from_millis(1));

#[tokio::test]
async fn entries_that_failed_go_on_alone_and_others_are_done() {
    let space = Space::new("batch-part");
    let (batcher, mut told) =
        batcher(|batch: &mut Batch<u64>, all: &[(usize, u64)], cx: &Context| {
            for (index, entry) in all {
                match entry % 10 {
                    // Entries that end in 3 fail twice, those that end in 7 fail for good.
                    3 if cx.attempt() < 3 => batch.retry(*index, "not yet"),
                    7 => batch.bury(*index, "never"),
                    _ => {}
                }
            }
            Ok(Done)
        });
    let batcher = batcher.limit(1_000).policy(Policy::default().attempts(4).backoff(AT_ONCE));
    let rows = batcher.handle(&space.client);
    rows.push_many(0..1_000).await.all().unwrap();
    let node = start(space.node().add(batcher));
    let first = next(&mut told).await;
    assert_eq!(first.entries.len(), 1_000);
    let threes: Vec<u64> = (0..100).map(|at| at * 10 + 3).collect();
    for attempt in 2..4 {
        let Seen { id, entries, attempt: found, .. } = next(&mut told).await;
        assert_eq!((id, found), (first.id, attempt));
        assert_eq!(entries, threes);
    }
    space.until_count(NAME, "completed", 1).await;
    let dead = rows.sealed(10).await.unwrap();
    assert_eq!((dead.len(), dead[0].len, dead[0].state), (1, 100, BatchState::Dead));
    let sevens: Vec<u64> = (0..100).map(|at| at * 10 + 7).collect();
    assert_eq!(rows.list_sealed(dead[0].job, 0).await.unwrap(), sevens);
    let records = space.dead(NAME).await;
    assert!(records[0].contains("entry 7: never; entry 17: never"), "{records:?}");
    assert_eq!(waiting(&space).await, 0, "the dead do not count");
    assert_eq!(sealed_lists(&space).await.len(), 1, "nothing else is left behind");
    node.stop().await;
}

#[tokio::test]
async fn in_reverse_marks_are_those_of_the_entries_that_were_handed_out() {
    let space = Space::new("batch-reverse");
    let (batcher, mut told) =
        batcher(|batch: &mut Batch<u64>, all: &[(usize, u64)], cx: &Context| {
            for (index, entry) in all.iter().filter(|_| cx.attempt() == 1) {
                if *entry < 3 {
                    batch.retry(*index, "small");
                }
            }
            Ok(Done)
        });
    let batcher = batcher.limit(10).lifo().policy(Policy::default().attempts(4).backoff(AT_ONCE));
    let rows = batcher.handle(&space.client);
    rows.push_many(0..10).await.all().unwrap();
    let node = start(space.node().add(batcher));
    assert_eq!(next(&mut told).await.entries, (0..10).rev().collect::<Vec<_>>());
    assert_eq!(next(&mut told).await.entries, [2, 1, 0]);
    node.stop().await;
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_buried_alone() {
    let space = Space::new("batch-unreadable");
    let rows = declared(&space, limit(100)).await;
    let text = space.client.batcher::<String>(NAME);
    rows.push_many(0..3).await.all().unwrap();
    text.push("no number".into()).await.unwrap();
    rows.push_many([4, 5, 6, 7]).await.all().unwrap();
    // Entries that decode as no type: no bytes, an unused byte, and an array that claims more
    // elements than follow.
    let rubbish = [&b""[..], b"\xc1", b"\xdd\xff\xff\xff\xff"];
    let list = space.key(NAME, &format!("batch:fill:{NAME}:"));
    for (at, rubbish) in (5..).zip(rubbish) {
        let _: String = space.redis(redis::cmd("LSET").arg(&list).arg(at).arg(rubbish)).await;
    }
    rows.flush().await.unwrap().unwrap();
    let (batcher, mut told) = doer();
    let node = start(space.node().add(batcher));
    assert_eq!(next(&mut told).await.entries, [0, 1, 2, 4]);
    space.until_count(NAME, "completed", 1).await;
    let dead = rows.sealed(10).await.unwrap();
    assert_eq!((dead.len(), dead[0].len, dead[0].state), (1, 4, BatchState::Dead));
    assert!(rows.list_sealed(dead[0].job, 0).await.unwrap_err().is_codec());
    let list = space.key(NAME, &format!("batch:sealed:{}", dead[0].job));
    let kept: Vec<Vec<u8>> = space.redis(redis::cmd("LRANGE").arg(list).arg(0).arg(-1)).await;
    assert_eq!((&kept[0][1..], &kept[1..]), (&b"no number"[..], &rubbish.map(Vec::from)[..]));
    let records = space.dead(NAME).await;
    assert!((3..8).all(|at| records[0].contains(&format!("entry {at}:")) == (at != 4)));
    node.stop().await;
}

#[tokio::test]
async fn a_dead_batch_keeps_its_entries_and_can_be_revived() {
    let space = Space::new("batch-dead");
    let (batcher, mut told) =
        batcher(
            |_: &mut Batch<u64>, _: &[(usize, u64)], cx: &Context| {
                if cx.fence() < 3 { Err("no database".into()) } else { Ok(Done) }
            },
        );
    let batcher = batcher.limit(3).policy(Policy::default().attempts(2).backoff(AT_ONCE));
    let rows = batcher.handle(&space.client);
    rows.push_many(0..3).await.all().unwrap();
    let node = start(space.node().add(batcher));
    assert_eq!((next(&mut told).await.attempt, next(&mut told).await.attempt), (1, 2));
    space.until_count(NAME, "buried", 1).await;
    let sealed = rows.sealed(10).await.unwrap();
    assert_eq!((sealed[0].len, sealed[0].state), (3, BatchState::Dead));
    assert_eq!(waiting(&space).await, 0);
    let revived = space.client.inspect(NAME).revive_where(|_| true).await.unwrap();
    assert_eq!(revived, 1);
    assert_eq!(next(&mut told).await.entries, [0, 1, 2]);
    eventually("gone", || async { sealed_lists(&space).await.is_empty() }).await;
    assert_eq!(waiting(&space).await, 0, "an entry that was not counted is not subtracted");
    assert!(rows.sealed(10).await.unwrap().is_empty());
    node.stop().await;
}

#[tokio::test]
async fn what_is_dropped_from_the_dead_takes_its_entries_along() {
    let space = Space::new("batch-dropped");
    let (batcher, mut told) =
        batcher(|_: &mut Batch<u64>, _: &[(usize, u64)], _: &Context| Err("no database".into()));
    let batcher = batcher.limit(2).policy(Policy::default().attempts(1).backoff(AT_ONCE));
    let rows = batcher.handle(&space.client);
    let node = start(space.node().keep_dead(3, Duration::from_secs(3_600)).add(batcher));
    rows.push_many(0..10).await.all().unwrap();
    for _ in 0..5 {
        next(&mut told).await;
    }
    space.until_count(NAME, "buried", 5).await;
    assert_eq!(
        prune(&space, Duration::from_secs(3_600)).await,
        0,
        "by count, which has dropped two"
    );
    assert_eq!(sealed_lists(&space).await.len(), 3);
    assert_eq!(rows.sealed(10).await.unwrap().len(), 3);
    // The server's clock must advance by a millisecond.
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(prune(&space, Duration::ZERO).await, 3, "by age");
    assert_eq!(sealed_lists(&space).await, [""; 0]);
    assert!(rows.sealed(10).await.unwrap().is_empty());
    assert_eq!(waiting(&space).await, 0);
    node.stop().await;
}

#[tokio::test]
async fn a_cancelled_batch_takes_its_entries_along() {
    let space = Space::new("batch-cancel");
    let (batcher, mut told) =
        batcher(|batch: &mut Batch<u64>, _: &[(usize, u64)], cx: &Context| {
            batch.retry(0, "does not count");
            if cx.fence() == 1 { Ok(Snooze(SHORT)) } else { Ok(Cancel("pointless".into())) }
        });
    let batcher = batcher.limit(2);
    let rows = batcher.handle(&space.client);
    let node = start(space.node().add(batcher));
    rows.push_many(0..2).await.all().unwrap();
    assert_eq!(next(&mut told).await.entries, [0, 1]);
    let Seen { entries, attempt, .. } = next(&mut told).await;
    assert_eq!((entries, attempt), (vec![0, 1], 1), "put off as a whole");
    space.until_count(NAME, "cancelled", 1).await;
    assert_eq!(sealed_lists(&space).await, [""; 0]);
    assert_eq!(waiting(&space).await, 0);
    node.stop().await;
}

#[tokio::test]
async fn what_a_handler_never_read_is_not_done() {
    #[derive(Clone)]
    struct Half(tokio::sync::mpsc::Sender<Vec<u64>>);
    impl BatchWorker for Half {
        type Entry = u64;
        async fn handle_batch(&mut self, batch: &mut Batch<u64>, cx: Context) -> Result<Outcome> {
            let some = batch.next_chunk(batch.len() / 2).await?;
            if cx.attempt() == 3 {
                batch.skip_rest();
            }
            self.0.send(some.into_iter().map(|(_, entry)| entry).collect()).await?;
            Ok(Done)
        }
    }
    let space = Space::new("batch-half");
    let (tell, mut told) = tokio::sync::mpsc::channel(10);
    let batcher = Batcher::new(NAME, Half(tell))
        .limit(8)
        .policy(Policy::default().attempts(10).backoff(AT_ONCE));
    let rows = batcher.handle(&space.client);
    rows.push_many(0..8).await.all().unwrap();
    let node = start(space.node().add(batcher));
    for expected in [vec![0, 1, 2, 3], vec![4, 5], vec![6]] {
        assert_eq!(crate::harness::within(told.recv()).await, Some(expected));
    }
    space.until_count(NAME, "completed", 1).await;
    node.stop().await;
}

#[tokio::test]
async fn a_batch_without_its_list_is_reported_not_run() {
    let space = Space::new("batch-no-list");
    let rows = declared(&space, limit(2)).await;
    rows.push_many(0..2).await.all().unwrap();
    let lists = sealed_lists(&space).await;
    let _: i64 = space.redis(redis::cmd("DEL").arg(&lists)).await;
    let (batcher, mut told) = doer();
    let node = start(space.node().add(batcher.limit(2)));
    space.until_count(NAME, "buried", 1).await;
    assert!(told.try_recv().is_err(), "there was nothing to handle");
    let records = space.dead(NAME).await;
    assert!(records[0].contains("has no entries"), "{records:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_verdict_is_asked_for_and_what_is_left_can_run_again_at_once() {
    #[derive(Clone)]
    struct Judge(tokio::sync::mpsc::Sender<(Vec<u64>, u32)>);
    impl BatchWorker for Judge {
        type Entry = u64;
        async fn handle_batch(&mut self, batch: &mut Batch<u64>, cx: Context) -> Result<Outcome> {
            let all = batch.all().await?;
            self.0.send((all.iter().map(|(_, entry)| *entry).collect(), cx.attempt())).await?;
            match cx.attempt() {
                1 => Err("as a whole".into()),
                2 => {
                    batch.retry(1, "alone");
                    Ok(Done)
                }
                _ => Ok(Done),
            }
        }
        async fn handle_error(&mut self, cx: Context, error: &poolder::BoxError) -> Verdict {
            let text = error.to_string();
            let known = ["as a whole", "1 of 3 entries failed: entry 1: alone"];
            assert_eq!(text, known[cx.attempt() as usize - 1]);
            Verdict::RetryNow
        }
    }
    let space = Space::new("batch-verdict");
    let (tell, mut told) = tokio::sync::mpsc::channel(10);
    let batcher = Batcher::new(NAME, Judge(tell)).limit(3);
    let rows = batcher.handle(&space.client);
    rows.push_many(0..3).await.all().unwrap();
    let node = start(space.node().add(batcher));
    for expected in [(vec![0, 1, 2], 1), (vec![0, 1, 2], 2), (vec![1], 3)] {
        assert_eq!(crate::harness::within(told.recv()).await, Some(expected));
    }
    node.stop().await;
}

#[tokio::test]
async fn a_handle_for_other_entries_is_only_that() {
    let space = Space::new("batch-type");
    let rows = declared(&space, limit(5)).await;
    let text = space.client.batcher::<String>(NAME);
    rows.push(7).await.unwrap();
    assert!(text.list(0).await.is_err_and(|error: Error| error.is_codec()));
    let error = text.pop(0).await.unwrap_err();
    assert!(error.is_codec() && error.to_string().contains("was taken out"), "{error}");
}

#[tokio::test]
async fn what_is_left_dies_alone_and_is_kept_for_good() {
    let space = Space::new("batch-left");
    let (batcher, mut told) =
        batcher(|batch: &mut Batch<u64>, all: &[(usize, u64)], _: &Context| {
            if all.len() == 1 {
                return Ok(Done);
            }
            batch.retry(1, "no");
            batch.bury(all.len() - 1, "never");
            Ok(Done)
        });
    let batcher = batcher.limit(4).policy(Policy::default().attempts(1).backoff(AT_ONCE));
    let rows = batcher.handle(&space.client);
    rows.push_many(0..4).await.all().unwrap();
    let node = start(space.node().add(batcher));
    assert_eq!(next(&mut told).await.entries, [0, 1, 2, 3]);
    space.until_count(NAME, "buried", 2).await;
    let lists = sealed_lists(&space).await;
    assert_eq!(lists.len(), 2);
    for list in &lists {
        let left: i64 = space.redis(redis::cmd("PTTL").arg(list)).await;
        assert_eq!(left, -1, "it is not forgotten after a day");
    }
    assert_eq!(waiting(&space).await, 0);
    let queue = space.client.inspect(NAME);
    assert_eq!(queue.revive_where(|_| true).await.unwrap(), 2);
    let mut revived = [next(&mut told).await.entries, next(&mut told).await.entries];
    revived.sort();
    assert_eq!(revived, [[1], [3]]);
    eventually("gone", || async { sealed_lists(&space).await.is_empty() }).await;
    assert_eq!(waiting(&space).await, 0);
    node.stop().await;
}

/// Claims ready jobs as a node named `me`.
pub(super) async fn claim(space: &Space, count: usize) -> (ClaimConnection, Vec<Claim>) {
    let mut line = space.connection(NAME, "me").await;
    let claimed = line.exchange(&[], Some((Lane::Normal, count)), true).await.unwrap().claimed;
    (line, claimed.unwrap().jobs)
}

#[tokio::test]
async fn a_claim_that_is_lost_does_not_take_its_neighbours_lists_along() {
    let space = Space::new("batch-fenced");
    let rows = declared(&space, limit(2)).await;
    rows.push_many(0..6).await.all().unwrap();
    let (mut line, jobs) = claim(&space, 3).await;
    let lists = sealed_lists(&space).await;
    // Another consumer has claimed the first job in the meantime.
    let lane = space.key(NAME, "ready:normal");
    let mut steal = redis::cmd("XCLAIM");
    steal.arg(&lane).arg("workers").arg("other").arg(0).arg(jobs[0].entry.as_ref());
    let _: redis::Value = space.redis(&mut steal).await;
    let ends = [
        Transition::Complete,
        Transition::Bury { counters: jobs[1].counters.clone() },
        Transition::Complete,
    ];
    let settlements: Vec<Settlement> = jobs
        .into_iter()
        .zip(ends)
        .map(|(claim, end)| Settlement::new(claim, "me".into(), None, end))
        .collect();
    let settled = line.exchange(&settlements, None, true).await.unwrap().settled;
    assert!(
        matches!(settled[..], [Settled::Fenced, Settled::Applied, Settled::Applied]),
        "{settled:?}"
    );
    assert_eq!(sealed_lists(&space).await.len(), lists.len() - 1);
    let mut left: Vec<u64> = vec![];
    for batch in rows.sealed(10).await.unwrap() {
        left.extend(rows.list_sealed(batch.job, 0).await.unwrap());
    }
    left.sort_unstable();
    assert_eq!(left, [0, 1, 2, 3]);
    assert_eq!(waiting(&space).await, 2);
}

#[tokio::test]
async fn what_an_operator_removes_takes_its_entries_along() {
    let space = Space::new("batch-removed");
    let rows = declared(&space, limit(2)).await;
    rows.push_many(0..6).await.all().unwrap();
    let sealed = rows.sealed(10).await.unwrap();
    space.client.job(sealed[0].job.in_queue(NAME)).remove().await.unwrap();
    space.client.job(sealed[1].job.in_queue(NAME)).cancel().await.unwrap();
    prune(&space, Duration::from_secs(3_600)).await;
    assert_eq!(sealed_lists(&space).await.len(), 1);
    assert_eq!(waiting(&space).await, 2);
    assert_eq!(rows.sealed(10).await.unwrap().len(), 1);
}

/// Deletes old dead jobs, as the leader does once a minute.
async fn prune(space: &Space, age: Duration) -> u64 {
    let partition = Partition::first(poolder::QueueName::new(NAME).unwrap());
    let limits = DeadLimits { count: 3, age, ..DeadLimits::default() };
    let now = poolder::Timestamp::now();
    space.client.broker().prune_dead(&partition, limits, now).await.unwrap()
}

#[tokio::test]
async fn a_job_that_bears_the_id_of_a_batch_does_not_touch_it() {
    let space = Space::new("batch-forged");
    let (batcher, mut told) = batcher(|_, _, _| Ok(Done));
    let batcher = batcher.limit(3);
    let rows = batcher.handle(&space.client);
    rows.push_many(0..3).await.all().unwrap();
    let sealed = rows.sealed(1).await.unwrap();
    // The sealed batch waits behind a job of its kind and id, whose payload says that it was sealed
    // at another time.
    let lane = space.key(NAME, "ready:normal");
    let read = |lane: &str| {
        let mut cmd = redis::cmd("XRANGE");
        cmd.arg(lane).arg("-").arg("+");
        cmd
    };
    let entries: Vec<RawEntry> = space.redis(&mut read(&lane)).await;
    let own = entries[0].1[0].1.clone();
    let at = own.windows(6).rposition(|part| part == b"sealed").unwrap();
    let forged = [&own[..at + 6], &[7]].concat();
    space.redis::<()>(redis::cmd("DEL").arg(&lane)).await;
    for job in [&forged, &own] {
        let _: String = space.redis(redis::cmd("XADD").arg(&lane).arg("*").arg("j").arg(job)).await;
    }
    let node = start(space.node().add(batcher));
    assert_eq!(next(&mut told).await.entries, [0, 1, 2]);
    space.until_count(NAME, "completed", 1).await;
    let dead = space.dead(NAME).await;
    assert!(dead.len() == 1 && dead[0].contains("no batcher has made it"), "{dead:?}");
    assert_eq!(sealed.len(), 1);
    assert!(sealed_lists(&space).await.is_empty());
    assert_eq!(waiting(&space).await, 0);
    node.stop().await;
}
