//! Jobs that wait behind the one that holds their key, with the newest data.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{JobState, JobView, Partition, QueueName, Receipt, Stored, Why};
use poolder_core::broker::KeySweep;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

use crate::harness::{Space, eventually, start, within};

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Job)]
#[job(kind = "sync", queue = "q", attempts = 2, backoff = 1, unique(keep = "last", by = account))]
struct Sync {
    account: u64,
    change: u64,
}

fn sync(change: u64) -> Sync {
    Sync { account: 7, change }
}

async fn send(space: &Space, change: u64) -> Receipt {
    space.client.enqueue(sync(change)).await.unwrap()
}

/// Checks that no key is held, and that no job waits behind another one.
async fn nothing_is_left(space: &Space) {
    let (broker, partition) =
        (space.client.broker(), Partition::first(QueueName::new("q").unwrap()));
    broker.sweep_keys(&partition, &KeySweep::default()).await.unwrap();
    assert!(broker.no_key_is_held(&partition).await.unwrap());
}

/// Waits until the only job that waits behind another one has left `due`, or is due.
async fn until_it_is_due(space: &Space) {
    eventually("the one behind is due", || async {
        let due = space.client.inspect("q").due(None, 10).await.unwrap().jobs;
        !due.iter().any(JobView::waits_behind)
    })
    .await;
}

#[tokio::test]
async fn one_runs_and_one_with_the_newest_data_waits() {
    let space = Space::new("unique-last");
    let (tell, mut told) = mpsc::channel(100);
    let (allow, allowed) = mpsc::channel::<bool>(100);
    let (allowed, at_once) = (Arc::new(Mutex::new(allowed)), Arc::new(AtomicUsize::new(0)));
    let handler = move |job: Sync| {
        let (tell, allowed, at_once) = (tell.clone(), Arc::clone(&allowed), Arc::clone(&at_once));
        async move {
            assert_eq!(at_once.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
            tell.send(job.change).await?;
            let good = allowed.lock().await.recv().await;
            at_once.fetch_sub(1, Ordering::SeqCst);
            if good == Some(true) { Ok(()) } else { Err(BoxError::from("no luck")) }
        }
    };
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker_fn(handler))));
    let first = send(&space, 1).await;
    assert_eq!(within(told.recv()).await, Some(1));
    let second = send(&space, 2).await;
    assert_eq!((&second.stored, second.is_duplicate()), (&Stored::Behind, false));
    for change in 3..6 {
        let next = send(&space, change).await;
        assert_eq!((&next.stored, next.job), (&Stored::Replaced(None), second.job));
    }
    let held = space.client.inspect("q").unique_holder(&sync(0)).await.unwrap().unwrap();
    assert_eq!((held.job.job, held.behind), (first.job, Some(second.job)));
    let why = space.client.job(&second).explain().await.unwrap();
    assert_eq!((why.verdict, why.until), (Why::BehindUnique, None));
    assert!(why.reason.contains(&first.job.to_string()), "{why}");
    // An attempt that fails does not let the next one go.
    allow.send(false).await.unwrap();
    assert_eq!(within(told.recv()).await, Some(1));
    let view = space.client.job(&second).view().await.unwrap().unwrap();
    assert!(view.state == JobState::Scheduled && view.waits_behind(), "{view:?}");
    // Its second failure is its death: an end as any other.
    allow.send(false).await.unwrap();
    assert_eq!(within(told.recv()).await, Some(5), "the newest data");
    assert_eq!(send(&space, 6).await.stored, Stored::Behind);
    allow.send(true).await.unwrap();
    assert_eq!(within(told.recv()).await, Some(6));
    allow.send(true).await.unwrap();
    space.until_count("q", "completed", 2).await;
    assert!(space.client.inspect("q").unique_holder(&sync(0)).await.unwrap().is_none());
    assert_eq!((space.ready("q").await, space.due("q").await), (0, 0));
    node.stop().await;
}

