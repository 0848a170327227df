//! Odd names, and many queues.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use poolder::Config;
use poolder::prelude::*;

use crate::harness::*;

/// Names with odd characters.
#[tokio::test(flavor = "multi_thread")]
async fn odd_names() {
    let space = Space::new("odd");
    let mut out = vec![];
    for q in [
        "..",
        "-",
        "_",
        "0",
        ".0",
        "a.0",
        "roster",
        "CON",
        &"q".repeat(64),
        "a b",
        "ä",
        "",
        "a{b}",
        "a*b",
    ] {
        let ran = Arc::new(AtomicU64::new(0));
        match space.client.enqueue(N(1)).queue(q).await {
            Err(e) => out.push((
                q.to_owned(),
                e.is_invalid(),
                format!("refused invalid={}", e.is_invalid()),
            )),
            Ok(_) => {
                space.client.enqueue(N(2)).queue(q).after(ms(300)).await.unwrap();
                let node = start(space.node().pool(Pool::new(q).size(1).worker(counter(&ran))));
                let ok = until(s(6), || async { ran.load(Ordering::Relaxed) == 2 }).await;
                node.stop().await;
                out.push((q.to_owned(), ok, format!("ran={ok}")));
            }
        }
    }
    // "a" with partition 0 against queue "a.0"
    let bad: Vec<_> = out.iter().filter(|o| !o.1).collect();
    report("odd queue names", bad.is_empty(), format!("{out:?}"));
    let a = space.client.enqueue(N(1)).queue("z").await.unwrap();
    let b = space.overview("z.0").await.ready();
    report("queue z is not queue z.0", b == 0, format!("{:?}", a.partition));
    for id in ["", "ä\n{}:*", "a\0b", &"i".repeat(100_000)] {
        let r = space.client.enqueue(N(1)).queue("ids").id(id).after(s(100)).await.unwrap();
        let h = named("ids", id);
        let found = space.client.job(h).view().await.unwrap().is_some();
        report(&format!("own id of {} bytes", id.len()), found, format!("{}", r.job));
    }
}

/// Another namespace with odd characters, and the default one with a colon.
#[tokio::test(flavor = "multi_thread")]
async fn odd_namespaces() {
    let url = url();
    for ns in ["", "a b", "{x}", "a:b", "ä", "a*", "a\nb", &"n".repeat(300), "prod/eu", "x{y}z"] {
        let r = Client::new(Config::new(&url).namespace(ns));
        match r {
            Err(e) => println!(
                "   {:?} refused invalid={}",
                ns.chars().take(8).collect::<String>(),
                e.is_invalid()
            ),
            Ok(c) => {
                let ran = Arc::new(AtomicU64::new(0));
                let node = start(
                    Node::builder(c.clone()).pool(Pool::new("q").size(1).worker(counter(&ran))),
                );
                let a = c.enqueue(N(1)).await;
                let b = c.enqueue(N(2)).after(ms(300)).await;
                let ok = until(s(5), || async { ran.load(Ordering::Relaxed) == 2 }).await;
                node.stop().await;
                report(
                    &format!("namespace {:?}", ns.chars().take(8).collect::<String>()),
                    ok,
                    format!("{:?} {:?}", a.is_ok(), b.is_ok()),
                );
            }
        }
    }
}

/// Thousands of queues: one client (asynq, sidekiq), one node.
#[tokio::test(flavor = "multi_thread")]
async fn many_queues() {
    let space = Space::new("queues");
    let calls = |name: &'static str| {
        let sp = &space;
        async move {
            let info: String = sp.redis(redis::cmd("INFO").arg("commandstats")).await;
            info.lines()
                .find(|l| l.starts_with(&format!("cmdstat_{name}:")))
                .and_then(|l| l.split("calls=").nth(1))
                .and_then(|t| t.split(',').next())
                .and_then(|t| t.parse::<u64>().ok())
                .unwrap_or(0)
        }
    };
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
    for n in [1000_u64, 1100] {
        for round in 0..3 {
            let before = total().await;
            let x = calls("xadd").await;
            for i in 0..n {
                space.client.enqueue(N(i)).queue(format!("{n}-{i}")).await.unwrap();
            }
            println!(
                "NOTE client with {n} queues, round {round}: {} commands for {} XADDs",
                total().await - before,
                calls("xadd").await - x
            );
        }
    }
    let t = Instant::now();
    let queues = space.client.queues().await.unwrap().len();
    println!("   client.queues(): {queues} in {:?}", t.elapsed());
    // one node with 200 pools
    let before: i64 = connected(&space).await;
    let ran = Arc::new(AtomicU64::new(0));
    let mut b = space.node();
    for i in 0..200 {
        b = b.pool(Pool::new(format!("1000-{i}")).size(1).worker(counter(&ran)));
    }
    let t = Instant::now();
    let node = start(b);
    let all = until(s(60), || async { ran.load(Ordering::Relaxed) >= 600 }).await;
    let ready = t.elapsed();
    tokio::time::sleep(s(3)).await;
    let conns = connected(&space).await - before;
    let c = total().await;
    tokio::time::sleep(s(5)).await;
    let idle = (total().await - c) as f64 / 5.0;
    let took = node.stop().await;
    let after = connected(&space).await;
    report(
        "one node with 200 pools",
        all && took.is_some_and(|t| t < s(10)) && after <= before + 1,
        format!(
            "600 jobs done after {ready:?}; {conns} connections; {idle:.0} commands/s idle (server-wide); stop {took:?}; connections after {after} (before {before})"
        ),
    );
}

async fn connected(space: &Space) -> i64 {
    let info: String = space.redis(redis::cmd("INFO").arg("clients")).await;
    info.lines()
        .find(|l| l.starts_with("connected_clients:"))
        .and_then(|l| l.split(':').nth(1))
        .and_then(|t| t.trim().parse().ok())
        .unwrap_or(0)
}
