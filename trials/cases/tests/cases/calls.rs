//! Calls, results and progress.

use std::time::{Duration, Instant};

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

use crate::harness::*;

/// poolboy#64/#70, poolex#210: calls that time out leak nothing.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_time_out() {
    let space = Space::new("calls");
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker_fn(
        |job: N, _c: Context| async move {
            tokio::time::sleep(ms(if job.0 == 0 { 20 } else { 1 })).await;
            Ok::<_, BoxError>(Outcome::result(&job.0)?)
        },
    ))));
    let mut out = vec![];
    for i in 0..100 {
        let r = space.client.call::<_, u64>(N(0)).timeout(ms(1 + i % 25)).await;
        out.push(r.is_ok());
    }
    // and futures that are dropped on the way
    for i in 0..100 {
        let _ = tokio::time::timeout(ms(i % 7), async { space.client.call::<_, u64>(N(0)).await })
            .await;
    }
    let works = until(s(15), || async { space.overview("q").await.ready() == 0 }).await;
    let good = tokio::time::timeout(s(5), async { space.client.call::<_, u64>(N(7)).await }).await;
    tokio::time::sleep(s(1)).await;
    let channels: Vec<String> = space
        .redis(redis::cmd("PUBSUB").arg("CHANNELS").arg(format!("*{}*result*", space.name)))
        .await;
    let keys: Vec<String> =
        space.redis(redis::cmd("KEYS").arg(format!("{}:*result*", space.name))).await;
    let mut ttls = vec![];
    for k in keys.iter().take(500) {
        let t: i64 = space.redis(redis::cmd("TTL").arg(k)).await;
        ttls.push(t);
    }
    report(
        "timed-out and dropped calls leave no subscription, no slot",
        works && matches!(good, Ok(Ok(7))) && channels.is_empty(),
        format!(
            "{} of 100 in time; then {good:?}; {} channels; {} records, longest ttl {:?}",
            out.iter().filter(|x| **x).count(),
            channels.len(),
            keys.len(),
            ttls.iter().max()
        ),
    );
    node.stop().await;
}

/// The same for the record of the end: call without a limit.
#[tokio::test(flavor = "multi_thread")]
async fn call_without_limit() {
    let space = Space::new("call");
    let node = start(space.node().pool(Pool::new("q").size(2).worker(worker_fn(
        |job: N, _cx: Context| async move { Ok::<_, BoxError>(Outcome::result(&(job.0 + 1))?) },
    ))));
    for (label, timeout) in [("10 s", s(10)), ("u64::MAX s", s(u64::MAX)), ("MAX", Duration::MAX)] {
        let at = std::time::Instant::now();
        let got = tokio::time::timeout(s(8), async {
            space.client.call::<_, u64>(N(41)).timeout(timeout).await
        })
        .await;
        let text = match &got {
            Err(_) => "still waiting after 8 s".into(),
            Ok(Ok(n)) => format!("{n}"),
            Ok(Err(e)) => format!("Err {e}"),
        };
        report(
            &format!("call.timeout({label})"),
            matches!(got, Ok(Ok(42))),
            format!("{text} in {:?}; {}", at.elapsed(), space.brief("q").await),
        );
    }
    let receipt = space.client.enqueue(N(1)).keep_completion(Duration::MAX).await;
    match receipt {
        Err(e) => report("keep_completion(MAX)", true, format!("refused: {e}")),
        Ok(receipt) => {
            let got =
                tokio::time::timeout(s(5), space.client.job(&receipt).wait::<u64>().timeout(s(4)))
                    .await;
            report(
                "keep_completion(MAX)",
                matches!(got, Ok(Ok(2))),
                format!("{got:?}; {}", space.brief("q").await),
            );
        }
    }
    tokio::time::sleep(s(3)).await;
    println!("   afterwards {}", space.brief("q").await);
    println!("   stop took {:?}", node.stop().await);
    println!("   after stop {}", space.brief("q").await);
}

