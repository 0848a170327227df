//! Batchers: races of their seals, and options at the edge.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use poolder::Result;
use poolder::prelude::*;

use crate::harness::*;

/// asynq#529, benthos#1001, Broadway: batches that gather while no node runs; partial batch at
/// shutdown; flush, limit and timeout at the same moment; thousands of groups.
#[tokio::test(flavor = "multi_thread")]
async fn batches_at_the_edges() {
    type Seen = Arc<Mutex<Vec<(String, Vec<String>)>>>;
    #[derive(Clone)]
    struct B(Seen);
    impl BatchWorker for B {
        type Entry = String;
        async fn handle_batch(
            &mut self,
            batch: &mut Batch<String>,
            _cx: Context,
        ) -> Result<Outcome> {
            let group = batch.group().to_string();
            let all = batch.all().await?.into_iter().map(|(_, e)| e).collect();
            self.0.lock().unwrap().push((group, all));
            Ok(Done)
        }
    }
    let space = Space::new("batch");
    let seen: Seen = Arc::default();
    let make = |seen: &Seen| {
        Batcher::new("b", B(Arc::clone(seen))).limit(50).timeout(s(1)).max_groups(100_000)
    };
    let node = start(space.node().add(make(&seen)));
    let h = space.client.batcher::<String>("b");
    until(s(10), || async { h.push("warm".into()).await.is_ok() }).await;
    until(s(10), || async { !seen.lock().unwrap().is_empty() }).await;
    h.push("partial".into()).await.unwrap();
    node.stop().await;
    tokio::time::sleep(s(2)).await;
    for i in 0..7 {
        h.push(format!("alone {i}")).await.unwrap();
    }
    tokio::time::sleep(s(3)).await;
    let before = seen.lock().unwrap().len();
    let node = start(space.node().add(make(&seen)));
    let all = until(s(6), || async {
        seen.lock().unwrap().iter().flat_map(|(_, b)| b.clone()).count() == 9
    })
    .await;
    report(
        "asynq#529: entries that waited without a node are sealed when one comes",
        before == 1 && all,
        format!("{:?}", seen.lock().unwrap()),
    );
    // flush, timeout and limit race
    seen.lock().unwrap().clear();
    let mut sent = 0;
    for round in 0..60 {
        let n = [1, 49, 50, 51][round % 4];
        h.push_many((0..n).map(|i| format!("{round}-{i}"))).await.all().unwrap();
        sent += n;
        if round % 3 == 0 {
            tokio::time::sleep(ms(950 + (round as u64 % 7) * 15)).await;
        }
        let f: Vec<_> = (0..4)
            .map(|_| {
                let h = h.clone();
                tokio::spawn(async move { h.flush().await })
            })
            .collect();
        for f in f {
            f.await.unwrap().unwrap();
        }
    }
    until(s(10), || async {
        seen.lock().unwrap().iter().map(|(_, b)| b.len()).sum::<usize>() >= sent
    })
    .await;
    tokio::time::sleep(s(1)).await;
    let got: Vec<String> = seen.lock().unwrap().iter().flat_map(|(_, b)| b.clone()).collect();
    let uniq: HashSet<_> = got.iter().collect();
    let empty = seen.lock().unwrap().iter().filter(|(_, b)| b.is_empty()).count();
    report(
        "double flush: limit, timeout and 4 flushes at once",
        got.len() == sent && uniq.len() == sent && empty == 0,
        format!("{} of {sent}, {} different, {empty} empty batches", got.len(), uniq.len()),
    );
    // odd group names
    let mut odd = vec![];
    for g in [
        "",
        " ",
        "a:b",
        "{x}",
        "ä€😀",
        "a\nb",
        "a\0b",
        "*",
        "timer:batch:seal:b:1:x",
        &"g".repeat(128),
        &"g".repeat(129),
        "1 2 3",
    ] {
        let gr = h.group(g);
        match gr.push(format!("in {}", g.len())).await {
            Err(e) if e.is_invalid() => {
                odd.push(format!("{:?} refused true", &g.chars().take(12).collect::<String>()));
            }
            r => {
                let ok = until(s(4), || async {
                    seen.lock()
                        .unwrap()
                        .iter()
                        .any(|(group, b)| group == g && b.contains(&format!("in {}", g.len())))
                })
                .await;
                odd.push(format!(
                    "{:?} push={} sealed by time={ok}",
                    &g.chars().take(12).collect::<String>(),
                    r.is_ok()
                ));
            }
        }
    }
    report(
        "odd group names: refused or work",
        odd.iter()
            .all(|t| t.contains("refused true") || t.contains("push=true sealed by time=true")),
        odd.join("; "),
    );
    // 3,000 groups that all time out together, beside a delayed job of the same queue's partition
    seen.lock().unwrap().clear();
    let t = Instant::now();
    let tasks: Vec<_> = (0..30)
        .map(|k| {
            let h = h.clone();
            tokio::spawn(async move {
                for i in 0..100 {
                    h.group(format!("g{}", k * 100 + i)).push("e".into()).await.unwrap();
                }
            })
        })
        .collect();
    for t in tasks {
        t.await.unwrap();
    }
    let pushed = t.elapsed();
    let ok = until(s(40), || async { seen.lock().unwrap().len() >= 3000 }).await;
    let took = t.elapsed();
    let open = h.open(10).await.unwrap().len();
    let sums = h.sums().await.unwrap();
    let due: i64 = space.redis(redis::cmd("ZCARD").arg(space.key("b", "due"))).await;
    report(
        "3,000 groups time out together; nothing leaks",
        ok && open == 0 && due == 0,
        format!(
            "pushed in {pushed:?}, all handled after {took:?}; open={open} due timers={due} sums={sums:?}"
        ),
    );
    node.stop().await;
    let keys: Vec<String> =
        space.redis(redis::cmd("KEYS").arg(format!("{}:*b.0*", space.name))).await;
    println!("   keys left: {keys:?}");
}

