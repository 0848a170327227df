//! Queues and pools that are paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use poolder::prelude::*;

use crate::harness::*;

/// Pause and resume: jobs that are due, schedules, addressed pools (oban, good_job, river#988).
#[tokio::test(flavor = "multi_thread")]
async fn pause_everything() {
    let space = Space::new("pause");
    let ran = Arc::new(AtomicU64::new(0));
    let node = start(space.node().pool(Pool::new("q").size(4).worker(counter(&ran))));
    tokio::time::sleep(ms(500)).await;
    space.client.pause("q").await.unwrap();
    tokio::time::sleep(ms(1200)).await;
    for i in 0..50 {
        space.client.enqueue(N(i)).after(ms(10 * i)).await.unwrap();
    }
    for i in 0..50 {
        space.client.enqueue(N(i)).await.unwrap();
    }
    tokio::time::sleep(s(3)).await;
    let during = ran.load(Ordering::Relaxed);
    space.client.pause("q").await.unwrap();
    space.client.resume("q").await.unwrap();
    let all = until(s(10), || async { ran.load(Ordering::Relaxed) == 100 }).await;
    tokio::time::sleep(ms(500)).await;
    report(
        "pause with due and ready jobs",
        during == 0 && all && ran.load(Ordering::Relaxed) == 100,
        format!("during {during}, after {} ", ran.load(Ordering::Relaxed)),
    );
    node.stop().await;
    for (label, mode) in [
        ("round_robin", Mode::RoundRobin),
        ("random", Mode::Random),
        ("phash", Mode::Phash),
        ("monotonic", Mode::Monotonic),
        ("broadcast", Mode::Broadcast),
    ] {
        let space = Space::new("pausemode");
        let ran = Arc::new(AtomicU64::new(0));
        let node =
            start(space.node().pool(Pool::new("q").size(4).mode(mode).worker(counter(&ran))));
        until(s(10), || async { space.client.pool::<N>("q").cast(N(1)).await.is_ok() }).await;
        until(s(10), || async { ran.load(Ordering::Relaxed) > 0 }).await;
        tokio::time::sleep(ms(1500)).await;
        let before = ran.load(Ordering::Relaxed);
        let paused = space.client.pause("q").await;
        tokio::time::sleep(ms(1500)).await;
        for i in 0..40 {
            space.client.pool::<N>("q").cast(N(i)).await.unwrap();
        }
        tokio::time::sleep(s(2)).await;
        let during = ran.load(Ordering::Relaxed) - before;
        report(
            &format!("client.pause of a {label} pool: no job starts"),
            during == 0,
            format!("pause said {paused:?}; {during} of 40 ran during the pause"),
        );
        // the inspector on the same pool: are the waiting jobs seen?
        let v = space.overview("q").await;
        println!("   overview of the pool: ready={} paused={:?}", v.ready(), v.paused);
        space.client.resume("q").await.unwrap();
        node.stop().await;
    }
}

/// run_now answers as the documents say when a pause holds the jobs.
#[tokio::test(flavor = "multi_thread")]
async fn broadcast_pause_says_so() {
    let space = Space::new("bpause");
    let ran = Arc::new(AtomicU64::new(0));
    let node = start(
        space.node().pool(Pool::new("q").size(1).mode(Mode::Broadcast).worker(counter(&ran))),
    );
    until(s(10), || async { space.client.pool::<N>("q").cast(N(1)).await.is_ok() }).await;
    until(s(5), || async { ran.load(Ordering::Relaxed) > 0 }).await;
    let before = ran.load(Ordering::Relaxed);
    let p = space.client.pause("q").await;
    tokio::time::sleep(s(2)).await;
    space.client.pool::<N>("q").cast(N(2)).await.unwrap();
    tokio::time::sleep(s(1)).await;
    report(
        "pause of a broadcast pool: refused, or holds",
        p.is_err() || ran.load(Ordering::Relaxed) == before,
        format!("pause {p:?}, ran {} more", ran.load(Ordering::Relaxed) - before),
    );
    node.stop().await;
}
