//! Moves jobs whose time has come into their lanes: sleeps until the head is due, and is woken
//! when the head changes.

use std::time::Duration;

use poolder_core::Error;

use super::leader_task;
use super::service_context::Post;

pub(super) async fn run(post: Post) {
    let work = || promote_all(&post);
    leader_task::run(&post, &post.due, "due jobs could not be moved", work).await;
}

/// Moves everything that is due; returns how long until the next is, if any waits.
async fn promote_all(post: &Post) -> Result<Option<Duration>, Error> {
    if post.broker.nothing_is_due(&post.partition).await? {
        return Ok(None);
    }
    loop {
        let promotion = post.broker.promote(&post.partition).await?;
        if promotion.moved > 0 {
            tracing::debug!(partition = %post.partition, jobs = promotion.moved, "promoted");
        }
        let Some(next) = promotion.next else { return Ok(None) };
        let wait = next.since(promotion.now);
        if wait > Duration::ZERO || !post.is_leading() {
            return Ok(Some(wait));
        }
    }
}
