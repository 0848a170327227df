//! The speed of `perform`, which `cargo xtask performs` prints.

use std::time::Instant;

use poolder::prelude::*;
use poolder::testing::TestQueue;

use crate::Welcome;

const PERFORMS: u32 = 2_000;

#[tokio::test]
async fn performs() {
    let queue = TestQueue::new();
    let pool = Pool::new("mail").worker(worker_fn(|job: Welcome, cx: Context| async move {
        cx.client().enqueue(Welcome { user: job.user + 1 }).await?;
        Ok::<_, BoxError>(())
    }));
    let node = queue.start_node(queue.node().pool(pool)).await;
    let begun = Instant::now();
    for user in 0..PERFORMS {
        assert!(node.perform(Welcome { user: user.into() }).await.is_done());
    }
    let rate = f64::from(PERFORMS) / begun.elapsed().as_secs_f64();
    println!("performs-per-second {rate:.0}");
}
