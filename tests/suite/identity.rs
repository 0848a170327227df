//! What an id means when a name is used again: see `docs/identity.md`.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Cancellation, Handle, JobId, JobResult, JobState, JobView, QueueName, Stored};
use tokio::sync::mpsc;

use crate::harness::{Number, PATIENCE, Running, Space, eventually, start, within};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longer than a wait needs to see a record that is there.
const SOON: Duration = Duration::from_millis(200);

fn named(name: &str) -> Handle {
    let queue = QueueName::new("q").unwrap();
    let job = JobId::named(&queue, name);
    Handle::new(queue, job)
}

/// Enqueues a job under the name `a`, which dies of its first failure.
async fn enqueue(space: &Space, number: u64) -> poolder::Receipt {
    let once = Policy::default().attempts(1);
    space.client.enqueue(Number(number)).id("a").policy(once).await.unwrap()
}

/// Starts a node that tells which jobs it runs. The number 0 fails, 1 waits until it is cancelled,
/// any other is the result.
fn node(space: &Space) -> (Running, mpsc::Receiver<u64>) {
    let (tell, told) = mpsc::channel(100);
    let worker = worker_fn(move |job: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            tell.send(job.0).await?;
            match job.0 {
                0 => return Err("no luck".into()),
                1 => {
                    cx.cancelled().await;
                    return Err("cancelled".into());
                }
                _ => cx.progress(job.0, 100).await?,
            }
            Ok::<_, BoxError>(Outcome::result(&job.0)?)
        }
    });
    (start(space.node().pool(Pool::new("q").size(4).worker(worker))), told)
}

async fn dead(space: &Space) -> Vec<JobView> {
    space.client.inspect("q").dead(None, 100).await.unwrap().jobs
}

#[tokio::test]
async fn an_order_by_an_id_means_every_job_that_waits_under_it() {
    let space = Space::new("all-waiting");
    let (client, queue) = (&space.client, space.client.inspect("q"));
    let store = async || {
        client.enqueue(Number(2)).id("a").after(DAY).await.unwrap();
        for lane in [Lane::Normal, Lane::Normal, Lane::High] {
            client.enqueue(Number(2)).id("a").lane(lane).await.unwrap();
        }
        (space.ready("q").await, space.due("q").await)
    };
    assert_eq!(store().await, (3, 1));
    assert_eq!(client.job(named("a")).cancel().await.unwrap(), Cancellation::Removed);
    assert_eq!((space.ready("q").await, space.due("q").await), (0, 0));

    store().await;
    space.client.job(named("a")).remove().await.unwrap();
    assert_eq!((space.ready("q").await, space.due("q").await), (0, 0));

    store().await;
    space.client.job(named("a")).reschedule(std::time::SystemTime::now() + DAY).await.unwrap();
    assert_eq!((space.ready("q").await, space.due("q").await), (0, 4));
    let waiting = queue.due(None, 100).await.unwrap().jobs;
    assert!(waiting.iter().all(|view| view.id() == named("a").job), "each shows its own id");
    // The handle of a view means its one job.
    let other = waiting.iter().find(|view| view.handle.job != view.id()).unwrap();
    space.client.job(&other.handle).remove().await.unwrap();
    assert_eq!(space.due("q").await, 3);
    let soon = space.overview("q").await.now;
    space.client.job(named("a")).run_now().await.unwrap();
    let waiting = queue.due(None, 100).await.unwrap().jobs;
    assert!(waiting.iter().all(|view| view.at <= soon + Duration::from_secs(60)));
    assert_eq!(client.job(named("a")).cancel().await.unwrap(), Cancellation::Removed);
    assert_eq!((space.ready("q").await, space.due("q").await), (0, 0));
}

