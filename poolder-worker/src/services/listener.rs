//! Hears hints for all partitions of the node on one connection.

use std::time::Duration;

use poolder_core::Partition;
use poolder_core::broker::Hint;
use tokio::sync::watch;

use super::service_context::Post;

/// Partitions come and go together: how long to wait for the rest of them.
const SETTLE: Duration = Duration::from_millis(250);
/// How long to wait before listening again.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(mut known: watch::Receiver<Vec<Post>>) {
    loop {
        let posts = known.borrow_and_update().clone();
        let Some(broker) = posts.first().map(|post| post.broker.clone()) else {
            if known.changed().await.is_err() {
                return;
            }
            continue;
        };
        let partitions: Vec<Partition> = posts.iter().map(|post| post.partition.clone()).collect();
        match broker.listen(&partitions).await {
            Ok(mut listener) => {
                hear(&posts, true);
                loop {
                    tokio::select! {
                        heard = listener.next() => match heard {
                            Some((at, Hint::Due)) => posts[at].due.notify_one(),
                            Some((at, Hint::Tick)) => posts[at].tick.notify_one(),
                            Some((at, Hint::Lease)) => posts[at].lease.notify_one(),
                            Some((at, Hint::Orders)) => posts[at].news.notify_one(),
                            None => break,
                        },
                        // Subscribes anew, to the partitions of then: many come at a time.
                        _ = known.changed() => {
                            tokio::time::sleep(SETTLE).await;
                            break;
                        }
                    }
                }
                tracing::debug!("hints are no longer heard");
            }
            Err(error) => tracing::debug!(%error, "hints cannot be heard"),
        }
        hear(&posts, false);
        let changed = known.has_changed().unwrap_or(true);
        if !changed {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn hear(posts: &[Post], heard: bool) {
    for post in posts {
        post.hints.send_replace(heard);
        // Whatever was hinted at before is looked up now.
        post.due.notify_one();
        post.news.notify_one();
        post.tick.notify_one();
        post.lease.notify_one();
    }
}
