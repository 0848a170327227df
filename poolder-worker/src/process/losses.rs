//! The news that the server has lost data of this node, such as after a `FLUSHALL`, an empty
//! restart or a restore of an older state.

use poolder_core::mutation::mutated;
use tokio::sync::watch;

/// Passes the news on from the part of the node that notices a loss. The node then declares its
/// pools, batchers and schedules again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Losses(watch::Sender<()>);

impl Losses {
    /// Reports that the server no longer has what it was given.
    pub(crate) fn report(&self) {
        if !mutated("declare-again") {
            self.0.send_replace(());
        }
    }

    /// Returns a receiver that changes with each report from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}
