//! The end of slots that stop: their callbacks get a limited time.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::process::limits::{LAST_CALL, RELEASE_CALL};
use crate::process::liveness::ShutdownPhase;
use crate::process::watching::reaches;

/// How long a task whose future is dropped may take to notice it.
const ABORT: Duration = Duration::from_millis(100);

/// How the tasks of slots that stop have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotsEnd {
    /// By themselves.
    Returned,
    /// Their callbacks took too long, and their futures were dropped.
    Dropped,
    /// At least one of them still runs, since it blocks its thread.
    Stuck,
}

/// Waits until the tasks of slots that stop have ended. Drops their futures after [`LAST_CALL`], or
/// [`RELEASE_CALL`] after the pool began to release its jobs.
pub(super) async fn end_slots(
    tasks: &mut JoinSet<()>,
    mut phase: watch::Receiver<ShutdownPhase>,
) -> SlotsEnd {
    let released = async {
        reaches(&mut phase, ShutdownPhase::Release).await;
        sleep(RELEASE_CALL).await;
    };
    tokio::select! {
        biased;
        () = all(tasks) => return SlotsEnd::Returned,
        () = sleep(LAST_CALL) => {}
        () = released => {}
    }
    tasks.abort_all();
    match timeout(ABORT, all(tasks)).await {
        Ok(()) => SlotsEnd::Dropped,
        Err(_) => SlotsEnd::Stuck,
    }
}

async fn all(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn callbacks_have_five_seconds_and_less_in_a_shutdown_that_has_to_end() {
        let phase = watch::Sender::new(ShutdownPhase::Drain);
        let end = async |wait: Option<Duration>| {
            let mut tasks = JoinSet::new();
            tasks.spawn(async move {
                match wait {
                    Some(wait) => sleep(wait).await,
                    None => std::future::pending().await,
                }
            });
            let start = Instant::now();
            let end = end_slots(&mut tasks, phase.subscribe()).await;
            (end, start.elapsed().as_millis() / 100)
        };
        assert_eq!(end(Some(Duration::from_secs(2))).await, (SlotsEnd::Returned, 20));
        assert_eq!(end(None).await, (SlotsEnd::Dropped, 50));
        phase.send_replace(ShutdownPhase::Release);
        assert_eq!(end(None).await, (SlotsEnd::Dropped, 5));
    }
}
