//! Many callers that wait, and callers that give up.

use super::*;
use faults::Server;
use std::time::Instant;

/// bullmq #2749, #1270: thousands wait for results while the hints' connection is cut again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_waiters_while_hints_are_cut() {
    let t = "waiters";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, _: Context| {
        let seen = sn.clone();
        async move {
            tokio::time::sleep(ms(20)).await;
            seen.note(n);
            Ok::<_, BoxError>(Outcome::result(&n)?)
        }
    });
    let node = start(Node::builder(client(&s.url())).pool(Pool::new("q").size(64).worker(w)));
    tokio::time::sleep(secs(1)).await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..3000u64 {
        let c = c.clone();
        calls.spawn(async move {
            let r: Result<u64, _> = c.call(N(n)).timeout(secs(60)).await;
            match r {
                Ok(x) if x == n => Ok(()),
                Ok(x) => Err(format!("{n} got {x}")),
                Err(e) => Err(format!("{n} {}", what(&e))),
            }
        });
    }
    let started = Instant::now();
    let (mut ok, mut bad) = (0, vec![]);
    loop {
        tokio::select! {
            r = calls.join_next() => match r { None => break, Some(r) => match r.unwrap() { Ok(()) => ok += 1, Err(e) => bad.push(e) } },
            () = tokio::time::sleep(ms(150)) => { s.cmd(&["CLIENT", "KILL", "TYPE", "pubsub"]); }
        }
    }
    say(
        t,
        format!(
            "{ok} of 3000 calls answered in {:?}; {} failed {:?}; jobs run {}",
            started.elapsed(),
            bad.len(),
            bad.first(),
            seen.total()
        ),
    );
    let left = s.cmd(&["PUBSUB", "NUMSUB"]);
    let channels = s.cmd(&["PUBSUB", "CHANNELS", "*result*"]);
    say(t, format!("channels still subscribed: {} {left}", channels.lines().count()));
    node.stop().await;
    assert_eq!(ok, 3000);
}

/// celery #5320, #3812, #3808: callers that give up must not leave subscriptions behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_give_up_leave_no_subscriptions() {
    let t = "sub_leak";
    let s = Server::start(&[]);
    let c = client(&s.url());
    // One caller waits all the time, so that the connection for hints stays.
    let c2 = c.clone();
    let waiter = tokio::spawn(async move {
        let _: Result<u64, _> = c2.call(N(1)).timeout(secs(120)).await;
    });
    tokio::time::sleep(secs(1)).await;
    for round in 0..20u64 {
        let mut calls = tokio::task::JoinSet::new();
        for n in 0..200u64 {
            let c = c.clone();
            calls.spawn(async move {
                let call = c.call::<N, u64>(N(n)).into_future();
                let _ = tokio::time::timeout(
                    Duration::from_micros(200 + (n * 37 + round * 11) % 6000),
                    call,
                )
                .await;
            });
        }
        while calls.join_next().await.is_some() {}
    }
    tokio::time::sleep(secs(5)).await;
    let channels =
        s.cmd(&["PUBSUB", "CHANNELS", "*result*"]).lines().filter(|l| !l.is_empty()).count();
    tokio::time::sleep(secs(40)).await;
    let later =
        s.cmd(&["PUBSUB", "CHANNELS", "*result*"]).lines().filter(|l| !l.is_empty()).count();
    say(
        t,
        format!(
            "4000 calls were given up within 6 ms, one goes on: channels subscribed after 5 s {channels}, after 45 s {later}"
        ),
    );
    waiter.abort();
    assert!(later <= 5, "subscriptions pile up while a caller waits");
}
