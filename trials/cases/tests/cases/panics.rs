//! Panics in unusual places of user code. A pool of one slot: the bad job must end up retrying or
//! dead, the next one must run, and the node must stop.
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use poolder::Result;
use poolder::prelude::*;
use serde::{Deserialize, Serialize};

use crate::harness::*;

#[derive(Serialize, Deserialize, Debug, Clone, Job)]
#[job(kind = "b", queue = "q", attempts = 3, backoff = "10m", timeout = "300ms")]
struct B(u64);

#[derive(Debug)]
struct BadDisplay;
impl fmt::Display for BadDisplay {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("panic in Display")
    }
}
impl std::error::Error for BadDisplay {}
#[derive(Debug)]
struct ErrDisplay;
impl fmt::Display for ErrDisplay {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}
impl std::error::Error for ErrDisplay {}
#[derive(Debug)]
struct BadDropError;
impl fmt::Display for BadDropError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad drop")
    }
}
impl std::error::Error for BadDropError {}
impl Drop for BadDropError {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("panic in Drop of the error")
        }
    }
}
struct Bomb;
impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("panic in Drop")
        }
    }
}

#[derive(Clone)]
struct W {
    ran: Arc<AtomicU64>,
    clones: Arc<AtomicU64>,
    how: &'static str,
}

impl Worker for W {
    type Job = B;
    async fn handle_init(&mut self) -> Result<()> {
        if self.how == "init panics after a panic"
            && self.clones.fetch_add(1, Ordering::Relaxed) == 1
        {
            panic!("panic in handle_init")
        }
        Ok(())
    }
    async fn handle_pool_ready(&mut self) {
        if self.how == "pool_ready panics" {
            panic!("panic in pool_ready")
        }
    }
    async fn handle_job(&mut self, job: B, cx: Context) -> Result<Outcome> {
        if job.0 == 2 {
            self.ran.fetch_add(1, Ordering::Relaxed);
            return Ok(Done);
        }
        match self.how {
            "error whose Display panics" => Err(Box::new(BadDisplay)),
            "error whose Display fails" => Err(Box::new(ErrDisplay)),
            "error whose Drop panics" => Err(Box::new(BadDropError)),
            "future dropped at timeout panics" => {
                let _bomb = Bomb;
                tokio::time::sleep(s(60)).await;
                Ok(Done)
            }
            "future dropped at cancel panics" => {
                let _bomb = Bomb;
                cx.cancelled().await;
                tokio::time::sleep(s(60)).await;
                Ok(Done)
            }
            "panic_any with a payload whose Drop panics" => std::panic::panic_any(Bomb),
            "panic_any(42)" => std::panic::panic_any(42_i32),
            "panic with 5 MB text" => panic!("{}", "x".repeat(5_000_000)),
            "error of 5 MB" => Err("ä".repeat(2_500_000).into()),
            "error with NUL and invalid-looking text" => {
                Err("a\0b\r\n$5\r\nHELLO\u{10ffff}".into())
            }
            "handle_error panics" => Err("x".into()),
            "callback panics" => Ok(Outcome::callback("boom", &1_u8)?),
            "callback is not registered" => Ok(Outcome::callback("absent", &1_u8)?),
            "middleware panics" | "middleware drops next" | "middleware hangs" => Ok(Done),
            "init panics after a panic" => panic!("first"),
            "overflow" => {
                let x: u8 = std::hint::black_box(255);
                Ok(Outcome::result(&(x + std::hint::black_box(1)))?)
            }
            "result of 2 MiB" => Ok(Outcome::result(&vec![7_u64; 300_000])?),
            "DoneWith 40 MB by hand" => Ok(Outcome::DoneWith(vec![0xc0; 40_000_000])),
            "cancel with 5 MB reason" => Ok(Cancel("x".repeat(5_000_000))),
            _ => Ok(Done),
        }
    }
    async fn handle_error(&mut self, _job: B, _cx: Context, _e: &poolder::BoxError) -> Verdict {
        if self.how == "handle_error panics" {
            panic!("panic in handle_error")
        }
        Verdict::Policy
    }
}

