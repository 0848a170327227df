//! Jobs that do not start after a time, by the clock of the test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolder::prelude::*;
use poolder::testing::TestQueue;

use crate::Welcome;

const MINUTE: Duration = Duration::from_secs(60);

/// Notes each attempt. User 1 fails once, user 2 is snoozed once, for an hour.
async fn welcome(
    State(seen): State<Arc<Mutex<Vec<u64>>>>,
    job: Welcome,
    cx: Context,
) -> poolder::Result<Outcome> {
    seen.lock().unwrap().push(job.user);
    match (job.user, cx.fence()) {
        (1, 1) => Err("not yet".into()),
        (2, 1) => Ok(Snooze(MINUTE * 60)),
        _ => Ok(Done),
    }
}

#[tokio::test]
async fn only_the_first_start_is_checked() {
    let (queue, seen) = (TestQueue::new(), Arc::<Mutex<Vec<u64>>>::default());
    let pool = Pool::new("mail").state(Arc::clone(&seen)).worker(worker_fn(welcome));
    let node = queue.start_node(queue.node().pool(pool)).await;
    for user in 1..=3 {
        queue.client().enqueue(Welcome { user }).expires_in(MINUTE * 10).await.unwrap();
    }
    let late = queue.client().enqueue(Welcome { user: 4 }).expires_in(MINUTE).after(MINUTE * 20);
    late.await.unwrap();
    let sums = node.drain().await;
    assert_eq!((sums.done, sums.retried, sums.snoozed), (1, 1, 1));
    queue.advance(MINUTE * 21);
    let sums = node.drain().with_due().await;
    assert_eq!((sums.done, sums.cancelled), (2, 1), "retries and snoozes go on");
    assert_eq!(*seen.lock().unwrap(), [1, 2, 3, 1, 2]);
}