/// Batcher options at the edge.
#[tokio::test(flavor = "multi_thread")]
async fn batcher_extremes() {
    #[derive(Clone)]
    struct B(Arc<AtomicU64>);
    impl BatchWorker for B {
        type Entry = String;
        async fn handle_batch(
            &mut self,
            batch: &mut Batch<String>,
            _cx: Context,
        ) -> Result<Outcome> {
            let n = batch.all().await?.len();
            self.0.fetch_add(n as u64, Ordering::Relaxed);
            Ok(Done)
        }
    }
    type Setting = fn(Batcher<B>) -> Batcher<B>;
    let f: Vec<(&str, Setting)> = vec![
        ("timeout MAX", |b| b.timeout(Duration::MAX).limit(3)),
        ("timeout 1 ns", |b| b.timeout(Duration::from_nanos(1)).limit(3)),
        ("max_bytes u64::MAX", |b| b.max_bytes(u64::MAX).limit(3)),
        ("max_waiting u64::MAX", |b| b.max_waiting(u64::MAX).limit(3)),
        ("max_groups u32::MAX", |b| b.max_groups(u32::MAX).limit(3)),
        ("limit 1,000,000", |b| b.limit(1_000_000).timeout(s(1))),
        ("limit u32::MAX", |b| b.limit(u32::MAX)),
        ("max_bytes 1", |b| b.max_bytes(1).limit(3)),
        ("max_waiting 1", |b| b.max_waiting(1).limit(3).timeout(ms(500))),
        ("retry MAX", |b| {
            b.policy(
                Policy::default()
                    .attempts(u32::MAX)
                    .backoff(Backoff::Exponential { base: Duration::MAX, cap: Duration::MAX }),
            )
            .limit(3)
        }),
    ];
    for (label, f) in f {
        let space = Space::new("bx");
        let n = Arc::new(AtomicU64::new(0));
        let node =
            start(space.node().shutdown_timeout(s(2)).add(f(Batcher::new("b", B(Arc::clone(&n))))));
        tokio::time::sleep(ms(400)).await;
        if node.task.is_finished() {
            let r = node.task.await;
            println!(
                "   {label}: the node ended: {}",
                match r {
                    Ok(Err(e)) => format!("invalid={} {e}", e.is_invalid()),
                    other => format!("{other:?}"),
                }
            );
            continue;
        }
        let h = space.client.batcher::<String>("b");
        let mut pushed = vec![];
        for i in 0..3 {
            pushed.push(
                h.push(format!("e{i}"))
                    .wait(s(3))
                    .await
                    .map_err(|e| e.to_string().chars().take(60).collect::<String>()),
            );
        }
        let good = pushed.iter().filter(|p| p.is_ok()).count() as u64;
        let ok = until(s(5), || async { n.load(Ordering::Relaxed) == good }).await;
        let took = node.stop().await;
        report(
            &format!("batcher {label}"),
            ok && took.is_some(),
            format!("pushed {pushed:?} handled {} stop {took:?}", n.load(Ordering::Relaxed)),
        );
    }
}

/// Batch tokens.
#[tokio::test(flavor = "multi_thread")]
async fn push_token_forever() {
    let space = Space::new("token");
    #[derive(Clone)]
    struct B;
    impl BatchWorker for B {
        type Entry = String;
        async fn handle_batch(
            &mut self,
            batch: &mut Batch<String>,
            _cx: Context,
        ) -> Result<Outcome> {
            batch.all().await?;
            Ok(Done)
        }
    }
    let node = start(space.node().add(Batcher::new("b", B).limit(1000)));
    until(s(10), || async { space.client.batcher::<String>("b").push("x".into()).await.is_ok() })
        .await;
    let h = space.client.batcher::<String>("b");
    let before = h.len().await.unwrap();
    let one = h.push("y".into()).token("t", Duration::MAX).await;
    let two = h.push("y".into()).token("t", Duration::MAX).await;
    let len = h.len().await.unwrap() - before;
    report(
        "push.token(t, MAX) twice",
        (one.is_ok() && len == 1) || (one.is_err() && len == 0),
        format!("{one:?} {two:?} entries={len}"),
    );
    node.stop().await;
}
