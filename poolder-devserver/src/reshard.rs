//! What an operator does to a cluster, and what happens to it: slots that move, primaries that
//! are replaced.

use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, id, port};
use crate::error::Error;
use crate::server::Server;

/// How long the nodes may take to come to terms.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// In so many steps a slot moves; between them some keys are here and some are there.
const STEPS: usize = 8;
/// So few keys are worth a step.
const FEW_KEYS: usize = 5;

/// How a replica takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// In agreement with its primary, so that nothing is lost.
    Agreed,
    /// Without the primary, elected by the others.
    Forced,
    /// Without anybody.
    Unasked,
}

impl Cluster {
    /// The slot of a key.
    ///
    /// # Errors
    /// No node answers.
    pub fn slot_of(&self, key: &str) -> Result<u16, Error> {
        let slot = self.any(&["CLUSTER", "KEYSLOT", key])?;
        slot.parse().map_err(|_| Error::failed(format!("{slot} is no slot")))
    }

    /// The node that takes writes for a slot, by its own account and that of the majority.
    ///
    /// # Errors
    /// None does within half a minute.
    pub fn owner(&self, slot: u16) -> Result<&Server, Error> {
        let end = Instant::now() + SETTLED_WITHIN;
        loop {
            let serves = |node: &&Server| {
                let about = node.command_within(SHORT, &["CLUSTER", "NODES"]).unwrap_or_default();
                about.lines().any(|line| line.contains("myself,master") && has(line, slot))
                    && about.lines().filter(|line| has(line, slot)).count() == 1
                    && self.majority_names(node, slot)
            };
            if let Some(node) = self.nodes().iter().find(serves) {
                return Ok(node);
            }
            if Instant::now() > end {
                return Err(Error::failed(format!("nobody serves slot {slot}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn majority_names(&self, owner: &Server, slot: u16) -> bool {
        let address = format!(":{}@", port(owner));
        let agrees = |node: &&Server| {
            let about = node.command_within(SHORT, &["CLUSTER", "NODES"]).unwrap_or_default();
            about.lines().any(|line| has(line, slot) && line.contains(&address))
        };
        self.nodes().iter().filter(agrees).count() * 2 > self.nodes().len()
    }

    /// A replica of that primary which is in step.
    ///
    /// # Errors
    /// There is none within half a minute.
    pub fn replica_of(&self, primary: &Server) -> Result<&Server, Error> {
        let line = format!("master_port:{}", port(primary));
        let end = Instant::now() + SETTLED_WITHIN;
        loop {
            let follows = |node: &&Server| {
                let about = node.command_within(SHORT, &["INFO", "replication"]);
                about.is_ok_and(|about| {
                    about.lines().any(|found| found.trim() == line)
                        && about.contains("master_link_status:up")
                })
            };
            if let Some(node) = self.nodes().iter().find(follows) {
                return Ok(node);
            }
            if Instant::now() > end {
                return Err(Error::failed("the primary has no replica in step"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes this replica the primary of its slots, and returns when it says that it is.
    ///
    /// # Errors
    /// It did not become that in time.
    pub fn take_over(&self, replica: &Server, how: Takeover) -> Result<(), Error> {
        let mut words = vec!["CLUSTER", "FAILOVER"];
        match how {
            Takeover::Agreed => {}
            Takeover::Forced => words.push("FORCE"),
            Takeover::Unasked => words.push("TAKEOVER"),
        }
        let end = Instant::now() + SETTLED_WITHIN;
        let mut ordered = None::<Instant>;
        loop {
            let about = replica.command(&["INFO", "replication"])?;
            if about.contains("role:master") {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Error::failed("the replica did not take over"));
            }
            // An election that failed is not held again by itself.
            if ordered.is_none_or(|at| at.elapsed() > Duration::from_secs(6)) {
                ordered = Some(Instant::now());
                // It may refuse, having been elected a moment ago.
                let _ = replica.command(&words);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Moves a slot with its keys, some at a time, and returns when the replicas of the new owner
    /// have what was moved. Until then a failover could lose it: a move waits for nobody.
    ///
    /// # Errors
    /// A node refused.
    pub fn reshard(&self, slot: u16, from: &Server, to: &Server) -> Result<(), Error> {
        let (text, there) = (slot.to_string(), port(to).to_string());
        let (source, target) = (id(from)?, id(to)?);
        write(to, &["CLUSTER", "SETSLOT", &text, "IMPORTING", &source])?;
        write(from, &["CLUSTER", "SETSLOT", &text, "MIGRATING", &target])?;
        let all = from.command(&["CLUSTER", "COUNTKEYSINSLOT", &text])?;
        let some = (all.parse().unwrap_or(0) / STEPS).max(FEW_KEYS).to_string();
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

    /// Waits until a replica has all that this primary has written so far.
    ///
    /// # Errors
    /// None has within half a minute.
    pub fn in_step(&self, primary: &Server) -> Result<(), Error> {
        let written = field(primary, "master_repl_offset:")?.unwrap_or(0);
        let end = Instant::now() + SETTLED_WITHIN;
        loop {
            let replica = self.replica_of(primary)?;
            if field(replica, "slave_repl_offset:")?.is_some_and(|read| read >= written) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(Error::failed("the replica is not in step"));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn any(&self, words: &[&str]) -> Result<String, Error> {
        let mut last = Error::failed("the cluster has no nodes");
        for node in self.nodes() {
            match node.command_within(SHORT, words) {
                Ok(reply) => return Ok(reply),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// A node that is away does not answer; those that live do, also on a busy machine.
const SHORT: Duration = Duration::from_secs(2);

/// Sends a command again as long as it is refused for want of a replica in step, which a busy
/// machine is enough for: half a move must come to its end.
fn write(node: &Server, words: &[&str]) -> Result<(), Error> {
    let end = Instant::now() + SETTLED_WITHIN;
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

/// True when a line of `CLUSTER NODES` says that the node has the slot.
fn has(line: &str, slot: u16) -> bool {
    line.split_whitespace().skip(8).any(|range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        match (from.parse::<u16>(), to.parse::<u16>()) {
            (Ok(from), Ok(to)) => (from..=to).contains(&slot),
            // `[slot->-node]`: on the move.
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
            wait("all know of it", took_over).unwrap();
            assert_eq!(replica.command(&["GET", "k"]).unwrap(), "v");
        }
    }
}
