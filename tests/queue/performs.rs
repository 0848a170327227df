//! One attempt of a job: its outcome, and what stands around it.

use std::time::Duration;

use poolder::prelude::*;
use poolder::testing::{Fate, TestQueue, assert_enqueued, refute_enqueued};
use poolder::{Cause, DeadJob};

use crate::{Charge, Welcome, panic_of};

const SECOND: Duration = Duration::from_secs(1);

/// Ends as the number of the user says.
async fn welcome(job: Welcome, cx: Context) -> poolder::Result<Outcome> {
    cx.progress(cx.attempt().into(), 9).await?;
    match job.user {
        0 => Ok(Outcome::result(&cx.attempt())?),
        1 => Err("451 mailbox full".into()),
        2 => Ok(Snooze(SECOND * 60)),
        3 => Ok(Cancel("no such user".into())),
        4 => panic!("no such thing"),
        5 => std::future::pending().await,
        _ => {
            cx.client().enqueue(Charge { amount: job.user }).header("by", cx.kind()).await?;
            Ok(Done)
        }
    }
}

fn mail() -> Pool {
    let backoff = Backoff::Exponential { base: SECOND * 10, cap: SECOND * 1_000 };
    let policy = Policy::default().attempts(3).backoff(backoff).timeout(SECOND);
    Pool::new("mail").policy(policy).worker(worker_fn(welcome))
}

/// A job without a policy of its own.
fn of_pool(user: u64) -> Plain {
    Plain(Welcome { user })
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
struct Plain(Welcome);

impl poolder::Job for Plain {
    const KINDS: &'static [&'static str] = &["welcome"];
    const QUEUE: &'static str = "mail";
}

#[tokio::test]
async fn each_end_of_an_attempt_is_told() {
    let queue = TestQueue::new();
    let node = queue.start_node(queue.node().pool(mail())).await;

    let run = node.perform(of_pool(0)).attempt(2).await;
    assert!(run.is_done() && run.failure().is_none());
    assert_eq!((run.result::<u32>().unwrap(), run.progress()), (2, Some((2, 9))));

    let run = node.perform(of_pool(1)).attempt(2).await;
    assert!(run.failed_with("451") && !run.failed_with("452"));
    assert_eq!(*run.fate(), Fate::Retried(SECOND * 20));
    assert!(run.is_retried_after(SECOND * 20..) && !run.is_retried_after(..SECOND * 20));
    assert!(run.result::<u32>().unwrap_err().is_no_result());
    let run = node.perform(of_pool(1)).attempt(3).await;
    assert!(run.is_dead() && run.failed_with("451"));
    assert!(run.result::<u32>().unwrap_err().is_dead());

    assert!(node.perform(of_pool(2)).await.is_snoozed_for(SECOND * 60..=SECOND * 60));
    let run = node.perform(of_pool(3)).await;
    assert_eq!(*run.fate(), Fate::Cancelled("no such user".into()));
    let run = node.perform(of_pool(4)).await;
    assert_eq!(run.failure().unwrap().cause, Cause::Panic);
    assert!(run.failed_with("no such thing"));
}

