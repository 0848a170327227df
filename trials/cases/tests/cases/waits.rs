//! Waits, limits and settings at the edge of what a duration holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use poolder::Result;
use poolder::prelude::*;
use serde::{Deserialize, Serialize};

use crate::harness::*;

/// Snooze, backoff and verdict at the edge: onos#127, weaviate#10179, anthropic-sdk#1760, sidekiq#3265.
#[tokio::test(flavor = "multi_thread")]
async fn waits_at_the_edge() {
    let space = Space::new("waits");
    #[derive(Clone)]
    struct W;
    impl Worker for W {
        type Job = N;
        async fn handle_job(&mut self, job: N, _cx: Context) -> Result<Outcome> {
            match job.0 {
                0 => Ok(Snooze(Duration::MAX)),
                1 => Ok(Snooze(Duration::ZERO)),
                _ => Err("no".into()),
            }
        }
        async fn handle_error(&mut self, job: N, _cx: Context, _e: &poolder::BoxError) -> Verdict {
            if job.0 == 2 { Verdict::Backoff(Duration::MAX) } else { Verdict::Policy }
        }
    }
    let node = start(space.node().pool(Pool::new("q").size(2).worker(W)));
    let p = Policy::default().attempts(50);
    let huge = [
        ("snooze MAX", 0, p.clone()),
        ("backoff verdict MAX", 2, p.clone()),
        (
            "exponential MAX/MAX",
            3,
            p.clone().backoff(Backoff::Exponential { base: Duration::MAX, cap: Duration::MAX }),
        ),
        (
            "linear MAX/MAX",
            3,
            p.clone().backoff(Backoff::Linear { step: Duration::MAX, cap: Duration::MAX }),
        ),
        ("fixed MAX", 3, p.clone().backoff(Backoff::Fixed(Duration::MAX))),
        ("timeout MAX", 3, p.clone().timeout(Duration::MAX)),
        ("retry_for MAX", 3, p.clone().retry_for(Duration::MAX)),
        ("attempts u32::MAX", 3, p.clone().attempts(u32::MAX)),
    ];
    for (label, n, policy) in huge {
        let r = match space.client.enqueue(N(n)).policy(policy).await {
            Ok(r) => r,
            Err(e) => {
                report(label, true, format!("refused {e}"));
                continue;
            }
        };
        let later = until(s(5), || async {
            space.client.job(&r).view().await.unwrap().is_some_and(|v| {
                matches!(v.state, poolder::JobState::Scheduled | poolder::JobState::Retrying)
            })
        })
        .await;
        let view = space.client.job(&r).view().await.unwrap();
        report(
            label,
            later,
            format!(
                "{:?} at {:?}",
                view.as_ref().map(|v| v.state),
                view.as_ref().map(|v| v.at.millis())
            ),
        );
        let _ = space.client.job(&r).cancel().await;
    }
    // a zero snooze must not be a hot loop that starves others, and must be cancellable
    let r = space.client.enqueue(N(1)).await.unwrap();
    tokio::time::sleep(s(2)).await;
    let snoozed = space.overview("q").await.counter("snoozed");
    let c = space.client.job(&r).cancel().await;
    let gone = until(s(8), || async {
        let v = space.overview("q").await;
        v.ready() + v.running() + v.due == 0
    })
    .await;
    report(
        "snooze 0 loop: cancel ends it",
        gone,
        format!("snoozed {snoozed} times in 2 s, cancel {c:?}; {}", space.brief("q").await),
    );
    println!("   stop {:?}", node.stop().await);
    // pure arithmetic
    for (label, b) in [
        ("Exponential MAX/MAX", Backoff::Exponential { base: Duration::MAX, cap: Duration::MAX }),
        ("Exponential 1s/MAX", Backoff::Exponential { base: s(1), cap: Duration::MAX }),
        ("Linear", Backoff::Linear { step: Duration::MAX, cap: Duration::MAX }),
    ] {
        for n in [1, 33, 64, u32::MAX] {
            for j in [-1.0, 0.0, 1.0, f64::NAN] {
                let b = b.clone();
                let r = std::panic::catch_unwind(move || b.delay(n, j));
                let name = format!("Backoff::delay {label} n={n} jitter={j}");
                report(&name, r.is_ok(), if r.is_ok() { "returns" } else { "panics" });
            }
        }
    }
}

/// Broadcast pools retry in place with the pool's own policy: no envelope in between.
#[tokio::test(flavor = "multi_thread")]
async fn pool_policy_at_the_edge() {
    let space = Space::new("poolpolicy");
    let runs = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&runs);
    #[derive(Serialize, Deserialize, Debug, Clone, Job)]
    #[job(kind = "m", queue = "q")]
    struct M(u64);
    let policy = Policy::default()
        .attempts(5)
        .backoff(Backoff::Exponential { base: Duration::MAX, cap: Duration::MAX });
    let node = start(space.node().pool(Pool::new("q").size(1).policy(policy).worker(worker_fn(
        move |job: M, _cx: Context| {
            let seen = Arc::clone(&seen);
            async move {
                seen.fetch_add(1, Ordering::Relaxed);
                if job.0 == 1 { Err::<Outcome, BoxError>("no".into()) } else { Ok(Done) }
            }
        },
    ))));
    let r = space.client.enqueue(M(1)).await.unwrap();
    tokio::time::sleep(s(3)).await;
    let view = space.client.job(&r).view().await.unwrap();
    space.client.enqueue(M(2)).await.unwrap();
    let lives = until(s(5), || async { runs.load(Ordering::Relaxed) >= 2 }).await;
    report(
        "pool policy exponential MAX/MAX: slot lives, job waits",
        lives && view.as_ref().is_some_and(|v| v.state == poolder::JobState::Retrying),
        format!(
            "state={:?} next job ran={lives}; {}",
            view.map(|v| v.state),
            space.brief("q").await
        ),
    );
    let took = node.stop().await;
    report(
        "pool policy exponential MAX/MAX: the node stops",
        took.is_some_and(|t| t < s(30)),
        format!("{took:?}; {}", space.brief("q").await),
    );
}

