//! The id of a connection at its server, with which another connection ends its wait.

use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::connection::peer::Peer;
use crate::broker::connection::reply;
use crate::job::Error;

/// The id of a [`ClaimConnection`](super::claim::ClaimConnection) at its server.
#[derive(Clone)]
pub struct ConnectionId {
    peer: Arc<Peer>,
    number: i64,
}

impl std::fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConnectionId({})", self.number)
    }
}

impl ConnectionId {
    pub(super) fn new(peer: Arc<Peer>, number: i64) -> Self {
        Self { peer, number }
    }
}

impl Broker {
    /// Ends the wait of the connection with this id, as if its time were up. Returns false when it
    /// did not wait.
    ///
    /// # Errors
    /// Returns an error when the server does not answer, or access rules deny the command: the wait
    /// then ends by itself.
    pub async fn unblock(&self, id: &ConnectionId) -> Result<bool, Error> {
        let mut cmd = redis::cmd("CLIENT");
        cmd.arg("UNBLOCK").arg(id.number);
        let sent = id.peer.command(&cmd, &mut self.inner.limit()).await;
        Ok(reply::int(sent.map_err(|error| self.classify(error))?)? == 1)
    }
}
