//! Ends of a job's attempt: retries, verdicts, snoozes, cancellations, deaths.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use poolder::testing::TestQueue;
use poolder::{BoxError, Failure, Result};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, start, within};

const SOON: Duration = Duration::from_millis(50);

/// A policy with short backoffs.
fn quick(attempts: u32) -> Policy {
    Policy::default().attempts(attempts).backoff(Backoff::Fixed(SOON))
}

#[tokio::test]
async fn a_failing_job_waits_between_its_attempts_and_then_dies_with_its_reason() {
    let space = Space::new("retry");
    let (tell, mut told) = mpsc::channel(10);
    let worker = worker_fn(move |_: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            tell.send((cx.attempt(), cx.fence())).await?;
            Err::<Outcome, BoxError>(format!("no luck at attempt {}", cx.attempt()).into())
        }
    });
    let node = start(space.node().pool(Pool::new("q").size(2).worker(worker)));
    space.client.enqueue(Number(1)).policy(quick(3)).await.unwrap();
    for attempt in 1..=3 {
        assert_eq!(within(told.recv()).await.unwrap(), (attempt, u64::from(attempt)));
    }
    space.until_count("q", "buried", 1).await;
    assert_eq!(space.count("q", "retried").await, 2);
    assert!(space.dead("q").await[0].contains("no luck at attempt 3"));
    assert_eq!((space.ready("q").await, space.due("q").await), (0, 0));
    node.stop().await;
    assert!(told.try_recv().is_err());
}

/// A worker whose verdict on a failure depends on the number of the job.
#[derive(Clone)]
struct Judge {
    state: u32,
    tell: mpsc::Sender<(u64, u32, u32)>,
}

impl Worker for Judge {
    type Job = Number;

    async fn handle_job(&mut self, job: Number, cx: Context) -> Result<Outcome> {
        self.tell.send((job.0, cx.attempt(), self.state)).await?;
        if cx.attempt() >= 3 { Ok(Done) } else { Err("not yet".into()) }
    }

    async fn handle_error(&mut self, job: Number, _: Context, error: &BoxError) -> Verdict {
        assert_eq!(error.to_string(), "not yet");
        match job.0 {
            1 => {
                self.state += 10;
                Verdict::RetryNow
            }
            2 => Verdict::Backoff(SOON),
            3 => Verdict::Halt,
            _ => Verdict::Policy,
        }
    }
}

#[tokio::test]
async fn the_worker_judges_its_errors() {
    let space = Space::new("verdicts");
    let (tell, mut told) = mpsc::channel(10);
    let node = start(space.node().pool(Pool::new("q").size(1).worker(Judge { state: 0, tell })));
    let mut expect = async |job, attempt, state| {
        assert_eq!(within(told.recv()).await.unwrap(), (job, attempt, state));
    };
    // Retried at once, in the same slot, with the state that `handle_error` left.
    space.client.enqueue(Number(1)).await.unwrap();
    for attempt in 1..=3 {
        expect(1, attempt, 10 * (attempt - 1)).await;
    }
    space.until_count("q", "completed", 1).await;
    assert_eq!(space.count("q", "retried").await, 0, "it never left the slot");

    space.client.enqueue(Number(2)).await.unwrap();
    for attempt in 1..=3 {
        expect(2, attempt, 20).await;
    }
    space.until_count("q", "completed", 2).await;
    assert_eq!(space.count("q", "retried").await, 2, "it waited in due");

    space.client.enqueue(Number(3)).await.unwrap();
    expect(3, 1, 20).await;
    space.until_count("q", "buried", 1).await;

    // The last attempt is the last one, whatever the verdict.
    space.client.enqueue(Number(1)).policy(quick(2)).await.unwrap();
    expect(1, 1, 20).await;
    expect(1, 2, 30).await;
    space.until_count("q", "buried", 2).await;
    node.stop().await;
}

#[tokio::test]
async fn snoozing_burns_no_attempt_and_cancelling_ends_the_job() {
    let space = Space::new("snooze");
    let (tell, mut told) = mpsc::channel(10);
    let worker = worker_fn(move |job: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            tell.send((job.0, cx.attempt(), cx.fence())).await?;
            match (job.0, cx.fence()) {
                (1, 1..=2) => Ok(Snooze(SOON)),
                (2, _) => Ok(Cancel("pointless".into())),
                _ => Ok::<_, BoxError>(Done),
            }
        }
    });
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    space.client.enqueue(Number(1)).policy(quick(1)).await.unwrap();
    for fence in 1..=3 {
        assert_eq!(within(told.recv()).await.unwrap(), (1, 1, fence));
    }
    space.client.enqueue(Number(2)).await.unwrap();
    within(told.recv()).await.unwrap();
    space.until_count("q", "cancelled", 1).await;
    assert_eq!(space.count("q", "snoozed").await, 2);
    assert_eq!((space.ready("q").await, space.due("q").await), (0, 0));
    assert!(space.dead("q").await.is_empty());
    node.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_and_a_panic_are_failures_with_reasons_of_their_own() {
    let queue = TestQueue::new();
    let worker = worker_fn(|job: Number, _: Context| async move {
        match job.0 {
            1 => std::future::pending().await,
            2 => panic!("oh no, {}", job.0),
            _ => Done,
        }
    });
    let node = queue.start_node(queue.node().pool(Pool::new("q").worker(worker))).await;
    let late = quick(1).timeout(Duration::from_secs(60));
    let run = node.perform(Number(1)).policy(late).await;
    assert!(run.is_dead() && run.failed_with("took longer than 60s"), "{run:?}");
    let run = node.perform(Number(2)).policy(quick(1)).await;
    assert!(run.is_dead() && run.failed_with("oh no, 2"), "{run:?}");
    // The only slot has survived the timeout and the panic.
    assert!(node.perform(Number(3)).await.is_done());
}

#[tokio::test]
async fn a_slot_gets_a_fresh_worker_after_a_panic() {
    #[derive(Clone)]
    struct Fragile {
        inits: Arc<AtomicU64>,
        dirty: bool,
        tell: mpsc::Sender<bool>,
    }
    impl Worker for Fragile {
        type Job = Number;
        async fn handle_init(&mut self) -> Result<()> {
            self.inits.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
        async fn handle_job(&mut self, _: Number, cx: Context) -> Result<Outcome> {
            self.tell.send(self.dirty).await?;
            self.dirty = true;
            assert!(cx.attempt() > 1, "the first attempt panics");
            Ok(Done)
        }
        async fn handle_error(&mut self, _: Number, _: Context, error: &BoxError) -> Verdict {
            let failure = error.downcast_ref::<Failure>().expect("a panic comes as a failure");
            assert_eq!(failure.cause, poolder::Cause::Panic);
            Verdict::RetryNow
        }
    }
    let space = Space::new("panic");
    let (tell, mut told) = mpsc::channel(10);
    let inits = Arc::new(AtomicU64::new(0));
    let worker = Fragile { inits: Arc::clone(&inits), dirty: false, tell };
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    space.client.enqueue(Number(1)).await.unwrap();
    assert!(!within(told.recv()).await.unwrap());
    assert!(!within(told.recv()).await.unwrap(), "the second attempt meets no ruins");
    space.until_count("q", "completed", 1).await;
    assert_eq!(inits.load(Ordering::SeqCst), 2);
    node.stop().await;
}
