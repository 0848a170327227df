//! Finds the server that has a key, and holds the connections to it.
//!
//! A single server has all keys. Behind Sentinels the primary is looked up and cached until an
//! error shows that it may have changed. For a cluster the table of slots is looked up and cached
//! in the same way. A command that a server refuses with MOVED, ASK or TRYAGAIN was not executed,
//! and is sent again to the server that has the key.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::{ErrorKind, RedisError, RedisResult, Value};

use crate::broker::connection::config::Config;
use crate::broker::connection::endpoint::{Endpoint, Host, Topology};
use crate::broker::connection::reply;
use crate::broker::connection::shared::SharedConnection;
use crate::job::Error;

/// The time limit for each step of a lookup at a Sentinel or a node of the cluster.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// The number of slots of a cluster.
const SLOTS: usize = 16_384;

/// A server, and the connections to it.
pub(crate) struct Peer {
    pub(crate) client: redis::Client,
    pub(crate) link: SharedConnection,
    /// Connections for commands that need one for themselves: long reads, administration, durable
    /// enqueues.
    pub(crate) pool: deadpool_redis::Pool,
}

/// Finds the server that has a key.
pub(crate) struct Route {
    endpoint: Endpoint,
    config: Config,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// Behind Sentinels the primary, for a cluster its primaries. Empty when unknown.
    hosts: Vec<Host>,
    /// For a cluster the owner of each slot, as an index into `hosts`.
    slots: Vec<u16>,
    peers: HashMap<Option<Host>, Arc<Peer>>,
}

