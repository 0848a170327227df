//! The interruption of an attempt: the reasons to stop a running job, and how its handler learns
//! of them.

use std::sync::atomic::Ordering;

use super::Context;

/// Why a running job should stop. A timeout is not among the reasons: it drops the handler at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Interruption {
    /// The node is shutting down, or the slot moves to another node: the job is released, and no
    /// attempt is counted.
    Shutdown = 1,
    /// The node was declared dead: other nodes run the job, and this node can no longer settle it.
    Lost = 2,
    /// The job was cancelled: it ends, and does not run again.
    Cancelled = 3,
}

impl Context {
    /// Returns true when the handler should stop; [`Context::interruption`] says why.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.interruption().is_some()
    }

    /// Waits until the handler should stop. The handler's future is dropped if it has not ended a
    /// quarter of a second later, or three seconds later when the job was cancelled.
    pub async fn cancelled(&self) {
        loop {
            let woken = self.inner.wake.notified();
            tokio::pin!(woken);
            // From here on no wake-up is missed, so that the flag can be checked safely.
            woken.as_mut().enable();
            if self.is_cancelled() {
                return;
            }
            woken.await;
        }
    }

    /// Returns why the handler should stop; `None` while it should go on.
    #[must_use]
    pub fn interruption(&self) -> Option<Interruption> {
        match self.inner.cancelled.load(Ordering::Acquire) {
            1 => Some(Interruption::Shutdown),
            2 => Some(Interruption::Lost),
            3 => Some(Interruption::Cancelled),
            _ => None,
        }
    }

    pub(crate) fn interrupt(&self, why: Interruption) {
        let first = self.inner.cancelled.compare_exchange(
            0,
            why as u8,
            Ordering::Release,
            Ordering::Relaxed,
        );
        if first.is_ok() {
            self.inner.wake.notify_waiters();
        }
    }
}
