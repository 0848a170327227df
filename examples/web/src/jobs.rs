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

/// Returns the pool that sends welcomes. After each one it sends a message on `tell`, if given.
pub(crate) fn pool(tell: Option<mpsc::Sender<()>>) -> Pool {
    let welcome = worker_fn(move |job: Welcome, cx: Context| {
        let tell = tell.clone();
        async move {
            println!("welcome, {}! (job {}, attempt {})", job.name, cx.id(), cx.attempt());
            if let Some(tell) = tell {
                tell.send(()).await?;
            }
            Ok(Done)
        }
    });
    Pool::new("mail").size(10).worker(welcome)
}
