//! Jobs of the past and of the far future.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use poolder::prelude::*;
use poolder::{Stored, Timestamp};

use crate::harness::*;

/// resque-scheduler#96, sidekiq#3738, bull#1705, bull#244, bull#1203: past and far future.
#[tokio::test(flavor = "multi_thread")]
async fn past_and_far_future() {
    let space = Space::new("far");
    let ran = Arc::new(AtomicU64::new(0));
    let node = start(space.node().pool(Pool::new("q").size(2).worker(counter(&ran))));
    let now = Timestamp::now().millis();
    let cases: Vec<(&str, i64, bool)> = vec![
        ("i64::MIN", i64::MIN, true),
        ("-1", -1, true),
        ("0", 0, true),
        ("year 2001", 999_999_999, true),
        ("1 ms ago", now - 1, true),
        ("25 days", now + 25 * 86_400_000, false),
        ("year 2286 (14 digits)", 10_000_000_000_123, false),
        ("year 5138 (15 digits)", 100_000_000_000_123, false),
        ("year 33658", 1_000_000_000_000_123, false),
        ("2^53-1", (1 << 53) - 1, false),
        ("2^53+1", (1 << 53) + 1, false),
        ("i64::MAX-1", i64::MAX - 1, false),
        ("i64::MAX", i64::MAX, false),
    ];
    let queue = space.client.inspect("q");
    let mut past = 0;
    for (label, at, runs) in &cases {
        let r = space.client.enqueue(N(1)).at(Timestamp::from_millis(*at)).await;
        match r {
            Err(e) => report(&format!("at({label})"), false, e),
            Ok(r) => {
                if *runs {
                    past += 1;
                }
                let good = match &r.stored {
                    Stored::Ready(_) => *runs,
                    Stored::Due(d) => !*runs && (d.millis() == *at || *at > (1 << 53)),
                    _ => false,
                };
                let mut text = format!("{:?}", r.stored);
                let mut all = good;
                if !*runs {
                    let view = space.client.job(&r).view().await.unwrap();
                    text += &format!(" view.at={:?}", view.as_ref().map(|v| v.at.millis()));
                    all &= view.is_some();
                    let by_id = space.client.job(r.job.in_queue("q")).view().await.unwrap();
                    all &= by_id.is_some();
                    let c = space.client.job(&r).cancel().await;
                    text += &format!(" cancel={c:?}");
                    all &= matches!(c, Ok(poolder::Cancellation::Removed));
                }
                report(&format!("at({label})"), all, text);
            }
        }
    }
    for (label, d) in [
        ("MAX", Duration::MAX),
        ("0", Duration::ZERO),
        ("1ns", Duration::from_nanos(1)),
        ("u64::MAX s", s(u64::MAX)),
    ] {
        let r = space.client.enqueue(N(1)).after(d).await;
        if d < s(1) {
            past += 1;
        }
        report(&format!("after({label})"), r.is_ok(), format!("{r:?}", r = r.map(|r| r.stored)));
    }
    let all = until(s(10), || async { ran.load(Ordering::Relaxed) >= past }).await;
    tokio::time::sleep(ms(500)).await;
    report(
        "all of the past ran, none of the future",
        all && ran.load(Ordering::Relaxed) == past,
        format!("ran={} of {past}; {}", ran.load(Ordering::Relaxed), space.brief("q").await),
    );
    // Far ones must not stand in the way of near ones, nor spin.
    let before: u64 = calls(&space).await;
    tokio::time::sleep(s(3)).await;
    let spun = calls(&space).await - before;
    let near = space.client.enqueue(N(2)).after(ms(300)).await.unwrap();
    let got = until(s(5), || async { ran.load(Ordering::Relaxed) == past + 1 }).await;
    report(
        "a near job beside two at MAX runs in time; no spin",
        got && spun < 120,
        format!("near={:?} ran={got} script calls in 3 s={spun}", near.stored),
    );
    // paging over equal and huge scores
    let mut cursor = None;
    let mut n = 0;
    let mut rounds = 0;
    loop {
        let p = queue.due(cursor.as_ref(), 1).await.unwrap();
        n += p.jobs.len();
        rounds += 1;
        cursor = p.next.clone();
        if cursor.is_none() || rounds > 50 {
            break;
        }
    }
    report(
        "due pages one by one over jobs at MAX",
        n == 2 && rounds < 50,
        format!("{n} jobs in {rounds} pages"),
    );
    let resched = queue.due(None, 10).await.unwrap().jobs.pop().unwrap();
    let r = space.client.job(&resched.handle).run_now().await;
    let got = until(s(5), || async { ran.load(Ordering::Relaxed) == past + 2 }).await;
    report("run_now of a job at MAX", r.is_ok() && got, format!("{r:?} ran={got}"));
    println!("   stop {:?}", node.stop().await);
}

