//! A change of many jobs, as those see it who look at it or stop it.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::progress::Progress;

/// A change of many jobs.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: String,
    /// The change in words: `Delete 412 dead jobs of mail`.
    pub(crate) title: String,
    /// The command that does the same; empty when there is none.
    pub(crate) command: String,
    /// The queues whose jobs are changed.
    pub(crate) queues: Vec<String>,
    /// The name of the visitor who has begun it.
    pub(crate) actor: String,
    /// The page from which it was begun.
    pub(crate) back: String,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) is_stopped: AtomicBool,
}

impl Task {
    /// Returns the progress so far.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Lets the change end after its present step.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }
}
