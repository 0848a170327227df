//! Ids, receipts and overlaps whose job is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poolder::Stored;
use poolder::prelude::*;

use crate::harness::*;

/// asynq#275, #492, #842, sidekiq#5917, unique-jobs#205/#304, GoodJob: a lock whose job is gone.
#[tokio::test(flavor = "multi_thread")]
async fn locks_of_jobs_that_are_gone() {
    // own id + idempotent after delete / cancel / drain / death
    for how in ["delete", "cancel", "drain", "dies", "done"] {
        let space = Space::new("lock");
        let ran = Arc::new(AtomicU64::new(0));
        let c = &space.client;
        let enq =
            |n| c.enqueue(F(n)).id("k").idempotent(s(3600)).policy(Policy::default().attempts(1));
        let node = if matches!(how, "dies" | "done") {
            let seen = Arc::clone(&ran);
            Some(start(space.node().pool(Pool::new("q").size(1).worker(worker_fn(
                move |job: F, _c: Context| {
                    let seen = Arc::clone(&seen);
                    async move {
                        seen.fetch_add(1, Ordering::Relaxed);
                        if job.0 == 9 { Err::<Outcome, BoxError>("no".into()) } else { Ok(Done) }
                    }
                },
            )))))
        } else {
            None
        };
        let r = enq(if how == "dies" { 9 } else { 1 }).await.unwrap();
        match how {
            "delete" => c.job(&r).remove().await.unwrap(),
            "cancel" => {
                c.job(&r).cancel().await.unwrap();
            }
            "drain" => {
                c.inspect("q").drain().await.unwrap();
            }
            _ => {
                until(s(5), || async {
                    ran.load(Ordering::Relaxed) == 1 && space.overview("q").await.running() == 0
                })
                .await;
            }
        }
        let again = enq(1).await.unwrap();
        let v = space.overview("q").await;
        println!(
            "NOTE idempotent id after {how}: second enqueue says {:?}, ready={} dead={}",
            again.stored,
            v.ready(),
            v.dead
        );
        if let Some(n) = node {
            n.stop().await;
        }
    }
    // a schedule that skips while its job is under way: that job goes in unusual ways
    for how in [
        "delete",
        "cancel",
        "drain",
        "dies",
        "dies, purged",
        "XDEL by hand",
        "lane DEL by hand",
        "FLUSH of due",
    ] {
        for overlap in [Overlap::Skip, Overlap::QueueOne] {
            let space = Space::new("overlap");
            let c = &space.client;
            let ran = Arc::new(AtomicU64::new(0));
            // The node leads q, and does not run the kind f.
            let dies = how.starts_with("dies");
            let seen = Arc::clone(&ran);
            let mut pool =
                Pool::new("q").size(1).worker(worker_fn(|_: N, _c: Context| async { Done }));
            if dies {
                pool = pool.worker(worker_fn(move |_: F, _c: Context| {
                    let seen = Arc::clone(&seen);
                    async move {
                        seen.fetch_add(1, Ordering::Relaxed);
                        Err::<Outcome, BoxError>("no".into())
                    }
                }));
            } else {
                c.pause("q").await.unwrap();
            }
            let node = start(space.node().pool(pool));
            c.schedule("tick", Duration::from_millis(400), F(1))
                .policy(Policy::default().attempts(1))
                .overlap(overlap)
                .await
                .unwrap();
            let q = c.inspect("q");
            until(s(10), || async {
                let v = space.overview("q").await;
                v.ready() + v.dead > 0
            })
            .await;
            tokio::time::sleep(ms(900)).await;
            let runs = |name: &'static str| {
                let c = c.clone();
                async move { c.schedules("q").get(name).await.unwrap().unwrap().runs }
            };
            let before = runs("tick").await;
            match how {
                "delete" => {
                    let j = q.ready(Lane::Normal, None, 5).await.unwrap().jobs;
                    for j in j {
                        c.job(&j.handle).remove().await.unwrap();
                    }
                }
                "cancel" => {
                    let j = q.ready(Lane::Normal, None, 5).await.unwrap().jobs;
                    for j in j {
                        println!("   cancel {:?}", c.job(j.handle.clone()).cancel().await);
                    }
                }
                "drain" => {
                    q.drain().await.unwrap();
                }
                "dies, purged" => {
                    q.purge_dead().await.unwrap();
                }
                "XDEL by hand" => {
                    let j = q.ready(Lane::Normal, None, 5).await.unwrap().jobs;
                    for j in j {
                        if let Some(poolder::Place::Entry(_, id)) = &j.handle.place {
                            let _: i64 = space
                                .redis(
                                    redis::cmd("XDEL")
                                        .arg(space.key("q", "ready:normal"))
                                        .arg(&**id),
                                )
                                .await;
                        }
                    }
                }
                "lane DEL by hand" => {
                    let _: i64 =
                        space.redis(redis::cmd("DEL").arg(space.key("q", "ready:normal"))).await;
                }
                "FLUSH of due" => {
                    let _: i64 = space.redis(redis::cmd("DEL").arg(space.key("q", "due"))).await;
                    let _ = q.drain().await;
                }
                _ => {}
            }
            let goes_on = until(s(4), || async { runs("tick").await > before }).await;
            report(
                &format!("schedule {overlap:?} after its job: {how}"),
                goes_on,
                format!("runs {before} → {}; {}", runs("tick").await, space.brief("q").await),
            );
            node.stop().await;
        }
    }
}

