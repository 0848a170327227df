//! Publishes the ticks of the partition's schedules: sleeps until the next comes, and is woken when
//! one comes sooner.

use std::time::Duration;

use poolder_core::Error;

use super::leader_task;
use super::service_context::Post;

pub(super) async fn run(post: Post) {
    let work = || publish_all(&post);
    leader_task::run(&post, &post.tick, "ticks could not be published", work).await;
}

/// Publishes everything that is due; returns how long until the next tick, if there is any.
async fn publish_all(post: &Post) -> Result<Option<Duration>, Error> {
    if post.broker.nothing_ticks(&post.partition).await? {
        return Ok(None);
    }
    while post.is_leading() {
        let published = post.broker.publish_ticks(&post.partition).await?;
        if published.due == 0 {
            return Ok(published.next.map(|next| next.since(published.now)));
        }
    }
    Ok(None)
}
