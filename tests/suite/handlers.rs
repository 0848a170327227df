//! Functions as workers: their arguments, their shared state, their results and their errors.

mod imports;
mod states;

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Cause, Failure};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::harness::{Number, PATIENCE, Space, start, within};

/// A channel to the test, as shared state.
#[derive(Clone)]
struct Tell(mpsc::Sender<String>);

impl Tell {
    fn new() -> (Self, mpsc::Receiver<String>) {
        let (sender, receiver) = mpsc::channel(100);
        (Self(sender), receiver)
    }

    async fn say(&self, text: impl Into<String>) {
        self.0.send(text.into()).await.unwrap();
    }
}

/// One job of each kind, each for a handler of another form.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "square", queue = "q")]
struct Square(u64);

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "plain", queue = "q")]
struct Plain(u64);

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "later", queue = "q")]
struct Later(u64);

async fn number(State(tell): State<Tell>, job: Number, cx: Context) {
    tell.say(format!("number {} in slot {}", job.0, cx.slot())).await;
}

async fn square(job: Square) -> Result<Return<u64>, std::num::TryFromIntError> {
    Ok(Return(u64::from(u32::try_from(job.0)?).pow(2)))
}

async fn plain(job: Plain) -> Return<String> {
    Return(format!("plain {}", job.0))
}

#[tokio::test]
async fn functions_of_all_forms_run_and_their_results_are_kept() {
    let space = Space::new("forms");
    let (tell, mut told) = Tell::new();
    let later = worker_fn(|State(tell): State<Tell>, job: Later, cx: Context| async move {
        tell.say(format!("later {}", job.0)).await;
        if cx.fence() == 1 { Snooze(Duration::from_millis(1)) } else { Done }
    });
    let pool = Pool::new("q").size(2).state(tell).worker(worker_fn(number)).worker(later);
    let pool = pool.worker(worker_fn(square)).worker(worker_fn(plain));
    let node = start(space.node().pool(pool));
    let client = &space.client;

    let squared: u64 = within(client.call(Square(12)).into_future()).await.unwrap();
    assert_eq!(squared, 144);
    let receipt = client.enqueue(Plain(3)).await.unwrap();
    let job = client.job(&receipt);
    let kept: String = job.wait().timeout(PATIENCE).await.unwrap();
    assert_eq!(kept, "plain 3");
    assert_eq!(job.result::<String>().await.unwrap().value().as_deref(), Some("plain 3"));

    client.enqueue(Number(7)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), "number 7 in slot 0");
    client.enqueue(Later(1)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), "later 1");
    assert_eq!(within(told.recv()).await.unwrap(), "later 1", "it was snoozed");

    let too_large = client.call::<_, u64>(Square(u64::MAX)).policy(Policy::default().attempts(1));
    let error = within(too_large.into_future()).await.unwrap_err();
    assert!(error.is_dead() && error.to_string().contains("out of range"), "{error}");
    node.stop().await;
}

/// An error that handlers tell from others by its type.
#[derive(Debug)]
struct Bounced;

impl std::fmt::Display for Bounced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the letter came back")
    }
}

impl std::error::Error for Bounced {}

/// Fails in the way that the number of the job names.
async fn failing(State(tell): State<Tell>, job: Number, cx: Context) -> Result<(), BoxError> {
    tell.say(format!("run {} {}", job.0, cx.attempt())).await;
    match job.0 {
        1 => Err(Bounced.into()),
        2 => panic!("oh no"),
        3 => std::future::pending().await,
        _ if cx.attempt() == 1 => Err("once".into()),
        _ => Ok(()),
    }
}

/// Decides by the type of the error, and tells the test of it.
async fn decide(job: Number, cx: Context, error: &BoxError) -> Verdict {
    tokio::task::yield_now().await;
    let cause = error.downcast_ref::<Failure>().map(|failure| failure.cause);
    let tell = cx.state::<Tell>().unwrap();
    tell.say(format!("decide {} {cause:?} {error}", job.0)).await;
    match cause {
        None if error.is::<Bounced>() => Verdict::Halt,
        Some(Cause::Panic | Cause::Timeout) => Verdict::Halt,
        _ => Verdict::RetryNow,
    }
}

#[tokio::test]
async fn on_error_decides_about_errors_panics_and_timeouts() {
    let space = Space::new("onerror");
    let (tell, mut told) = Tell::new();
    let pool = Pool::new("q").size(1).state(tell).worker(worker_fn(failing).on_error(decide));
    let node = start(space.node().pool(pool));
    let mut expect = async |text: &str| {
        let said = within(told.recv()).await.unwrap();
        assert!(said.starts_with(text), "{said:?} is not {text:?}");
    };
    // So long that no retry by the policy happens during the test.
    let policy = Policy::default().backoff(Backoff::Fixed(Duration::from_secs(3600)));
    let quick = policy.clone().timeout(Duration::from_millis(100));
    space.client.enqueue(Number(1)).policy(policy.clone()).await.unwrap();
    expect("run 1 1").await;
    expect("decide 1 None the letter came back").await;
    space.client.enqueue(Number(2)).policy(policy.clone()).await.unwrap();
    expect("run 2 1").await;
    expect("decide 2 Some(Panic) panic: oh no").await;
    space.client.enqueue(Number(3)).policy(quick).await.unwrap();
    expect("run 3 1").await;
    expect("decide 3 Some(Timeout) timeout: took longer").await;
    space.until_count("q", "buried", 3).await;
    space.client.enqueue(Number(4)).policy(policy).await.unwrap();
    expect("run 4 1").await;
    expect("decide 4 None once").await;
    expect("run 4 2").await;
    space.until_count("q", "completed", 1).await;
    node.stop().await;
}

#[tokio::test]
async fn a_closure_decides_without_waiting_and_without_on_error_the_policy_does() {
    let space = Space::new("verdicts");
    let fails = async |_: Number| -> Result<(), Bounced> { Err(Bounced) };
    let fails_too = async |_: Square| -> Result<(), Bounced> { Err(Bounced) };
    let halts = worker_fn(fails).on_error(|job: Number, _: Context, error: &BoxError| {
        if job.0 == 1 && error.is::<Bounced>() { Verdict::Halt } else { Verdict::Policy }
    });
    let pool = Pool::new("q").size(1).worker(halts).worker(worker_fn(fails_too));
    let node = start(space.node().pool(pool));
    space.client.enqueue(Number(1)).await.unwrap();
    space.until_count("q", "buried", 1).await;
    space.client.enqueue(Number(2)).await.unwrap();
    space.client.enqueue(Square(2)).await.unwrap();
    space.until_count("q", "retried", 2).await;
    assert_eq!(space.count("q", "buried").await, 1);
    node.stop().await;
}
