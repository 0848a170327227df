//! Handlers that never return, and what a timeout leaves behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use poolder::Result;
use poolder::prelude::*;
use serde::{Deserialize, Serialize};

use crate::harness::*;

#[derive(Serialize, Deserialize, Debug, Clone, Job)]
#[job(kind = "g", queue = "q", attempts = 3, backoff = "200ms", timeout = "500ms")]
struct G(u64);

#[derive(Clone)]
struct W {
    how: &'static str,
    ran: Arc<AtomicU64>,
}

impl Worker for W {
    type Job = G;
    async fn handle_init(&mut self) -> Result<()> {
        if self.how == "init" {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
    async fn handle_pool_ready(&mut self) {
        if self.how == "pool_ready" {
            std::future::pending::<()>().await;
        }
    }
    async fn handle_job(&mut self, job: G, _cx: Context) -> Result<Outcome> {
        if job.0 == 1 {
            return Err("x".into());
        }
        self.ran.fetch_add(1, Ordering::Relaxed);
        Ok(Done)
    }
    async fn handle_error(&mut self, _job: G, _cx: Context, _e: &poolder::BoxError) -> Verdict {
        if self.how == "error" {
            std::future::pending::<()>().await;
        }
        Verdict::Policy
    }
    async fn handle_hibernate(&mut self) {
        if self.how == "hibernate" {
            std::future::pending::<()>().await;
        }
    }
    async fn handle_stop(&mut self) {
        if self.how == "stop" {
            std::future::pending::<()>().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hangs_everywhere() {
    for how in ["nothing", "error", "hibernate", "stop", "pool_ready", "init"] {
        let space = Space::new("hang");
        let ran = Arc::new(AtomicU64::new(0));
        let node = start(
            space.node().shutdown_timeout(s(2)).pool(
                Pool::new("q")
                    .size(1)
                    .hibernate_after(ms(300))
                    .worker(W { how, ran: Arc::clone(&ran) }),
            ),
        );
        tokio::time::sleep(s(1)).await;
        let bad = space.client.enqueue(G(1)).await.unwrap();
        tokio::time::sleep(s(2)).await;
        let c = if how == "error" || how == "hibernate" {
            format!("{:?}", space.client.job(&bad).cancel().await)
        } else {
            String::new()
        };
        tokio::time::sleep(s(4)).await;
        space.client.enqueue(G(2)).await.unwrap();
        let next = until(s(6), || async { ran.load(Ordering::Relaxed) == 1 }).await;
        let state = space.client.job(&bad).state().await.unwrap();
        let brief = space.brief("q").await;
        let took = node.stop().await;
        let pass = match how {
            "init" => took.is_some_and(|t| t < s(6)),
            _ => next && took.is_some_and(|t| t < s(6)),
        };
        report(
            &format!("handle_{how} never returns"),
            pass,
            format!("bad job {state:?} {c}, next ran={next}, stop={took:?}, {brief}"),
        );
    }
}

/// State after a timeout: the same clone goes on, half changed.
#[tokio::test(flavor = "multi_thread")]
async fn state_after_a_timeout() {
    #[derive(Clone)]
    struct W {
        busy: bool,
        torn: Arc<AtomicU64>,
    }
    impl Worker for W {
        type Job = G;
        async fn handle_job(&mut self, job: G, _cx: Context) -> Result<Outcome> {
            if self.busy {
                self.torn.fetch_add(1, Ordering::Relaxed);
            }
            self.busy = true;
            if job.0 == 1 {
                tokio::time::sleep(s(60)).await;
            }
            self.busy = false;
            Ok(Done)
        }
    }
    let space = Space::new("torn");
    let torn = Arc::new(AtomicU64::new(0));
    let node = start(
        space
            .node()
            .pool(Pool::new("q").size(1).worker(W { busy: false, torn: Arc::clone(&torn) })),
    );
    space
        .client
        .enqueue(G(1))
        .policy(Policy::default().attempts(1).timeout(ms(300)))
        .await
        .unwrap();
    space.client.enqueue(G(2)).await.unwrap();
    tokio::time::sleep(s(2)).await;
    println!(
        "NOTE after a timeout the worker's state is torn in {} later jobs (after a panic it is replaced)",
        torn.load(Ordering::Relaxed)
    );
    node.stop().await;
}
