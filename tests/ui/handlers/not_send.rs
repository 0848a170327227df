//! A handler holds a value that cannot be sent to another thread while it waits.

use std::rc::Rc;

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

async fn welcome(job: Welcome) {
    let shared = Rc::new(job.user);
    tokio::task::yield_now().await;
    println!("{shared}");
}

fn main() {
    worker_fn(welcome);
}
