//! Functions that cannot decide about failed attempts.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

async fn welcome(_job: Welcome) {}

fn error_only(_error: &BoxError) -> Verdict {
    Verdict::Halt
}

fn owned_error(_job: Welcome, _cx: Context, _error: BoxError) -> Verdict {
    Verdict::Halt
}

async fn no_verdict(_job: Welcome, _cx: Context, _error: &BoxError) {}

fn main() {
    worker_fn(welcome).on_error(error_only);
    worker_fn(welcome).on_error(owned_error);
    worker_fn(welcome).on_error(no_verdict);
    worker_fn(welcome).on_error(|_, _, _| Verdict::Halt);
}
