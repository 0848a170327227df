//! The broker: everything Poolder does in Redis, one file per verb.
//!
//! | file | verb |
//! |---|---|
//! | `enqueue` | store a job, or many |
//! | `durability` | wait until a job is where it must be |
//! | `claim` | take jobs, on a connection of its own |
//! | `settle` | apply what was decided, if the claim is still ours |
//! | `batch` | gather entries, and seal them into batches |
//! | `promote` | move due jobs to their lanes |
//! | `progress` | how far running jobs have come |
//! | `ends` | how jobs ended, and waiting for that |
//! | `orders` | what operators ordered, as nodes learn of it |
//! | `cancel` | end a job wherever it is |
//! | `pause` | stop and resume claiming, fleet-wide |
//! | `find` | where a job is |
//! | `inspect` | a queue at one moment, and who there is |
//! | `pages` | its jobs, page by page |
//! | `reschedule` | give a job that waits another time |
//! | `revive` | give dead jobs another life |
//! | `remove` | delete jobs that do not run |
//! | `rescue` | find what dead nodes hold |
//! | `roster` | beats, marks, and who there is |
//! | `schedule` | what recurs: kept, changed, declared, and published tick by tick |
//! | `lease` | who leads a partition |
//! | `control` | hints over pub/sub |
//! | `addressed` | what an addressed pool is like, and who serves it |
//! | `slot_lease` | the lease of a slot: take, turn, wait, release |
//! | `slot_view` | what a slot is doing |
//! | `broadcast` | jobs that every living slot runs |
//! | `group` | pools under one name |
//! | `check` | is this server fit for a queue? |
//!
//! Below the verbs: `config` and `whereabouts` (what a URL says), `route` (which server has a
//! key), `send` (and where it has moved), `link` (the connection that hot commands share), `bunch`
//! (those given at once travel together), `reply` and `failure` (what comes back).

mod addressed;
mod batch;
mod broadcast;
mod bunch;
mod cancel;
mod check;
mod claim;
mod config;
mod control;
mod durability;
mod ends;
mod enqueue;
mod failure;
mod find;
mod group;
mod inspect;
mod lease;
mod link;
mod orders;
mod pages;
mod pause;
mod progress;
mod promote;
mod remove;
mod reply;
mod reschedule;
mod rescue;
mod revive;
mod roster;
mod route;
mod schedule;
mod send;
mod settle;
mod slot_lease;
mod slot_view;
mod tls;
mod whereabouts;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use redis::{Cmd, Pipeline, RedisError, RedisResult, Script, Value};

pub use addressed::{Attendance, Cast, PoolView, Report};
pub use batch::{
    BatchOptions, BatchPayload, BatchState, BatcherHome, BatcherSums, BatcherTotals, CHUNK,
    CHUNK_BYTES, End, Gathering, OpenBatch, Popped, PushCall, PushVerdict, PushedEntries,
    SealedBatch, Token, batcher_of, check_group, chunk_len,
};
pub use broadcast::{BroadcastLine, Copies};
pub use cancel::Cancellation;
pub use check::Findings;
pub use claim::{ClaimLine, Claimed, Exchange, LineId};
pub use config::Config;
pub use control::{Hint, Listener};
pub use durability::Durability;
pub use ends::EndListener;
pub use enqueue::{NewJob, Receipt, Stored, When};
pub use inspect::NodeView;
pub use lease::Leadership;
pub use orders::Orders;
pub use promote::Promotion;
pub use rescue::Holder;
pub use roster::{Beat, Beater, NodeInfo, NodeName, Standing};
pub use schedule::{Declaration, Declared, Publication, ScheduleInfo};
pub use settle::{DeadLimits, Depths, Effect, Retry, Settled, Settlement};
pub use slot_lease::{SlotLease, SlotWait, Taken, Turn, TurnOrder, Turned};
pub use slot_view::SlotView;

use crate::job::{Error, Partition, Timestamp};
use crate::keys::{Keyspace, PartitionKeys, RosterKeys};
use route::Route;

/// Keys of at most this many partitions are remembered.
const SPELLED: usize = 1024;

/// The way to Redis: connections, keys and scripts. Cheap to clone; connects when first used.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    address: String,
    keys: Keyspace,
    roster: RosterKeys,
    /// The keys of the partitions in use, so that a hot path does not spell them again.
    spelled: RwLock<HashMap<Partition, Arc<PartitionKeys>>>,
    route: Arc<Route>,
}

