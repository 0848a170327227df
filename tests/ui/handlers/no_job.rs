//! A handler takes everything but a job.

use poolder::prelude::*;

async fn no_job(_: State<u8>, _: Context) {}

fn main() {
    worker_fn(no_job);
}
