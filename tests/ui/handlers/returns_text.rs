//! A handler returns a value that is none of a job.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

async fn text(job: Welcome) -> String {
    job.user.to_string()
}

async fn result_of_text(job: Welcome) -> Result<String, BoxError> {
    Ok(job.user.to_string())
}

async fn option(_job: Welcome) -> Option<()> {
    None
}

fn main() {
    worker_fn(text);
    worker_fn(result_of_text);
    worker_fn(option);
}
