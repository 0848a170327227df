//! Which server has a key, and the connections to it.
//!
//! One server has all keys. Behind Sentinels the primary is asked for and remembered until it
//! fails us; of a cluster the table of slots is. What the server refuses with MOVED, ASK or
//! TRYAGAIN was not executed, and is sent where it belongs.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::{ErrorKind, RedisError, RedisResult, Value};

use crate::broker::connection::config::Config;
use crate::broker::connection::endpoint::{Endpoint, Host, Topology};
use crate::broker::connection::reply;
use crate::broker::connection::shared::SharedConnection;
use crate::job::Error;

/// How long a Sentinel or a node of the cluster may take to say where the servers are.
const ASKING: Duration = Duration::from_secs(2);

/// The number of slots of a cluster.
const SLOTS: usize = 16_384;

/// A server, and the connections to it.
pub(crate) struct Peer {
    pub(crate) client: redis::Client,
    pub(crate) link: SharedConnection,
    /// Connections for what must be alone on one: long reads, administration, durable enqueues.
    pub(crate) pool: deadpool_redis::Pool,
}

/// The way to the server that has a key.
pub(crate) struct Route {
    endpoint: Endpoint,
    config: Config,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// Behind Sentinels the primary; of a cluster the owner of each slot, as places in `hosts`.
    hosts: Vec<Host>,
    slots: Vec<u16>,
    peers: HashMap<Option<Host>, Arc<Peer>>,
}

impl Route {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let endpoint = config.endpoint()?;
        let route = Self { endpoint, config: config.clone(), known: RwLock::default() };
        if route.endpoint.topology == Topology::One {
            // What is wrong with it is said now, not at the first command.
            route.peer_at(None).map_err(|error| Error::invalid(error.to_string()))?;
        }
        Ok(route)
    }

    /// The server that has the slot; any, where there is none.
    pub(crate) async fn peer(self: &Arc<Self>, slot: Option<u16>) -> RedisResult<Arc<Peer>> {
        if let Some(host) = self.peek(slot) {
            return self.peer_at(host);
        }
        let route = Arc::clone(self);
        let host = tokio::task::spawn_blocking(move || route.find(slot)).await;
        let stopped = |_| RedisError::from((ErrorKind::Client, "the runtime is going down"));
        self.peer_at(host.map_err(stopped)??)
    }

    /// The same for a thread that may block.
    pub(crate) fn client_blocking(&self, slot: u16) -> RedisResult<redis::Client> {
        let host = match self.peek(Some(slot)) {
            Some(host) => host,
            None => self.find(Some(slot))?,
        };
        self.peer_at(host).map(|peer| peer.client.clone())
    }

    /// Forgets where the servers are: it is asked for again before the next command.
    pub(crate) fn forget(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.slots.clear();
        known.hosts.clear();
    }

    /// The server at that place, for a redirection.
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

    /// True when every command goes to the same server.
    pub(crate) fn is_one(&self) -> bool {
        !matches!(self.endpoint.topology, Topology::Cluster { .. })
    }

    /// True when the server for a key may be another one tomorrow.
    pub(crate) fn may_move(&self) -> bool {
        self.endpoint.topology != Topology::One
    }

    /// Where the slot is, as far as is known: `None` when it must be asked for.
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

    /// Asks where the servers are, and remembers it. Blocks.
    fn find(&self, slot: Option<u16>) -> RedisResult<Option<Host>> {
        let mut last = RedisError::from((ErrorKind::Client, "there is nobody to ask"));
        for seed in self.askable() {
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
                    last = RedisError::from((ErrorKind::Client, "nobody serves this slot"));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Whom to ask: the seeds, and the nodes of the cluster that were connected to.
    fn askable(&self) -> Vec<Host> {
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
        // A Sentinel has users of its own: ours are meant for the servers.
        let plain = redis::RedisConnectionInfo::default();
        let info = self.endpoint.to(seed).set_redis_settings(plain);
        let mut sentinel = patient(&redis::Client::open(info)?)?;
        let address: Option<(String, u16)> = redis::cmd("SENTINEL")
            .arg("get-master-addr-by-name")
            .arg(service)
            .query(&mut sentinel)?;
        let unknown = || (ErrorKind::Client, "the Sentinel does not know this service");
        let (host, port) = address.ok_or_else(unknown)?;
        let host = Host(host, port);
        // After a failover a Sentinel may still name the old primary.
        let mut primary = patient(&redis::Client::open(self.endpoint.to(&host))?)?;
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
        let mut node = patient(&redis::Client::open(self.endpoint.to(seed))?)?;
        let ranges: Value = redis::cmd("CLUSTER").arg("SLOTS").query(&mut node)?;
        let unread = |_| RedisError::from((ErrorKind::Client, "CLUSTER SLOTS was not understood"));
        let mut hosts: Vec<Host> = vec![];
        let mut slots = vec![u16::MAX; SLOTS];
        for range in reply::array(ranges).map_err(unread)? {
            let (from, to, host) = slot_range(range, seed).map_err(unread)?;
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

/// First and last slot of a range, and the primary that has it.
fn slot_range(range: Value, asked: &Host) -> Result<(usize, usize, Host), Error> {
    let mut parts = reply::array(range)?.into_iter();
    let mut next = || parts.next().unwrap_or(Value::Nil);
    let number = |value| reply::int(value).map(|n| usize::try_from(n).unwrap_or(SLOTS));
    let (from, to) = (number(next())?, number(next())?);
    let mut primary = reply::array(next())?.into_iter();
    // A node that does not know its own name leaves it out: it is the one that was asked.
    let host = primary.next().and_then(|host| reply::text(host).ok()).filter(|h| !h.is_empty());
    let port = reply::int(primary.next().unwrap_or(Value::Nil))?;
    let port = u16::try_from(port).map_err(|_| Error::protocol("a port is out of range"))?;
    Ok((from, to, Host(host.unwrap_or_else(|| asked.0.clone()), port)))
}

fn patient(client: &redis::Client) -> RedisResult<redis::Connection> {
    let connection = client.get_connection_with_timeout(ASKING)?;
    connection.set_read_timeout(Some(ASKING))?;
    connection.set_write_timeout(Some(ASKING))?;
    Ok(connection)
}

impl Peer {
    fn new(info: redis::ConnectionInfo, config: &Config) -> RedisResult<Self> {
        let client = redis::Client::open(info.clone())?;
        // Long reads of a big queue may take longer than a hot command.
        let patient =
            config.connection_waiting(config.longest_reply().max(Duration::from_secs(10)));
        let manager = deadpool_redis::Manager::new_with_config(info, patient)?;
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

/// The slot of a key, by its hash tag if it has one.
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