struct Mw(&'static str);
impl Middleware for Mw {
    async fn call(&self, cx: Context, next: Next<'_>) -> Result<Outcome> {
        let bad = cx.is_call();
        let _ = bad;
        match self.0 {
            "middleware panics"
                if cx.attempt() == 1
                    && cx.kind() == "b"
                    && !GOOD.with(|_| false)
                    && FIRST.swap(0, Ordering::Relaxed) == 1 =>
            {
                panic!("mw")
            }
            "middleware hangs" if FIRST.swap(0, Ordering::Relaxed) == 1 => {
                tokio::time::sleep(s(60)).await;
                Ok(Done)
            }
            "middleware drops next" if FIRST.swap(0, Ordering::Relaxed) == 1 => {
                Err("mw said no".into())
            }
            _ => next.run(cx).await,
        }
    }
}
thread_local! { static GOOD: bool = const { false }; }
static FIRST: AtomicU64 = AtomicU64::new(0);

async fn one(how: &'static str) {
    let space = Space::new("panic");
    let ran = Arc::new(AtomicU64::new(0));
    FIRST.store(1, Ordering::Relaxed);
    let w = W { ran: Arc::clone(&ran), clones: Arc::default(), how };
    let pool =
        Pool::new("q").size(1).worker(w).middleware(Mw(how)).callback("boom", |_: u8| async {
            if true {
                panic!("panic in callback")
            }
            Ok(())
        });
    let node = start(space.node().shutdown_timeout(s(3)).pool(pool));
    let bad = space.client.enqueue(B(1)).keep_completion(s(60)).await.unwrap();
    if how == "future dropped at cancel panics" {
        until(s(5), || async { space.overview("q").await.running() == 1 }).await;
        tokio::time::sleep(ms(50)).await;
        println!("   cancel: {:?}", space.client.job(&bad).cancel().await);
        tokio::time::sleep(s(4)).await;
    } else {
        tokio::time::sleep(ms(100)).await;
    }
    space.client.enqueue(B(2)).await.unwrap();
    let next = until(s(12), || async { ran.load(Ordering::Relaxed) == 1 }).await;
    let state = space.client.job(&bad).state().await.unwrap();
    let settled = until(s(3), || async { space.overview("q").await.running() == 0 }).await;
    let why = space
        .client
        .job(&bad)
        .view()
        .await
        .unwrap()
        .and_then(|v| v.failure().map(|f| f.to_string().chars().take(60).collect::<String>()));
    let brief = space.brief("q").await;
    let alive = !node.task.is_finished();
    let took = node.stop().await;
    let pass = next && settled && alive && took.is_some_and(|t| t < s(10));
    report(
        &format!("panics: {how}"),
        pass,
        format!(
            "state={state:?} why={why:?} next ran={next} settled={settled} stop={took:?} node alive={alive} {brief}"
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn panics_everywhere() {
    for how in [
        "nothing",
        "error whose Display panics",
        "error whose Display fails",
        "error whose Drop panics",
        "future dropped at timeout panics",
        "future dropped at cancel panics",
        "panic_any with a payload whose Drop panics",
        "panic_any(42)",
        "panic with 5 MB text",
        "error of 5 MB",
        "error with NUL and invalid-looking text",
        "handle_error panics",
        "callback panics",
        "callback is not registered",
        "middleware panics",
        "middleware drops next",
        "middleware hangs",
        "init panics after a panic",
        "pool_ready panics",
        "overflow",
        "result of 2 MiB",
        "DoneWith 40 MB by hand",
        "cancel with 5 MB reason",
    ] {
        one(how).await;
    }
}

/// A Clone that panics: slots get a fresh clone after each panic.
struct Fragile {
    left: Arc<AtomicU64>,
    ran: Arc<AtomicU64>,
}
impl Clone for Fragile {
    fn clone(&self) -> Self {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            panic!("panic in Clone")
        }
        Self { left: Arc::clone(&self.left), ran: Arc::clone(&self.ran) }
    }
}
impl Worker for Fragile {
    type Job = B;
    async fn handle_job(&mut self, job: B, _cx: Context) -> Result<Outcome> {
        if job.0 == 2 {
            self.ran.fetch_add(1, Ordering::Relaxed);
            return Ok(Done);
        }
        self.left.store(1, Ordering::Relaxed);
        panic!("first")
    }
}
#[tokio::test(flavor = "multi_thread")]
async fn clone_panics() {
    let space = Space::new("clone");
    let ran = Arc::new(AtomicU64::new(0));
    let node =
        start(space.node().shutdown_timeout(s(3)).pool(
            Pool::new("q").size(1).worker(Fragile {
                left: Arc::new(AtomicU64::new(u64::MAX)),
                ran: Arc::clone(&ran),
            }),
        ));
    let bad = space.client.enqueue(B(1)).await.unwrap();
    tokio::time::sleep(ms(500)).await;
    space.client.enqueue(B(2)).await.unwrap();
    let next = until(s(12), || async { ran.load(Ordering::Relaxed) >= 1 }).await;
    let state = space.client.job(&bad).state().await.unwrap();
    let brief = space.brief("q").await;
    let took = node.stop().await;
    report(
        "Clone of the worker panics after a panic",
        next && took.is_some_and(|t| t < s(10)),
        format!("state={state:?} next ran={next} stop={took:?} {brief}"),
    );
}
