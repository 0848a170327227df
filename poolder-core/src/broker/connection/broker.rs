//! [`Broker`]: the handle that holds connections and keys, and its methods to send commands.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use redis::{Cmd, Pipeline, RedisError, Value};

use crate::broker::connection::config::{BLOCK, Config};
use crate::broker::connection::endpoint::Host;
use crate::broker::connection::failure;
use crate::broker::connection::limit::Limit;
use crate::broker::connection::peer::Peer;
use crate::broker::connection::reply;
use crate::broker::connection::reply_limit::ReplyLimit;
use crate::broker::connection::request::{Replies, Request, only};
use crate::broker::connection::round_trips::{RedisOperation, RoundTripCounts, RoundTrips, Trip};
use crate::broker::connection::routing::{Route, slot_of};
use crate::broker::connection::together::Together;
use crate::broker::keys::{Keyspace, PartitionKeys, RosterKeys};
#[cfg(feature = "testing")]
use crate::captured::Captured;
#[cfg(feature = "testing")]
use crate::job::Timestamp;
use crate::job::{Error, Partition};

/// The maximum number of partitions whose keys are cached.
const KEY_CACHE_SIZE: usize = 1024;

/// The handle to Redis: connections, keys and scripts. Cheap to clone. Connects when first used.
#[derive(Clone)]
pub struct Broker {
    pub(in crate::broker) inner: Arc<BrokerInner>,
    /// The reads that are sent together, for a broker that [`Broker::read_together`] has given out.
    together: Option<Arc<Together>>,
}

pub(in crate::broker) struct BrokerInner {
    pub(in crate::broker) config: Config,
    pub(in crate::broker) address: String,
    pub(in crate::broker) keys: Keyspace,
    roster: RosterKeys,
    /// The keys of the partitions in use, so that a hot path does not build them again.
    key_cache: RwLock<BTreeMap<Partition, Arc<PartitionKeys>>>,
    pub(in crate::broker) route: Arc<Route>,
    reply_limit: Mutex<ReplyLimit>,
    pub(in crate::broker) round_trips: RoundTrips,
    /// The queue of a test, in which the broker stores in place of a server.
    #[cfg(feature = "testing")]
    captured: Option<Arc<Captured>>,
}

impl BrokerInner {
    fn new(config: Config) -> Result<Self, Error> {
        let keys = config.keyspace()?;
        let (roster, route) = (keys.roster(), Arc::new(Route::new(&config)?));
        Ok(Self {
            address: config.address(),
            config,
            keys,
            roster,
            key_cache: RwLock::default(),
            route,
            reply_limit: Mutex::default(),
            round_trips: RoundTrips::default(),
            #[cfg(feature = "testing")]
            captured: None,
        })
    }

    /// Returns the limit of replies with jobs, which all readers share.
    pub(in crate::broker) fn reply_limit(&self) -> MutexGuard<'_, ReplyLimit> {
        self.reply_limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    /// Creates a broker without connecting to a server.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an unusable URL, certificate or namespace,
    /// [`Error::is_unsupported`] for an encrypted connection without the feature `tls`.
    pub fn new(config: Config) -> Result<Self, Error> {
        Ok(Self { inner: Arc::new(BrokerInner::new(config)?), together: None })
    }

    /// Creates a broker without a server, whose clock is at this time. It stores jobs, batches and
    /// schedules in memory; other operations are [unsupported](Error::is_unsupported).
    ///
    /// # Errors
    /// None: the configuration is fixed.
    #[cfg(feature = "testing")]
    pub fn capturing(now: Timestamp) -> Result<Self, Error> {
        let mut inner = BrokerInner::new(Config::new("redis://127.0.0.1:1/"))?;
        inner.captured = Some(Arc::new(Captured::new(now)));
        Ok(Self { inner: Arc::new(inner), together: None })
    }

