//! Removes dead jobs that are older than they are kept.

use std::time::Duration;

use super::Post;

const INTERVAL: Duration = Duration::from_secs(60);

pub(super) async fn run(post: Post) {
    loop {
        post.until_leading().await;
        loop {
            let now = post.clock.now();
            match post.broker.prune_dead(&post.partition, post.limits, now).await {
                Ok(0) => break,
                Ok(jobs) => {
                    tracing::info!(partition = %post.partition, jobs, "pruned old dead jobs");
                }
                Err(error) => {
                    tracing::warn!(partition = %post.partition, %error, "dead jobs were not pruned");
                    break;
                }
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
