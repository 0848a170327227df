//! The connection of a claimer: closed, open, or waiting for a job.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use poolder_client::Client;
use poolder_core::broker::{ClaimConnection, Claimed, ConnectionId, WaitPart, Waited};
use poolder_core::{Error, Lane, Partition, Timestamp};
use tokio::time::Instant;

use crate::run::erased::BoxFuture;
use crate::run::mailbox::EntryKey;
use crate::services::joint_wait::{JointWait, Member};

/// How often the claimer compares `held` with its pending entries on the server.
pub(super) const AUDIT: Duration = Duration::from_secs(30);
/// How often the claimer compares them while it holds and claims nothing.
pub(super) const IDLE_AUDIT: Duration = Duration::from_secs(5 * 60);

/// A claimer that has had no job for this long keeps no connection of its own while other pools of
/// the node wait for jobs with it.
const IDLE: Duration = Duration::from_secs(10);

pub(super) type Wait = BoxFuture<'static, Result<EndOfWait, Error>>;

/// The end of a wait.
pub(super) struct EndOfWait {
    pub(super) waited: Waited,
    /// The connection as it was before the wait.
    pub(super) state: ConnectionState,
    /// The server history in which the jobs were claimed.
    pub(super) history: Option<Arc<str>>,
}

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
    /// Since when the claimer has looked for jobs in vain; `None` while it has jobs.
    idle_since: Option<Instant>,
}

pub(super) enum ConnectionState {
    Closed,
    Open(Box<ClaimConnection>),
    /// There is no connection, and no claim whose reply was lost: the claimer is idle, and waits
    /// together with other pools.
    Without,
    Waiting {
        wait: Wait,
        info: WaitInfo,
    },
}

/// Facts about a wait that is going on.
pub(super) struct WaitInfo {
    pub(super) end: HowToEnd,
    pub(super) unblocked: bool,
    /// True when the wait includes the suspect lane; on a limited queue, when a suspect could start.
    pub(super) suspects: bool,
    /// True when the wait is one for a token of a limited queue.
    pub(super) limited: bool,
}

/// How a wait is ended early.
pub(super) enum HowToEnd {
    /// By the id of its connection.
    Own(Option<ConnectionId>),
    /// Together with that of other pools.
    Joint(JointWait),
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
            idle_since: None,
        }
    }

    /// Notes that the claimer has looked for jobs, and whether it found or has any.
    pub(super) fn looked(&mut self, jobs: bool) {
        self.idle_since = match jobs {
            true => None,
            false => self.idle_since.or_else(|| Some(Instant::now())),
        };
    }

    /// Returns true when the claimer needs no connection of its own: it has had no job for a while,
    /// and no claim whose reply was lost is looked for.
    pub(super) fn is_idle(&self) -> bool {
        let idle = self.idle_since.is_some_and(|since| since.elapsed() >= IDLE);
        idle && self.adopt_at.is_none() && self.doubtful.is_empty()
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, ConnectionState::Waiting { .. })
    }

    /// Takes the connection, if there is one, to wait together with other pools.
    pub(super) fn give_up(&mut self) -> Option<Box<ClaimConnection>> {
        match std::mem::replace(&mut self.state, ConnectionState::Without) {
            ConnectionState::Open(open) => Some(open),
            _ => None,
        }
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

    /// Returns true while a wait goes on that is one of a limited queue, or of one without limits.
    pub(super) fn waits_as_if(&self, limited: bool) -> bool {
        matches!(&self.state, ConnectionState::Waiting { info, .. } if info.limited == limited)
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
        let ConnectionState::Waiting { info, .. } = &mut self.state else { return };
        if std::mem::replace(&mut info.unblocked, true) {
            return;
        }
        match &info.end {
            HowToEnd::Own(Some(id)) => {
                if let Err(error) = client.broker().unblock(id).await {
                    tracing::debug!(%error, "a waiting claim could not be ended early");
                }
            }
            HowToEnd::Own(None) => {}
            HowToEnd::Joint(joint) => joint.end(),
        }
    }

    /// Drops the connection. Jobs that a wait may still claim are claimed under a dead name.
    pub(super) async fn close(&mut self, client: &Client) {
        self.unblock(client).await;
        self.state = ConnectionState::Closed;
        self.doubtful.clear();
    }
}

/// Starts to wait for a job. `now` is the server's time.
pub(super) fn start_wait(mut open: Box<ClaimConnection>, part: WaitPart, now: Timestamp) -> Wait {
    Box::pin(async move {
        let waited = open.wait(&[part], now).await?.pop().unwrap_or_default();
        let history = open.history();
        Ok(EndOfWait { waited, state: ConnectionState::Open(open), history })
    })
}

/// Starts to wait for a job together with other pools.
pub(super) fn start_joint_wait(joint: JointWait, member: Member) -> Wait {
    Box::pin(async move {
        let end = joint.wait(member).await?;
        let state = match end.failed {
            true => ConnectionState::Closed,
            false => ConnectionState::Without,
        };
        Ok(EndOfWait { waited: end.waited, state, history: end.history })
    })
}

/// Returns a wait for a job of any lane of a partition; with `suspects` false, the suspect lane is
/// left out.
pub(super) fn wait_part(partition: &Partition, suspects: bool, renew: bool) -> WaitPart {
    WaitPart { partition: partition.clone(), lanes: lanes(suspects), renew }
}

/// Starts to wait until a job of a limited queue may start. The future returns the connection.
pub(super) fn start_token_wait(mut open: Box<ClaimConnection>) -> Wait {
    Box::pin(async move {
        let waited = open.wait_for_token().await?;
        let history = open.history();
        Ok(EndOfWait { waited, state: ConnectionState::Open(open), history })
    })
}

/// Returns the lanes of a wait or visit.
pub(super) fn lanes(suspects: bool) -> Vec<Lane> {
    Lane::ALL.into_iter().filter(|lane| suspects || !lane.is_suspect()).collect()
}
