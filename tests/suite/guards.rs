//! Handlers that panic, or do not return, wherever user code runs: one such job harms no other.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{BoxError, Result};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, eventually, start, within};

/// Where the handler of a job misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Fault {
    None,
    BeforeTheFuture,
    InTheFuture,
    Payload,
    Deserialize,
    ErrorBeforeTheFuture,
    ErrorThatCannotBeShown,
    ErrorThatPanicsWhenShown,
    ErrorThatPanicsWhenDropped,
    FutureDroppedAtTheTimeout,
    RuntimeDropped,
}

#[derive(Debug, Clone, Serialize, Job)]
#[job(kind = "faulty", queue = "q", attempts = 1, timeout = "200ms")]
struct Faulty(Fault);

impl<'de> Deserialize<'de> for Faulty {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let fault = Fault::deserialize(from)?;
        assert!(fault != Fault::Deserialize, "no such job");
        Ok(Self(fault))
    }
}

/// Panics when it is dropped, unless a panic drops it.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "the bomb");
    }
}

/// An error that misbehaves as its fault says.
#[derive(Debug)]
struct BadError(Fault, #[expect(dead_code, reason = "it panics when it is dropped")] Option<Bomb>);

impl fmt::Display for BadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Fault::ErrorThatCannotBeShown => Err(fmt::Error),
            Fault::ErrorThatPanicsWhenShown => panic!("not shown"),
            _ => f.write_str("a usual error"),
        }
    }
}

impl std::error::Error for BadError {}

#[derive(Clone)]
struct Faulting(mpsc::Sender<()>);

impl Worker for Faulting {
    type Job = Faulty;

    fn handle_job(
        &mut self,
        Faulty(fault): Faulty,
        _cx: Context,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        assert!(fault != Fault::BeforeTheFuture, "before the future exists");
        let done = self.0.clone();
        async move {
            match fault {
                Fault::InTheFuture => panic!("in the future"),
                Fault::Payload => std::panic::panic_any(Bomb),
                Fault::FutureDroppedAtTheTimeout => {
                    let bomb = Bomb;
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    drop(bomb);
                }
                Fault::RuntimeDropped => {
                    drop(tokio::runtime::Builder::new_current_thread().build()?);
                }
                Fault::ErrorBeforeTheFuture => return Err("judge me".into()),
                Fault::ErrorThatPanicsWhenDropped => {
                    return Err(BadError(fault, Some(Bomb)).into());
                }
                Fault::ErrorThatCannotBeShown | Fault::ErrorThatPanicsWhenShown => {
                    return Err(BadError(fault, None).into());
                }
                _ => done.send(()).await?,
            }
            Ok(Done)
        }
    }

    fn handle_error(
        &mut self,
        Faulty(fault): Faulty,
        _cx: Context,
        _error: &BoxError,
    ) -> impl Future<Output = Verdict> + Send {
        assert!(fault != Fault::ErrorBeforeTheFuture, "handle_error");
        std::future::ready(Verdict::Policy)
    }
}

