//! Servers that are busy, paused, loading, read-only or far away.

use super::*;
use faults::Server;
use std::time::Instant;

/// bullmq #265, bull #2015, bee-queue #448: a foreign script keeps the server busy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_script_keeps_the_server_busy() {
    let t = "busy";
    let s = Server::start(&[]);
    s.cmd(&["CONFIG", "SET", "busy-reply-threshold", "1000"]);
    let c = client(&s.url());
    let seen = Seen::default();
    let a = start(
        Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, secs(2)))),
    );
    let b = start(
        Node::builder(client(&s.url()))
            .pool(Pool::new("q").size(4).worker(counting(&seen, secs(2)))),
    );
    tokio::time::sleep(secs(2)).await;
    for n in 0..8 {
        c.enqueue(N(n)).await.unwrap();
    }
    for n in 8..12 {
        c.enqueue(N(n)).after(secs(6)).await.unwrap();
    }
    tokio::time::sleep(ms(500)).await;
    let mut k = s.conn().unwrap();
    std::thread::spawn(move || {
        faults::send(&mut k, &["EVAL", "while true do end", "0"]);
    });
    let started = Instant::now();
    tokio::time::sleep(secs(2)).await;
    let e = c.enqueue(N(90)).await.map(|_| ()).map_err(|e| what(&e));
    say(t, format!("enqueue meanwhile: {e:?}"));
    tokio::time::sleep(secs(14)).await;
    let killed = s.cmd(&["SCRIPT", "KILL"]);
    say(t, format!("script ended after {:?}: {killed}", started.elapsed()));
    let up = until(10, || async { c.enqueue(N(91)).await.is_ok() }).await;
    let took = until(30, || async { (0..12).all(|n| seen.has(n)) && seen.has(91) }).await;
    tokio::time::sleep(secs(2)).await;
    let twice: Vec<u64> = (0..12).filter(|n| seen.of(*n) > 1).collect();
    say(
        t,
        format!(
            "enqueue {up:?}; all ran {took:?}; twice {twice:?}; nodes {}",
            c.nodes().await.unwrap().len()
        ),
    );
    a.stop().await;
    b.stop().await;
    assert!(took.is_some() && twice.is_empty());
}

/// Slow commands of others: 3, 10, 30 s (BullMQ #439-like lock loss; redis KEYS on big servers).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_commands_of_others() {
    let t = "sleep";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let a = start(
        Node::builder(c.clone()).pool(Pool::new("q").size(8).worker(counting(&seen, secs(5)))),
    );
    let b = start(
        Node::builder(client(&s.url()))
            .pool(Pool::new("q").size(8).worker(counting(&seen, secs(5)))),
    );
    tokio::time::sleep(secs(2)).await;
    let mut next = 0;
    let mut bad = vec![];
    for pause in [3u64, 10, 30] {
        let from = next;
        for _ in 0..16 {
            c.enqueue(N(next)).await.unwrap();
            next += 1;
        }
        tokio::time::sleep(secs(1)).await;
        let mut k = s.conn().unwrap();
        let h = std::thread::spawn(move || {
            faults::send(&mut k, &["DEBUG", "SLEEP", &pause.to_string()]);
        });
        tokio::time::sleep(ms(500)).await;
        let e = c.enqueue(N(1000 + pause)).await.map(|_| "stored").map_err(|e| what(&e));
        while !h.is_finished() {
            tokio::time::sleep(ms(50)).await;
        }
        let after = Instant::now();
        let took = until(40, || async { (from..next).all(|n| seen.has(n)) }).await;
        let up = until(40, || async { c.enqueue(N(2000 + pause)).await.is_ok() }).await;
        let ran = until(40, || async { seen.has(2000 + pause) }).await;
        let twice: Vec<u64> = (from..next).filter(|n| seen.of(*n) > 1).collect();
        say(
            t,
            format!(
                "asleep {pause} s: enqueue {e:?}; afterwards all ran {took:?}, enqueue {up:?}, new job {ran:?} ({:?} in all); twice {twice:?}",
                after.elapsed()
            ),
        );
        if took.is_none() || ran.is_none() || !twice.is_empty() {
            bad.push(pause);
        }
        tokio::time::sleep(secs(10)).await;
    }
    let o = c.inspect("q").overview().await.unwrap();
    say(
        t,
        format!(
            "running {}; completed {}; runs {}",
            o.running(),
            o.counter("completed"),
            seen.total()
        ),
    );
    a.stop().await;
    b.stop().await;
    assert!(bad.is_empty(), "{bad:?}");
}

/// CLIENT PAUSE, as managed failovers use it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_pause() {
    let t = "pause";
    let mut bad = vec![];
    for mode in ["WRITE", "ALL"] {
        let s = Server::start(&[]);
        let c = client(&s.url());
        let seen = Seen::default();
        let a = start(
            Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, secs(3)))),
        );
        let b = start(
            Node::builder(client(&s.url()))
                .pool(Pool::new("q").size(4).worker(counting(&seen, secs(3)))),
        );
        tokio::time::sleep(secs(2)).await;
        for n in 0..8 {
            c.enqueue(N(n)).await.unwrap();
        }
        tokio::time::sleep(ms(500)).await;
        s.cmd(&["CLIENT", "PAUSE", "20000", mode]);
        let e = c.enqueue(N(50)).await.map(|_| "stored").map_err(|e| what(&e));
        let i = c
            .enqueue(N(51))
            .id("x")
            .idempotent(secs(600))
            .await
            .map(|_| "stored")
            .map_err(|e| what(&e));
        tokio::time::sleep(secs(20)).await;
        let up = until(15, || async { c.enqueue(N(60)).await.is_ok() }).await;
        let took = until(30, || async { (0..8).all(|n| seen.has(n)) && seen.has(60) }).await;
        tokio::time::sleep(secs(4)).await;
        let twice: Vec<u64> = (0..100).filter(|n| *n != 60 && seen.of(*n) > 1).collect();
        let o = c.inspect("q").overview().await.unwrap();
        say(
            t,
            format!(
                "paused {mode} 20 s: plain {e:?}, idempotent {i:?}; then enqueue {up:?}, all ran {took:?}; twice {twice:?}; job 50 ran {} times; running {}",
                seen.of(50),
                o.running()
            ),
        );
        a.stop().await;
        b.stop().await;
        if took.is_none() || !twice.is_empty() || o.running() != 0 {
            bad.push(mode);
        }
    }
    assert!(bad.is_empty(), "{bad:?}");
}

