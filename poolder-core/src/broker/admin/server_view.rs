//! Facts about the servers, as operators see them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis::RedisResult;
use redis::aio::ConnectionLike;
use serde::Serialize;

use crate::broker::Broker;
use crate::broker::admin::server_info::ServerInfo;
use crate::broker::connection::peer::Peer;
use crate::broker::connection::reply::checked;
use crate::broker::connection::round_trips::RedisOperation;
use crate::job::{Error, as_millis};

/// The number of pings by which the latency is measured.
const PINGS: usize = 5;

/// Facts about a server: the only one, the primary behind Sentinels, or a primary of a cluster. A
/// field that the server does not tell is empty or `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ServerView {
    /// The address, without credentials.
    pub address: String,
    /// The product and its version, such as `Valkey 9.1.2`.
    pub name: String,
    /// The role: `master`, or `slave` for a replica.
    pub role: String,
    /// How long the server has been running.
    #[serde(serialize_with = "as_millis")]
    pub uptime: Duration,
    /// The memory in use, in bytes.
    pub memory_used: u64,
    /// The memory that may be used, in bytes; `None` for no limit.
    pub memory_max: Option<u64>,
    /// The policy of the server when its memory is full. Only `noeviction` keeps all jobs.
    pub policy: String,
    /// True when the append-only file is on; `None` when the server does not tell.
    pub aof: Option<bool>,
    /// The number of replicas that are connected.
    pub replicas: u64,
    /// The number of clients that are connected.
    pub clients: u64,
    /// The number of clients that may be connected.
    pub clients_max: Option<u64>,
    /// The round trips of five pings; `None` when the server has not answered.
    pub latency: Option<Latency>,
    /// Why the server could not be asked, or told less than all of this.
    pub why: Option<String>,
}

/// Round trips to a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// The fastest, in µs.
    pub fastest: u64,
    /// The one in the middle, in µs.
    pub median: u64,
    /// The slowest, in µs.
    pub slowest: u64,
}

impl Latency {
    /// Returns the latency of these round trips; `None` of none.
    pub(super) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let micros = |time: &Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let (fastest, slowest) = (times.first()?, times.last()?);
        let median = &times[times.len() / 2];
        let [fastest, median, slowest] = [fastest, median, slowest].map(micros);
        Some(Self { fastest, median, slowest })
    }
}

impl Broker {
    /// Returns facts about each server that has keys. A server that does not answer says why.
    ///
    /// # Errors
    /// Returns an error when the servers of a cluster, or the primary behind Sentinels, are not
    /// known.
    pub async fn servers(&self) -> Result<Vec<ServerView>, Error> {
        self.servers_with(PINGS).await
    }

    /// Returns facts about each server that has keys but their latency, in one round trip.
    ///
    /// # Errors
    /// As [`Broker::servers`].
    pub async fn servers_at_once(&self) -> Result<Vec<ServerView>, Error> {
        self.servers_with(0).await
    }

    async fn servers_with(&self, pings: usize) -> Result<Vec<ServerView>, Error> {
        let peers = self.inner.route.peers(&mut self.inner.limit()).await;
        let peers = peers.map_err(|error| self.classify(error))?;
        let read = peers.iter().map(|(address, peer)| self.server(address, peer, pings));
        Ok(join_all(read).await)
    }

    async fn server(&self, address: &Option<String>, peer: &Arc<Peer>, pings: usize) -> ServerView {
        let address = address.clone().unwrap_or_else(|| self.address().to_owned());
        let mut view = ServerView { address, ..ServerView::default() };
        let asked = self.ask_server(peer, pings, &mut view).await;
        if let Err(error) = asked {
            let error = self.classify(error);
            view.why = Some(if error.is_auth() {
                "INFO is not permitted: grant +info".to_owned()
            } else {
                error.to_string()
            });
        }
        view
    }

    async fn ask_server(
        &self,
        peer: &Peer,
        pings: usize,
        view: &mut ServerView,
    ) -> RedisResult<()> {
        let mut connection = peer.alone(&mut self.inner.limit()).await?;
        let mut times = vec![];
        for _ in 0..pings {
            let sent = Instant::now();
            self.asked(&mut connection, &redis::cmd("PING")).await?;
            times.push(sent.elapsed());
        }
        view.latency = Latency::of(times);
        let info = self.asked(&mut connection, &redis::cmd("INFO")).await?;
        if let Ok(info) = ServerInfo::read(info) {
            view.take(&info);
        }
        Ok(())
    }
}

impl Broker {
    /// Sends a command, and counts the round trip.
    async fn asked(
        &self,
        connection: &mut impl ConnectionLike,
        cmd: &redis::Cmd,
    ) -> RedisResult<redis::Value> {
        let trip = self.inner.round_trips.trip(RedisOperation::Other);
        let reply = connection.req_packed_command(cmd).await;
        self.inner.round_trips.end(trip, &reply);
        checked(reply?)
    }
}

impl ServerView {
    /// Takes in the fields of an `INFO` reply.
    fn take(&mut self, info: &ServerInfo) {
        let text = |name: &str| info.field(name).unwrap_or_default().to_owned();
        let number = |name: &str| info.number(name);
        self.name = info.name();
        self.role = text("role");
        self.uptime = Duration::from_secs(number("uptime_in_seconds").unwrap_or(0));
        self.memory_used = number("used_memory").unwrap_or(0);
        self.memory_max = number("maxmemory").filter(|most| *most > 0);
        self.policy = text("maxmemory_policy");
        self.aof = info.field("aof_enabled").map(|enabled| enabled != "0");
        self.replicas = number("connected_slaves").unwrap_or(0);
        self.clients = number("connected_clients").unwrap_or(0);
        self.clients_max = number("maxclients");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_that_of_all_round_trips() {
        let of = |micros: &[u64]| {
            Latency::of(micros.iter().copied().map(Duration::from_micros).collect())
        };
        let latency = |fastest, median, slowest| Some(Latency { fastest, median, slowest });
        assert_eq!(of(&[5, 1, 9, 3, 7]), latency(1, 5, 9));
        assert_eq!([of(&[]), of(&[4])], [None, latency(4, 4, 4)]);
    }

    #[test]
    fn what_the_server_tells_is_taken_in() {
        let mut view = ServerView::default();
        let text = "role:master used_memory:77 maxmemory:0 maxmemory_policy:noeviction \
                    aof_enabled:1 connected_slaves:x maxclients:10000 redis_version:7.2.4";
        let fields = text.split_whitespace().filter_map(|field| field.split_once(':'));
        view.take(&fields.collect());
        assert_eq!((view.name.as_str(), view.role.as_str()), ("Redis 7.2.4", "master"));
        assert_eq!((view.memory_used, view.memory_max, view.aof), (77, None, Some(true)));
        assert_eq!((view.replicas, view.clients_max), (0, Some(10_000)));
        view.take(&ServerInfo::default());
        assert_eq!((view.aof, view.policy.as_str()), (None, ""));
    }
}
