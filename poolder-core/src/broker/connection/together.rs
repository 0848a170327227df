//! The commands of reads that go to the servers together.

use std::sync::{Mutex, PoisonError};

use redis::{Cmd, RedisError};
use tokio::sync::oneshot;

use crate::broker::connection::request::Replies;

/// The most bytes of jobs in the reply to one command. One job is returned in any case.
pub(in crate::broker) const LARGE_BYTES: usize = 64 << 10;

/// The commands that callers have asked for, and that are not sent yet.
#[derive(Default)]
pub(in crate::broker) struct Together {
    waiting: Mutex<Vec<Waiter>>,
}

/// The commands of a caller, and the sender of their replies.
pub(super) struct Waiter {
    pub(super) commands: Vec<Cmd>,
    /// True when the replies hold jobs.
    pub(super) is_large: bool,
    pub(super) replies: oneshot::Sender<Replies>,
}

impl Together {
    /// Waits for the replies to commands that are sent with those of the other callers. `is_large`
    /// says that each reply may have [`LARGE_BYTES`].
    pub(in crate::broker) async fn send(
        &self,
        commands: impl IntoIterator<Item = Cmd>,
        is_large: bool,
    ) -> Replies {
        let commands: Vec<Cmd> = commands.into_iter().collect();
        let count = commands.len();
        let (replies, answer) = oneshot::channel();
        self.waiting().push(Waiter { commands, is_large, replies });
        let lost = || {
            let error = RedisError::from((redis::ErrorKind::Client, "the read was given up"));
            (0..count).map(|_| Err(error.clone())).collect()
        };
        answer.await.unwrap_or_else(|_| lost())
    }

    /// Returns the commands that have been asked for since the last call.
    pub(super) fn take(&self) -> Vec<Waiter> {
        std::mem::take(&mut *self.waiting())
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiter>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