#[tokio::test]
async fn an_order_means_the_jobs_that_are_alive_when_it_is_given() {
    let space = Space::new("alive");
    let (node, mut told) = node(&space);
    // The one that runs stops, although its name is enqueued again at once; that one runs, fails,
    // and runs again.
    enqueue(&space, 1).await;
    assert_eq!(within(told.recv()).await, Some(1));
    assert_eq!(space.client.job(named("a")).cancel().await.unwrap(), Cancellation::Stopping);
    // The server's clock must advance by a millisecond.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let twice = Policy::default().attempts(2).backoff(Backoff::Fixed(Duration::ZERO));
    space.client.enqueue(Number(0)).id("a").policy(twice).await.unwrap();
    assert_eq!((within(told.recv()).await, within(told.recv()).await), (Some(0), Some(0)));
    space.until_count("q", "buried", 1).await;
    space.until_count("q", "cancelled", 1).await;

    // The dead one is meant only when none is alive; revived, it is not cancelled by older orders.
    let waits = space.client.enqueue(Number(2)).id("a").after(DAY).await.unwrap();
    assert_eq!(space.client.job(&waits).state().await.unwrap(), Some(JobState::Scheduled));
    assert_eq!(space.client.job(named("a")).cancel().await.unwrap(), Cancellation::Removed);
    assert_eq!(space.due("q").await, 0);
    enqueue(&space, 1).await;
    assert_eq!(within(told.recv()).await, Some(1));
    assert_eq!(space.client.job(named("a")).cancel().await.unwrap(), Cancellation::Stopping);
    space.until_count("q", "cancelled", 3).await;
    let handle = dead(&space).await[0].handle.clone();
    assert_eq!(space.client.job(&handle).cancel().await.unwrap(), Cancellation::Dead);
    space.client.job(&handle).revive().await.unwrap();
    assert_eq!(within(told.recv()).await, Some(0), "it fails again");
    node.stop().await;
    enqueue(&space, 2).await;
    let queue = space.client.inspect("q");
    let listed = queue.ready(Lane::Normal, None, 1).await.unwrap().jobs.remove(0);
    let found = space.client.job(named("a")).view().await.unwrap().unwrap();
    assert!(!listed.cancelling && !found.cancelling, "the stored cancellation is older");
}

#[tokio::test]
async fn a_dead_namesake_does_not_hide_the_living_job() {
    let space = Space::new("dead-namesake");
    let (node, mut told) = node(&space);
    // The second was enqueued before the first died.
    let blocker = enqueue(&space, 1).await;
    within(told.recv()).await.unwrap();
    enqueue(&space, 0).await;
    space.until_count("q", "buried", 1).await;
    assert_eq!(space.client.job(named("a")).state().await.unwrap(), Some(JobState::Running));
    assert_eq!(space.client.job(&blocker).cancel().await.unwrap(), Cancellation::Stopping);
    space.until_count("q", "cancelled", 1).await;
    assert_eq!(space.client.job(named("a")).cancel().await.unwrap(), Cancellation::Dead);
    assert_eq!(space.client.job(named("a")).state().await.unwrap(), Some(JobState::Dead));
    node.stop().await;
}

#[tokio::test]
async fn a_wait_is_not_answered_by_an_earlier_end() {
    let space = Space::new("old-ends");
    let client = &space.client;
    let (first, mut told) = node(&space);
    for end in [7, 0] {
        let receipt = enqueue(&space, end).await;
        let ended = client.job(&receipt).wait::<u64>().timeout(PATIENCE).await;
        assert_eq!(ended.as_ref().ok(), (end == 7).then_some(&7), "{ended:?}");
    }
    within(async { while told.recv().await != Some(0) {} }).await;
    first.stop().await;
    // Both the result and the death were of jobs before this one.
    let receipt = enqueue(&space, 8).await;
    for handle in [Handle::from(&receipt), named("a")] {
        assert_eq!(client.job(&handle).result::<u64>().await.unwrap(), JobResult::Pending);
        assert_eq!(client.job(&handle).progress().await.unwrap(), None);
        assert!(client.job(&handle).wait::<u64>().timeout(SOON).await.unwrap_err().is_timeout());
    }
    let (second, _told) = node(&space);
    assert_eq!(client.job(&receipt).wait::<u64>().timeout(PATIENCE).await.unwrap(), 8);

    // The one before ends while this one waits.
    let waits = client.enqueue(Number(9)).id("b").after(DAY).await.unwrap();
    client.enqueue(Number(5)).id("b").await.unwrap();
    eventually("it has ended", || async {
        client.job(named("b")).result::<u64>().await.unwrap() == JobResult::Value(5)
    })
    .await;
    assert!(client.job(&waits).wait::<u64>().timeout(SOON).await.unwrap_err().is_timeout());
    second.stop().await;
}

