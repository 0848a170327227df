//! Values that are no workers, or not of the kind that is needed.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

async fn welcome(_job: Welcome) {}

struct Mailer;

fn node(client: Client) {
    Pool::new("mail").worker(welcome);
    Pool::new("mail").worker(Mailer);
    Node::builder(client).add(worker_fn(welcome));
    Batcher::new("letters", worker_fn(welcome));
    Scheduler::new(worker_fn(welcome));
}

fn main() {}
