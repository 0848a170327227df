//! The connection of a claimer: closed, open, or waiting for a job.

use std::collections::HashSet;
use std::time::Duration;

use poolder_client::Client;
use poolder_core::broker::{ClaimConnection, Claimed, ConnectionId, Waited};
use poolder_core::{Error, Lane, Timestamp};
use tokio::time::Instant;

use crate::run::erased::BoxFuture;
use crate::run::mailbox::EntryKey;

/// How often the claimer compares `held` with its pending entries on the server.
pub(super) const AUDIT: Duration = Duration::from_secs(30);
/// How often the claimer compares them while it holds and claims nothing.
pub(super) const IDLE_AUDIT: Duration = Duration::from_secs(5 * 60);

pub(super) type Wait = BoxFuture<'static, (ClaimConnection, Result<Waited, Error>)>;

pub(super) struct ClaimerConnection {
    pub(super) state: ConnectionState,
    /// When to look for claims whose reply was lost.
    pub(super) adopt_at: Option<Instant>,
    /// When to look again, for claims that took effect late.
    pub(super) late: Option<Instant>,
    pub(super) audit_at: Instant,
    /// Entries missing from `held` at the last audit only. Their settlements may have been in
    /// flight during the audit.
    pub(super) doubtful: HashSet<EntryKey>,
}

pub(super) enum ConnectionState {
    Closed,
    Open(Box<ClaimConnection>),
    Waiting { wait: Wait, info: WaitInfo },
}

/// Facts about a wait that is going on.
pub(super) struct WaitInfo {
    pub(super) id: Option<ConnectionId>,
    pub(super) unblocked: bool,
    /// True when the wait includes the suspect lane.
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

    /// Takes the connection while it is open, and leaves it closed.
    pub(super) fn take_open(&mut self) -> Option<Box<ClaimConnection>> {
        match std::mem::replace(&mut self.state, ConnectionState::Closed) {
            ConnectionState::Open(open) => Some(open),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Returns true while a wait goes on that leaves out the suspect lane.
    pub(super) fn waits_without_suspects(&self) -> bool {
        matches!(&self.state, ConnectionState::Waiting { info, .. } if !info.suspects)
    }

    /// Makes audits frequent again after a claim.
    pub(super) fn audit_soon(&mut self, claimed: &Claimed) {
        if !claimed.is_empty() {
            self.audit_at = self.audit_at.min(Instant::now() + AUDIT);
        }
    }

    /// Ends a wait early. Each wait is ended once only.
    pub(super) async fn unblock(&mut self, client: &Client) {
        if let ConnectionState::Waiting { info: WaitInfo { id: Some(id), unblocked, .. }, .. } =
            &mut self.state
            && !std::mem::replace(unblocked, true)
        {
            client.broker().unblock(id).await;
        }
    }

    /// Drops the connection. Jobs that a wait may still claim are claimed under a dead name.
    pub(super) async fn close(&mut self, client: &Client) {
        self.unblock(client).await;
        self.state = ConnectionState::Closed;
        self.doubtful.clear();
    }
}

/// Starts to wait for a job of any lane; with `suspects` false, the suspect lane is left out. Renews
/// the wait permit before if `renew` has the server's time. The future returns the connection
/// together with the job.
pub(super) fn start_wait(
    mut open: Box<ClaimConnection>,
    suspects: bool,
    renew: Option<Timestamp>,
) -> Wait {
    let lanes = lanes(suspects);
    Box::pin(async move {
        let waited = open.wait(&lanes, renew).await;
        (*open, waited)
    })
}

/// Returns the lanes of a wait or visit.
pub(super) fn lanes(suspects: bool) -> Vec<Lane> {
    Lane::ALL.into_iter().filter(|lane| suspects || !lane.is_suspect()).collect()
}
