//! Learns what operators ordered: at once when it is told that there is news, and by itself after a
//! while, since hints may be lost.

use std::time::Duration;

use poolder_core::Error;
use tokio::time::Instant;

use super::service_context::{POLL, Post};
use crate::process::commands::{Cancelled, Standing};

/// However many orders come in, they are read no more often than this.
const SPACING: Duration = Duration::from_millis(100);
/// More cancelled jobs than this are not remembered by the node: it asks about every job.
const REMEMBERED: usize = 10_000;

pub(super) async fn run(post: Post) {
    let mut hinted = false;
    loop {
        let asked = Instant::now();
        let mut poll = post.poll();
        if let Err(error) = learn(&post, hinted).await {
            // The claimers say the same, with more to tell.
            tracing::debug!(partition = %post.partition, %error, "orders could not be asked for");
            poll = POLL;
        }
        hinted = tokio::select! {
            () = tokio::time::sleep(poll) => false,
            () = post.news.notified() => {
                tokio::time::sleep_until(asked + SPACING).await;
                true
            }
        };
    }
}

async fn learn(post: &Post, hinted: bool) -> Result<(), Error> {
    // The number is read before the jobs: what is ordered in between makes it old again.
    let orders = post.broker.orders(&post.partition).await?;
    let before = post.orders.borrow().known();
    if before == Some(orders) && !hinted {
        return Ok(());
    }
    let cancelled = if orders.number == 0 {
        Cancelled::default()
    } else {
        match post.broker.cancelled(&post.partition, REMEMBERED).await? {
            Some(jobs) => Cancelled::These(std::sync::Arc::new(jobs.into_iter().collect())),
            None => Cancelled::Any,
        }
    };
    let was_paused = before.is_some_and(|orders| orders.paused.is_some());
    if was_paused != orders.paused.is_some() {
        let paused = !was_paused;
        tracing::info!(partition = %post.partition, paused, "the queue was paused or resumed");
    }
    post.orders.send_replace(Standing::new(orders, cancelled));
    Ok(())
}
