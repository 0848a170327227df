//! Connections that are closed, do not open, or belong to a runtime that is gone.

use super::*;
use faults::Server;
use std::time::Instant;

/// redis-rs #1223, redis-plus-plus #234: the server closes idle connections (`timeout`, load balancers).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_enqueue_after_the_server_closed_an_idle_connection() {
    let t = "idle";
    let s = Server::start(&[("timeout", "2")]);
    let c = client(&s.url());
    c.enqueue(N(1)).await.unwrap();
    tokio::time::sleep(secs(6)).await;
    let plain = c.enqueue(N(2)).await;
    say(
        t,
        format!(
            "plain enqueue after 6 idle s: {:?}",
            plain.as_ref().map(|_| "stored").map_err(what)
        ),
    );
    tokio::time::sleep(secs(6)).await;
    let overview = c.inspect("q").overview().await;
    say(
        t,
        format!(
            "overview after 6 idle s: {:?}",
            overview.as_ref().map(|view| view.ready()).map_err(what)
        ),
    );
    tokio::time::sleep(secs(6)).await;
    let b = c.batcher::<String>("b");
    for _ in 0..3 {
        if b.declare(poolder::BatchOptions::default()).await.is_ok() {
            break;
        }
    }
    tokio::time::sleep(secs(6)).await;
    let push = b.push("x".into()).await;
    say(t, format!("push after 6 idle s: {:?}", push.as_ref().map(|_| "stored").map_err(what)));
    let len = s.cmd(&["XLEN", "t:{q.0}:ready:normal"]);
    say(t, format!("jobs stored: {len}"));
    assert!(
        plain.is_ok(),
        "the connection was closed long before; nothing was sent, and the caller is told that the outcome is unknown"
    );
    assert!(overview.is_ok() && push.is_ok());
}

/// bullmq #995, bull #2558, StackExchange.Redis #698: callers while the server hangs, no connection yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_do_not_queue_behind_a_connection_that_does_not_open() {
    let t = "herd_new";
    let s = Server::start(&[]);
    let c = client(&s.url());
    s.pause();
    let started = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..20 {
        let c = c.clone();
        calls.spawn(async move {
            let t = Instant::now();
            let r = c.enqueue(N(n)).await;
            (t.elapsed(), r.map_err(|e| what(&e)).map(|_| ()))
        });
    }
    let mut times = vec![];
    let mut last = None;
    while let Some(r) = calls.join_next().await {
        let (d, r) = r.unwrap();
        times.push(d.as_secs_f64());
        last = Some(r);
        if started.elapsed() > secs(90) {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    say(
        t,
        format!(
            "20 callers at once on a server that hangs: first {:.1} s, median {:.1} s, last {:.1} s; {last:?}",
            times[0],
            times[times.len() / 2],
            times[times.len() - 1]
        ),
    );
    s.resume();
    assert!(*times.last().unwrap() < 8.0, "callers wait for each other's attempts to connect");
}

/// The same for a client that is in use: 10 requests a second for 20 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_of_a_client_in_use_fail_fast_while_the_server_hangs() {
    let t = "herd_old";
    let s = Server::start(&[]);
    let c = client(&s.url());
    c.enqueue(N(0)).await.unwrap();
    s.pause();
    let mut calls = tokio::task::JoinSet::new();
    let started = Instant::now();
    for n in 0..200u64 {
        let c = c.clone();
        calls.spawn(async move {
            let t = Instant::now();
            let r = c.enqueue(N(n)).await;
            (n, t.elapsed(), r.is_ok())
        });
        tokio::time::sleep(ms(100)).await;
    }
    let mut done = vec![];
    while let Some(r) = calls.try_join_next() {
        done.push(r.unwrap());
    }
    let slowest = done.iter().map(|d| d.1.as_secs_f64()).fold(0.0, f64::max);
    say(
        t,
        format!(
            "after {:.0} s: {} of 200 calls have ended, the slowest of them took {slowest:.1} s",
            started.elapsed().as_secs_f64(),
            done.len()
        ),
    );
    let waiting = calls.len();
    say(t, format!("still waiting: {waiting}"));
    s.resume();
    let mut worst: f64 = 0.0;
    let all = async {
        while let Some(r) = calls.join_next().await {
            worst = worst.max(r.unwrap().1.as_secs_f64());
        }
    };
    let _ = tokio::time::timeout(secs(60), all).await;
    say(t, format!("after the server went on, the slowest took {worst:.1} s"));
    assert!(waiting < 80 && worst < 8.0, "calls pile up: each waits for the others' attempts");
}

