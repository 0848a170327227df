//! The arguments stand in the wrong order.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

#[derive(Clone)]
struct Mailer;

async fn context_first(_cx: Context, _job: Welcome) {}

async fn state_last(_job: Welcome, _mailer: State<Mailer>) {}

fn main() {
    worker_fn(context_first);
    worker_fn(state_last);
}
