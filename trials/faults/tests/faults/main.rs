//! Public bug reports of other queues, tried on Poolder. Each test asserts the right behaviour.

mod addresses;
mod claims;
mod connect;
mod dropped;
mod flushed;
mod maxclients;
mod memory;
mod misc;
mod numbers;
mod outages;
mod panics;
mod time;
mod waiters;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Config, Error, NodeBuilder};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Job)]
#[job(kind = "n", queue = "q")]
pub(crate) struct N(pub(crate) u64);

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Job)]
#[job(kind = "blob", queue = "q")]
pub(crate) struct Blob {
    pub(crate) n: u64,
    pub(crate) data: String,
}

pub(crate) fn log() {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("POOLDER_LOG"))
        .with_test_writer()
        .try_init();
}
pub(crate) fn client(url: &str) -> Client {
    log();
    Client::new(Config::new(url).namespace("t")).unwrap()
}

/// How often each number ran.
#[derive(Clone, Default)]
pub(crate) struct Seen(pub(crate) Arc<Mutex<HashMap<u64, u32>>>);
impl Seen {
    pub(crate) fn note(&self, n: u64) {
        *self.0.lock().unwrap().entry(n).or_default() += 1;
    }
    pub(crate) fn distinct(&self) -> usize {
        self.0.lock().unwrap().len()
    }
    pub(crate) fn total(&self) -> u32 {
        self.0.lock().unwrap().values().sum()
    }
    pub(crate) fn has(&self, n: u64) -> bool {
        self.0.lock().unwrap().contains_key(&n)
    }
    pub(crate) fn of(&self, n: u64) -> u32 {
        self.0.lock().unwrap().get(&n).copied().unwrap_or(0)
    }
}
pub(crate) fn counting(seen: &Seen, takes: Duration) -> impl Worker<Job = N> + use<> {
    let seen = seen.clone();
    worker_fn(move |N(n): N, _cx: Context| {
        let seen = seen.clone();
        async move {
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            seen.note(n);
            Done
        }
    })
}

pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<Result<(), Error>>,
}
pub(crate) fn start(node: NodeBuilder) -> Running {
    let (stop, stopped) = oneshot::channel();
    Running {
        stop,
        task: tokio::spawn(node.run_until(async {
            let _ = stopped.await;
        })),
    }
}
impl Running {
    pub(crate) async fn stop(self) -> Duration {
        let t = std::time::Instant::now();
        let _ = self.stop.send(());
        let _ = tokio::time::timeout(Duration::from_secs(120), self.task)
            .await
            .expect("the node did not stop within 120 s")
            .unwrap();
        t.elapsed()
    }
}
/// Waits until the condition holds. Returns the time it took, or `None`.
pub(crate) async fn until<F: Future<Output = bool>>(
    longest: u64,
    mut ask: impl FnMut() -> F,
) -> Option<Duration> {
    let t = std::time::Instant::now();
    while t.elapsed() < Duration::from_secs(longest) {
        if ask().await {
            return Some(t.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}
pub(crate) async fn until_seen(longest: u64, seen: &Seen, count: usize) -> Option<Duration> {
    until(longest, || async { seen.distinct() >= count }).await
}
pub(crate) fn say(test: &str, text: impl std::fmt::Display) {
    println!("[{test}] {text}");
}
pub(crate) fn what(e: &Error) -> String {
    let mut v = vec![];
    if e.is_refused() {
        v.push("refused");
    }
    if e.is_unknown() {
        v.push("unknown");
    }
    if e.is_protocol() {
        v.push("protocol");
    }
    if e.is_auth() {
        v.push("auth");
    }
    if e.is_invalid() {
        v.push("invalid");
    }
    if e.is_unsupported() {
        v.push("unsupported");
    }
    if e.is_timeout() {
        v.push("timeout");
    }
    format!("{v:?} {e}")
}
pub(crate) fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}
pub(crate) fn ms(s: u64) -> Duration {
    Duration::from_millis(s)
}