/// Node and pool settings that are added to an instant.
#[tokio::test(flavor = "multi_thread")]
async fn settings_at_the_edge() {
    let space = Space::new("settings");
    let ran = Arc::new(AtomicU64::new(0));
    let node = start(
        space
            .node()
            .shutdown_timeout(Duration::MAX)
            .keep_dead(u64::MAX, Duration::MAX)
            .pool(Pool::new("q").size(1).hibernate_after(Duration::MAX).worker(counter(&ran))),
    );
    space.client.enqueue(N(1)).await.unwrap();
    let got = until(s(5), || async { ran.load(Ordering::Relaxed) == 1 }).await;
    let took = node.stop().await;
    report(
        "shutdown_timeout/keep_dead/hibernate_after MAX",
        got && took.is_some_and(|t| t < s(5)),
        format!("ran={got} stop={took:?}"),
    );
    let space = Space::new("settings2");
    let node = start(space.node().pool(
        Pool::new("q").size(2).mode(Mode::RoundRobin).handover_timeout(Duration::MAX).worker(
            worker_fn(|_j: N, _c: Context| async {
                tokio::time::sleep(s(2)).await;
                Done
            }),
        ),
    ));
    until(s(10), || async { space.client.pool::<N>("q").cast(N(1)).await.is_ok() }).await;
    for i in 0..8 {
        let _ = space.client.pool::<N>("q").cast(N(i)).await;
    }
    tokio::time::sleep(ms(500)).await;
    let other = start(
        space.node().pool(
            Pool::new("q")
                .size(2)
                .mode(Mode::RoundRobin)
                .handover_timeout(Duration::MAX)
                .worker(worker_fn(|_j: N, _c: Context| async { Done })),
        ),
    );
    tokio::time::sleep(s(4)).await;
    let done = until(s(15), || async {
        let v = space.overview("q").await;
        v.counter("completed") >= 4
    })
    .await;
    report(
        "handover_timeout(MAX) when a second process joins",
        done && !node.task.is_finished(),
        format!("slot 0: {}", space.brief("q").await),
    );
    println!("   stops {:?} {:?}", node.stop().await, other.stop().await);
}

/// weaviate#10179: a retry loop without a pause. On a runtime of one thread.
#[test]
fn retry_now_forever() {
    for (label, threads) in [("current_thread", 0), ("2 threads", 2)] {
        let (tell, told) = std::sync::mpsc::channel();
        let runs = Arc::new(AtomicU64::new(0));
        let r2 = Arc::clone(&runs);
        std::thread::spawn(move || {
            let rt = if threads == 0 {
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
            } else {
                tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(threads)
                    .enable_all()
                    .build()
                    .unwrap()
            };
            rt.block_on(async move {
                #[derive(Clone)]
                struct W(Arc<AtomicU64>);
                impl Worker for W {
                    type Job = N;
                    async fn handle_job(&mut self, job: N, _c: Context) -> Result<Outcome> {
                        if job.0 == 1 {
                            self.0.fetch_add(1, Ordering::Relaxed);
                            return Err("x".into());
                        }
                        Ok(Done)
                    }
                    async fn handle_error(
                        &mut self,
                        _j: N,
                        _c: Context,
                        _e: &poolder::BoxError,
                    ) -> Verdict {
                        Verdict::RetryNow
                    }
                }
                let space = Space::new("retrynow");
                let node = start(
                    space.node().shutdown_timeout(s(2)).pool(Pool::new("q").size(2).worker(W(r2))),
                );
                space
                    .client
                    .enqueue(N(1))
                    .policy(Policy::default().attempts(u32::MAX))
                    .await
                    .unwrap();
                tokio::time::sleep(s(2)).await;
                let t = Instant::now();
                let done = tokio::time::timeout(s(5), async {
                    space.client.call::<_, ()>(N(2)).timeout(s(4)).await
                })
                .await;
                let took = node.stop().await;
                let _ = tell
                    .send(format!("another job {done:?} after {:?}, stop {took:?}", t.elapsed()));
            });
        });
        let r = told.recv_timeout(s(20));
        report(
            &format!("RetryNow with attempts u32::MAX on {label}"),
            r.as_ref().is_ok_and(|t| t.contains("Ok(Ok(")),
            format!("{r:?}; {} attempts", runs.load(Ordering::Relaxed)),
        );
    }
}
