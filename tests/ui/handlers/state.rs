//! State that cannot be shared.

use std::cell::RefCell;

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

struct Mailer;

#[derive(Clone)]
struct Counter(RefCell<u64>);

async fn not_clone(_mailer: State<Mailer>, _job: Welcome) {}

async fn not_sync(_counter: State<Counter>, _job: Welcome) {}

fn main() {
    worker_fn(not_clone);
    worker_fn(not_sync);
    Pool::new("mail").state(Mailer).state(Counter(RefCell::new(0)));
}
