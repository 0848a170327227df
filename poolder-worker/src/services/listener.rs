//! Hears hints for all partitions of the node on one connection.

use std::time::Duration;

use poolder_core::Partition;
use poolder_core::broker::Hint;

use super::Post;

/// How long to wait before listening again.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(posts: Vec<Post>) {
    let partitions: Vec<Partition> = posts.iter().map(|post| post.partition.clone()).collect();
    let Some(broker) = posts.first().map(|post| post.broker.clone()) else { return };
    loop {
        match broker.listen(&partitions).await {
            Ok(mut listener) => {
                hear(&posts, true);
                while let Some((at, hint)) = listener.next().await {
                    match hint {
                        Hint::Due => posts[at].due.notify_one(),
                        Hint::Tick => posts[at].tick.notify_one(),
                        Hint::Lease => posts[at].lease.notify_one(),
                        Hint::Orders => posts[at].news.notify_one(),
                    }
                }
                tracing::debug!("hints are no longer heard");
            }
            Err(error) => tracing::debug!(%error, "hints cannot be heard"),
        }
        hear(&posts, false);
        tokio::time::sleep(PAUSE).await;
    }
}

fn hear(posts: &[Post], heard: bool) {
    for post in posts {
        post.hints.send_replace(heard);
        // Whatever was hinted at before is looked up now.
        post.due.notify_one();
        post.news.notify_one();
        post.tick.notify_one();
    }
}
