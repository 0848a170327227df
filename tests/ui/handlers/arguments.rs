//! A handler takes no job, or more than it may take.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

async fn none() {}

async fn five(_: State<u8>, _: State<u16>, _: State<u32>, _: State<u64>, _: State<()>, _: Welcome) {
}

async fn plain_state(_: u8, _: Welcome) {}

fn main() {
    worker_fn(none);
    worker_fn(five);
    worker_fn(plain_state);
    worker_fn(Welcome { user: 7 });
}
