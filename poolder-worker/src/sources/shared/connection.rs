//! The connection of a claimer: closed, open, or waiting for a job.

use std::collections::HashSet;
use std::time::Duration;

use poolder_client::Client;
use poolder_core::broker::{ClaimConnection, Claimed, ConnectionId};
use poolder_core::{Error, Lane};
use tokio::time::Instant;

use crate::run::erased::BoxFuture;
use crate::run::mailbox::EntryKey;

/// How often the claimer compares what it holds with what the server thinks it holds.
pub(super) const AUDIT: Duration = Duration::from_secs(30);
/// And how often while it holds nothing and claims nothing.
pub(super) const IDLE_AUDIT: Duration = Duration::from_secs(5 * 60);

pub(super) type Wait = BoxFuture<'static, (ClaimConnection, Result<Claimed, Error>)>;

pub(super) struct ClaimerConnection {
    pub(super) state: ConnectionState,
    /// When to look for claims whose reply was lost …
    pub(super) adopt_at: Option<Instant>,
    /// … and again, for those that landed late.
    pub(super) late: Option<Instant>,
    pub(super) audit_at: Instant,
    /// Seen at the last audit only: a claim may have been settled while we looked.
    pub(super) doubtful: HashSet<EntryKey>,
}

pub(super) enum ConnectionState {
    Closed,
    Open(Box<ClaimConnection>),
    Waiting { wait: Wait, info: WaitInfo },
}

/// What is to be known of a wait while it goes on.
pub(super) struct WaitInfo {
    pub(super) id: Option<ConnectionId>,
    pub(super) unblocked: bool,
    /// It brings suspects, too.
    pub(super) suspects: bool,
}

impl ClaimerConnection {
    pub(super) fn closed() -> Self {
        let audit_at = Instant::now() + AUDIT;
        Self {
            state: ConnectionState::Closed,
            adopt_at: None,
            late: None,
            audit_at,
            doubtful: HashSet::new(),
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, ConnectionState::Waiting { .. })
    }

    /// From a claim on, audits are frequent again.
    pub(super) fn audit_soon(&mut self, claimed: &Claimed) {
        if !claimed.is_empty() {
            self.audit_at = self.audit_at.min(Instant::now() + AUDIT);
        }
    }

    /// Ends a wait early, once.
    pub(super) async fn unblock(&mut self, client: &Client) {
        if let ConnectionState::Waiting { info: WaitInfo { id: Some(id), unblocked, .. }, .. } =
            &mut self.state
            && !std::mem::replace(unblocked, true)
        {
            client.broker().unblock(id).await;
        }
    }

    /// Drops the connection. What a wait may still bring lands under a name that is dead.
    pub(super) async fn close(&mut self, client: &Client) {
        self.unblock(client).await;
        self.state = ConnectionState::Closed;
        self.doubtful.clear();
    }
}

/// Starts to wait for a job of any lane, or of any but that of the suspects. The connection comes
/// back with the job.
pub(super) fn start_wait(mut open: Box<ClaimConnection>, suspects: bool) -> Wait {
    let lanes: Vec<Lane> =
        Lane::ALL.into_iter().filter(|lane| suspects || !lane.is_suspect()).collect();
    Box::pin(async move {
        let claimed = open.wait(&lanes).await;
        (*open, claimed)
    })
}
