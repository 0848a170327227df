//! Order by key: the changes of one account run one at a time, in the order in which they were
//! cast. Other accounts run beside it.
//!
//! Needs a Redis: `POOLDER_REDIS_URL=redis://… cargo run --example ordering`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Config, Result};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "account.change", queue = "accounts")]
pub(crate) struct Change {
    pub(crate) account: u64,
    pub(crate) number: u32,
}

/// Records the changes of each account in the order in which they ran.
#[derive(Clone, Default)]
pub(crate) struct Accounts {
    pub(crate) happened: Arc<Mutex<BTreeMap<u64, Vec<u32>>>>,
}

// A failed change blocks its slot until its retry, so that no later change of the account overtakes
// it.
#[poolder::pool(
    name = "accounts",
    size = 4,
    mode = "phash",
    retry_placement = "block_slot",
    policy(attempts = 5, backoff = "20ms")
)]
impl Worker for Accounts {
    type Job = Change;

    async fn handle_job(&mut self, job: Change, cx: Context) -> Result<Outcome> {
        if job.number == 5 && cx.attempt() == 1 {
            return Err("the database was busy".into());
        }
        // Later changes take less time, and still do not overtake.
        tokio::time::sleep(Duration::from_millis(u64::from(10 - job.number))).await;
        let mut happened = self.happened.lock().map_err(|_| "a handler panicked")?;
        happened.entry(job.account).or_default().push(job.number);
        // A handler that writes to a database passes cx.fence() along. The database refuses a write
        // with a lower fence: it comes from a process that lost the slot without noticing.
        Ok(Done)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let namespace = format!("ordering-{}", std::process::id());
    let client = Client::new(Config::from_env().namespace(namespace))?;
    let accounts = Accounts::default();
    let happened = Arc::clone(&accounts.happened);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let node = Node::builder(client.clone()).add(accounts).run_until(async {
        let _ = stopped.await;
    });
    let node = tokio::spawn(node);
    let pool = Accounts::on(&client);
    while pool.size().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for number in 0..10 {
        for account in 0..8 {
            pool.cast(Change { account, number }).key(format!("account {account}")).await?;
        }
    }
    let all = || happened.lock().map(|map| map.values().map(Vec::len).sum::<usize>());
    while all().map_err(|_| "a handler panicked")? < 80 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (account, numbers) in &*happened.lock().map_err(|_| "a handler panicked")? {
        println!("account {account}: {numbers:?}");
        assert!(numbers.is_sorted(), "account {account} is out of order");
    }
    let _ = stop.send(());
    node.await??;
    Ok(())
}
