//! Broadcast: when an entry is invalidated, every process removes it from its own cache.
//!
//! Needs a Redis: `POOLDER_REDIS_URL=redis://… cargo run --example broadcast`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Config, Result};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "cache.invalidate", queue = "invalidations")]
pub(crate) struct Invalidate {
    pub(crate) key: String,
}

/// The cache of a process, shared by the slots of that process.
#[derive(Clone)]
pub(crate) struct Cache {
    entries: Arc<Mutex<HashMap<String, String>>>,
}

impl Cache {
    pub(crate) fn full() -> Self {
        let entry = |key: &str| (key.to_owned(), "old".to_owned());
        Self { entries: Arc::new(Mutex::new(["a", "b", "c"].map(entry).into())) }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.lock().is_ok_and(|entries| entries.contains_key(key))
    }
}

// One slot per process is enough, because all slots of a process share its cache.
#[poolder::pool(name = "invalidations", size = 1, mode = "broadcast")]
impl Worker for Cache {
    type Job = Invalidate;

    async fn handle_job(&mut self, job: Invalidate, _: Context) -> Result<Outcome> {
        self.entries.lock().map_err(|_| "the cache is broken")?.remove(&job.key);
        Ok(Done)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let namespace = format!("broadcast-{}", std::process::id());
    let client = Client::new(Config::from_env().namespace(namespace))?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    // Three nodes in one process stand for three processes on three hosts.
    let (mut caches, mut nodes) = (vec![], vec![]);
    for _ in 0..3 {
        let (cache, mut stopped) = (Cache::full(), stopped.clone());
        let node = Node::builder(client.clone()).add(cache.clone()).run_until(async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        nodes.push(tokio::spawn(node));
        caches.push(cache);
    }
    let pool = Cache::on(&client);
    // A node receives only broadcasts cast after it has started. So `a` is cast until all have it.
    while caches.iter().any(|cache| cache.has("a")) {
        let _ = pool.cast(Invalidate { key: "a".into() }).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("all three processes are listening");
    pool.cast(Invalidate { key: "b".into() }).await?;
    while caches.iter().any(|cache| cache.has("b")) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("b is gone everywhere, c is still there: {}", caches.iter().all(|it| it.has("c")));
    stop.send_replace(true);
    for node in nodes {
        node.await??;
    }
    Ok(())
}
