//! The registration of queues that are in use, which goes on beside storing something in them.

use std::time::Duration;

use tokio::task::JoinHandle;

/// Time for which an enqueue that is done waits until its queue is registered.
const REGISTER_PATIENCE: Duration = Duration::from_millis(100);

/// A registration that runs, `None` when none is needed. It is no wrapper of the future that
/// stores, since a future that is moved into another is copied and is part of its size twice.
#[must_use = "a registration is given a moment when something is stored"]
pub(crate) struct Registration(pub(crate) Option<JoinHandle<()>>);

impl Registration {
    /// Waits for a moment until the queues are registered.
    pub(crate) async fn settle(self) {
        if let Some(task) = self.0 {
            // Boxed, so that the future of the usual case stays small.
            let _ = Box::pin(tokio::time::timeout(REGISTER_PATIENCE, task)).await;
        }
    }
}