async fn calls(space: &Space) -> u64 {
    let info: String = space.redis(redis::cmd("INFO").arg("commandstats")).await;
    let line =
        info.lines().find(|l| l.starts_with("cmdstat_evalsha:")).unwrap_or("calls=0,").to_owned();
    line.split("calls=")
        .nth(1)
        .and_then(|t| t.split(',').next())
        .and_then(|t| t.parse().ok())
        .unwrap_or(0)
}

/// Reschedule into the past (bull#1705), and twice the same id on its way.
#[tokio::test(flavor = "multi_thread")]
async fn reschedule_edges() {
    let space = Space::new("resched");
    let ran = Arc::new(AtomicU64::new(0));
    let node = start(space.node().pool(Pool::new("q").size(2).worker(counter(&ran))));
    for (label, at) in [("-5", -5), ("i64::MIN", i64::MIN), ("0", 0), ("i64::MAX", i64::MAX)] {
        let r = space.client.enqueue(N(1)).after(s(100)).await.unwrap();
        let before = ran.load(Ordering::Relaxed);
        let done = space.client.job(&r).reschedule(Timestamp::from_millis(at)).await;
        let ok = until(s(3), || async { ran.load(Ordering::Relaxed) > before }).await;
        report(
            &format!("reschedule to {label}"),
            done.is_ok() && (ok || at == i64::MAX),
            format!("{done:?} ran={ok} {}", space.brief("q").await),
        );
    }
    // 600 with negative times at once
    let mut hs = vec![];
    for i in 0..600 {
        hs.push(space.client.enqueue(N(i)).after(s(100)).await.unwrap());
    }
    let before = ran.load(Ordering::Relaxed);
    let t = Instant::now();
    for h in &hs {
        let _: i64 = space
            .redis(
                redis::cmd("ZADD")
                    .arg(space.key("q", "due"))
                    .arg(-7)
                    .arg(h.job.as_bytes().as_slice()),
            )
            .await;
    }
    let ok = until(s(20), || async { ran.load(Ordering::Relaxed) >= before + 600 }).await;
    report("600 jobs with a negative time", ok, format!("{:?}", t.elapsed()));
    node.stop().await;
}

/// bull#1705 by the API: jobs rescheduled before 1970.
#[tokio::test(flavor = "multi_thread")]
async fn rescheduled_before_1970() {
    let space = Space::new("before1970");
    let ran = Arc::new(AtomicU64::new(0));
    let mut hs = vec![];
    for r in space
        .client
        .enqueue_prepared(
            (0..700).map(|i| space.client.enqueue(N(i)).after(s(1000)).prepare()).collect(),
        )
        .await
    {
        hs.push(r.unwrap());
    }
    for h in &hs {
        space.client.job(h).reschedule(Timestamp::from_millis(-7)).await.unwrap();
    }
    println!("   before: {}", space.brief("q").await);
    let node = start(space.node().pool(Pool::new("q").size(4).worker(counter(&ran))));
    let t = Instant::now();
    let mut last = 0;
    let mut steps = vec![];
    for _ in 0..30 {
        tokio::time::sleep(s(1)).await;
        let n = ran.load(Ordering::Relaxed);
        if n != last {
            steps.push((t.elapsed().as_secs(), n));
            last = n;
        }
        if n == 700 {
            break;
        }
    }
    report(
        "700 jobs rescheduled before 1970 run at once",
        last == 700 && t.elapsed() < s(8),
        format!("{steps:?} {}", space.brief("q").await),
    );
    node.stop().await;
    let ran = Arc::new(AtomicU64::new(0));
    let mut hs = vec![];
    for r in space
        .client
        .enqueue_prepared(
            (0..700).map(|i| space.client.enqueue(N(i)).after(s(1000)).prepare()).collect(),
        )
        .await
    {
        hs.push(r.unwrap());
    }
    for h in &hs {
        space.client.job(h).reschedule(Timestamp::from_millis(7)).await.unwrap();
    }
    let node = start(space.node().pool(Pool::new("q").size(4).worker(counter(&ran))));
    let t = Instant::now();
    let ok = until(s(30), || async { ran.load(Ordering::Relaxed) == 700 }).await;
    println!("   control, to 1970 + 7 ms: all={ok} {:?}", t.elapsed());
    node.stop().await;
}
