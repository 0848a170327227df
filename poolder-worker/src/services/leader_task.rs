//! Repeats a task of the leader at the time that the task asks for, or earlier after a hint.

use std::future::Future;
use std::time::Duration;

use poolder_core::Error;
use tokio::sync::Notify;

use super::service_context::{POLL, ServiceContext};

/// Repeats `work` while this node leads. `work` returns how long until there is more to do, if that
/// is known; `failed` is the log text for an error.
pub(super) async fn run_while_leader<R>(
    cx: &ServiceContext,
    notify: &Notify,
    failed: &str,
    work: impl Fn() -> R,
) where
    R: Future<Output = Result<Option<Duration>, Error>>,
{
    loop {
        cx.until_leading().await;
        let poll = cx.poll();
        let wait = match work().await {
            Ok(None) => poll,
            Ok(Some(wait)) => wait.min(poll),
            Err(error) => {
                cx.engine.outages.failed(&cx.partition, failed, &error);
                POLL
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = notify.notified() => {}
        }
    }
}
