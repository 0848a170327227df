//! Nodes: stopped, restarted, cut off, long-lived.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use poolder::prelude::*;

use crate::harness::*;

/// exq#444, gocraft#24: stop starts nothing new.
#[tokio::test(flavor = "multi_thread")]
async fn stop_starts_nothing_new() {
    let space = Space::new("stop");
    let (started, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (a, b) = (Arc::clone(&started), Arc::clone(&done));
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker_fn(
        move |_: N, _c: Context| {
            let (a, b) = (Arc::clone(&a), Arc::clone(&b));
            async move {
                a.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(ms(300)).await;
                b.fetch_add(1, Ordering::Relaxed);
                Done
            }
        },
    ))));
    for i in 0..500 {
        space.client.enqueue(N(i)).await.unwrap();
    }
    tokio::time::sleep(ms(800)).await;
    let before = started.load(Ordering::Relaxed);
    let took = node.stop().await;
    let (s1, d1) = (started.load(Ordering::Relaxed), done.load(Ordering::Relaxed));
    let v = space.overview("q").await;
    report(
        "gocraft#24: stop starts nothing new and loses nothing",
        s1 - before <= 4 && s1 == d1 && v.ready() + d1 == 500 && v.running() == 0,
        format!(
            "started {before} → {s1}, done {d1}, took {took:?}, ready={} running={}",
            v.ready(),
            v.running()
        ),
    );
}

/// gocraft#192: handlers that enqueue themselves, nodes that come and go.
#[tokio::test(flavor = "multi_thread")]
async fn chains_through_restarts() {
    let space = Space::new("chain");
    let hops = Arc::new(AtomicU64::new(0));
    let make = || {
        let hops = Arc::clone(&hops);
        Pool::new("q").size(8).worker(worker_fn(move |job: N, cx: Context| {
            let hops = Arc::clone(&hops);
            async move {
                hops.fetch_add(1, Ordering::Relaxed);
                cx.client().enqueue(N(job.0)).await?;
                Ok::<_, BoxError>(Done)
            }
        }))
    };
    for i in 0..20 {
        space.client.enqueue(N(i)).await.unwrap();
    }
    let mut last = 0;
    let mut stalls = 0;
    for _ in 0..6 {
        let node = start(space.node().pool(make()));
        tokio::time::sleep(s(1)).await;
        node.stop().await;
        let now = hops.load(Ordering::Relaxed);
        if now < last + 20 {
            stalls += 1;
        }
        last = now;
    }
    let v = space.overview("q").await;
    report(
        "gocraft#192: 20 chains survive 6 restarts",
        stalls == 0 && v.ready() == 20 && v.running() == 0,
        format!("hops={last} ready={} running={}", v.ready(), v.running()),
    );
}

/// apalis#49/#492, exq: connections killed again and again.
#[tokio::test(flavor = "multi_thread")]
async fn connections_killed() {
    let space = Space::new("kill");
    let ran = Arc::new(Mutex::new(HashMap::<u64, u32>::new()));
    let seen = Arc::clone(&ran);
    let node = start(space.node().pool(Pool::new("q").size(8).worker(worker_fn(
        move |job: N, _c: Context| {
            let seen = Arc::clone(&seen);
            async move {
                tokio::time::sleep(ms(5)).await;
                *seen.lock().unwrap().entry(job.0).or_default() += 1;
                Done
            }
        },
    ))));
    tokio::time::sleep(s(1)).await;
    let me = redis::Client::open(space.url.as_str()).unwrap();
    let mut con = me.get_multiplexed_async_connection().await.unwrap();
    let asking = con.clone();
    let stat = |name: &'static str| {
        let mut con = asking.clone();
        async move {
            let info: String = redis::cmd("INFO").query_async(&mut con).await.unwrap();
            info.lines()
                .find(|l| l.starts_with(&format!("{name}:")))
                .and_then(|l| l.split(':').nth(1))
                .and_then(|t| t.trim().parse::<i64>().ok())
                .unwrap_or(0)
        }
    };
    let (before, made) =
        (stat("connected_clients").await, stat("total_connections_received").await);
    let mut sent = 0;
    let mut unknown = 0;
    let mut refused = 0;
    for i in 0..60_u64 {
        let _: redis::RedisResult<i64> = redis::cmd("CLIENT")
            .arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .arg("SKIPME")
            .arg("yes")
            .query_async(&mut con)
            .await;
        let _: redis::RedisResult<i64> =
            redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").query_async(&mut con).await;
        for k in 0..10 {
            match space.client.enqueue(N(i * 10 + k)).await {
                Ok(_) => sent += 1,
                Err(e) if e.is_unknown() => unknown += 1,
                Err(_) => refused += 1,
            }
            tokio::time::sleep(ms(10)).await;
        }
    }
    let calm = until(s(20), || async {
        let v = space.overview("q").await;
        v.ready() + v.running() + v.due == 0
    })
    .await;
    tokio::time::sleep(s(2)).await;
    let (after, made2) =
        (stat("connected_clients").await, stat("total_connections_received").await);
    let ran = ran.lock().unwrap().clone();
    let twice = ran.values().filter(|n| **n > 1).count();
    report(
        "60 rounds of CLIENT KILL",
        calm && ran.len() >= sent && after <= before + 3,
        format!(
            "stored {sent} unknown {unknown} refused {refused}; ran {} different, {twice} twice; connections {before} → {after}, opened {} ; {}",
            ran.len(),
            made2 - made,
            space.brief("q").await
        ),
    );
    println!("   stop {:?}", node.stop().await);
}

/// sidekiq: clients and nodes that forget: memory of a process over 60,000 jobs and 60,000 ids.
#[tokio::test(flavor = "multi_thread")]
async fn memory_of_a_long_process() {
    let rss = || {
        std::fs::read_to_string("/proc/self/statm")
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            * 4
    };
    let space = Space::new("mem");
    let ran = Arc::new(AtomicU64::new(0));
    let node = start(space.node().pool(Pool::new("q").size(16).worker(counter(&ran))));
    let mut marks = vec![];
    for round in 0..6_u64 {
        let jobs: Vec<_> = (0..10_000)
            .map(|i| space.client.enqueue(N(i)).id(format!("{round}-{i}")).prepare())
            .collect();
        for r in space.client.enqueue_prepared(jobs).await {
            r.unwrap();
        }
        until(s(60), || async { ran.load(Ordering::Relaxed) >= (round + 1) * 10_000 }).await;
        marks.push(rss());
    }
    let used: i64 =
        space.redis(redis::cmd("MEMORY").arg("USAGE").arg(space.key("q", "ready:normal"))).await;
    report(
        "memory over 60,000 jobs",
        marks[5] < marks[1] + 8_000,
        format!("RSS in KiB {marks:?}; stream {used} bytes"),
    );
    node.stop().await;
}
