//! Changes of a cluster: slots with the queues and the roster move while jobs run, and the
//! primaries that hold them are replaced.

use std::time::{Duration, Instant};

use poolder_devserver::{Cluster, Error, Takeover};

use crate::job::queue;
use crate::limits;
use crate::random::Random;
use crate::servers::{FailOver, hang, resume};

/// The number of queues over which jobs are distributed, each in a Redis slot of its own.
pub(crate) const QUEUES: usize = 3;

/// Selects the slot of the roster, and that of the limited queue.
pub(crate) const ROSTER: u64 = QUEUES as u64;
pub(crate) const LIMITED: u64 = ROSTER + 1;

/// The kind of a primary that hangs.
pub(crate) const HUNG: &str = "primary hung past the lease";

/// The time within which the nodes must agree on a new primary.
const AGREED_WITHIN: Duration = Duration::from_secs(20);

/// The kinds of faults, and the number of each in the default plan of 280.
pub(crate) const SHARES: &[(&str, u64)] = &[
    ("slot moved", 211),
    ("failover by order", 9),
    ("primary killed, and back", 9),
    ("primary paused, and back", 8),
    ("SIGKILL of a node", 20),
    ("SIGSTOP past the lease", 10),
    ("SIGTERM of a node", 5),
    ("SIGKILL of a producer", 4),
    ("scripts flushed", 4),
];

/// A change of the cluster. `which` selects the slot of one of the queues, of the roster or of the
/// limited queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upheaval {
    /// The slot moves to another primary, with its keys.
    Move { which: u64, to: u64 },
    /// The primary that holds the slot is replaced by its replica, by an election or without one.
    FailOver { which: u64, way: FailOver, unasked: bool },
}

/// Draws a change; `None` for a kind that is not specific to clusters.
pub(crate) fn upheaval(kind: &str, random: &mut Random) -> Option<crate::plan::Fault> {
    let way = match kind {
        "slot moved" => None,
        "failover by order" => Some(FailOver::Ordered),
        "primary killed, and back" => Some(FailOver::Killed),
        "primary paused, and back" => Some(FailOver::Paused),
        _ => return None,
    };
    let (which, other) = (random.between(0, ROSTER), random.between(0, 1));
    Some(crate::plan::Fault::Cluster(match way {
        None => Upheaval::Move { which, to: other },
        Some(way) => Upheaval::FailOver { which, way, unasked: other == 1 },
    }))
}

impl Upheaval {
    /// Returns the kind, as reports name it.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Move { .. } => "slot moved",
            Self::FailOver { way: FailOver::Ordered, .. } => "failover by order",
            Self::FailOver { way: FailOver::Killed, .. } => "primary killed, and back",
            Self::FailOver { way: FailOver::Paused, .. } => "primary paused, and back",
            Self::FailOver { way: FailOver::Hung, .. } => HUNG,
        }
    }

    /// Carries out the change, and returns when the cluster has agreed on it; `None` when it did
    /// not come about. Calls `replaced` as soon as a primary that hangs is replaced.
    pub(crate) fn happen(
        self,
        cluster: &Cluster,
        namespace: &str,
        replaced: &dyn Fn(),
    ) -> Result<Option<String>, String> {
        self.try_to(cluster, namespace, replaced)
            .map_err(|error| format!("{}: {error}", self.kind()))
    }

    fn try_to(
        self,
        cluster: &Cluster,
        namespace: &str,
        replaced: &dyn Fn(),
    ) -> Result<Option<String>, Error> {
        let (Self::Move { which, .. } | Self::FailOver { which, .. }) = self;
        let tag = match which {
            ROSTER => "roster".into(),
            LIMITED => format!("{}.0", limits::QUEUE),
            which => format!("{}.0", queue(which)),
        };
        let slot = cluster.slot_of(&format!("{namespace}:{{{tag}}}:"))?;
        let owner = cluster.owner(slot)?;
        match self {
            Self::Move { to, .. } => {
                // The other primaries, whichever servers are primaries now.
                let others = primaries(cluster, owner)?;
                let Some(to) = others.get(usize::try_from(to).unwrap_or(0) % others.len().max(1))
                else {
                    return Ok(None);
                };
                // A slot moves only while the receiving primary has its replica.
                cluster.replica_of(to)?;
                cluster.reshard(slot, owner, to)?;
                cluster.owner(slot)?;
                Ok(Some(tag))
            }
            Self::FailOver { way, unasked, .. } => {
                let replica = cluster.replica_of(owner)?;
                let how = match (way, unasked) {
                    (FailOver::Ordered, _) => Takeover::Agreed,
                    (_, false) => Takeover::Forced,
                    (_, true) => Takeover::Unasked,
                };
                match way {
                    FailOver::Ordered => cluster.take_over(replica, how)?,
                    FailOver::Killed => {
                        owner.kill()?;
                        let taken = cluster.take_over(replica, how);
                        owner.restart()?;
                        taken?;
                    }
                    FailOver::Paused | FailOver::Hung => {
                        if way == FailOver::Hung {
                            hang(owner, replica)?;
                        } else {
                            owner.pause()?;
                        }
                        let taken = cluster.take_over(replica, how);
                        resume(owner, way, replaced)?;
                        taken?;
                    }
                }
                if way == FailOver::Hung {
                    // It has happened, whichever server is elected once the old primary is back.
                    return Ok(Some(format!("{tag}, {how:?}").to_lowercase()));
                }
                // The old primary may believe for a moment that it still is one.
                cluster.replica_of(replica)?;
                let end = Instant::now() + AGREED_WITHIN;
                while cluster.owner(slot)?.port() != replica.port() {
                    if Instant::now() > end {
                        return Ok(None);
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                Ok(Some(format!("{tag}, {how:?}").to_lowercase()))
            }
        }
    }
}

/// Returns the other primaries, in the order of the nodes.
fn primaries<'a>(
    cluster: &'a Cluster,
    but: &poolder_devserver::Server,
) -> Result<Vec<&'a poolder_devserver::Server>, Error> {
    let mut found = vec![];
    for node in cluster.nodes().iter().filter(|node| node.port() != but.port()) {
        if node.command(&["INFO", "replication"])?.contains("role:master") {
            found.push(node);
        }
    }
    Ok(found)
}
