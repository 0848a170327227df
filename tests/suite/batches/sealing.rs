//! Sealing by limit, by time, by size and by request: only the intended list is sealed.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{BatchState, JobId, Result};
use poolder_core::broker::Settlement;
use poolder_core::policy::decide::{Transition, Wait};

use super::fates::claim;
use super::{NAME, SHORT, declared, doer, limit, next, sealed_lists};
use crate::harness::{Space, eventually, start, within};
use crate::waits::calls;

const SCRIPT: &str = include_str!("../../../poolder-core/src/broker/scripts/batch/push.lua");

#[tokio::test]
async fn a_full_list_is_one_job_with_the_entries_in_order() {
    let space = Space::new("batch-run");
    let (batcher, mut told) = doer();
    let rows = batcher.handle(&space.client);
    let node = start(space.node().add(batcher.limit(100)));
    let rows = rows.group("a.b");
    eventually("declared", || async { rows.push_many(0..250).await.all().is_ok() }).await;
    let (one, two) = (next(&mut told).await, next(&mut told).await);
    assert_eq!(one.entries, (0..100).collect::<Vec<_>>());
    assert_eq!(two.entries, (100..200).collect::<Vec<_>>());
    assert_eq!((one.group.as_str(), one.attempt), ("a.b", 1));
    assert_ne!(one.id, two.id);
    space.until_count(NAME, "completed", 2).await;
    assert_eq!(sealed_lists(&space).await, [""; 0]);
    assert_eq!(rows.sums().await.unwrap().waiting, 50);
    node.stop().await;
}

#[tokio::test]
async fn the_time_runs_from_the_first_entry() {
    let space = Space::new("batch-time");
    let (batcher, mut told) = doer();
    let batcher = batcher.timeout(SHORT);
    let rows = batcher.handle(&space.client);
    let node = start(space.node().add(batcher));
    rows.push(1).await.unwrap();
    rows.push(2).await.unwrap();
    assert_eq!(next(&mut told).await.entries, [1, 2]);
    rows.push(3).await.unwrap();
    assert_eq!(next(&mut told).await.entries, [3]);
    assert_eq!(space.due(NAME).await, 0, "a timer goes with its list");
    node.stop().await;
}

#[tokio::test]
async fn a_timer_of_another_generation_does_nothing() {
    let space = Space::new("batch-stale");
    let options = limit(100).timeout(Duration::from_secs(3_600));
    let rows = declared(&space, options).await;
    rows.push(1).await.unwrap();
    let due = space.key(NAME, "due");
    let timers: Vec<String> = space.redis(redis::cmd("ZRANGE").arg(&due).arg(0).arg(-1)).await;
    let [timer] = &timers[..] else { panic!("{timers:?}") };
    rows.flush().await.unwrap().unwrap();
    assert_eq!(space.due(NAME).await, 0, "a flush takes the timer along");
    // The timer of the sealed list reappears while the next list fills, as after the restore of a
    // snapshot or with a slow promoter.
    rows.push(2).await.unwrap();
    let _: i64 = space.redis(redis::cmd("ZADD").arg(&due).arg(1).arg(timer)).await;
    let strange = "timer:of-a-later-version:x";
    let _: i64 = space.redis(redis::cmd("ZADD").arg(&due).arg(1).arg(strange)).await;

    let (batcher, mut told) = doer();
    let node = start(space.node().add(batcher.limit(100).timeout(Duration::from_secs(3_600))));
    assert_eq!(next(&mut told).await.entries, [1]);
    eventually("the stale timer is gone", || async {
        let score: Option<f64> = space.redis(redis::cmd("ZSCORE").arg(&due).arg(timer)).await;
        score.is_none()
    })
    .await;
    assert_eq!(rows.len().await.unwrap(), 1, "the second list was not meant");
    let later: f64 = space.redis(redis::cmd("ZSCORE").arg(&due).arg(strange)).await;
    assert!(later > 1.0, "a timer of a later version stays for the nodes that know it");
    node.stop().await;
}

#[tokio::test]
async fn lists_that_fill_up_publish_one_hint_until_the_first_timer_is_due() {
    let server = poolder_devserver::Server::builder().start().unwrap();
    let space = Space::on(server.url(), "batch-hints");
    let hour = Duration::from_secs(3_600);
    let options = limit(2).timeout(hour);
    let rows = declared(&space, options).await;
    let before = calls(&server, "publish");
    for number in 0..20 {
        rows.push(number).await.unwrap();
    }
    assert_eq!(calls(&server, "publish") - before, 1);
    assert_eq!(rows.sealed(100).await.unwrap().len(), 10);
    let timers = redis::cmd("ZCARD").arg(space.key(NAME, "due")).clone();
    assert_eq!(space.redis::<u64>(&mut timers.clone()).await, 1, "the first one waits on");
    // A list that gathers is sealed in its time, although the first timer is that of another.
    rows.push(20).await.unwrap();
    assert_eq!(space.redis::<u64>(&mut timers.clone()).await, 2);
    let later = poolder::Timestamp::from_millis(i64::from(u32::MAX) * 1000);
    let partition = poolder_core::Partition::first(NAME.parse().unwrap());
    let promotion = space.client.broker().promote_as_of(&partition, Some(later)).await.unwrap();
    assert_eq!(promotion.sealed, 1);
    assert_eq!(space.redis::<u64>(&mut timers.clone()).await, 0);
}

