//! Working off the queue: what a drain includes, in which order, and where it ends.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolder::prelude::*;
use poolder::testing::{Sums, TestQueue};
use poolder::{JobState, Timestamp};

use crate::{Charge, Welcome, panic_of};

const SECOND: Duration = Duration::from_secs(1);

type Seen = Arc<Mutex<Vec<(u64, u32)>>>;

/// Notes each attempt. User 1 fails twice, user 2 is snoozed once, user 3 enqueues user 4.
async fn welcome(State(seen): State<Seen>, job: Welcome, cx: Context) -> poolder::Result<Outcome> {
    let before = {
        let mut seen = seen.lock().unwrap();
        let before = seen.iter().filter(|(user, _)| *user == job.user).count();
        seen.push((job.user, cx.attempt()));
        before
    };
    match (job.user, before) {
        (1, 0 | 1) => Err("not yet".into()),
        (2, 0) => Ok(Snooze(SECOND * 60)),
        (3, _) => {
            cx.client().enqueue(Welcome { user: 4 }).await?;
            Ok(Done)
        }
        (9, _) => {
            cx.client().enqueue(Welcome { user: 9 }).await?;
            Ok(Done)
        }
        _ => Ok(Done),
    }
}

fn mail(seen: &Seen) -> Pool {
    Pool::new("mail").state(Arc::clone(seen)).worker(worker_fn(welcome))
}

fn sums(done: u64, retried: u64, snoozed: u64) -> Sums {
    let mut sums = Sums::default();
    (sums.done, sums.retried, sums.snoozed) = (done, retried, snoozed);
    sums
}

#[tokio::test]
async fn a_plain_drain_runs_what_is_ready_once() {
    let (queue, seen) = (TestQueue::new(), Seen::default());
    let node = queue.start_node(queue.node().pool(mail(&seen))).await;
    for user in 1..=3 {
        queue.client().enqueue(Welcome { user }).await.unwrap();
    }
    queue.client().enqueue(Welcome { user: 5 }).after(SECOND).await.unwrap();
    queue.client().enqueue(Charge { amount: 1 }).await.unwrap();
    assert_eq!(node.drain().await, sums(1, 1, 1));
    assert_eq!(*seen.lock().unwrap(), [(1, 1), (2, 1), (3, 1)]);
    let states: Vec<JobState> = queue.jobs().iter().map(|job| job.state).collect();
    use JobState::{Completed, Ready, Retrying, Scheduled};
    assert_eq!(states, [Retrying, Scheduled, Completed, Scheduled, Ready, Ready]);
    assert_eq!(queue.jobs()[0].failure().unwrap().message, "not yet");
}

#[tokio::test]
async fn with_due_moves_the_clock_and_works_off_what_was_there() {
    let (queue, seen) = (TestQueue::new(), Seen::default());
    let node = queue.start_node(queue.node().pool(mail(&seen))).await;
    let began = queue.now();
    for user in 1..=3 {
        queue.client().enqueue(Welcome { user }).await.unwrap();
    }
    queue.client().enqueue(Welcome { user: 5 }).after(SECOND * 3_600).await.unwrap();
    assert_eq!(node.drain().with_due().await, sums(4, 2, 1));
    assert_eq!(queue.now().since(began), SECOND * 3_600);
    assert_eq!(queue.jobs_in(JobState::Ready).len(), 1, "user 4 is new");
    assert_eq!(node.drain().await, sums(1, 0, 0));
}

#[tokio::test]
async fn recursive_includes_the_jobs_of_handlers() {
    let (queue, seen) = (TestQueue::new(), Seen::default());
    let node = queue.start_node(queue.node().pool(mail(&seen))).await;
    queue.client().enqueue(Welcome { user: 3 }).await.unwrap();
    assert_eq!(node.drain().recursive().await, sums(2, 0, 0));
    assert_eq!(*seen.lock().unwrap(), [(3, 1), (4, 1)]);
}

#[tokio::test]
async fn a_job_that_enqueues_itself_without_end_ends_the_test_with_the_reason() {
    let text = panic_of(async {
        let (queue, seen) = (TestQueue::new(), Seen::default());
        let node = queue.start_node(queue.node().pool(mail(&seen))).await;
        queue.client().enqueue(Welcome { user: 9 }).await.unwrap();
        node.drain().recursive().at_most(20).await;
    });
    let text = text.await;
    assert!(text.starts_with("the drain has made 20 attempts and is not at its end"), "{text}");
    assert!(text.ends_with("welcome  mail   normal         ready  {\"user\":9}"), "{text}");
}

#[tokio::test]
async fn better_lanes_come_first_and_jobs_of_a_lane_keep_their_order() {
    let (queue, seen) = (TestQueue::new(), Seen::default());
    let node = queue.start_node(queue.node().pool(mail(&seen))).await;
    for (user, lane) in [(10, Lane::Low), (11, Lane::Normal), (12, Lane::High), (13, Lane::Normal)]
    {
        queue.client().enqueue(Welcome { user }).lane(lane).await.unwrap();
    }
    node.drain().await;
    let order: Vec<u64> = seen.lock().unwrap().iter().map(|(user, _)| *user).collect();
    assert_eq!(order, [12, 11, 13, 10]);
}

