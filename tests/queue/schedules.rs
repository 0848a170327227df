//! Schedules, whose ticks the clock of the test passes.

use std::time::Duration;

use poolder::prelude::*;
use poolder::testing::{TestQueue, assert_enqueued};
use poolder::{JobState, Status, Timestamp};

use crate::{Charge, Welcome};

const MINUTE: Duration = Duration::from_secs(60);

/// Monday, 5 January 2026, 07:00 UTC.
const MONDAY: Timestamp = Timestamp::from_millis(1_767_596_400_000);

#[tokio::test]
async fn a_schedule_ticks_at_its_times_and_not_before() {
    let queue = TestQueue::starting_at(MONDAY);
    let client = queue.client();
    client.schedule("digest", "30 7 * * Mon-Fri", Charge { amount: 1 }).await.unwrap();
    let schedules = client.schedules("payments");
    let next = schedules.preview("digest", 1).await.unwrap();
    assert_eq!(next, [MONDAY + MINUTE * 30]);
    queue.advance(MINUTE * 29);
    assert!(queue.jobs().is_empty());
    queue.advance(MINUTE);
    let job = assert_enqueued!(queue, Charge { amount: 1 }, queue = "payments");
    assert_eq!(job.at, MONDAY + MINUTE * 30);
    queue.advance(MINUTE * 60 * 24 * 7);
    assert_enqueued!(queue, Charge { .. }, times = 6);
    let info = schedules.get("digest").await.unwrap().unwrap();
    assert_eq!((info.runs, info.missed), (6, 0));
    let last = &info.last_runs[0];
    assert_eq!((last.job, last.tick), (info.last_job.unwrap(), info.last_run.unwrap()));
    assert_eq!((info.last_runs.len(), &last.end), (6, &None));
}

#[tokio::test]
async fn schedules_are_changed_paused_and_removed() {
    let queue = TestQueue::starting_at(MONDAY);
    let client = queue.client();
    client.schedule("poll", MINUTE, Welcome { user: 1 }).await.unwrap();
    let schedules = client.schedules("mail");
    schedules.pause("poll").await.unwrap();
    queue.advance(MINUTE * 10);
    assert!(queue.jobs().is_empty());
    schedules.resume("poll").await.unwrap();
    schedules
        .change("poll", |schedule| {
            schedule.timing = (MINUTE * 2).try_into()?;
            Ok(())
        })
        .await
        .unwrap();
    queue.advance(MINUTE * 4);
    assert_enqueued!(queue, Welcome { user: 1 }, times = 2);
    schedules.run_now("poll").await.unwrap();
    assert_enqueued!(queue, Welcome { user: 1 }, times = 3);
    assert_eq!(schedules.list().await.unwrap().len(), 1);
    assert_eq!(schedules.count().await.unwrap(), 1);
    assert!(schedules.remove("poll").await.unwrap() && !schedules.remove("poll").await.unwrap());
    queue.advance(MINUTE * 4);
    assert_enqueued!(queue, Welcome { user: 1 }, times = 3);
    let twice = client.schedule("never", "0 0 30 2 *", Welcome { user: 1 }).await;
    assert!(twice.unwrap_err().is_invalid());
}

#[tokio::test]
async fn jobs_of_a_schedule_do_not_overlap_unless_they_may() {
    let queue = TestQueue::starting_at(MONDAY);
    let client = queue.client();
    let every = |name, user| client.schedule(name, MINUTE, Welcome { user });
    every("skip", 1).overlap(Overlap::Skip).await.unwrap();
    every("queue", 2).overlap(Overlap::QueueOne).await.unwrap();
    every("all", 3).await.unwrap();
    let pool = Pool::new("mail").worker(worker_fn(|_: Welcome| async {}));
    let node = queue.start_node(queue.node().pool(pool)).await;
    queue.advance(MINUTE * 3);
    let count = |user| queue.enqueued::<Welcome>().iter().filter(|job| job.user == user).count();
    assert_eq!((count(1), count(2), count(3)), (1, 1, 3));
    assert_eq!(node.drain().await.done, 5);
    assert_eq!(count(2), 2, "the end of the first lets the queued one start");
    let info = client.schedules("mail").get("skip").await.unwrap().unwrap();
    assert_eq!((info.runs, info.missed), (1, 2));
}

#[derive(Clone)]
struct Reports;

impl Periodic for Reports {
    const NAME: &'static str = "reports";

    async fn handle_job(&mut self, job: &str, cx: Context) -> poolder::Result<Then> {
        cx.client().enqueue(Charge { amount: job.len() as u64 }).await?;
        Ok(if job == "once" { Then::Stop } else { Then::Continue })
    }
}

#[tokio::test]
async fn a_scheduler_of_a_node_declares_ticks_and_stops() {
    let queue = TestQueue::starting_at(MONDAY);
    let scheduler = Scheduler::new(Reports).job("nightly", "0 3 * * *").job("once", "1h");
    let node = queue.start_node(queue.node().add(scheduler)).await;
    let schedules = queue.client().schedules("reports");
    assert_eq!(schedules.owned_by("reports").await.unwrap().len(), 2);
    queue.advance(MINUTE * 60);
    assert_eq!(node.drain().await.done, 1);
    let once = schedules.get("reports.once").await.unwrap().unwrap();
    assert_eq!(once.status, Status::Stopped);
    queue.advance(MINUTE * 60 * 24);
    assert_eq!(node.drain().await.done, 1);
    let amounts: Vec<u64> = queue.enqueued::<Charge>().iter().map(|job| job.amount).collect();
    assert_eq!(amounts, [4, 7]);
    assert_eq!(queue.jobs_in(JobState::Ready).len(), 2);
}

#[tokio::test]
async fn too_many_moments_are_said_instead_of_running_without_end() {
    let text = crate::panic_of(async {
        let queue = TestQueue::starting_at(MONDAY);
        let fast = Duration::from_millis(10);
        queue.client().schedule("fast", fast, Welcome { user: 1 }).await.unwrap();
        queue.advance(MINUTE * 60 * 24 * 365);
    });
    let text = text.await;
    assert!(text.contains("more than 20000 moments"), "{text}");
}
