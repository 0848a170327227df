//! A Redis Cluster of private servers.

use std::thread;
use std::time::{Duration, Instant};

use crate::builder::Builder;
use crate::error::Error;
use crate::server::Server;

/// Time within which the nodes must agree on the cluster.
const AGREE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time of silence in milliseconds after which the other nodes consider a node failed.
const NODE_TIMEOUT: &str = "1500";
/// Offset of a node's cluster bus port from its port.
const BUS_PORT_OFFSET: u16 = 10_000;
/// Number of slots of a cluster.
const SLOTS: usize = 16_384;

/// A cluster of private servers on 127.0.0.1 that covers all slots.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
    primaries: usize,
}

impl Cluster {
    /// Starts a cluster with this number of primaries, each with this number of replicas, and
    /// returns when all nodes agree on the cluster. [`Cluster::nodes()`] returns the
    /// primaries first.
    ///
    /// # Errors
    /// Returns an error when no server program was found, or when the nodes did not agree within
    /// 30 s.
    pub fn start(primaries: usize, replicas: usize) -> Result<Self, Error> {
        Self::start_with(primaries, replicas, |node| node)
    }

    /// Starts a cluster like [`Cluster::start`]; `settings` changes the settings of every node.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_with(
        primaries: usize,
        replicas: usize,
        settings: impl Fn(Builder) -> Builder,
    ) -> Result<Self, Error> {
        let mut nodes = vec![];
        while nodes.len() < primaries * (1 + replicas) {
            let node = Server::builder()
                .tcp()
                .arg("repl-diskless-sync-delay", "0")
                .arg("cluster-enabled", "yes")
                .arg("cluster-node-timeout", NODE_TIMEOUT);
            match settings(node).start() {
                Ok(node) if port(&node) <= u16::MAX - BUS_PORT_OFFSET => nodes.push(node),
                // The node's port is so high that its bus port would exceed 65535: another node is
                // started.
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        let cluster = Self { nodes, primaries };
        cluster.introduce()?;
        Ok(cluster)
    }

    /// Returns the nodes, primaries first.
    #[must_use]
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// Returns the URL for a Poolder client: `redis+cluster://127.0.0.1:…,…`.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<String> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", port(node))).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// Moves a slot with its keys to another node, one key at a time, as an operator would.
    ///
    /// # Errors
    /// Returns an error when a node refuses a command.
    pub fn move_slot(&self, slot: u16, from: &Server, to: &Server) -> Result<(), Error> {
        let (slot, port) = (slot.to_string(), port(to).to_string());
        let (source, target) = (id(from)?, id(to)?);
        to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source])?;
        from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target])?;
        loop {
            let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "10"])?;
            let keys: Vec<&str> = keys.lines().filter(|key| !key.is_empty()).collect();
            if keys.is_empty() {
                break;
            }
            for key in keys {
                from.command(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"])?;
            }
        }
        for node in [to, from] {
            node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target])?;
        }
        for node in &self.nodes {
            // Replicas refuse the command; their primary informs them.
            let _ = node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]);
        }
        Ok(())
    }

    fn introduce(&self) -> Result<(), Error> {
        let (primaries, replicas) = self.nodes.split_at(self.primaries);
        for (at, node) in primaries.iter().enumerate() {
            let (from, to) = (at * SLOTS / self.primaries, (at + 1) * SLOTS / self.primaries);
            let slots: Vec<String> = (from..to).map(|slot| slot.to_string()).collect();
            let mut words = vec!["CLUSTER", "ADDSLOTS"];
            words.extend(slots.iter().map(String::as_str));
            node.command(&words)?;
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()])?;
        }
        let Some(first) = self.nodes.first() else { return Ok(()) };
        for node in &self.nodes[1..] {
            first.command(&["CLUSTER", "MEET", "127.0.0.1", &port(node).to_string()])?;
        }
        self.agree("know each other", |node| {
            Ok(node.command(&["CLUSTER", "NODES"])?.lines().count() == self.nodes.len())
        })?;
        for (at, node) in replicas.iter().enumerate() {
            node.command(&["CLUSTER", "REPLICATE", &id(&primaries[at % self.primaries])?])?;
        }
        self.agree("cover all slots", |node| {
            let info = node.command(&["CLUSTER", "INFO"])?;
            let slots = node.command(&["CLUSTER", "SLOTS"])?;
            let all = primaries.iter().all(|one| slots.contains(&port(one).to_string()));
            Ok(info.contains("cluster_state:ok") && all)
        })?;
        for node in replicas {
            wait("replicas are synchronized", || {
                Ok(node.command(&["INFO", "replication"])?.contains("master_link_status:up"))
            })?;
        }
        Ok(())
    }

    fn agree(
        &self,
        what: &str,
        done: impl Fn(&Server) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        self.nodes.iter().try_for_each(|node| wait(what, || done(node)))
    }
}

/// Polls until `done` returns true, since servers do not announce such changes.
pub(crate) fn wait(what: &str, done: impl Fn() -> Result<bool, Error>) -> Result<(), Error> {
    let end = Instant::now() + AGREE_TIMEOUT;
    while !done()? {
        if Instant::now() > end {
            return Err(Error::failed(format!("timed out waiting for the servers: {what}")));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

pub(crate) fn port(node: &Server) -> u16 {
    node.port().unwrap_or_default()
}

pub(crate) fn id(node: &Server) -> Result<String, Error> {
    node.command(&["CLUSTER", "MYID"])
}
