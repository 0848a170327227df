//! A result that cannot be stored.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

struct Letter;

async fn welcome(_job: Welcome) -> Result<Return<Letter>, BoxError> {
    Ok(Return(Letter))
}

fn main() {
    worker_fn(welcome);
}
