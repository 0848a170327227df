//! The type of a handler is not a job.

use poolder::prelude::*;

struct Welcome {
    user: u64,
}

async fn welcome(_job: Welcome, _cx: Context) {}

fn main() {
    worker_fn(welcome);
    worker_fn(|user: u64| async move { println!("{user}") });
}