#[tokio::test]
async fn every_death_is_kept_and_can_be_revived_or_deleted() {
    let space = Space::new("deaths");
    let queue = space.client.inspect("q");
    let (node, _told) = node(&space);
    for deaths in 1..=20 {
        enqueue(&space, 0).await;
        space.until_count("q", "buried", deaths).await;
    }
    node.stop().await;
    // Two that were enqueued before either died.
    enqueue(&space, 0).await;
    enqueue(&space, 0).await;
    let (node, mut told) = self::node(&space);
    space.until_count("q", "buried", 22).await;
    let all = dead(&space).await;
    assert_eq!(all.len(), 22);
    assert!(all.iter().all(|view| view.id() == named("a").job));
    while told.try_recv().is_ok() {}
    space.client.job(&all[3].handle).revive().await.unwrap();
    assert_eq!(within(told.recv()).await, Some(0));
    space.until_count("q", "buried", 23).await;
    space.client.job(&all[9].handle).remove().await.unwrap();
    assert_eq!(dead(&space).await.len(), 21);
    node.stop().await;
    // A dead one is deleted by its handle, also beside one that waits.
    enqueue(&space, 0).await;
    let oldest = dead(&space).await.pop().unwrap();
    space.client.job(&oldest.handle).remove().await.unwrap();
    assert_eq!((dead(&space).await.len(), space.ready("q").await), (20, 1));
    assert_eq!(queue.purge_dead().await.unwrap(), 20);
}

#[tokio::test]
async fn a_job_that_was_cancelled_or_deleted_leaves_its_id_free() {
    let space = Space::new("free");
    let (client, queue) = (&space.client, space.client.inspect("q"));
    let once = Policy::default().attempts(1);
    let store = async |number, delay| {
        let job = client.enqueue(Number(number)).id("a").policy(once.clone()).idempotent(DAY);
        job.after(delay).await.unwrap().stored
    };
    let is_new = |stored: &Stored| *stored != Stored::Already;
    for delay in [Duration::ZERO, DAY] {
        assert!(is_new(&store(2, delay).await));
        assert_eq!(store(2, delay).await, Stored::Already);
        assert_eq!(client.job(named("a")).cancel().await.unwrap(), Cancellation::Removed);
        assert!(is_new(&store(2, delay).await), "after a cancel");
        space.client.job(named("a")).remove().await.unwrap();
        assert!(is_new(&store(2, delay).await), "after a delete");
        assert_eq!(queue.drain().await.unwrap(), 1);
    }
    let (node, mut told) = node(&space);
    assert!(is_new(&store(1, Duration::ZERO).await), "after a drain");
    within(told.recv()).await.unwrap();
    assert_eq!(client.job(named("a")).cancel().await.unwrap(), Cancellation::Stopping);
    space.until_count("q", "cancelled", 3).await;
    assert!(is_new(&store(0, Duration::ZERO).await), "after a cancel of the running one");
    space.until_count("q", "buried", 1).await;
    assert_eq!(store(2, Duration::ZERO).await, Stored::Already, "the dead one is there");
    space.client.job(named("a")).remove().await.unwrap();
    assert!(is_new(&store(2, Duration::ZERO).await), "after a delete of the dead one");
    space.until_count("q", "completed", 1).await;
    assert_eq!(store(2, Duration::ZERO).await, Stored::Already, "the promise of the window");
    node.stop().await;
}

#[tokio::test]
async fn an_idempotent_enqueue_that_finds_a_waiting_job_leaves_a_receipt() {
    let space = Space::new("receipt");
    let client = &space.client;
    for (name, now) in [("a", false), ("b", true)] {
        client.enqueue(Number(2)).id(name).after(DAY).await.unwrap();
        let again = async || {
            let job = client.enqueue(Number(2)).id(name).idempotent(DAY);
            if now { job.await } else { job.after(DAY).await }.unwrap().stored
        };
        assert_eq!(again().await, Stored::Already);
        let receipt = space.key("q", &format!("sent:{}", named(name).job));
        let left: u64 = space.redis(redis::cmd("TTL").arg(&receipt)).await;
        assert!((86_000..=86_400).contains(&left), "{left} s");
        // The job runs and ends; the receipt holds on.
        client.job(named(name)).run_now().await.unwrap();
        let (node, mut told) = node(&space);
        within(told.recv()).await.unwrap();
        node.stop().await;
        assert_eq!(again().await, Stored::Already);
        let kept: u64 = space.redis(redis::cmd("TTL").arg(&receipt)).await;
        assert!(kept <= left, "a repetition does not extend the window");
    }
}
