//! Values that panic when they are dropped, and errors that cannot be shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use poolder::Result;
use poolder::prelude::*;

use crate::harness::*;

/// Tasker: drops and payloads that panic.
#[tokio::test(flavor = "multi_thread")]
async fn tasker_bombs() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("panic in Drop")
            }
        }
    }
    for how in [
        "panic_any(Bomb)",
        "future with a bomb, cancelled",
        "output is a bomb that is never taken",
        "blocking panic_any(Bomb)",
    ] {
        let t = Tasker::builder("t").limit(1).build().unwrap();
        match how {
            "panic_any(Bomb)" => {
                let e = t
                    .execute(async {
                        if true {
                            std::panic::panic_any(Bomb)
                        }
                        1_u8
                    })
                    .await
                    .unwrap();
                let r = tokio::time::timeout(s(3), e).await;
                println!(
                    "   {how}: {}",
                    match r {
                        Ok(Ok(_)) => "ok".into(),
                        Ok(Err(e)) => format!("{e:?}"),
                        Err(_) => "no answer".to_string(),
                    }
                );
            }
            "future with a bomb, cancelled" => {
                let e = t
                    .execute(async {
                        let _b = Bomb;
                        tokio::time::sleep(s(60)).await;
                        1_u8
                    })
                    .await
                    .unwrap();
                tokio::time::sleep(ms(100)).await;
                e.cancel();
                tokio::time::sleep(ms(300)).await;
            }
            "output is a bomb that is never taken" => {
                let e = t
                    .execute(async {
                        tokio::time::sleep(ms(100)).await;
                        Bomb
                    })
                    .await
                    .unwrap();
                drop(e);
                tokio::time::sleep(ms(400)).await;
            }
            _ => {
                let e = t
                    .execute_blocking(|| {
                        if true {
                            std::panic::panic_any(Bomb)
                        }
                        1_u8
                    })
                    .await
                    .unwrap();
                let r = tokio::time::timeout(s(3), e).await;
                println!("   {how}: answered {}", r.is_ok());
            }
        }
        let next = async { t.execute(async { 7_u8 }).await.unwrap().await };
        let r = tokio::time::timeout(s(3), next).await;
        let stopped = tokio::time::timeout(s(5), t.stop(s(2))).await;
        report(
            &format!("tasker of 1: {how}"),
            matches!(r, Ok(Ok(7))) && matches!(stopped, Ok(true)),
            format!("next {r:?} stop {stopped:?}"),
        );
    }
}

/// Middleware, batch and scheduler with an error that cannot be shown.
#[tokio::test(flavor = "multi_thread")]
async fn failing_display_in_batches_and_schedulers() {
    #[derive(Debug)]
    struct F;
    impl std::fmt::Display for F {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            Err(std::fmt::Error)
        }
    }
    impl std::error::Error for F {}
    #[derive(Clone)]
    struct B(Arc<AtomicU64>);
    impl BatchWorker for B {
        type Entry = u64;
        async fn handle_batch(&mut self, batch: &mut Batch<u64>, _cx: Context) -> Result<Outcome> {
            let all = batch.all().await?;
            if all.iter().any(|(_, e)| *e == 1) {
                return Err(Box::new(F));
            }
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Done)
        }
    }
    let space = Space::new("fbatch");
    let ran = Arc::new(AtomicU64::new(0));
    let node = start(
        space.node().shutdown_timeout(s(2)).add(Batcher::new("b", B(Arc::clone(&ran))).limit(1)),
    );
    let h = space.client.batcher::<u64>("b");
    until(s(10), || async { h.push(0).await.is_ok() }).await;
    until(s(5), || async { ran.load(Ordering::Relaxed) == 1 }).await;
    h.push(1).await.unwrap();
    tokio::time::sleep(ms(500)).await;
    h.push(2).await.unwrap();
    let ok = until(s(6), || async { ran.load(Ordering::Relaxed) == 2 }).await;
    let took = node.stop().await;
    report(
        "batcher (1 slot) after an error that cannot be shown",
        ok && took.is_some_and(|t| t < s(6)),
        format!("next batch ran={ok} stop {took:?}"),
    );
    #[derive(Clone)]
    struct P(Arc<AtomicU64>);
    impl Periodic for P {
        const NAME: &'static str = "sch";
        async fn handle_job(&mut self, job: &str, _cx: Context) -> Result<Then> {
            if job == "bad" {
                return Err(Box::new(F));
            }
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Then::Continue)
        }
    }
    let space = Space::new("fperiodic");
    let ran = Arc::new(AtomicU64::new(0));
    let node = start(
        space
            .node()
            .shutdown_timeout(s(2))
            .add(Scheduler::new(P(Arc::clone(&ran))).job("bad", "500ms").job("good", "500ms")),
    );
    tokio::time::sleep(s(12)).await;
    let a = ran.load(Ordering::Relaxed);
    tokio::time::sleep(s(4)).await;
    let b = ran.load(Ordering::Relaxed);
    let took = node.stop().await;
    report(
        "scheduler: the good job goes on beside one whose error cannot be shown",
        b > a + 4 && took.is_some_and(|t| t < s(6)),
        format!("good ran {a}, 4 s later {b}; {}; stop {took:?}", space.brief("sch").await),
    );
}
