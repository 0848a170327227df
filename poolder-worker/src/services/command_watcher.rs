//! Reads the operators' commands for a partition: at once after a hint, and at intervals, since
//! hints may be lost.

use std::time::Duration;

use poolder_core::Error;
use tokio::time::Instant;

use super::service_context::{POLL, ServiceContext};
use crate::process::commands::{CancelFilter, KnownCommands};

/// The commands are read at most this often, however many hints arrive.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// How often a node that rests and receives hints reads the commands: it has no jobs that they could
/// concern.
const POLL_RESTING: Duration = Duration::from_secs(60);
/// The node remembers at most this many cancelled jobs. When there are more, it asks the server
/// about every job.
const MAX_REMEMBERED: usize = 10_000;

pub(super) async fn run(cx: ServiceContext) {
    let mut hinted = false;
    loop {
        let asked = Instant::now();
        let rests = *cx.rests.borrow() && *cx.hints.borrow();
        let mut poll = if rests { POLL_RESTING } else { cx.poll() };
        if let Err(error) = refresh(&cx, hinted).await {
            // Debug only: the claimers log the same failure with more details.
            tracing::debug!(partition = %cx.partition, %error, "the commands could not be read");
            poll = POLL;
        }
        hinted = tokio::select! {
            () = tokio::time::sleep(poll) => false,
            () = cx.news.notified() => {
                tokio::time::sleep_until(asked + MIN_INTERVAL).await;
                true
            }
        };
    }
}

async fn refresh(cx: &ServiceContext, hinted: bool) -> Result<(), Error> {
    // The number is read before the jobs, so that a command given in between changes the number and
    // is found by the next read.
    let commands = cx.broker.commands(&cx.partition).await?;
    let before = cx.commands.borrow().known();
    if before == Some(commands) && !hinted {
        return Ok(());
    }
    let cancelled = if commands.number == 0 {
        CancelFilter::default()
    } else {
        match cx.broker.cancelled(&cx.partition, MAX_REMEMBERED).await? {
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