impl Broker {
    /// Prepares the way to a server, without going there yet.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a URL or namespace that cannot be used.
    pub fn new(config: Config) -> Result<Self, Error> {
        let keys = config.keyspace()?;
        let address = config.address();
        let route = Arc::new(Route::new(&config)?);
        let roster = keys.roster();
        let spelled = RwLock::default();
        let inner = Inner { config, address, keys, roster, spelled, route };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Asks the server for a sign of life.
    ///
    /// # Errors
    /// Whatever keeps it from answering.
    pub async fn ping(&self) -> Result<(), Error> {
        self.command(&redis::cmd("PING")).await.map(|_| ())
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.inner.keys.namespace()
    }

    /// Where the server is, without credentials.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    fn keys(&self, partition: &Partition) -> Arc<PartitionKeys> {
        let spelled = self.inner.spelled.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = spelled.get(partition) {
            return Arc::clone(keys);
        }
        drop(spelled);
        let keys = Arc::new(self.inner.keys.partition(partition));
        let mut spelled = self.inner.spelled.write().unwrap_or_else(PoisonError::into_inner);
        // Queue names may come from users: what is remembered of them is bounded.
        if spelled.len() >= SPELLED {
            spelled.clear();
        }
        spelled.insert(partition.clone(), Arc::clone(&keys));
        keys
    }

    fn roster_keys(&self) -> &RosterKeys {
        &self.inner.roster
    }

    fn classify(&self, error: RedisError) -> Error {
        self.inner.learn(&error);
        failure::classify(error, &self.inner.address)
    }

    async fn command(&self, cmd: &Cmd) -> Result<Value, Error> {
        self.inner.send(None, cmd).await.map_err(|error| self.classify(error))
    }

    async fn script(&self, script: &Script, cmd: &Cmd) -> Result<Value, Error> {
        self.inner.send(Some(script), cmd).await.map_err(|error| self.classify(error))
    }

    async fn pipeline(&self, pipe: &Pipeline) -> Result<Vec<RedisResult<Value>>, Error> {
        self.inner.send_all(pipe).await.map_err(|error| self.classify(error))
    }

    /// Runs a script whose reply may be long, apart from the hot commands of the server that has
    /// the key. A key that is on the move is followed among them.
    async fn ask(&self, key: &str, script: &Script, cmd: &Cmd) -> Result<Value, Error> {
        let mut connection = self.alone(key).await?;
        let reply = match cmd.query_async(&mut connection).await {
            Err(error) if failure::is_noscript(&error) => {
                match script.load_async(&mut connection).await {
                    Ok(_) => cmd.query_async(&mut connection).await,
                    Err(error) => Err(error),
                }
            }
            reply => reply,
        };
        match reply {
            Err(error) if matches!(error.code(), Some("MOVED" | "ASK" | "TRYAGAIN")) => {
                self.script(script, cmd).await
            }
            reply => reply.map_err(|error| self.classify(error)),
        }
    }

    /// A connection of one's own to the server that has the key, for reads that wait. It may be
    /// dropped at any time.
    async fn waiting_on(&self, key: &str) -> Result<redis::aio::MultiplexedConnection, Error> {
        let config = &self.inner.config;
        let settings = config.connection_waiting(claim::BLOCK + config.longest_reply());
        let slot = route::slot_of(key.as_bytes());
        let peer = self.inner.route.peer(Some(slot)).await.map_err(|error| self.classify(error))?;
        let connection = peer.client.get_multiplexed_async_connection_with_config(&settings).await;
        connection.map_err(|error| self.classify(error))
    }

    /// A connection of one's own to the server that has the key, for long reads. It is dropped,
    /// not returned, after a failure.
    async fn alone(&self, key: &str) -> Result<deadpool_redis::Connection, Error> {
        self.alone_at(key, None).await
    }

    /// The same, to the server that another one named, if one did.
    async fn alone_at(
        &self,
        key: &str,
        host: Option<whereabouts::Host>,
    ) -> Result<deadpool_redis::Connection, Error> {
        let unsent = |error| self.classify(failure::unsent(error));
        let peer = match host {
            Some(_) => self.inner.route.peer_at(host),
            None => self.inner.route.peer(Some(route::slot_of(key.as_bytes()))).await,
        };
        let peer = peer.map_err(unsent)?;
        peer.pool.get().await.map_err(|error| match error {
            deadpool_redis::PoolError::Backend(error) => unsent(error),
            other => Error::refused(format!("no connection to {}: {other}", self.inner.address)),
        })
    }
}

/// When an entry was written to its stream, by the server's clock.
fn entry_time(entry: &str) -> Option<Timestamp> {
    let (millis, _) = entry.split_once('-')?;
    millis.parse().ok().map(Timestamp::from_millis)
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("config", &self.inner.config).finish_non_exhaustive()
    }
}