/// herd, smallest: five callers, a server that hangs, no connection yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smallest_herd() {
    let t = "herd_small";
    let s = Server::start(&[]);
    let c = client(&s.url());
    s.pause();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..5 {
        let c = c.clone();
        calls.spawn(async move {
            let t = Instant::now();
            let _ = c.enqueue(N(n)).await;
            t.elapsed().as_secs_f64()
        });
    }
    let mut times = vec![];
    while let Some(r) = calls.join_next().await {
        times.push((r.unwrap() * 10.0).round() / 10.0);
    }
    times.sort_by(f64::total_cmp);
    say(t, format!("5 callers: {times:?} s"));
    s.resume();
    assert!(times[4] < 8.0);
}

/// arq #480, apscheduler #937, aioredis #1273, redis-py #3351: a client kept across runtimes.
#[test]
fn a_client_outlives_the_runtime_that_used_it_first() {
    let t = "runtimes";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let mut bad = 0;
    for round in 0..3 {
        let rt = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let r = rt.block_on(async { c.enqueue(N(round)).await });
        say(
            t,
            format!("runtime {round}: enqueue {:?}", r.as_ref().map(|_| "stored").map_err(what)),
        );
        if r.is_err() {
            bad += 1;
        }
        let b = rt.block_on(async { c.inspect("q").overview().await.map(|o| o.ready()) });
        say(t, format!("runtime {round}: overview {:?}", b.as_ref().map_err(what)));
        let d = rt.block_on(async { c.enqueue(N(round)).after(secs(1)).await });
        say(
            t,
            format!(
                "runtime {round}: delayed enqueue {:?}",
                d.as_ref().map(|_| "stored").map_err(what)
            ),
        );
        if b.is_err() || d.is_err() {
            bad += 1;
        }
        drop(rt);
    }
    assert_eq!(bad, 0, "the first call on each further runtime fails");
}

/// redis-py #2624, #2665: cancelled callers must not disturb others or get their replies mixed up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_enqueues_disturb_no_other() {
    let t = "cancel_enqueue";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..6000u64 {
        let c = c.clone();
        calls.spawn(async move {
            let limit = if n % 3 == 0 { Duration::from_micros(n % 1500) } else { secs(20) };
            let enqueue = c.enqueue(N(n)).into_future();
            match tokio::time::timeout(limit, enqueue).await {
                Ok(Ok(r)) => Ok(Some((n, r))),
                Ok(Err(e)) => Err(format!("{n} {}", what(&e))),
                Err(_) if n % 3 == 0 => Ok(None),
                Err(_) => Err(format!("{n} never answered")),
            }
        });
    }
    let (mut stored, mut cancelled, mut bad) = (vec![], 0, vec![]);
    while let Some(r) = calls.join_next().await {
        match r.unwrap() {
            Ok(Some(x)) => stored.push(x),
            Ok(None) => cancelled += 1,
            Err(e) => bad.push(e),
        }
    }
    // Each receipt must name the entry that holds this very job.
    let mut wrong = 0;
    for (n, r) in stored.iter().step_by(7) {
        let v = c.job(r).view().await.unwrap();
        if v.as_ref().and_then(|v| v.payload_json().ok()).map(|j| j.to_string())
            != Some(n.to_string())
        {
            wrong += 1;
        }
    }
    let len = s.cmd(&["XLEN", "t:{q.0}:ready:normal"]);
    say(
        t,
        format!(
            "stored {}, cancelled {cancelled}, bad {bad:?}, wrong receipts {wrong}, in the stream {len}",
            stored.len()
        ),
    );
    assert!(bad.is_empty() && wrong == 0);
}

/// Upstash/bullmq-like request limits: one request above `proto-max-bulk-len` ends the shared connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_too_large_for_the_server() {
    let t = "bulk_limit";
    let s = Server::start(&[("proto-max-bulk-len", "1048576")]);
    let c = client(&s.url());
    c.enqueue(N(0)).await.unwrap();
    let big = Blob { n: 1, data: "x".repeat(1_048_560) };
    let mut others = tokio::task::JoinSet::new();
    let c2 = c.clone();
    let large =
        tokio::spawn(async move { c2.enqueue(big).await.map(|_| "stored").map_err(|e| what(&e)) });
    for n in 0..200 {
        let c = c.clone();
        others.spawn(async move {
            tokio::time::sleep(Duration::from_micros(n * 20)).await;
            c.enqueue(N(n)).await.map(|_| ()).map_err(|e| what(&e))
        });
    }
    let (mut ok, mut bad) = (0, vec![]);
    while let Some(r) = others.join_next().await {
        match r.unwrap() {
            Ok(()) => ok += 1,
            Err(e) => bad.push(e),
        }
    }
    say(
        t,
        format!(
            "the large one: {:?}; of 200 others {ok} stored, {} failed, e.g. {:?}",
            large.await.unwrap(),
            bad.len(),
            bad.first()
        ),
    );
    assert!(bad.is_empty(), "one caller's large request makes the outcome of others unknown");
}
