//! Notices when a handler waits for something.

use std::future::Future;
use std::pin::Pin;

use tokio::time::Instant;

use super::mailbox::Mailbox;

/// Whether a handler has waited for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HandlerWait {
    /// It has returned at once.
    None,
    /// It has waited.
    Once,
    /// It has waited for the first time at this time.
    Since(Instant),
}

/// Runs an attempt, and tells the mailbox once when the handler waits for something. Reads the time
/// then if it is `wanted`. The attempt is pinned by the caller: its future is large, and to move it
/// costs more than all else here.
pub(super) async fn report_waiting<T>(
    mut attempt: Pin<&mut impl Future<Output = T>>,
    mailbox: &Mailbox,
    wanted: bool,
) -> (T, HandlerWait) {
    let mut wait = HandlerWait::None;
    let ended = std::future::poll_fn(|cx| {
        let polled = attempt.as_mut().poll(cx);
        if polled.is_pending() && wait == HandlerWait::None {
            wait = if wanted { HandlerWait::Since(Instant::now()) } else { HandlerWait::Once };
            mailbox.handler_waits();
        }
        polled
    })
    .await;
    (ended, wait)
}
