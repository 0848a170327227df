//! The job, and the pool that runs it.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Greets a new user.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "user.welcome", queue = "mail", attempts = 5, timeout = "30s")]
pub(crate) struct Welcome {
    pub(crate) name: String,
}

/// The channel on which each welcome is reported, if there is one.
#[derive(Clone)]
struct Report(Option<mpsc::Sender<()>>);

async fn welcome(
    State(Report(tell)): State<Report>,
    job: Welcome,
    cx: Context,
) -> Result<(), BoxError> {
    println!("welcome, {}! (job {}, attempt {})", job.name, cx.id(), cx.attempt());
    if let Some(tell) = tell {
        tell.send(()).await?;
    }
    Ok(())
}

/// Returns the pool that sends welcomes. After each one it sends a message on `tell`, if given.
pub(crate) fn pool(tell: Option<mpsc::Sender<()>>) -> Pool {
    Pool::new("mail").size(10).state(Report(tell)).worker(worker_fn(welcome))
}
