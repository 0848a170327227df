//! A handler that is not async.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

fn welcome(_job: Welcome) -> Outcome {
    Done
}

fn main() {
    worker_fn(welcome);
    worker_fn(|_job: Welcome, _cx: Context| -> Result<Outcome, BoxError> { Ok(Done) });
}
