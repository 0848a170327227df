//! Finds the server that has a key, and holds the connections to it.
//!
//! A single server has all keys. Behind Sentinels the primary is looked up and cached; for a
//! cluster the table of slots is. After an error which shows that the table may have changed, one
//! lookup runs in the background, and the cached table stays in use until it has ended: the servers
//! without an error are not in doubt. A command that a server refuses with MOVED, ASK or TRYAGAIN
//! was not executed, and is sent again to the server that has the key.
//!
//! Connections belong to the runtime that has opened them. A client that is used from several
//! runtimes has connections for each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use redis::{ErrorKind, RedisError, RedisResult};
use tokio::runtime;
use tokio::time::Instant;

use crate::broker::connection::config::Config;
use crate::broker::connection::endpoint::{Endpoint, Host, Topology};
use crate::broker::connection::limit::Limit;
use crate::broker::connection::lookup::{Table, find};
use crate::broker::connection::opening::{Access, Opening, OpeningAttempt};
use crate::broker::connection::peer::Peer;
use crate::job::Error;

/// A table that is newer is not looked up again because of an error.
const FRESH: Duration = Duration::from_millis(100);
/// The maximum number of servers to ask that are no longer in the table.
const MAX_VANISHED: usize = 16;

/// Finds the server that has a key.
pub(crate) struct Route {
    endpoint: Arc<Endpoint>,
    config: Config,
    known: RwLock<Known>,
    /// The lookup that runs, or the failure of the last one.
    lookup: Mutex<Opening<()>>,
}

/// The connections of each runtime to one server. `None` in place of a runtime is a thread without
/// one.
type PeersByRuntime = Vec<(Option<runtime::Id>, Arc<Peer>)>;

#[derive(Default)]
struct Known {
    table: Table,
    /// The time of the last lookup.
    refreshed: Option<Instant>,
    /// Servers that have left the table, to be asked when no other server answers.
    vanished: Vec<Host>,
    /// The connections to each server. `None` in place of a host is the single server.
    peers: BTreeMap<Option<Host>, PeersByRuntime>,
}

impl Known {
    /// Returns the connections of a runtime to a server, if there are any.
    fn peer(&self, host: &Option<Host>, runtime: Option<runtime::Id>) -> Option<Arc<Peer>> {
        let mut of_host = self.peers.get(host)?.iter();
        of_host.find(|(of, _)| *of == runtime).map(|(_, peer)| Arc::clone(peer))
    }
}

