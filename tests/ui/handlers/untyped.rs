//! A closure whose arguments have no types.

use poolder::prelude::*;

fn main() {
    worker_fn(|_job, _cx| async {});
}
