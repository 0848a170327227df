//! A handler borrows its job.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

async fn welcome(_job: &Welcome) {}

fn main() {
    worker_fn(welcome);
}
