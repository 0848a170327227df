//! A cluster of private servers.

use std::thread;
use std::time::{Duration, Instant};

use crate::builder::Builder;
use crate::error::Error;
use crate::server::Server;

/// How long nodes may take to agree on the cluster.
const AGREED_WITHIN: Duration = Duration::from_secs(30);
/// How long a node may be silent before the others think it failed.
const NODE_TIMEOUT: &str = "1500";
/// The bus of a node listens this far above its port.
const BUS: u16 = 10_000;
/// The number of slots.
const SLOTS: usize = 16_384;

/// A cluster of private servers on 127.0.0.1, all slots covered.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
    primaries: usize,
}

impl Cluster {
    /// Starts a cluster of that many primaries, each with that many replicas, and returns when all
    /// nodes agree on it. The primaries come first.
    ///
    /// # Errors
    /// No server program was found, or the nodes did not agree in time.
    pub fn start(primaries: usize, replicas: usize) -> Result<Self, Error> {
        Self::start_with(primaries, replicas, |node| node)
    }

    /// The same, with other than the default settings for all nodes.
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
                Ok(node) if port(&node) <= u16::MAX - BUS => nodes.push(node),
                // Its bus has no port to listen on.
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        let cluster = Self { nodes, primaries };
        cluster.introduce()?;
        Ok(cluster)
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// The URL for a client of Poolder: `redis+cluster://127.0.0.1:…,…`.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<String> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", port(node))).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// Moves a slot to another node, keys and all, as an operator would: one key at a time.
    ///
    /// # Errors
    /// A node refused.
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
            // Replicas hear of it from their primary.
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
            wait("replicas are in step", || {
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

/// Waits for what servers tell nobody: they have to be asked.
pub(crate) fn wait(what: &str, done: impl Fn() -> Result<bool, Error>) -> Result<(), Error> {
    let end = Instant::now() + AGREED_WITHIN;
    while !done()? {
        if Instant::now() > end {
            return Err(Error::failed(format!("the servers did not come to this: {what}")));
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