/// A dead job of a schedule that is revived while the next one runs; sidekiq batch pending −1 kin.
#[tokio::test(flavor = "multi_thread")]
async fn revive_beside_overlap() {
    let space = Space::new("revive");
    let c = &space.client;
    let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (n2, m2) = (Arc::clone(&now), Arc::clone(&most));
    let fail = Arc::new(AtomicU64::new(1));
    let f2 = Arc::clone(&fail);
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker_fn(
        move |_: F, _c: Context| {
            let (n, m, f) = (Arc::clone(&n2), Arc::clone(&m2), Arc::clone(&f2));
            async move {
                if f.load(Ordering::Relaxed) == 1 {
                    return Err::<Outcome, BoxError>("down".into());
                }
                let k = n.fetch_add(1, Ordering::Relaxed) + 1;
                m.fetch_max(k, Ordering::Relaxed);
                tokio::time::sleep(s(2)).await;
                n.fetch_sub(1, Ordering::Relaxed);
                Ok(Done)
            }
        },
    ))));
    c.schedule("t", Duration::from_secs(1), F(1))
        .policy(Policy::default().attempts(1))
        .overlap(Overlap::Skip)
        .await
        .unwrap();
    until(s(10), || async { space.overview("q").await.dead >= 2 }).await;
    fail.store(0, Ordering::Relaxed);
    until(s(5), || async { now.load(Ordering::Relaxed) == 1 }).await;
    let revived = c.inspect("q").revive_where(|_| true).await.unwrap();
    tokio::time::sleep(s(5)).await;
    println!(
        "NOTE Overlap::Skip and revive: {revived} revived, most at once {}",
        most.load(Ordering::Relaxed)
    );
    let before = c.schedules("q").get("t").await.unwrap().unwrap().runs;
    tokio::time::sleep(s(5)).await;
    let after = c.schedules("q").get("t").await.unwrap().unwrap().runs;
    report(
        "schedule goes on after revive beside overlap",
        after > before,
        format!("{before} → {after}"),
    );
    node.stop().await;
}

/// redis#15626 / redisson#7089 / msm#402: a receipt with a window that overflows.
#[tokio::test(flavor = "multi_thread")]
async fn idempotent_forever() {
    for (label, window) in [
        ("MAX", Duration::MAX),
        ("u64 ms/2", Duration::from_millis(u64::MAX / 2)),
        ("100 years", s(3_155_760_000)),
        ("300k years", s(300_000 * 31_557_600)),
    ] {
        let space = Space::new("idem");
        let one = space.client.enqueue(N(1)).id("order-1").idempotent(window).await;
        let two = space.client.enqueue(N(1)).id("order-1").idempotent(window).await;
        let v = space.overview("q").await;
        let show = |r: &Result<poolder::Receipt, poolder::Error>| match r {
            Ok(r) => format!("Ok({:?})", r.stored),
            Err(e) => format!(
                "Err(refused={} unknown={} invalid={} {e})",
                e.is_refused(),
                e.is_unknown(),
                e.is_invalid()
            ),
        };
        let stored = v.ready();
        // right: one job and Ok/Already, or none and a refusal
        let pass = match (&one, &two) {
            (Ok(_), Ok(b)) => stored == 1 && b.stored == Stored::Already,
            (Err(_), Err(_)) => stored == 0,
            _ => false,
        };
        report(
            &format!("idempotent({label}) now"),
            pass,
            format!("first {} second {} ready={stored}", show(&one), show(&two)),
        );
        let space = Space::new("idem2");
        let one = space.client.enqueue(N(1)).id("order-1").after(s(3600)).idempotent(window).await;
        let two = space.client.enqueue(N(1)).id("order-1").after(s(3600)).idempotent(window).await;
        let v = space.overview("q").await;
        report(
            &format!("idempotent({label}) after 1h"),
            v.due == 1 && one.is_ok() && two.as_ref().is_ok_and(|r| r.stored == Stored::Already)
                || v.due == 0 && one.is_err(),
            format!("first {} second {} due={}", show(&one), show(&two), v.due),
        );
    }
}