const FAULTS: [(Fault, &str); 10] = [
    (Fault::BeforeTheFuture, "panic: before the future exists (at tests/suite/guards.rs:"),
    (Fault::InTheFuture, "panic: in the future (at tests/suite/guards.rs:"),
    (Fault::Payload, "panic: a panic without a message"),
    (Fault::Deserialize, "panic: no such job"),
    (Fault::ErrorBeforeTheFuture, "judge me"),
    (Fault::ErrorThatCannotBeShown, "cannot be displayed"),
    (Fault::ErrorThatPanicsWhenShown, "cannot be displayed: its Display panicked: not shown"),
    (Fault::ErrorThatPanicsWhenDropped, "a usual error"),
    (Fault::FutureDroppedAtTheTimeout, "took longer than 200ms"),
    (Fault::RuntimeDropped, "panic: Cannot drop a runtime"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_panics_anywhere_dies_alone_in_every_mode() {
    for mode in [Mode::Shared, Mode::RoundRobin] {
        let space = Space::new("faults");
        let (tell, mut told) = mpsc::channel(1);
        let pool = Pool::new("q").size(1).mode(mode).worker(Faulting(tell));
        let node = start(space.node().pool(pool));
        let slots = space.client.pool::<Faulty>("q");
        let send = async |fault| match mode {
            Mode::Shared => drop(space.client.enqueue(Faulty(fault)).await.unwrap()),
            _ => {
                eventually("registered", || async { slots.size().await.is_ok() }).await;
                drop(slots.cast(Faulty(fault)).await.unwrap());
            }
        };
        for (number, (fault, reason)) in (1..).zip(FAULTS) {
            send(fault).await;
            // The slot is not lost: it runs the next job.
            send(Fault::None).await;
            within(told.recv()).await.unwrap();
            space.until_count("q", "completed", number).await;
            let dead = space.dead("q").await;
            let found = dead.iter().any(|text| text.contains(reason));
            assert!(found, "{mode} {fault:?}: {dead:?}");
            assert_eq!(dead.len() as u64, number);
        }
        assert_eq!(space.ready("q").await, 0);
        node.stop().await;
    }
}

/// A worker whose `Clone` panics after the first job has poisoned what all clones share.
struct Poisonous(Arc<AtomicBool>, mpsc::Sender<u64>);

impl Clone for Poisonous {
    fn clone(&self) -> Self {
        assert!(!self.0.load(Ordering::Relaxed), "poisoned");
        Self(Arc::clone(&self.0), self.1.clone())
    }
}

impl Worker for Poisonous {
    type Job = Number;

    async fn handle_job(&mut self, job: Self::Job, _cx: Context) -> Result<Outcome> {
        if job.0 == 0 {
            self.0.store(true, Ordering::Relaxed);
            panic!("poisons the rest");
        }
        self.1.send(job.0).await?;
        Ok(Done)
    }
}

#[tokio::test]
async fn a_worker_that_cannot_be_cloned_any_more_goes_on() {
    let space = Space::new("clone");
    let (tell, mut told) = mpsc::channel(1);
    let worker = Poisonous(Arc::default(), tell);
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    let once = Policy::default().attempts(1);
    space.client.enqueue(Number(0)).policy(once).await.unwrap();
    space.client.enqueue(Number(1)).await.unwrap();
    assert_eq!(within(told.recv()).await, Some(1));
    space.until_count("q", "completed", 1).await;
    assert_eq!(space.count("q", "buried").await, 1);
    node.stop().await;
}

/// A worker whose `handle_pool_ready` and `handle_hibernate` never return.
#[derive(Clone)]
struct Stuck(mpsc::Sender<&'static str>);

impl Worker for Stuck {
    type Job = Number;

    async fn handle_pool_ready(&mut self) {
        let _ = self.0.send("ready").await;
        std::future::pending::<()>().await;
    }

    async fn handle_job(&mut self, _job: Self::Job, _cx: Context) -> Result<Outcome> {
        self.0.send("job").await?;
        Ok(Done)
    }

    async fn handle_hibernate(&mut self) {
        let _ = self.0.send("hibernate").await;
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn callbacks_that_never_return_keep_no_job_waiting() {
    let space = Space::new("stuck");
    let (tell, mut told) = mpsc::channel(1);
    let idle = Duration::from_millis(20);
    let pool = Pool::new("q").size(1).hibernate_after(idle).worker(Stuck(tell));
    let node = start(space.node().pool(pool));
    // The pool is announced, and the slot hibernates before its first job.
    let mut first = [within(told.recv()).await.unwrap(), within(told.recv()).await.unwrap()];
    first.sort_unstable();
    assert_eq!(first, ["hibernate", "ready"]);
    for _ in 0..2 {
        space.client.enqueue(Number(1)).await.unwrap();
        assert_eq!(within(told.recv()).await, Some("job"));
        assert_eq!(within(told.recv()).await, Some("hibernate"));
    }
    space.until_count("q", "completed", 2).await;
    node.stop().await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_job_that_runs_again_at_once_without_end_can_be_cancelled() {
    let space = Space::new("again");
    let worker = worker_fn(|_: Number, _: Context| async { Err::<Outcome, BoxError>("no".into()) });
    #[derive(Clone)]
    struct Again<W>(W);
    impl<W: Worker + Sync> Worker for Again<W> {
        type Job = W::Job;

        fn handle_job(
            &mut self,
            job: W::Job,
            cx: Context,
        ) -> impl Future<Output = Result<Outcome>> + Send {
            self.0.handle_job(job, cx)
        }

        async fn handle_error(&mut self, _: W::Job, _: Context, _: &BoxError) -> Verdict {
            Verdict::RetryNow
        }
    }
    let node = start(space.node().pool(Pool::new("q").size(1).worker(Again(worker))));
    let endless = Policy::default().attempts(u32::MAX);
    let job = space.client.enqueue(Number(1)).policy(endless).await.unwrap();
    eventually("it runs", || async { space.overview("q").await.running() == 1 }).await;
    space.client.job(&job).cancel().await.unwrap();
    space.until_count("q", "cancelled", 1).await;
    node.stop().await;
}
