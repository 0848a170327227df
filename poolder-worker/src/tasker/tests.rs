use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use super::{ExecutionError, Tasker, WhenFull};

const LONG: Duration = Duration::from_secs(60);

fn tasker(limit: usize) -> Tasker {
    Tasker::builder("t").limit(limit).build().unwrap()
}

/// Returns true for a panic with this message and its place in this file.
fn panicked_with<T>(result: &Result<T, ExecutionError>, message: &str) -> bool {
    let Err(ExecutionError::Panicked(text)) = result else { return false };
    text.starts_with(message) && text.contains("tasker/tests.rs:")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_limit_run_and_results_keep_their_order() {
    let tasker = tasker(2);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut executions = vec![];
    for i in 0..100_usize {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        let work = async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Within each five, later work ends sooner.
            tokio::time::sleep(Duration::from_millis(((100 - i) % 5) as u64)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            i
        };
        executions.push(tasker.execute(work).await.unwrap());
    }
    let results = tasker.await_all(executions, LONG).await;
    let expected: Vec<_> = (0..100).map(Ok).collect();
    assert_eq!(results, expected);
    assert_eq!(most.load(Ordering::SeqCst), 2, "two at a time, and no fewer");
}

#[tokio::test]
async fn a_panic_is_an_error_and_harms_no_other_work() {
    let tasker = tasker(1);
    let bad = tasker.execute(async { panic!("no {}", "good") }).await.unwrap();
    let worse = tasker.execute_blocking(|| -> u8 { panic!("bad") }).await.unwrap();
    let good = tasker.execute_blocking(|| 7).await.unwrap();
    let bad: Result<(), _> = bad.await;
    assert!(panicked_with(&bad, "no good"), "{bad:?}");
    let worse = worse.await;
    assert!(panicked_with(&worse, "bad"), "{worse:?}");
    assert_eq!(good.await, Ok(7));
}

#[tokio::test]
async fn a_full_queue_rejects_or_waits() {
    let gate = Arc::new(Semaphore::new(0));
    let pass = |gate: &Arc<Semaphore>| {
        let gate = Arc::clone(gate);
        async move { gate.acquire_owned().await.map(Semaphore::forget_one).is_ok() }
    };
    let built = Tasker::builder("t")
        .limit(1)
        .queue_capacity(1)
        .when_full(WhenFull::Reject)
        .build()
        .unwrap();
    let (started, starts) = oneshot::channel();
    let inner = pass(&gate);
    let first = built
        .execute(async move {
            let _ = started.send(());
            inner.await
        })
        .await
        .unwrap();
    starts.await.unwrap();
    let second = built.execute(pass(&gate)).await.unwrap();
    let refused = built.execute(pass(&gate)).await.unwrap_err();
    assert!(refused.is_refused() && refused.to_string().contains("full"), "{refused}");
    let waiting = Tasker { when_full: WhenFull::Wait, ..built.clone() };
    let inner = pass(&gate);
    let third = tokio::spawn(async move { waiting.execute(inner).await.unwrap().await });
    gate.add_permits(3);
    assert_eq!((first.await, second.await), (Ok(true), Ok(true)));
    assert_eq!(third.await.unwrap(), Ok(true));
}

/// Uses up a permit, so that it does not return to its semaphore.
trait Forget {
    fn forget_one(permit: tokio::sync::OwnedSemaphorePermit);
}

impl Forget for Semaphore {
    fn forget_one(permit: tokio::sync::OwnedSemaphorePermit) {
        permit.forget();
    }
}

#[tokio::test]
async fn what_is_cancelled_ends_and_what_waits_never_starts() {
    let tasker = tasker(1);
    let stuck = tasker.execute(std::future::pending::<()>()).await.unwrap();
    let started = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&started);
    let never = tasker.execute(async move { seen.fetch_add(1, Ordering::SeqCst) }).await.unwrap();
    never.cancel();
    stuck.cancel();
    assert_eq!(stuck.await, Err(ExecutionError::Cancelled));
    assert_eq!(never.await, Err(ExecutionError::Cancelled));
    assert_eq!(started.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn await_all_gives_up_in_time_and_frees_the_workers() {
    let tasker = tasker(2);
    let stuck = tasker.execute(std::future::pending::<u8>()).await.unwrap();
    let quick = tasker.execute(async { 1 }).await.unwrap();
    let results = tasker.await_all([stuck, quick], Duration::from_secs(5)).await;
    assert_eq!(results, [Err(ExecutionError::TimedOut), Ok(1)]);
    assert!(tasker.stop(Duration::from_secs(1)).await, "nothing was left running");
}

#[tokio::test]
async fn a_callback_gets_the_result_or_what_went_wrong() {
    let tasker = tasker(2);
    let (sender, result) = oneshot::channel();
    let done = tasker.callback(async { 7 }, |result| drop(sender.send(result))).await.unwrap();
    assert_eq!(result.await.unwrap(), Ok(7));
    done.await.unwrap();
    let (sender, result) = oneshot::channel();
    let work = async { panic!("no") };
    tasker.callback(work, |result: Result<(), _>| drop(sender.send(result))).await.unwrap();
    let result = result.await.unwrap();
    assert!(panicked_with(&result, "no"), "{result:?}");
    let after = tasker.callback(async {}, |_| panic!("in the callback")).await.unwrap();
    assert_eq!(after.await, Ok(()), "the worker lives on");
    assert_eq!(tasker.execute(async { 3 }).await.unwrap().await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn workers_end_when_idle_and_start_again() {
    let tasker =
        Tasker::builder("t").limit(4).hibernate_after(Duration::from_secs(60)).build().unwrap();
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    for round in 0..3 {
        for i in 0..8 {
            let work = async move { i + round };
            assert_eq!(tasker.execute(work).await.unwrap().await, Ok(i + round));
        }
        assert!(metrics.num_alive_tasks() > before);
        while metrics.num_alive_tasks() > before {
            tokio::time::sleep(Duration::from_secs(61)).await;
        }
    }
}

#[tokio::test]
async fn a_stopped_tasker_finishes_what_it_has_and_takes_nothing_more() {
    let tasker = tasker(1);
    let mut executions = vec![];
    for i in 0..10 {
        executions.push(tasker.execute(async move { i }).await.unwrap());
    }
    assert!(tasker.stop(LONG).await);
    assert!(executions.iter().all(super::Execution::is_finished));
    let refused = tasker.execute(async {}).await.unwrap_err();
    assert!(refused.is_gone() && refused.to_string().contains("stopped"), "{refused}");
}

#[test]
fn a_tasker_that_could_do_nothing_is_refused() {
    let none = Tasker::builder("t").limit(0).build().unwrap_err();
    assert!(none.is_invalid() && none.to_string().contains("1 or more"), "{none}");
    assert!(Tasker::builder("t").queue_capacity(0).build().is_err());
}

#[tokio::test]
async fn a_dropped_tasker_ends_its_work_and_leaves_no_idle_task() {
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let tasker = tasker(2);
    let gate = Arc::new(Semaphore::new(0));
    let mut executions = vec![];
    for n in 0..3 {
        let gate = Arc::clone(&gate);
        let work = async move { gate.acquire().await.map(|_| n).unwrap() };
        executions.push(tasker.execute(work).await.unwrap());
    }
    drop(tasker.clone());
    assert!(tasker.execute_blocking(|| 7).await.is_ok(), "a clone is left");
    drop(tasker);
    gate.add_permits(1);
    for (n, execution) in executions.into_iter().enumerate() {
        assert_eq!(execution.await, Ok(n), "accepted work goes on");
    }
    tokio::time::timeout(LONG, async {
        while metrics.num_alive_tasks() > before {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("idle tasks end with their tasker");
}
