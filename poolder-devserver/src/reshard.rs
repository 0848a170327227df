//! Changes of a running cluster: slots that are moved, primaries that are replaced.

use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, id, port};
use crate::error::Error;
use crate::server::Server;

/// Time within which the nodes must agree on a change.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Number of steps in which a slot moves; between steps its keys are spread over both nodes.
const STEPS: usize = 8;
/// Smallest number of keys that a step moves.
const MIN_STEP_KEYS: usize = 5;

/// The way in which a replica replaces its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// In agreement with the primary, so that no write is lost.
    Agreed,
    /// Without the primary, by a vote of the other primaries (`CLUSTER FAILOVER FORCE`).
    Forced,
    /// Without the primary and without a vote (`CLUSTER FAILOVER TAKEOVER`).
    Unasked,
}

impl Cluster {
    /// Returns the slot of a key.
    ///
    /// # Errors
    /// Returns an error when no node answers.
    pub fn slot_of(&self, key: &str) -> Result<u16, Error> {
        let slot = self.any(&["CLUSTER", "KEYSLOT", key])?;
        slot.parse().map_err(|_| Error::failed(format!("{slot} is no slot")))
    }

    /// Returns the node that takes writes for a slot, according to the node itself and to the
    /// majority.
    ///
    /// # Errors
    /// Returns an error when there is no such node within 30 s.
    pub fn owner(&self, slot: u16) -> Result<&Server, Error> {
        let end = Instant::now() + SETTLE_TIMEOUT;
        loop {
            let serves = |node: &&Server| {
                let about =
                    node.command_within(QUERY_TIMEOUT, &["CLUSTER", "NODES"]).unwrap_or_default();
                about.lines().any(|line| line.contains("myself,master") && has(line, slot))
                    && about.lines().filter(|line| has(line, slot)).count() == 1
                    && self.majority_names(node, slot)
            };
            if let Some(node) = self.nodes().iter().find(serves) {
                return Ok(node);
            }
            if Instant::now() > end {
                return Err(Error::failed(format!("no node serves slot {slot}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn majority_names(&self, owner: &Server, slot: u16) -> bool {
        let address = format!(":{}@", port(owner));
        let agrees = |node: &&Server| {
            let about =
                node.command_within(QUERY_TIMEOUT, &["CLUSTER", "NODES"]).unwrap_or_default();
            about.lines().any(|line| has(line, slot) && line.contains(&address))
        };
        self.nodes().iter().filter(agrees).count() * 2 > self.nodes().len()
    }

    /// Returns a replica of this primary that is connected and synchronized.
    ///
    /// # Errors
    /// Returns an error when there is none within 30 s.
    pub fn replica_of(&self, primary: &Server) -> Result<&Server, Error> {
        let line = format!("master_port:{}", port(primary));
        let end = Instant::now() + SETTLE_TIMEOUT;
        loop {
            let follows = |node: &&Server| {
                let about = node.command_within(QUERY_TIMEOUT, &["INFO", "replication"]);
                about.is_ok_and(|about| {
                    about.lines().any(|found| found.trim() == line)
                        && about.contains("master_link_status:up")
                })
            };
            if let Some(node) = self.nodes().iter().find(follows) {
                return Ok(node);
            }
            if Instant::now() > end {
                return Err(Error::failed("the primary has no synchronized replica"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes this replica the primary of its slots, and returns when the replica reports that role.
    ///
    /// # Errors
    /// Returns an error when the replica does not become a primary within 30 s.
    pub fn take_over(&self, replica: &Server, how: Takeover) -> Result<(), Error> {
        let mut words = vec!["CLUSTER", "FAILOVER"];
        match how {
            Takeover::Agreed => {}
            Takeover::Forced => words.push("FORCE"),
            Takeover::Unasked => words.push("TAKEOVER"),
        }
        let end = Instant::now() + SETTLE_TIMEOUT;
        let mut sent = None::<Instant>;
        loop {
            let about = replica.command(&["INFO", "replication"])?;
            if about.contains("role:master") {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Error::failed("the replica did not take over"));
            }
            // A failed election is not repeated by itself, so the command is sent again.
            if sent.is_none_or(|at| at.elapsed() > Duration::from_secs(6)) {
                sent = Some(Instant::now());
                // The node refuses the command if it was elected a moment ago.
                let _ = replica.command(&words);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Moves a slot with its keys in several steps, and returns when a replica of the new owner has
    /// the moved keys. Until then a failover could lose keys, since a move does not wait for
    /// replicas.
    ///
    /// # Errors
    /// Returns an error when a node refuses a command.
    pub fn reshard(&self, slot: u16, from: &Server, to: &Server) -> Result<(), Error> {
        let (text, there) = (slot.to_string(), port(to).to_string());
        let (source, target) = (id(from)?, id(to)?);
        write(to, &["CLUSTER", "SETSLOT", &text, "IMPORTING", &source])?;
        write(from, &["CLUSTER", "SETSLOT", &text, "MIGRATING", &target])?;
        let all = from.command(&["CLUSTER", "COUNTKEYSINSLOT", &text])?;
        let some = (all.parse().unwrap_or(0) / STEPS).max(MIN_STEP_KEYS).to_string();
        loop {
            let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &text, &some])?;
            let keys: Vec<&str> = keys.lines().filter(|key| !key.is_empty()).collect();
            if keys.is_empty() {
                break;
            }
            let mut words = vec!["MIGRATE", "127.0.0.1", &there, "", "0", "5000", "KEYS"];
            words.extend(keys);
            write(from, &words)?;
        }
        for node in [to, from] {
            write(node, &["CLUSTER", "SETSLOT", &text, "NODE", &target])?;
        }
        self.in_step(to)
    }

    /// Waits until a replica has all writes that this primary has accepted so far.
    ///
    /// # Errors
    /// Returns an error when no replica has them within 30 s.
    pub fn in_step(&self, primary: &Server) -> Result<(), Error> {
        let written = field(primary, "master_repl_offset:")?.unwrap_or(0);
        let end = Instant::now() + SETTLE_TIMEOUT;
        loop {
            let replica = self.replica_of(primary)?;
            if field(replica, "slave_repl_offset:")?.is_some_and(|read| read >= written) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Error::failed("the replica did not catch up with its primary"));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn any(&self, words: &[&str]) -> Result<String, Error> {
        let mut last = Error::failed("the cluster has no nodes");
        for node in self.nodes() {
            match node.command_within(QUERY_TIMEOUT, words) {
                Ok(reply) => return Ok(reply),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// Time limit of a query: a stopped node does not answer, a living node answers even on a busy
/// machine.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends a command, again and again while it is refused because no replica is synchronized, which
/// can happen on a busy machine: a move that has begun must be completed.
fn write(node: &Server, words: &[&str]) -> Result<(), Error> {
    let end = Instant::now() + SETTLE_TIMEOUT;
    loop {
        match node.command(words) {
            Err(error) if error.to_string().contains("NOREPLICAS") && Instant::now() < end => {
                thread::sleep(Duration::from_millis(50));
            }
            reply => return reply.map(drop),
        }
    }
}

fn field(node: &Server, name: &str) -> Result<Option<u64>, Error> {
    let about = node.command(&["INFO", "replication"])?;
    Ok(about.lines().find_map(|line| line.trim().strip_prefix(name)?.parse().ok()))
}

/// Returns true when this line of `CLUSTER NODES` says that the node has the slot.
fn has(line: &str, slot: u16) -> bool {
    line.split_whitespace().skip(8).any(|range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        match (from.parse::<u16>(), to.parse::<u16>()) {
            (Ok(from), Ok(to)) => (from..=to).contains(&slot),
            // A slot that is being moved: `[slot->-node]`.
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Takeover, has};
    use crate::cluster::{Cluster, port, wait};

    #[test]
    fn ranges_and_single_slots_are_read() {
        let line = "a1 127.0.0.1:1@2 myself,master - 0 0 3 connected 0-99 200 [300->-b2]";
        assert!(has(line, 0) && has(line, 99) && has(line, 200));
        assert!(!has(line, 100) && !has(line, 300));
    }

    #[test]
    fn slots_move_and_primaries_are_replaced_and_return() {
        let cluster = Cluster::start(3, 1).unwrap();
        let slot = cluster.slot_of("k").unwrap();
        let first = cluster.owner(slot).unwrap();
        first.command(&["SET", "k", "v"]).unwrap();
        let other = cluster.nodes()[..3].iter().find(|node| port(node) != port(first)).unwrap();
        cluster.reshard(slot, first, other).unwrap();
        let owner = cluster.owner(slot).unwrap();
        assert_eq!(port(owner), port(other));
        for how in [Takeover::Agreed, Takeover::Forced, Takeover::Unasked] {
            let old = cluster.owner(slot).unwrap();
            let replica = cluster.replica_of(old).unwrap();
            if how != Takeover::Agreed {
                old.kill().unwrap();
            }
            cluster.take_over(replica, how).unwrap();
            if how != Takeover::Agreed {
                old.restart().unwrap();
            }
            assert_eq!(port(cluster.replica_of(replica).unwrap()), port(old));
            let took_over = || Ok(port(cluster.owner(slot)?) == port(replica));
            wait("all nodes know the new primary", took_over).unwrap();
            assert_eq!(replica.command(&["GET", "k"]).unwrap(), "v");
        }
    }
}