impl Route {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let endpoint = Arc::new(config.endpoint()?);
        let lookup = Mutex::new(Opening::Closed);
        let route = Self { endpoint, config: config.clone(), known: RwLock::default(), lookup };
        if route.endpoint.topology == Topology::One {
            // A wrong setting is reported now, not at the first command.
            route.peer_at(None).map_err(|error| Error::invalid(error.to_string()))?;
        }
        Ok(route)
    }

    /// Returns the server that has the slot. Without a slot, any server of a cluster will do.
    ///
    /// # Errors
    /// Nothing was sent.
    pub(crate) async fn peer(
        self: &Arc<Self>,
        slot: Option<u16>,
        limit: &mut Limit,
    ) -> RedisResult<Arc<Peer>> {
        if let Some(host) = self.peek(slot) {
            return self.peer_at(host);
        }
        // Boxed, so that the future of the usual case stays small.
        Box::pin(self.refresh()?.outcome(limit)).await?;
        self.peer_at(self.peek(slot).ok_or_else(no_server)?)
    }

    /// Returns every server that has keys, with its address: without one for the single server.
    pub(crate) async fn peers(
        self: &Arc<Self>,
        limit: &mut Limit,
    ) -> RedisResult<Vec<(Option<String>, Arc<Peer>)>> {
        if self.endpoint.topology == Topology::One {
            return Ok(vec![(None, self.peer_at(None)?)]);
        }
        // Looks the servers up if they are not known.
        self.peer(None, limit).await?;
        let hosts = self.known.read().unwrap_or_else(PoisonError::into_inner).table.hosts.clone();
        let peer = |host: Host| {
            let address = format!("{}:{}", host.0, host.1);
            self.peer_at(Some(host)).map(|peer| (Some(address), peer))
        };
        hosts.into_iter().map(peer).collect()
    }

    /// Like [`Route::peer`], but for a thread that may block.
    pub(crate) fn client_blocking(&self, slot: u16) -> RedisResult<redis::Client> {
        let host = match self.peek(Some(slot)) {
            Some(host) => host,
            None => {
                self.learn(find(&self.endpoint, self.lookup_hosts(), || ())?);
                self.peek(Some(slot)).ok_or_else(no_server)?
            }
        };
        self.peer_at(host).map(|peer| peer.opener.client().clone())
    }

    /// Begins a lookup in the background, unless one runs, the last one has just failed, or the
    /// table is new. The cached table stays in use.
    pub(crate) fn doubt(self: &Arc<Self>) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let is_new = known.refreshed.is_some_and(|at| at.elapsed() < FRESH);
        drop(known);
        if !is_new {
            // The failure is reported to the callers that need a server which is not known.
            let _ = self.refresh();
        }
    }

    /// Notes that a server has answered that a slot is at `host` now.
    pub(crate) fn moved(&self, slot: u16, host: Host) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).table.move_slot(slot, host);
    }

    /// Returns the lookup that runs, and begins one if need be.
    fn refresh(self: &Arc<Self>) -> RedisResult<OpeningAttempt<()>> {
        let now = Instant::now();
        let mut lookup = self.lookup.lock().unwrap_or_else(PoisonError::into_inner);
        match lookup.access(now, Duration::ZERO, Duration::MAX, |()| true) {
            Access::Wait(attempt) => return Ok(attempt),
            Access::Fail(error) => return Err(error),
            Access::Begin(_) | Access::Use(()) => {}
        }
        let (attempt, progress) = OpeningAttempt::begin(now);
        let route = Arc::clone(self);
        // A thread, since resolving a name and the client library may block.
        std::thread::Builder::new().name("poolder-lookup".into()).spawn(move || {
            let found = find(&route.endpoint, route.lookup_hosts(), || progress.answered());
            let found = found.map(|table| route.learn(table));
            let after = Opening::after(&found, now, Instant::now());
            *route.lookup.lock().unwrap_or_else(PoisonError::into_inner) = after;
            progress.end(found);
        })?;
        *lookup = Opening::Running(attempt.clone());
        Ok(attempt)
    }

    /// Takes in the table of a lookup. The connections to servers that are not in it are dropped
    /// once the commands on them have ended.
    fn learn(&self, table: Table) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut vanished = std::mem::take(&mut known.vanished);
        vanished.append(&mut known.table.hosts);
        vanished.retain(|host| !table.hosts.contains(host));
        vanished.reverse();
        vanished.truncate(MAX_VANISHED);
        vanished.reverse();
        known.vanished = vanished;
        known.peers.retain(|host, _| host.as_ref().is_none_or(|h| table.hosts.contains(h)));
        (known.table, known.refreshed) = (table, Some(Instant::now()));
    }

    /// Returns the server at `host`, or the single server for `None`. Creates its client on
    /// first use.
    pub(crate) fn peer_at(&self, host: Option<Host>) -> RedisResult<Arc<Peer>> {
        let runtime = runtime::Handle::try_current().ok().map(|handle| handle.id());
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = known.peer(&host, runtime) {
            return Ok(peer);
        }
        drop(known);
        let info = match &host {
            None => self.endpoint.template.clone(),
            Some(host) => self.endpoint.to(host),
        };
        let peer = Arc::new(Peer::new(info, &self.config)?);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = known.peer(&host, runtime) {
            return Ok(peer);
        }
        if runtime.is_some() {
            // The connections of a runtime end with it.
            let is_used = |of: Option<runtime::Id>| of == runtime || of.is_none();
            for peers in known.peers.values_mut() {
                peers.retain(|(of, peer)| is_used(*of) || peer.link.is_alive());
            }
        }
        known.peers.entry(host).or_default().push((runtime, Arc::clone(&peer)));
        Ok(peer)
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
        if self.endpoint.topology == Topology::One {
            return Some(None);
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.table.host(slot).cloned().map(Some)
    }

    /// Returns the hosts to ask in a lookup, in order: the Sentinels; or the servers of the table,
    /// the seeds, and the servers that have left the table.
    fn lookup_hosts(&self) -> Vec<Host> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match &self.endpoint.topology {
            Topology::One => vec![],
            Topology::Sentinel { seeds, .. } => seeds.clone(),
            Topology::Cluster { seeds } => {
                let mut hosts: Vec<Host> = vec![];
                for host in known.table.hosts.iter().chain(seeds).chain(&known.vanished) {
                    if !hosts.contains(host) {
                        hosts.push(host.clone());
                    }
                }
                hosts
            }
        }
    }
}

fn no_server() -> RedisError {
    RedisError::from((ErrorKind::Client, "no server has this slot"))
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
