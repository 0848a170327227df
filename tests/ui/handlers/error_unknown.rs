//! A closure whose error has no type.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

fn main() {
    worker_fn(|_job: Welcome| async { Ok(Done) });
}