#[tokio::test]
async fn one_that_was_not_tried_gets_the_data_and_a_time_of_its_own_is_kept() {
    let space = Space::new("unique-last-due");
    let client = &space.client;
    let first = client.enqueue(sync(1)).after(HOUR).await.unwrap();
    let second = send(&space, 2).await;
    assert!(matches!(second.stored, Stored::Replaced(Some(_))), "{second:?}");
    assert_eq!(second.job, first.job);
    client.job(&first).run_now().await.unwrap();
    let broker = client.broker();
    let partition = Partition::first(QueueName::new("q").unwrap());
    assert_eq!(broker.promote(&partition).await.unwrap().moved, 1);
    // One in a lane is under way.
    let later = client.enqueue(sync(3)).after(HOUR).await.unwrap();
    assert_eq!(later.stored, Stored::Behind);
    client.job(&first).cancel().await.unwrap();
    let view = client.job(&later).view().await.unwrap().unwrap();
    assert!(view.at > poolder::Timestamp::now() + HOUR / 2, "it keeps its time");
    assert!(!view.waits_behind());
    assert_eq!(send(&space, 4).await.job, later.job, "it holds the key");
    client.job(&later).run_now().await.unwrap();
    assert_eq!(broker.promote(&partition).await.unwrap().moved, 1);
    // An operator's time for one behind is that before which it does not start.
    let behind = send(&space, 5).await;
    client.job(&behind).reschedule(poolder::Timestamp::now() + HOUR).await.unwrap();
    assert!(client.job(&behind).view().await.unwrap().unwrap().waits_behind());
    client.job(&behind).run_now().await.unwrap();
    assert!(client.job(&behind).view().await.unwrap().unwrap().waits_behind());
    client.job(&later).remove().await.unwrap();
    until_it_is_due(&space).await;
    assert_eq!(broker.promote(&partition).await.unwrap().moved, 1);
    assert_eq!(client.inspect("q").drain().await.unwrap(), 1);
    nothing_is_left(&space).await;
}

#[tokio::test]
async fn a_drain_removes_the_one_behind_as_well() {
    let space = Space::new("unique-last-drain");
    send(&space, 1).await;
    send(&space, 2).await;
    assert_eq!(space.client.inspect("q").drain().await.unwrap(), 2);
    nothing_is_left(&space).await;
}

#[tokio::test]
async fn one_behind_a_lost_job_or_a_lost_key_is_started_by_the_sweep() {
    let space = Space::new("unique-last-lost");
    let broker = space.client.broker();
    let partition = Partition::first(QueueName::new("q").unwrap());
    let short = Duration::from_millis(1);
    let send = async |change| {
        let rule = Unique::keep_last().hold_for(short).by(&"one");
        space.client.enqueue(sync(change)).unique(rule).await.unwrap()
    };
    for lost in ["ready:normal", "unique"] {
        send(1).await;
        let behind = send(2).await;
        assert_eq!(behind.stored, Stored::Behind);
        let _: u64 = space.redis(redis::cmd("DEL").arg(space.key("q", lost))).await;
        if lost == "ready:normal" {
            eventually("the time is over", || async {
                let held = space.client.inspect("q").unique_keys(None, 9).await.unwrap().0;
                let now = space.overview("q").await.now;
                held.iter().all(|key| key.until < now)
            })
            .await;
            // Until then the newest data is that of the one behind.
            assert_eq!(send(3).await.job, behind.job);
        }
        assert!(!broker.no_key_is_held(&partition).await.unwrap());
        let swept = broker.sweep_keys(&partition, &KeySweep::default()).await.unwrap();
        assert_eq!(swept.freed, u64::from(lost == "ready:normal"));
        assert_eq!(broker.promote(&partition).await.unwrap().moved, 1, "{lost}");
        space.client.inspect("q").drain().await.unwrap();
    }
    nothing_is_left(&space).await;
}

#[tokio::test]
async fn two_jobs_of_one_name_wait_one_behind_the_other() {
    let space = Space::new("unique-last-name");
    let broker = space.client.broker();
    let partition = Partition::first(QueueName::new("q").unwrap());
    let send = async |change: u64| space.client.enqueue(sync(change)).id("seven").await.unwrap();
    let first = send(1).await;
    let second = send(2).await;
    assert_eq!((&second.stored, second.job), (&Stored::Behind, first.job), "one name, one id");
    let third = send(3).await;
    assert_eq!((&third.stored, third.job), (&Stored::Replaced(None), first.job));
    let mut line = space.connection("q", "me").await;
    for change in [1, 3] {
        let claimed = line.exchange(&[], Some((Lane::Normal, 9)), true).await.unwrap();
        let claims = claimed.claimed.unwrap().jobs;
        assert_eq!(claims.len(), 1, "{claims:?}");
        let claim = claims[0].clone();
        let job: Sync = poolder_core::payload::decode(claim.envelope.raw_job()).unwrap();
        assert_eq!(job.change, change);
        let done = poolder_core::policy::decide::Transition::Complete;
        let settlement = poolder_core::broker::Settlement::new(claim, "me".into(), None, done);
        let limits = poolder_core::broker::DeadLimits::default();
        broker.settle(&partition, limits, &[settlement]).await;
        broker.promote(&partition).await.unwrap();
    }
    nothing_is_left(&space).await;
}

#[tokio::test]
async fn a_schedule_keeps_the_last_by_its_overlap() {
    let space = Space::new("unique-last-schedule");
    let error = space.client.schedule("all", HOUR, sync(1)).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("QueueOne"), "{error}");
    space.client.schedule("all", HOUR, sync(1)).unique(None).await.unwrap();
}