#[tokio::test]
async fn advancing_makes_each_job_ready_at_its_own_time() {
    let queue = TestQueue::starting_at(Timestamp::from_millis(1_000));
    let (tell, mut told) = tokio::sync::mpsc::channel(8);
    let note = move |job: Welcome, cx: Context| {
        let tell = tell.clone();
        async move { Ok::<_, BoxError>(tell.send((job.user, cx.enqueued_at(), cx.waited())).await?) }
    };
    let pool = Pool::new("mail").worker(worker_fn(note));
    let node = queue.start_node(queue.node().pool(pool)).await;
    queue.client().enqueue(Welcome { user: 1 }).after(SECOND * 2).await.unwrap();
    queue.client().enqueue(Welcome { user: 2 }).after(SECOND).await.unwrap();
    queue.advance(SECOND / 2);
    assert_eq!(node.drain().await, sums(0, 0, 0));
    queue.advance(SECOND * 3);
    assert_eq!(node.drain().await, sums(2, 0, 0));
    let at = Some(Timestamp::from_millis(1_000));
    assert_eq!(told.recv().await.unwrap(), (2, at, Duration::from_millis(2_500)));
    assert_eq!(told.recv().await.unwrap(), (1, at, Duration::from_millis(1_500)));
    queue.client().enqueue(Welcome { user: 3 }).await.unwrap();
    node.drain().await;
    let later = Some(Timestamp::from_millis(4_500));
    assert_eq!(told.recv().await.unwrap(), (3, later, Duration::ZERO), "ids follow the clock");
}

#[tokio::test]
async fn a_job_of_unknown_kind_waits_and_is_not_waited_for() {
    let (queue, seen) = (TestQueue::new(), Seen::default());
    let node = queue.start_node(queue.node().pool(mail(&seen))).await;
    queue.client().enqueue(Charge { amount: 1 }).queue("mail").await.unwrap();
    let sums = node.drain().with_due().recursive().await;
    assert_eq!((sums.unknown, sums.done), (1, 0));
    let job = &queue.jobs()[0];
    assert_eq!((job.state, job.counters.failures), (JobState::Scheduled, 0));
}

#[tokio::test]
async fn a_retry_that_blocks_its_slot_keeps_the_order_of_a_key() {
    let queue = TestQueue::new();
    let seen = Seen::default();
    let pool = mail(&seen).mode(Mode::Phash).size(2);
    let node = queue.start_node(queue.node().pool(pool)).await;
    let pool = queue.client().pool::<Welcome>("mail");
    for user in [1, 5, 6] {
        pool.cast(Welcome { user }).key("ana").await.unwrap();
    }
    let first = node.drain().await;
    assert_eq!((first.done, first.retried), (0, 1), "the retry blocks those behind it");
    let rest = node.drain().with_due().await;
    assert_eq!((rest.done, rest.retried), (3, 1));
    let order: Vec<u64> = seen.lock().unwrap().iter().map(|(user, _)| *user).collect();
    assert_eq!(order, [1, 1, 1, 5, 6]);
    assert!(pool.slot(2).cast(Welcome { user: 7 }).await.unwrap_err().is_invalid());
    assert!(pool.cast(Welcome { user: 7 }).lane(Lane::Low).await.unwrap_err().is_invalid());
    let other = queue.client().pool::<Charge>("payments");
    assert!(other.cast(Charge { amount: 1 }).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn each_slot_of_a_broadcast_pool_runs_its_copy() {
    let (queue, seen) = (TestQueue::new(), Seen::default());
    let pool = mail(&seen).mode(Mode::Broadcast).size(3);
    let node = queue.start_node(queue.node().pool(pool)).await;
    queue.client().pool::<Welcome>("mail").cast(Welcome { user: 5 }).await.unwrap();
    assert_eq!(node.drain().await, sums(3, 0, 0));
    queue.client().pool::<Welcome>("mail").cast(Welcome { user: 1 }).await.unwrap();
    assert_eq!(node.drain().await, sums(3, 2, 0), "the first copy fails twice in its slot");
    assert_eq!(seen.lock().unwrap().len(), 8);
}

/// Counts the jobs of its slot.
#[derive(Clone, Default)]
struct Counter(u64);

impl Worker for Counter {
    type Job = Welcome;

    async fn handle_job(&mut self, _: Welcome, cx: Context) -> poolder::Result<Outcome> {
        self.0 += 1;
        Ok(Outcome::result(&(cx.slot(), self.0))?)
    }
}

#[tokio::test]
async fn each_slot_of_an_addressed_pool_has_workers_of_its_own() {
    let queue = TestQueue::new();
    let pool = Pool::new("mail").mode(Mode::RoundRobin).size(3).worker(Counter::default());
    let node = queue.start_node(queue.node().pool(pool)).await;
    let pool = queue.client().pool::<Welcome>("mail");
    let mut counts = vec![];
    for slot in [0, 1, 1, 2, 1] {
        let receipt = pool.slot(slot).cast(Welcome { user: 1 }).await.unwrap();
        node.drain().await;
        let job = queue.client().job(&receipt);
        counts.push(job.wait::<(u16, u64)>().await.unwrap());
    }
    assert_eq!(counts, [(0, 1), (1, 1), (1, 2), (2, 1), (1, 3)]);
}

#[tokio::test]
async fn a_job_that_stops_its_pool_ends_the_drain_of_the_pool() {
    let queue = TestQueue::new();
    let stop = |job: Welcome| async move {
        Ok::<_, BoxError>(if job.user == 1 { StopPool } else { Done })
    };
    let pool = Pool::new("mail").worker(worker_fn(stop));
    let node = queue.start_node(queue.node().pool(pool)).await;
    queue.client().enqueue_many((0..4).map(|user| Welcome { user })).await;
    assert_eq!(node.drain().await, sums(2, 0, 0));
    assert_eq!(queue.jobs_in(JobState::Ready).len(), 2);
}
