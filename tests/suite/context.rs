//! The facts about a job that its handler reads from the context.

use std::time::{Duration, SystemTime};

use poolder::prelude::*;
use poolder::{Cause, JobState, Result, Timestamp};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, cast_until_received, eventually, start, within};

/// Returns a worker that sends the context of every attempt, and fails all attempts of a job but the
/// one of this number.
fn failing_until(success: u32) -> (impl Worker<Job = Number>, mpsc::Receiver<Context>) {
    let (tell, told) = mpsc::channel(1_000);
    let worker = worker_fn(move |_: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            let attempt = cx.attempt();
            tell.try_send(cx)?;
            if attempt == success {
                Ok(Done)
            } else {
                Err::<_, BoxError>(format!("no {attempt}").into())
            }
        }
    });
    (worker, told)
}

/// A policy without waits.
fn at_once(attempts: u32) -> Policy {
    Policy::default().attempts(attempts).backoff(Backoff::Fixed(Duration::ZERO))
}

fn server_now() -> Timestamp {
    SystemTime::now().into()
}

#[tokio::test]
async fn a_context_tells_of_the_attempts_and_failures_before_it() {
    for mode in [Mode::Shared, Mode::Phash, Mode::Broadcast] {
        let space = Space::new("context-attempts");
        let (worker, mut told) = failing_until(3);
        let pool = Pool::new("q").size(1).mode(mode).policy(at_once(3)).worker(worker);
        let (before, node) = (server_now(), start(space.node().pool(pool)));
        let pool = space.client.pool::<Number>("q");
        if mode == Mode::Shared {
            space.client.enqueue(Number(1)).await.unwrap();
        } else {
            let cast = async || drop(pool.cast(Number(1)).await.unwrap());
            eventually("the pool is registered", || async { pool.size().await.is_ok() }).await;
            match mode {
                Mode::Broadcast => cast_until_received(&told, cast).await,
                _ => cast().await,
            }
        }
        let mut seen = vec![];
        for attempt in 1..=3 {
            let cx = within(told.recv()).await.unwrap();
            assert_eq!((cx.attempt(), cx.max_attempts()), (attempt, 3), "{mode}");
            assert_eq!(cx.is_last_attempt(), attempt == 3);
            let failures = cx.failures();
            assert_eq!(failures.len(), attempt as usize - 1, "{mode}");
            assert!(failures.iter().all(|it| it.cause == Cause::Error && it.at >= before));
            let last = cx.last_failure().map(|failure| failure.message.clone());
            assert_eq!(last, (attempt > 1).then(|| format!("no {}", attempt - 1)));
            assert!(cx.enqueued_at().unwrap() >= before);
            assert!(cx.waited() < Duration::from_secs(30), "{:?}", cx.waited());
            seen.push(cx.enqueued_at());
        }
        assert!(seen.windows(2).all(|two| two[0] == two[1]), "{mode}: {seen:?}");
        node.stop().await;
    }
}

#[tokio::test]
async fn a_second_attempt_in_the_same_slot_knows_of_the_first() {
    #[derive(Clone)]
    struct Again(mpsc::Sender<Context>);

    impl Worker for Again {
        type Job = Number;

        async fn handle_job(&mut self, _: Number, cx: Context) -> Result<Outcome> {
            let attempt = cx.attempt();
            self.0.try_send(cx)?;
            if attempt == 2 { Ok(Done) } else { Err("first".into()) }
        }

        async fn handle_error(&mut self, _: Number, _: Context, _: &poolder::BoxError) -> Verdict {
            Verdict::RetryNow
        }
    }

    let space = Space::new("context-again");
    let (tell, mut told) = mpsc::channel(1_000);
    let node = start(space.node().pool(Pool::new("q").size(1).worker(Again(tell))));
    space.client.enqueue(Number(1)).await.unwrap();
    let first = within(told.recv()).await.unwrap();
    let second = within(told.recv()).await.unwrap();
    assert_eq!((first.failures().len(), second.failures().len()), (0, 1));
    assert_eq!(second.last_failure().unwrap().message, "first");
    assert_eq!((second.attempt(), second.fence()), (2, first.fence()));
    node.stop().await;
}

#[tokio::test]
async fn a_revived_job_knows_the_failures_from_before() {
    let space = Space::new("context-revived");
    let (worker, mut told) = failing_until(2);
    let node = start(space.node().pool(Pool::new("q").size(1).policy(at_once(1)).worker(worker)));
    let job = space.client.enqueue(Number(1)).lane(Lane::High).await.unwrap();
    let first = within(told.recv()).await.unwrap();
    assert_eq!((first.lane(), first.is_last_attempt()), (Lane::High, true));
    space.until_count("q", "buried", 1).await;
    let dead = space.client.job(&job);
    assert_eq!(dead.state().await.unwrap(), Some(JobState::Dead));
    dead.revive().await.unwrap();
    let again = within(told.recv()).await.unwrap();
    assert_eq!((again.attempt(), again.failures().len()), (1, 1));
    assert_eq!((again.lane(), again.enqueued_at()), (Lane::High, first.enqueued_at()));
    node.stop().await;
}

#[tokio::test]
async fn a_job_that_was_delayed_has_waited_since_it_was_due() {
    let space = Space::new("context-waited");
    let delay = Duration::from_millis(1_500);
    let job = space.client.enqueue(Number(1)).after(delay).await.unwrap();
    let made = job.job.generated_at().unwrap();
    let (worker, mut told) = failing_until(1);
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    let cx = within(told.recv()).await.unwrap();
    assert_eq!(cx.enqueued_at(), Some(made));
    let since = server_now().since(made);
    assert!(cx.waited() + Duration::from_secs(1) < since, "{:?} of {since:?}", cx.waited());
    node.stop().await;
}