#[tokio::test]
async fn without_a_timeout_only_limit_and_flush_seal() {
    let space = Space::new("batch-infinity");
    let rows = declared(&space, limit(3)).await;
    rows.push_many(0..2).await.all().unwrap();
    assert_eq!(space.due(NAME).await, 0);
    assert_eq!(rows.flush().await.unwrap().map(|_| ()), Some(()));
    assert_eq!(rows.flush().await.unwrap(), None, "nothing gathers");
    let sealed = rows.sealed(10).await.unwrap();
    assert_eq!((sealed.len(), sealed[0].len, sealed[0].state), (1, 2, BatchState::Ready));
    assert!(sealed[0].since <= sealed[0].sealed);
    assert_eq!(rows.list_sealed(sealed[0].job, 1).await.unwrap(), [1]);
}

#[tokio::test]
async fn a_list_that_is_there_is_never_written_over() {
    let space = Space::new("batch-collide");
    let rows = declared(&space, limit(2)).await;
    // Job ids are random: only a test can make the key of a sealed list collide.
    let ids: Vec<JobId> = (0..3).map(|_| JobId::generate()).collect();
    let sealed = |id: &JobId| space.key(NAME, &format!("batch:sealed:{id}"));
    for taken in &ids[..2] {
        let _: i64 = space.redis(redis::cmd("RPUSH").arg(sealed(taken)).arg("another's")).await;
    }
    let push = |ids: Vec<JobId>, entries: Vec<u8>| {
        let mut cmd = redis::cmd("EVAL");
        let own = ["batch:about:rows", "batch:open:rows", "batch:fill:rows:", "ready:normal"];
        let own = own.into_iter().chain(["due", "batch:index", "batch:token:rows:"]);
        let keys: Vec<String> =
            own.map(|key| space.key(NAME, key)).chain(ids.iter().map(sealed)).collect();
        cmd.arg(SCRIPT).arg(keys.len()).arg(keys);
        cmd.arg(&[NAME, "", "0", "2", "", "", "", "", "", "RPUSH", "", "control"]);
        cmd.arg(entries.len()).arg(ids.len());
        cmd.arg(ids.iter().map(|id| id.as_bytes().to_vec()).collect::<Vec<_>>());
        cmd.arg(entries.into_iter().map(|entry| vec![entry]).collect::<Vec<_>>());
        let space = &space;
        async move {
            let (verdict, stored, batches, _): (String, u64, u64, redis::Value) =
                space.redis(&mut cmd).await;
            assert_eq!(verdict, "OK");
            (stored, batches)
        }
    };
    // First a push whose entries fill a batch alone, then one that fills a batch together with
    // waiting entries.
    assert_eq!(push(ids[..2].to_vec(), vec![1, 2]).await, (0, 0), "the rest is for another call");
    assert_eq!(push(ids.clone(), vec![1, 2, 3]).await, (3, 1));
    assert_eq!(push(ids.clone(), vec![4]).await, (1, 0), "stored, and sealed by the next call");
    assert_eq!(rows.list(0).await.unwrap().entries, [3, 4]);
    assert_eq!(rows.list_sealed(ids[2], 0).await.unwrap(), [1, 2]);
    for taken in &ids[..2] {
        let found: Vec<String> =
            space.redis(redis::cmd("LRANGE").arg(sealed(taken)).arg(0).arg(-1)).await;
        assert_eq!(found, ["another's"]);
    }
    assert_eq!(rows.push_many([5]).await.sealed, 1);
    assert_eq!(rows.sums().await.unwrap().waiting, 5);
}

#[tokio::test]
async fn each_batch_is_shown_as_what_it_is() {
    let space = Space::new("batch-shown");
    let rows = declared(&space, limit(2)).await;
    rows.push_many(0..9).await.all().unwrap();
    let (mut line, mut jobs) = claim(&space, 3).await;
    let ids: Vec<_> = jobs.iter().map(poolder_core::Claim::job_id).collect();
    let counters = jobs[0].counters.clone();
    let later = Transition::Later {
        delay: Duration::from_secs(3_600),
        counters: counters.clone(),
        why: Wait::Retry,
    };
    let ends = [later, Transition::Bury { counters }];
    let settlements: Vec<Settlement> = jobs
        .drain(..2)
        .zip(ends)
        .map(|(claim, end)| Settlement::new(claim, "me".into(), None, end))
        .collect();
    line.exchange(&settlements, None, false).await.unwrap();
    let mut sealed = rows.sealed(10).await.unwrap();
    sealed.sort_by_key(|batch| batch.state as u8);
    let found: Vec<_> = sealed.iter().map(|batch| batch.state).collect();
    use BatchState::{Dead, Ready, Retrying, Running};
    assert_eq!(found, [Ready, Running, Retrying, Dead]);
    let shown: Vec<_> = sealed[1..].iter().map(|batch| batch.job).collect();
    assert_eq!(shown, [ids[2], ids[0], ids[1]]);
    let open = rows.open(10).await.unwrap();
    let now = rows.sums().await.unwrap().now;
    assert_eq!((open.len(), open[0].len, open[0].since <= now), (1, 1, true));
}