    /// Returns the queue of a test, in which the broker stores if it has no server.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn captured(&self) -> Option<&Arc<Captured>> {
        self.inner.captured.as_ref()
    }

    /// Refuses what only a server can do.
    pub(in crate::broker) fn needs_server(&self) -> Result<(), Error> {
        #[cfg(feature = "testing")]
        if self.captured().is_some() {
            return Err(Error::unsupported(
                "the test's queue cannot do this without a server: use a TestServer",
            ));
        }
        Ok(())
    }

    /// Sends `PING` to the server.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn ping(&self) -> Result<(), Error> {
        #[cfg(feature = "testing")]
        if self.captured().is_some() {
            return Ok(());
        }
        self.command(&redis::cmd("PING")).await.map(|_| ())
    }

    /// Returns the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.inner.keys.namespace()
    }

    /// Returns the address of the server, without credentials.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// Begins to count the round trips of this broker, and of all its clones. Counting costs a round
    /// trip one reading of the clock or two.
    pub fn count_round_trips(&self) {
        self.inner.round_trips.begin();
    }

    /// Returns the counts of the round trips since [`Broker::count_round_trips`] was first called, in
    /// the order of [`RedisOperation::ALL`].
    #[must_use]
    pub fn round_trips(&self) -> [RoundTripCounts; RedisOperation::ALL.len()] {
        self.inner.round_trips.read()
    }

    pub(in crate::broker) fn keys(&self, partition: &Partition) -> Arc<PartitionKeys> {
        let key_cache = self.inner.key_cache.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = key_cache.get(partition) {
            return Arc::clone(keys);
        }
        drop(key_cache);
        let keys = Arc::new(self.inner.keys.partition(partition));
        let mut key_cache = self.inner.key_cache.write().unwrap_or_else(PoisonError::into_inner);
        // Queue names may come from users, so the size of the cache is limited.
        if key_cache.len() >= KEY_CACHE_SIZE {
            key_cache.clear();
        }
        key_cache.insert(partition.clone(), Arc::clone(&keys));
        keys
    }

    /// Returns the reads that are sent together with those of this broker.
    pub(in crate::broker) fn together(&self) -> Option<&Together> {
        self.together.as_deref()
    }

    pub(super) fn with_together(&self, together: Arc<Together>) -> Self {
        Self { inner: Arc::clone(&self.inner), together: Some(together) }
    }

    pub(in crate::broker) fn roster_keys(&self) -> &RosterKeys {
        &self.inner.roster
    }

    pub(in crate::broker) fn classify(&self, error: RedisError) -> Error {
        self.inner.learn(&error);
        failure::classify(error, &self.inner.address)
    }

    /// Sends a command that does none of the other [operations](RedisOperation).
    pub(in crate::broker) async fn command(&self, cmd: &Cmd) -> Result<Value, Error> {
        if let Some(together) = self.together() {
            self.needs_server()?;
            let reply = only(Ok(Box::pin(together.send([cmd.clone()], false)).await));
            return reply.map_err(|error| self.classify(error));
        }
        self.command_of(RedisOperation::Other, cmd).await
    }

    /// Sends a command. Boxed: users await the futures of this crate inside of their own, and the
    /// compiler limits how deeply futures are nested.
    pub(in crate::broker) async fn command_of(
        &self,
        operation: RedisOperation,
        cmd: &Cmd,
    ) -> Result<Value, Error> {
        Box::pin(self.command_within(operation, cmd, &mut self.inner.limit())).await
    }

    /// Sends a command that is a step of a longer operation.
    pub(in crate::broker) async fn command_within(
        &self,
        operation: RedisOperation,
        cmd: &Cmd,
        limit: &mut Limit,
    ) -> Result<Value, Error> {
        self.needs_server()?;
        let answer = self.inner.send(cmd, limit).await;
        self.inner.round_trips.end(Trip::since(operation, limit.now()), &answer);
        answer.map_err(|error| self.classify(error))
    }

    /// Sends commands of which some may fail as expected, such as those that ask for rights.
    pub(in crate::broker) async fn pipeline(&self, pipe: &Pipeline) -> Result<Replies, Error> {
        self.needs_server()?;
        if let Some(together) = self.together() {
            let replies = Box::pin(together.send(pipe.cmd_iter().cloned(), false)).await;
            // Nothing is known of a pipeline of which a reply is lost.
            let lost = replies.iter().find_map(|reply| match reply {
                Err(error) if error.is_io_error() => Some(error.clone()),
                _ => None,
            });
            return lost.map_or(Ok(replies), |error| Err(self.classify(error)));
        }
        let mut limit = self.inner.limit();
        let answer = Box::pin(self.inner.send_all(pipe, &mut limit)).await;
        self.inner.round_trips.end(Trip::since(RedisOperation::Other, limit.now()), &answer);
        answer.map_err(|error| self.classify(error))
    }

    /// Sends the commands of an operation.
    pub(in crate::broker) async fn pipeline_of(
        &self,
        operation: RedisOperation,
        pipe: &Pipeline,
    ) -> Result<Replies, Error> {
        self.needs_server()?;
        let mut limit = self.inner.limit();
        let answer = Box::pin(self.inner.send_all(pipe, &mut limit)).await;
        self.inner.round_trips.end_all(Trip::since(operation, limit.now()), &answer);
        answer.map_err(|error| self.classify(error))
    }

    /// Returns exactly `N` replies, or the first error among them.
    pub(in crate::broker) async fn replies<const N: usize>(
        &self,
        pipe: &Pipeline,
    ) -> Result<[Value; N], Error> {
        let replies = self.pipeline(pipe).await?.into_iter();
        let replies: Vec<Value> =
            replies.collect::<Result<_, _>>().map_err(|error| self.classify(error))?;
        reply::items::<N>(Value::Array(replies))
    }

    /// Runs a script with a possibly long reply on a pooled connection to the server that has the
    /// key, so that the script does not delay hot commands. When the key has moved to another
    /// server or is moving, the script is sent again on the shared connection, which follows the
    /// key.
    pub(in crate::broker) async fn ask(&self, key: &str, cmd: &Cmd) -> Result<Value, Error> {
        if let Some(together) = self.together() {
            self.needs_server()?;
            let reply = only(Ok(together.send([cmd.clone()], true).await));
            return reply.map_err(|error| self.classify(error));
        }
        let mut connection = self.alone(key).await?;
        let mut pipe = redis::pipe();
        pipe.add_command(cmd.clone());
        let trip = self.inner.round_trips.trip(RedisOperation::Other);
        let answer = only(Box::pin(Request::new(&pipe).send(&mut connection)).await);
        self.inner.round_trips.end(trip, &answer);
        match answer {
            Err(error) if matches!(error.code(), Some("MOVED" | "ASK" | "TRYAGAIN")) => {
                Box::pin(self.command(cmd)).await
            }
            reply => reply.map_err(|error| self.classify(error)),
        }
    }

    /// Opens a separate connection to the server that has the key, for blocking reads. The caller
    /// may drop the connection at any time.
    pub(in crate::broker) async fn waiting_on(
        &self,
        key: &str,
    ) -> Result<redis::aio::MultiplexedConnection, Error> {
        self.needs_server()?;
        let slot = slot_of(key.as_bytes());
        let peer = self.inner.route.peer(Some(slot), &mut self.inner.limit()).await;
        let peer = peer.map_err(|error| self.classify(error))?;
        let reply = BLOCK + self.inner.config.longest_reply();
        peer.opener.open(reply, || ()).await.map_err(|error| self.classify(error))
    }

    /// Takes a connection to the server that has the key from the pool, for long reads.
    pub(in crate::broker) async fn alone(
        &self,
        key: &str,
    ) -> Result<deadpool_redis::Connection, Error> {
        Box::pin(self.alone_at(key, None, &mut self.inner.limit())).await
    }

    /// Like [`Broker::alone`], but connects to `host` if one is given: the server that another
    /// server named in a redirection.
    pub(in crate::broker) async fn alone_at(
        &self,
        key: &str,
        host: Option<Host>,
        limit: &mut Limit,
    ) -> Result<deadpool_redis::Connection, Error> {
        let peer = self.peer(key, host, limit).await?;
        peer.alone(limit).await.map_err(|error| self.classify(failure::unsent(error)))
    }

    /// Returns the server that has the key, or the one at `host` if one is given.
    pub(in crate::broker) async fn peer(
        &self,
        key: &str,
        host: Option<Host>,
        limit: &mut Limit,
    ) -> Result<Arc<Peer>, Error> {
        self.needs_server()?;
        let peer = match host {
            Some(_) => self.inner.route.peer_at(host),
            None => self.inner.route.peer(Some(slot_of(key.as_bytes())), limit).await,
        };
        peer.map_err(|error| self.classify(failure::unsent(error)))
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("config", &self.inner.config).finish_non_exhaustive()
    }
}
