//! Moves jobs whose time has come into their lanes: sleeps until the head is due, and is woken
//! when the head changes.

use std::time::Duration;

use poolder_core::Error;

use super::Post;

/// Hints may be lost: without them the head is looked at this often …
const POLL: Duration = Duration::from_secs(1);
/// … and while they are heard, this often.
const POLL_BESIDE_HINTS: Duration = Duration::from_secs(5);

pub(super) async fn run(post: Post) {
    loop {
        post.until_leading().await;
        let poll = if *post.hints.borrow() { POLL_BESIDE_HINTS } else { POLL };
        let wait = match promote_all(&post).await {
            Ok(None) => poll,
            Ok(Some(wait)) => wait.min(poll),
            Err(error) => {
                tracing::warn!(partition = %post.partition, %error, "due jobs could not be moved");
                POLL
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = post.due.notified() => {}
        }
    }
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
