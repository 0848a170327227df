//! An error that is none.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

enum Trouble {
    NoStamps,
}

async fn welcome(_job: Welcome) -> Result<(), Trouble> {
    Err(Trouble::NoStamps)
}

fn main() {
    worker_fn(welcome);
}
