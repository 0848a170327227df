//! Learns what operators ordered: at once when it is told that there is news, and by itself after a
//! while, since hints may be lost.

use std::time::Duration;

use poolder_core::Error;
use tokio::time::Instant;

use super::service_context::{POLL, ServiceContext};
use crate::process::commands::{CancelFilter, KnownCommands};

/// However many orders come in, they are read no more often than this.
const SPACING: Duration = Duration::from_millis(100);
/// More cancelled jobs than this are not remembered by the node: it asks about every job.
const REMEMBERED: usize = 10_000;

pub(super) async fn run(cx: ServiceContext) {
    let mut hinted = false;
    loop {
        let asked = Instant::now();
        let mut poll = cx.poll();
        if let Err(error) = learn(&cx, hinted).await {
            // The claimers say the same, with more to tell.
            tracing::debug!(partition = %cx.partition, %error, "orders could not be asked for");
            poll = POLL;
        }
        hinted = tokio::select! {
            () = tokio::time::sleep(poll) => false,
            () = cx.news.notified() => {
                tokio::time::sleep_until(asked + SPACING).await;
                true
            }
        };
    }
}

async fn learn(cx: &ServiceContext, hinted: bool) -> Result<(), Error> {
    // The number is read before the jobs: what is ordered in between makes it old again.
    let commands = cx.broker.commands(&cx.partition).await?;
    let before = cx.commands.borrow().known();
    if before == Some(commands) && !hinted {
        return Ok(());
    }
    let cancelled = if commands.number == 0 {
        CancelFilter::default()
    } else {
        match cx.broker.cancelled(&cx.partition, REMEMBERED).await? {
            Some(jobs) => CancelFilter::Only(std::sync::Arc::new(jobs.into_iter().collect())),
            None => CancelFilter::MaybeAny,
        }
    };
    let was_paused = before.is_some_and(|commands| commands.paused.is_some());
    if was_paused != commands.paused.is_some() {
        let paused = !was_paused;
        tracing::info!(partition = %cx.partition, paused, "the queue was paused or resumed");
    }
    cx.commands.send_replace(KnownCommands::new(commands, cancelled));
    Ok(())
}
