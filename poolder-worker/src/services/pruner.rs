//! Removes dead jobs, and orders to cancel, that are older than they are kept.

use std::time::Duration;

use super::service_context::Post;

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
        match post.broker.expire_orders(&post.partition).await {
            Ok(0) => {}
            Ok(orders) => {
                tracing::info!(partition = %post.partition, orders, "forgot old orders to cancel");
            }
            Err(error) => {
                tracing::warn!(partition = %post.partition, %error, "old orders were not forgotten");
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