#[tokio::test]
async fn jitter_moves_the_delay_between_its_ends() {
    let queue = TestQueue::new();
    let node = queue.start_node(queue.node().pool(mail())).await;
    let mut delays = vec![];
    for jitter in [-1.0, 0.0, 1.0] {
        match node.perform(of_pool(1)).jitter(jitter).await.fate() {
            Fate::Retried(delay) => delays.push(*delay),
            other => panic!("{other:?}"),
        }
    }
    assert!(delays[0] < delays[1] && delays[1] < delays[2], "{delays:?}");
    assert_eq!(delays[1], SECOND * 10);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_times_out_at_once_on_a_paused_clock() {
    let queue = TestQueue::new();
    let node = queue.start_node(queue.node().pool(mail())).await;
    let run = node.perform(of_pool(5)).await;
    assert_eq!(run.failure().unwrap().cause, Cause::Timeout);
    assert!(run.is_retried_after(SECOND..));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_hangs_times_out_on_a_running_clock() {
    let queue = TestQueue::new();
    let node = queue.start_node(queue.node().pool(mail())).await;
    let policy = Policy::default().timeout(Duration::from_millis(20)).attempts(1);
    let run = node.perform(of_pool(5)).policy(policy).await;
    assert!(run.is_dead());
    assert_eq!(run.failure().unwrap().cause, Cause::Timeout);
    // The slot goes on with a fresh worker.
    assert!(node.perform(of_pool(0)).await.is_done());
}

#[tokio::test]
async fn a_run_tells_what_its_handler_enqueued_and_leaves_nothing_else() {
    let queue = TestQueue::new();
    queue.client().enqueue(Charge { amount: 1 }).await.unwrap();
    let node = queue.start_node(queue.node().pool(mail())).await;
    let run = node.perform(of_pool(6)).await;
    assert_eq!(run.enqueued::<Charge>(), [Charge { amount: 6 }]);
    assert_enqueued!(run, Charge { amount: 6 }, header = ("by", "welcome"));
    refute_enqueued!(run, Charge { amount: 1 });
    assert_enqueued!(queue, Charge { .. }, times = 2);
    let _ = node.perform(of_pool(1)).await;
    refute_enqueued!(queue, Welcome { .. });
}

#[derive(Clone, Copy)]
struct Named(&'static str);

impl Middleware for Named {
    async fn call(&self, cx: Context, next: Next<'_>) -> poolder::Result<Outcome> {
        let Self(name) = *self;
        if cx.headers().get("stop").is_some_and(|stop| stop == name) {
            return Err(format!("stopped by the {name}").into());
        }
        next.run(cx).await
    }
}

#[tokio::test]
async fn middleware_state_headers_and_hooks_are_those_of_the_node() {
    let queue = TestQueue::new();
    let (tell, mut told) = tokio::sync::mpsc::channel(4);
    let count = |State(limit): State<u64>, job: Welcome| async move {
        if job.user > limit { Err(BoxError::from("over the limit")) } else { Ok(()) }
    };
    let pool = Pool::new("mail").middleware(Named("pool")).worker(worker_fn(count));
    let hook = move |dead: DeadJob| {
        let tell = tell.clone();
        async move {
            tell.send((dead.decode::<Welcome>()?.user, dead.reason().message.clone())).await?;
            if dead.attempts() == 5 { Ok(()) } else { Err("halted early".into()) }
        }
    };
    let node = queue.node().pool(pool).middleware(Named("node")).state(3_u64).on_dead(hook);
    let node = queue.start_node(node).await;
    assert!(node.perform(Welcome { user: 3 }).await.is_done());
    let run = node.perform(Welcome { user: 4 }).attempt(5).await;
    assert!(run.is_dead() && run.hook_error().is_none());
    assert_eq!(told.recv().await.unwrap(), (4, "over the limit".into()));
    let once = Policy::default().attempts(1);
    let run = node.perform(Welcome { user: 4 }).policy(once).await;
    assert_eq!(run.hook_error(), Some("halted early"));
    for name in ["node", "pool"] {
        let run = node.perform(Welcome { user: 1 }).header("stop", name).await;
        assert!(run.failed_with(&format!("stopped by the {name}")));
    }
}

#[derive(Clone)]
struct Caller;

impl Worker for Caller {
    type Job = Welcome;

    async fn handle_job(&mut self, _: Welcome, _: Context) -> poolder::Result<Outcome> {
        Ok(Done)
    }

    async fn handle_call(&mut self, job: Welcome, cx: Context) -> poolder::Result<Outcome> {
        assert!(cx.is_call());
        Ok(Outcome::result(&(job.user, cx.slot()))?)
    }

    async fn handle_error(&mut self, _: Welcome, cx: Context, _: &BoxError) -> Verdict {
        if cx.attempt() == 1 { Verdict::RetryNow } else { Verdict::Halt }
    }
}

#[tokio::test]
async fn calls_slots_and_verdicts_run_as_on_a_server() {
    let queue = TestQueue::new();
    let pool = Pool::new("mail").mode(Mode::Phash).size(4).worker(Caller);
    let node = queue.start_node(queue.node().pool(pool.middleware(Named("pool")))).await;
    let run = node.perform(Welcome { user: 7 }).call().slot(3).await;
    assert_eq!(run.result::<(u64, u16)>().unwrap(), (7, 3));
    let run = node.perform(Welcome { user: 7 }).header("stop", "pool").await;
    assert_eq!(*run.fate(), Fate::Retried(Duration::ZERO));
    let run = node.perform(Welcome { user: 7 }).header("stop", "pool").attempt(2).await;
    assert!(run.is_dead());
}

#[tokio::test]
async fn a_node_or_a_job_that_cannot_run_panics_with_the_reason() {
    let text = panic_of(async {
        let queue = TestQueue::new();
        queue.start_node(queue.node()).await;
    });
    let expected = "the node does not start: the node has no pool: add one with .pool(…)";
    assert_eq!(text.await, expected);
    let text = panic_of(async {
        let queue = TestQueue::new();
        queue.start_node(TestQueue::new().node().pool(mail())).await;
    });
    assert!(text.await.contains("build it with TestQueue::node"));
    let text = panic_of(async {
        let queue = TestQueue::new();
        let node = queue.start_node(queue.node().pool(mail())).await;
        let _ = node.perform(Charge { amount: 1 }).await;
    });
    let expected = "the node has no pool for queue payments; it has [\"mail\"]";
    assert_eq!(text.await, expected);
    let text = panic_of(async {
        let queue = TestQueue::new();
        let node = queue.start_node(queue.node().pool(mail())).await;
        let _ = node.perform(of_pool(0)).header("Bad Name", "x").await;
    });
    assert!(text.await.starts_with("the job cannot run: "));
}

#[derive(Clone)]
struct Unready;

impl Worker for Unready {
    type Job = Welcome;

    async fn handle_init(&mut self) -> poolder::Result<()> {
        Err("no database".into())
    }

    async fn handle_job(&mut self, _: Welcome, _: Context) -> poolder::Result<Outcome> {
        Ok(Done)
    }
}

#[tokio::test]
async fn a_worker_that_cannot_be_initialized_does_not_hang_the_test() {
    let text = panic_of(async {
        let queue = TestQueue::new();
        let node = queue.start_node(queue.node().pool(Pool::new("mail").worker(Unready))).await;
        let _ = node.perform(Welcome { user: 1 }).await;
    });
    let expected = "a worker of pool mail could not be initialized: no database";
    assert_eq!(text.await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attempts_run_at_the_same_time_in_slots_of_their_own() {
    let queue = TestQueue::new();
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(8));
    let wait = move |_: Welcome| {
        let barrier = std::sync::Arc::clone(&barrier);
        async move {
            barrier.wait().await;
        }
    };
    let pool = Pool::new("mail").worker(worker_fn(wait));
    let node = queue.start_node(queue.node().pool(pool)).await;
    let runs = (0..8).map(|user| node.perform(Welcome { user }).into_future());
    let runs = futures_util::future::join_all(runs).await;
    assert!(runs.iter().all(poolder::testing::Run::is_done));
}