#[tokio::test]
async fn many_lists_whose_time_has_come_are_all_sealed() {
    let space = Space::new("batch-many-due");
    let rows = declared(&space, limit(100).timeout(Duration::from_millis(1))).await;
    for group in 0..450 {
        rows.group(format!("g{group}")).push(group).await.unwrap();
    }
    let (batcher, mut told) = doer();
    let node = start(space.node().add(batcher.limit(100).timeout(Duration::from_millis(1))));
    let mut seen = vec![];
    while seen.len() < 450 {
        seen.extend(next(&mut told).await.entries);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..450).collect::<Vec<_>>());
    node.stop().await;
}

#[tokio::test]
async fn a_large_batch_comes_in_chunks_and_either_way_round() {
    #[derive(Clone)]
    struct Sums(tokio::sync::mpsc::Sender<(usize, u64, u64)>);
    impl BatchWorker for Sums {
        type Entry = u64;
        async fn handle_batch(&mut self, batch: &mut Batch<u64>, _: Context) -> Result<Outcome> {
            let (mut first, mut last, mut at) = (None, 0, 0);
            while let Some((index, entry)) = batch.next().await? {
                assert_eq!(index, at);
                at += 1;
                first.get_or_insert(entry);
                last = entry;
            }
            self.0.send((at, first.unwrap(), last)).await?;
            Ok(Done)
        }
    }
    for reverse in [false, true] {
        let space = Space::new("batch-large");
        let (tell, mut told) = tokio::sync::mpsc::channel(10);
        let batcher = Batcher::new(NAME, Sums(tell)).limit(100_000);
        let batcher = if reverse { batcher.lifo() } else { batcher };
        let rows = batcher.handle(&space.client);
        rows.push_many(0..100_000).await.all().unwrap();
        let node = start(space.node().add(batcher));
        let (first, last) = if reverse { (99_999, 0) } else { (0, 99_999) };
        assert_eq!(within(told.recv()).await, Some((100_000, first, last)));
        node.stop().await;
    }
}

#[tokio::test]
async fn a_batcher_that_cannot_be_does_not_start() {
    let space = Space::new("batch-bad");
    let bad = |text: &'static str, change: fn(Batcher<Nothing>) -> Batcher<Nothing>| {
        let node = space.node().add(change(Batcher::new(NAME, Nothing)));
        async move {
            let error = within(node.run_until(std::future::pending())).await.unwrap_err();
            assert!(error.is_invalid() && error.to_string().contains(text), "{error}");
        }
    };
    bad("limit 0", |batcher| batcher.limit(0)).await;
    bad("longer than the timeout", |batcher| batcher.hibernate_after(Duration::from_secs(10)))
        .await;
    bad("batcher name", |_| Batcher::new("a:b", Nothing).queue("q")).await;
    declared(&space, limit(7)).await;
    bad("limit is 7 there and 8 here", |batcher| batcher.limit(8)).await;
}

#[tokio::test]
async fn an_idle_slot_hibernates_once_and_wakes_fresh() {
    #[derive(Clone)]
    struct Sleepy(tokio::sync::mpsc::Sender<&'static str>);
    impl BatchWorker for Sleepy {
        type Entry = u64;
        async fn handle_init(&mut self) -> Result<()> {
            Ok(self.0.send("init").await?)
        }
        async fn handle_batch(&mut self, batch: &mut Batch<u64>, _: Context) -> Result<Outcome> {
            batch.all().await?;
            self.0.send("batch").await?;
            Ok(Done)
        }
        async fn handle_hibernate(&mut self) {
            let _ = self.0.send("hibernate").await;
        }
    }
    let space = Space::new("batch-hibernate");
    let (tell, mut told) = tokio::sync::mpsc::channel(100);
    let batcher = Batcher::new(NAME, Sleepy(tell)).limit(1).timeout(Duration::from_millis(1));
    let rows = batcher.handle(&space.client);
    let node = start(space.node().add(batcher.hibernate_after(SHORT)));
    let mut heard = vec![];
    for expected in ["init", "hibernate"] {
        heard.push(within(told.recv()).await.unwrap());
        assert_eq!(heard.last(), Some(&expected));
    }
    rows.push(1).await.unwrap();
    for expected in ["init", "batch", "hibernate"] {
        assert_eq!(within(told.recv()).await, Some(expected));
    }
    node.stop().await;
}

#[derive(Clone)]
struct Nothing;

impl BatchWorker for Nothing {
    type Entry = u64;

    async fn handle_batch(&mut self, _: &mut Batch<u64>, _: Context) -> Result<Outcome> {
        Ok(Done)
    }
}