/// predis #1144, juicefs #5391: LOADING for a while after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loading_for_a_while() {
    let t = "loading";
    // Both matter only while it loads.
    let s = Server::start(&[
        ("key-load-delay", "60000"),
        ("loading-process-events-interval-bytes", "1024"),
    ]);
    let c = client(&s.url());
    let seen = Seen::default();
    let a = start(
        Node::builder(c.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, ms(10)))),
    );
    c.enqueue(N(0)).await.unwrap();
    assert!(until_seen(10, &seen, 1).await.is_some());
    s.cmd(&["DEBUG", "POPULATE", "900", "filler", "200"]);
    c.enqueue(N(1)).after(secs(8)).await.unwrap();
    s.cmd(&["SAVE"]);
    s.kill();
    s.launch();
    tokio::time::sleep(secs(1)).await;
    let ping = s.try_cmd(&["PING"]).unwrap_or_default();
    let e = c.enqueue(N(2)).await.map(|_| "stored").map_err(|e| what(&e));
    let fresh = Seen::default();
    let b = start(
        Node::builder(client(&s.url()))
            .pool(Pool::new("other").size(4).worker(counting(&fresh, ms(10)))),
    );
    tokio::time::sleep(secs(3)).await;
    let ended = b.task.is_finished();
    say(
        t,
        format!("while it loads ({ping}): enqueue {e:?}; a node that starts has ended: {ended}"),
    );
    let up = until(60, || async { c.enqueue(N(3)).await.is_ok() }).await;
    let took = until(40, || async { seen.has(1) && seen.has(3) }).await;
    say(t, format!("enqueue again {up:?}; all ran {took:?}"));
    a.stop().await;
    if !ended {
        b.stop().await;
    }
    assert!(took.is_some() && !ended);
}

/// The server is a replica for a while (operator's mistake, orchestrators): READONLY, MASTERDOWN.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_for_a_while() {
    let t = "replica_while";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let a = start(
        Node::builder(c.clone())
            .pool(Pool::new("q").size(4).worker(counting(&seen, secs(3))))
            .pool(Pool::new("keyed").mode(Mode::Phash).size(4).worker(counting(&seen, ms(10)))),
    );
    let b = start(
        Node::builder(client(&s.url()))
            .pool(Pool::new("q").size(4).worker(counting(&seen, secs(3)))),
    );
    tokio::time::sleep(secs(2)).await;
    for n in 0..8 {
        c.enqueue(N(n)).await.unwrap();
    }
    let pool = c.pool::<N>("keyed");
    for n in 20..30 {
        pool.cast(N(n)).key(n.to_string()).await.unwrap();
    }
    tokio::time::sleep(ms(500)).await;
    s.cmd(&["REPLICAOF", "127.0.0.1", "1"]);
    tokio::time::sleep(secs(2)).await;
    let e = c.enqueue(N(60)).await.map(|_| "stored").map_err(|e| what(&e));
    tokio::time::sleep(secs(13)).await;
    s.cmd(&["REPLICAOF", "NO", "ONE"]);
    let up = until(15, || async { c.enqueue(N(61)).await.is_ok() }).await;
    let cast = until(15, || async { pool.cast(N(62)).key("z").await.is_ok() }).await;
    let took = until(40, || async {
        (0..8).all(|n| seen.has(n)) && (20..30).all(|n| seen.has(n)) && seen.has(61) && seen.has(62)
    })
    .await;
    tokio::time::sleep(secs(2)).await;
    let twice: Vec<u64> = (0..30).filter(|n| seen.of(*n) > 1).collect();
    let o = c.inspect("q").overview().await.unwrap();
    say(
        t,
        format!(
            "meanwhile {e:?}; then enqueue {up:?}, cast {cast:?}, all ran {took:?}; twice {twice:?}; running {}",
            o.running()
        ),
    );
    a.stop().await;
    b.stop().await;
    assert!(took.is_some() && twice.is_empty() && o.running() == 0);
}

/// apalis-redis #76 (a response timeout below what the server needs is fatal): a link with 1.3 s round trip.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_whose_round_trip_is_above_a_second() {
    let t = "slow_link";
    let s = Server::start(&[]);
    let p = faults::Proxy::start(s.port);
    p.delay.store(650, std::sync::atomic::Ordering::Relaxed);
    let far = client(&p.url());
    let seen = Seen::default();
    let node = start(
        Node::builder(far.clone()).pool(Pool::new("q").size(4).worker(counting(&seen, ms(10)))),
    );
    let e = far.enqueue(N(1)).await.map(|_| "stored").map_err(|e| what(&e));
    let took = until_seen(45, &seen, 1).await;
    say(
        t,
        format!(
            "enqueue over the slow link {e:?}; job ran {took:?}; node ended {}",
            node.task.is_finished()
        ),
    );
    let stop = node.stop().await;
    say(t, format!("stopped in {stop:?}"));
    assert!(
        took.is_some(),
        "commands take 1.3 s and succeed, signs of life are given up after 1 s: nothing is ever claimed"
    );
}
