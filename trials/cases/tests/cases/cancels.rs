//! Cancellations, and jobs that are enqueued later under the same id.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use poolder::prelude::*;
use poolder::{Handle, JobId, QueueName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::harness::*;

/// A cancellation that found no job must not hit a job enqueued later under the same own id
/// (docs/operating.md): now, delayed, and one that fails once.
#[tokio::test(flavor = "multi_thread")]
async fn old_cancellations() {
    for how in [
        "now",
        "after 400ms",
        "now, fails once",
        "at past",
        "idempotent",
        "bulk",
        "rescheduled",
        "snoozes once",
    ] {
        let space = Space::new("order");
        let ran = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&ran);
        let node = start(space.node().pool(Pool::new("q").size(2).worker(worker_fn(
            move |job: F, cx: Context| {
                let seen = Arc::clone(&seen);
                async move {
                    if job.0 == 1 && cx.attempt() == 1 {
                        return Err::<Outcome, BoxError>("first".into());
                    }
                    if job.0 == 2 && cx.fence() == 1 {
                        return Ok(Snooze(ms(300)));
                    }
                    seen.fetch_add(1, Ordering::Relaxed);
                    Ok(Done)
                }
            },
        ))));
        tokio::time::sleep(ms(300)).await;
        let what = space.client.job(named("q", "x")).cancel().await;
        tokio::time::sleep(ms(60)).await;
        let c = &space.client;
        let n = match how {
            "now, fails once" => 1,
            "snoozes once" => 2,
            _ => 0,
        };
        match how {
            "after 400ms" => {
                c.enqueue(F(n)).id("x").after(ms(400)).await.unwrap();
            }
            "at past" => {
                c.enqueue(F(n)).id("x").at(Timestamp::from_millis(5)).await.unwrap();
            }
            "idempotent" => {
                c.enqueue(F(n)).id("x").idempotent(s(60)).await.unwrap();
            }
            "bulk" => {
                for r in c.enqueue_prepared(vec![c.enqueue(F(n)).id("x").prepare()]).await {
                    r.unwrap();
                }
            }
            "rescheduled" => {
                let r = c.enqueue(F(n)).id("x").after(s(600)).await.unwrap();
                c.job(&r).run_now().await.unwrap();
            }
            _ => {
                c.enqueue(F(n)).id("x").await.unwrap();
            }
        }
        let got = until(s(6), || async { ran.load(Ordering::Relaxed) == 1 }).await;
        report(
            &format!("cancel(not there), then enqueue({how})"),
            got,
            format!(
                "cancel={what:?} ran={} {}",
                ran.load(Ordering::Relaxed),
                space.brief("q").await
            ),
        );
        node.stop().await;
    }
}

/// Cancellations of delayed jobs, and in other lanes.
#[tokio::test(flavor = "multi_thread")]
async fn old_cancellations_in_lanes() {
    for lane in [Lane::High, Lane::Low] {
        let space = Space::new("lane");
        let ran = Arc::new(AtomicU64::new(0));
        let node = start(space.node().pool(Pool::new("q").size(2).worker(counter(&ran))));
        let q = QueueName::new("q").unwrap();
        let what = space.client.job(Handle::new(q.clone(), JobId::named(&q, "x"))).cancel().await;
        tokio::time::sleep(ms(50)).await;
        space.client.enqueue(N(1)).id("x").lane(lane).after(ms(300)).await.unwrap();
        let ok = until(s(5), || async { ran.load(Ordering::Relaxed) == 1 }).await;
        report(
            &format!("cancel(not there), enqueue later in {lane}"),
            ok,
            format!("{what:?} {}", space.brief("q").await),
        );
        node.stop().await;
    }
}

/// A held key in the smallest setting: phash, one slot, one failing job, cancelled.
#[tokio::test(flavor = "multi_thread")]
async fn hold_after_cancel_smallest() {
    #[derive(Serialize, Deserialize, Debug, Clone, Job)]
    #[job(kind = "k", queue = "q", attempts = 2, backoff = "20s")]
    struct K(bool);
    let space = Space::new("holdmin");
    let node = start(space.node().pool(Pool::new("q").size(1).mode(Mode::Phash).worker(
        worker_fn(|job: K, _c: Context| async move {
            if job.0 { Err::<Outcome, BoxError>("no".into()) } else { Ok(Done) }
        }),
    )));
    let p = space.client.pool::<K>("q");
    until(s(10), || async { p.cast(K(false)).await.is_ok() }).await;
    tokio::time::sleep(ms(300)).await;
    let bad = p.cast(K(true)).await.unwrap();
    tokio::time::sleep(ms(500)).await;
    println!("   cancel {:?}", space.client.job(&bad).cancel().await);
    let t = Instant::now();
    let r = p.call::<()>(K(false)).timeout(s(60)).await;
    report(
        "a call to a slot whose held job was cancelled",
        t.elapsed() < s(2),
        format!("{r:?} after {:?} (backoff 20 s)", t.elapsed()),
    );
    node.stop().await;
}