impl Route {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let endpoint = config.endpoint()?;
        let route = Self { endpoint, config: config.clone(), known: RwLock::default() };
        if route.endpoint.topology == Topology::One {
            // A wrong setting is reported now, not at the first command.
            route.peer_at(None).map_err(|error| Error::invalid(error.to_string()))?;
        }
        Ok(route)
    }

    /// Returns the server that has the slot. Without a slot, any server of a cluster will do.
    pub(crate) async fn peer(self: &Arc<Self>, slot: Option<u16>) -> RedisResult<Arc<Peer>> {
        if let Some(host) = self.peek(slot) {
            return self.peer_at(host);
        }
        let route = Arc::clone(self);
        let host = tokio::task::spawn_blocking(move || route.find(slot)).await;
        let stopped = |_| RedisError::from((ErrorKind::Client, "the runtime is shutting down"));
        self.peer_at(host.map_err(stopped)??)
    }

    /// Like [`Route::peer`], but for a thread that may block.
    pub(crate) fn client_blocking(&self, slot: u16) -> RedisResult<redis::Client> {
        let host = match self.peek(Some(slot)) {
            Some(host) => host,
            None => self.find(Some(slot))?,
        };
        self.peer_at(host).map(|peer| peer.client.clone())
    }

    /// Clears the cached addresses, so that the servers are looked up before the next command.
    pub(crate) fn forget(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.slots.clear();
        known.hosts.clear();
    }

    /// Returns the server at `host`, or the single server for `None`. Creates its client on
    /// first use.
    pub(crate) fn peer_at(&self, host: Option<Host>) -> RedisResult<Arc<Peer>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = known.peers.get(&host) {
            return Ok(Arc::clone(peer));
        }
        drop(known);
        let info = match &host {
            None => self.endpoint.template.clone(),
            Some(host) => self.endpoint.to(host),
        };
        let peer = Arc::new(Peer::new(info, &self.config)?);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(known.peers.entry(host).or_insert(peer)))
    }

    /// Returns whether every command goes to the same server.
    pub(crate) fn is_one(&self) -> bool {
        !matches!(self.endpoint.topology, Topology::Cluster { .. })
    }

    /// Returns whether the server for a key may change.
    pub(crate) fn may_move(&self) -> bool {
        self.endpoint.topology != Topology::One
    }

    /// Returns the cached host for the slot, `Some(None)` for a single server, and `None` when a
    /// lookup is needed.
    fn peek(&self, slot: Option<u16>) -> Option<Option<Host>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match self.endpoint.topology {
            Topology::One => Some(None),
            Topology::Sentinel { .. } => known.hosts.first().cloned().map(Some),
            Topology::Cluster { .. } => {
                let at = known.slots.get(usize::from(slot.unwrap_or(0)))?;
                known.hosts.get(usize::from(*at)).cloned().map(Some)
            }
        }
    }

    /// Looks the servers up and caches them. Blocks.
    fn find(&self, slot: Option<u16>) -> RedisResult<Option<Host>> {
        let mut last = RedisError::from((ErrorKind::Client, "there is no server to ask"));
        for seed in self.lookup_hosts() {
            let answer = match &self.endpoint.topology {
                Topology::One => return Ok(None),
                Topology::Sentinel { service, .. } => self.ask_sentinel(&seed, service),
                Topology::Cluster { .. } => self.ask_node(&seed),
            };
            match answer {
                Ok((hosts, slots)) => {
                    let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                    (known.hosts, known.slots) = (hosts, slots);
                    drop(known);
                    if let Some(found) = self.peek(slot) {
                        return Ok(found);
                    }
                    last = RedisError::from((ErrorKind::Client, "no server has this slot"));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Returns the hosts to ask in a lookup: the seeds, and before them the nodes of the cluster
    /// that were used already.
    fn lookup_hosts(&self) -> Vec<Host> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match &self.endpoint.topology {
            Topology::One => vec![Host(String::new(), 0)],
            Topology::Sentinel { seeds, .. } => seeds.clone(),
            Topology::Cluster { seeds } => {
                known.peers.keys().flatten().chain(seeds).cloned().collect()
            }
        }
    }

    fn ask_sentinel(&self, seed: &Host, service: &str) -> RedisResult<(Vec<Host>, Vec<u16>)> {
        // The user and password are meant for the servers: a Sentinel has separate users.
        let plain = redis::RedisConnectionInfo::default();
        let info = self.endpoint.to(seed).set_redis_settings(plain);
        let mut sentinel = open_for_lookup(&redis::Client::open(info)?)?;
        let address: Option<(String, u16)> = redis::cmd("SENTINEL")
            .arg("get-master-addr-by-name")
            .arg(service)
            .query(&mut sentinel)?;
        let unknown = || (ErrorKind::Client, "the Sentinel does not know this service");
        let (host, port) = address.ok_or_else(unknown)?;
        let host = Host(host, port);
        // After a failover a Sentinel may still name the old primary.
        let mut primary = open_for_lookup(&redis::Client::open(self.endpoint.to(&host))?)?;
        let role: Vec<Value> = redis::cmd("ROLE").query(&mut primary)?;
        let role = role.into_iter().next().and_then(|role| reply::text(role).ok());
        if role.as_deref() != Some("master") {
            return Err(
                (ErrorKind::Client, "the Sentinel named a server that is no primary").into()
            );
        }
        Ok((vec![host], vec![]))
    }

    fn ask_node(&self, seed: &Host) -> RedisResult<(Vec<Host>, Vec<u16>)> {
        let mut node = open_for_lookup(&redis::Client::open(self.endpoint.to(seed))?)?;
        let ranges: Value = redis::cmd("CLUSTER").arg("SLOTS").query(&mut node)?;
        let unreadable = |_| {
            RedisError::from((ErrorKind::Client, "the reply to CLUSTER SLOTS could not be read"))
        };
        let mut hosts: Vec<Host> = vec![];
        let mut slots = vec![u16::MAX; SLOTS];
        for range in reply::array(ranges).map_err(unreadable)? {
            let (from, to, host) = slot_range(range, seed).map_err(unreadable)?;
            let at = hosts.iter().position(|known| *known == host).unwrap_or_else(|| {
                hosts.push(host);
                hosts.len() - 1
            });
            let at = u16::try_from(at).unwrap_or(u16::MAX);
            slots.iter_mut().take(to + 1).skip(from).for_each(|slot| *slot = at);
        }
        Ok((hosts, slots))
    }
}

/// Reads a range of slots: its first and last slot, and the primary that has them.
fn slot_range(range: Value, asked: &Host) -> Result<(usize, usize, Host), Error> {
    let mut parts = reply::array(range)?.into_iter();
    let mut next = || parts.next().unwrap_or(Value::Nil);
    let number = |value| reply::int(value).map(|n| usize::try_from(n).unwrap_or(SLOTS));
    let (from, to) = (number(next())?, number(next())?);
    let mut primary = reply::array(next())?.into_iter();
    // A node that does not know its own host leaves the host out: it is the node that was asked.
    let host = primary.next().and_then(|host| reply::text(host).ok()).filter(|h| !h.is_empty());
    let port = reply::int(primary.next().unwrap_or(Value::Nil))?;
    let port = u16::try_from(port).map_err(|_| Error::protocol("a port is out of range"))?;
    Ok((from, to, Host(host.unwrap_or_else(|| asked.0.clone()), port)))
}

/// Opens a connection for a lookup.
fn open_for_lookup(client: &redis::Client) -> RedisResult<redis::Connection> {
    let connection = client.get_connection_with_timeout(LOOKUP_TIMEOUT)?;
    connection.set_read_timeout(Some(LOOKUP_TIMEOUT))?;
    connection.set_write_timeout(Some(LOOKUP_TIMEOUT))?;
    Ok(connection)
}

impl Peer {
    fn new(info: redis::ConnectionInfo, config: &Config) -> RedisResult<Self> {
        let client = redis::Client::open(info.clone())?;
        // A long read of a large queue may take longer than a hot command.
        let settings =
            config.connection_waiting(config.longest_reply().max(Duration::from_secs(10)));
        let manager = deadpool_redis::Manager::new_with_config(info, settings)?;
        let wait = Some(Duration::from_secs(5));
        let pool = deadpool_redis::Pool::builder(manager)
            .max_size(16)
            .wait_timeout(wait)
            .create_timeout(wait)
            .recycle_timeout(wait)
            .runtime(deadpool_redis::Runtime::Tokio1)
            .build()
            .map_err(|error| (ErrorKind::InvalidClientConfig, "pool", error.to_string()))?;
        let link = SharedConnection::new(client.clone(), config);
        Ok(Self { client, link, pool })
    }
}

/// Returns the cluster slot of a key, computed from its hash tag if the key has one.
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    const XMODEM: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);
    let open = key.iter().position(|byte| *byte == b'{');
    let tag = open.and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    XMODEM.checksum(tag.unwrap_or(key)) % 16_384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(slot_of(b"123456789"), 12739);
        assert_eq!(slot_of(b"poolder:{mail.0}:due"), slot_of(b"mail.0"));
        assert_eq!(slot_of(b"a{}b"), slot_of(b"a{}b"));
        assert_ne!(slot_of(b"a{}b"), slot_of(b""));
    }
}
