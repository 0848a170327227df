//! Claims whose reply was lost, and a stream that is trimmed.

use super::*;
use faults::Server;

/// mastra PR #23697, redis #7973: more than one page of pending entries, the lost ones last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_claims_behind_a_thousand_that_run() {
    let t = "pending_1000";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, _: Context| {
        let seen = sn.clone();
        async move {
            seen.note(n);
            if n < 1200 {
                tokio::time::sleep(secs(3600)).await;
            }
            Done
        }
    });
    let node = start(
        Node::builder(c.clone())
            .shutdown_timeout(secs(1))
            .pool(Pool::new("q").size(1500).worker(w)),
    );
    tokio::time::sleep(secs(1)).await;
    for r in c.enqueue_many((0..1200).map(N)).await {
        r.unwrap();
    }
    assert!(until_seen(30, &seen, 1200).await.is_some());
    let lane = "t:{q.0}:ready:normal";
    let me = c.nodes().await.unwrap()[0].name.clone();
    // A claim whose reply was lost: the entries are assigned to this node, which never receives them.
    c.pause("q").await.unwrap();
    tokio::time::sleep(secs(1)).await;
    for n in 2000..2005 {
        c.enqueue(N(n)).await.unwrap();
    }
    let got = s.cmd(&["XREADGROUP", "GROUP", "workers", &me, "COUNT", "10", "STREAMS", lane, ">"]);
    c.resume("q").await.unwrap();
    say(t, format!("given to {me} behind its back: {} lines", got.lines().count()));
    // After a lost reply the claimer's connection breaks: it opens another and adopts the jobs.
    s.cmd(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    let took = until(100, || async { (2000..2005).all(|n| seen.has(n)) }).await;
    say(
        t,
        format!(
            "1200 jobs run on, 300 slots are free; the 5 lost ones ran after {took:?}; pending {}",
            s.cmd(&["XPENDING", lane, "workers"]).lines().next().unwrap_or_default()
        ),
    );
    node.stop().await;
    assert!(took.is_some(), "only the first 1000 pending entries are ever looked at");
}

/// The same with few jobs, to show that the trial itself is fair.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_claims_behind_a_hundred_that_run() {
    let t = "pending_100";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, _: Context| {
        let seen = sn.clone();
        async move {
            seen.note(n);
            if n < 1200 {
                tokio::time::sleep(secs(3600)).await;
            }
            Done
        }
    });
    let node = start(
        Node::builder(c.clone())
            .shutdown_timeout(secs(1))
            .pool(Pool::new("q").size(1500).worker(w)),
    );
    tokio::time::sleep(secs(1)).await;
    for r in c.enqueue_many((0..100).map(N)).await {
        r.unwrap();
    }
    assert!(until_seen(30, &seen, 100).await.is_some());
    let me = c.nodes().await.unwrap()[0].name.clone();
    c.pause("q").await.unwrap();
    tokio::time::sleep(secs(1)).await;
    for n in 2000..2005 {
        c.enqueue(N(n)).await.unwrap();
    }
    s.cmd(&[
        "XREADGROUP",
        "GROUP",
        "workers",
        &me,
        "COUNT",
        "10",
        "STREAMS",
        "t:{q.0}:ready:normal",
        ">",
    ]);
    c.resume("q").await.unwrap();
    s.cmd(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    let took = until(100, || async { (2000..2005).all(|n| seen.has(n)) }).await;
    say(t, format!("the 5 lost ones ran after {took:?}"));
    node.stop().await;
    assert!(took.is_some());
}

/// redis #10756, #6199: the stream is trimmed under pending entries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_trimmed_under_its_pending_entries() {
    let t = "trimmed";
    let s = Server::start(&[]);
    let c = client(&s.url());
    let seen = Seen::default();
    let sn = seen.clone();
    let w = worker_fn(move |N(n): N, _: Context| {
        let seen = sn.clone();
        async move {
            tokio::time::sleep(secs(3)).await;
            seen.note(n);
            if n % 2 == 0 {
                return Err::<Outcome, BoxError>("again".into());
            }
            Ok(Done)
        }
    });
    let node = start(Node::builder(c.clone()).pool(Pool::new("q").size(8).worker(w)));
    tokio::time::sleep(secs(1)).await;
    for n in 0..8 {
        c.enqueue(N(n)).await.unwrap();
    }
    tokio::time::sleep(secs(1)).await;
    let lane = "t:{q.0}:ready:normal";
    s.cmd(&["XTRIM", lane, "MAXLEN", "0"]);
    let clean =
        until(100, || async { s.cmd(&["XPENDING", lane, "workers"]).starts_with('0') }).await;
    c.enqueue(N(101)).await.unwrap();
    let went = until(10, || async { seen.has(101) }).await;
    say(t, format!("pending entries gone after {clean:?}; another job {went:?}"));
    node.stop().await;
    assert!(clean.is_some() && went.is_some());
}