/// The cost of waiting, in commands.
#[tokio::test(flavor = "multi_thread")]
async fn many_waiters() {
    let space = Space::new("waiters");
    let total = || {
        let sp = &space;
        async move {
            let info: String = sp.redis(redis::cmd("INFO").arg("stats")).await;
            info.lines()
                .find(|l| l.starts_with("total_commands_processed:"))
                .and_then(|l| l.split(':').nth(1))
                .and_then(|t| t.trim().parse::<u64>().ok())
                .unwrap_or(0)
        }
    };
    let mut tasks = vec![];
    for i in 0..1000 {
        let c = space.client.clone();
        tasks.push(tokio::spawn(async move { c.call::<_, u64>(N(i)).timeout(s(60)).await }));
    }
    tokio::time::sleep(s(5)).await;
    let a = total().await;
    tokio::time::sleep(s(5)).await;
    let per = (total().await - a) as f64 / 5.0;
    println!("NOTE 1,000 calls that wait cost {per:.0} commands/s (inner ones not counted)");
    let node = start(space.node().pool(Pool::new("q").size(16).worker(worker_fn(
        |job: N, _c: Context| async move { Ok::<_, BoxError>(Outcome::result(&job.0)?) },
    ))));
    let mut good = 0;
    for t in tasks {
        if t.await.unwrap().is_ok() {
            good += 1;
        }
    }
    report("1,000 calls at once all get their result", good == 1000, format!("{good}"));
    node.stop().await;
}

/// Progress: how many commands does a chatty handler cost?
#[tokio::test(flavor = "multi_thread")]
async fn progress_flood() {
    let space = Space::new("progress");
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker_fn(
        |_: N, cx: Context| async move {
            let all = (0..20_000_u64).map(|i| {
                let cx = cx.clone();
                async move { cx.progress(i, 20_000).await }
            });
            let r = futures_util::future::join_all(all).await;
            let bad = r.iter().filter(|r| r.is_err()).count();
            Ok::<_, BoxError>(Outcome::result(&(bad as u64))?)
        },
    ))));
    let t = Instant::now();
    let bad = space.client.call::<_, u64>(N(1)).timeout(s(30)).await;
    println!("NOTE 20,000 progress calls at once: {bad:?} failed, {:?}", t.elapsed());
    let beats = space.client.nodes().await.unwrap();
    println!("   nodes {:?}", beats.iter().map(|n| n.silent).collect::<Vec<_>>());
    node.stop().await;
}

/// Results that are not made by Outcome::result escape the limit of 1 MiB.
#[tokio::test(flavor = "multi_thread")]
async fn result_without_limit() {
    let space = Space::new("bigresult");
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker_fn(
        |_: N, _c: Context| async { Outcome::DoneWith(vec![0xc0; 30_000_000]) },
    ))));
    let r = space.client.enqueue(N(1)).await.unwrap();
    until(s(10), || async { space.overview("q").await.counter("completed") == 1 }).await;
    let len: i64 =
        space.redis(redis::cmd("STRLEN").arg(space.key("q", &format!("result:{}", r.job)))).await;
    println!("NOTE DoneWith of 30 MB by hand: {len} bytes stored, {}", space.brief("q").await);
    node.stop().await;
}

/// Depth: what enqueue takes, a worker must be able to read.
#[tokio::test(flavor = "multi_thread")]
async fn too_deep_is_refused_at_the_enqueue() {
    #[derive(Serialize, Deserialize, Debug, Clone, Job)]
    #[job(kind = "deep", queue = "q", attempts = 3)]
    struct Deep {
        v: serde_json::Value,
    }
    let space = Space::new("deep");
    let node = start(
        space
            .node()
            .pool(Pool::new("q").size(1).worker(worker_fn(|_: Deep, _c: Context| async { Done }))),
    );
    let mut v = serde_json::json!(1);
    for _ in 0..70 {
        v = serde_json::json!([v]);
    }
    let r = space.client.enqueue(Deep { v: v.clone() }).await;
    tokio::time::sleep(s(1)).await;
    report(
        "a payload nested 71 deep: refused at the enqueue",
        r.is_err(),
        format!(
            "{:?}; {}; batch push {:?}; result {:?}",
            r.as_ref().map(|r| r.stored.clone()),
            space.brief("q").await,
            "-",
            Outcome::result(&v).is_ok()
        ),
    );
    node.stop().await;
}
