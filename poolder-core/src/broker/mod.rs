//! The broker: everything Poolder does in Redis, one file per verb.
//!
//! | file | verb |
//! |---|---|
//! | `enqueue` | store a job, or many |
//! | `claim` | take jobs, on a connection of its own |
//! | `settle` | apply what was decided, if the claim is still ours |
//! | `promote` | move due jobs to their lanes |
//! | `progress` | how far running jobs have come |
//! | `rescue` | find what dead nodes hold |
//! | `roster` | beats, marks, and who there is |
//! | `lease` | who leads a partition |
//! | `control` | hints over pub/sub |
//! | `check` | is this server fit for a queue? |

mod check;
mod claim;
mod config;
mod control;
mod enqueue;
mod failure;
mod lease;
mod link;
mod progress;
mod promote;
mod reply;
mod rescue;
mod roster;
mod settle;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::{Cmd, Pipeline, RedisError, RedisResult, Script, Value};

pub use check::Findings;
pub use claim::{ClaimLine, Claimed, Exchange};
pub use config::Config;
pub use control::{Hint, Listener};
pub use enqueue::{NewJob, Receipt, Stored, When};
pub use lease::Leadership;
pub use promote::Promotion;
pub use rescue::Holder;
pub use roster::{Beat, Beater, NodeInfo, NodeName, Standing};
pub use settle::{DeadLimits, Depths, Effect, Settled, Settlement};

use crate::error::Error;
use crate::keys::{Keyspace, PartitionKeys, RosterKeys};
use crate::queue::Partition;
use link::Link;

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
    client: redis::Client,
    keys: Keyspace,
    roster: RosterKeys,
    /// The keys of the partitions in use, so that a hot path does not spell them again.
    spelled: RwLock<HashMap<Partition, Arc<PartitionKeys>>>,
    link: Link,
    /// Connections for what must be alone on one: long reads and administration.
    pool: deadpool_redis::Pool,
}

impl Broker {
    /// Prepares the way to a server, without going there yet.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a URL or namespace that cannot be used.
    pub fn new(config: Config) -> Result<Self, Error> {
        let keys = config.keyspace()?;
        let info = config.connection_info()?;
        let address = info.addr().to_string();
        let classify = |error| failure::classify(error, &address);
        let client = redis::Client::open(info.clone()).map_err(classify)?;
        // Long reads of a big queue may take longer than a hot command.
        let patient =
            config.connection_waiting(config.longest_reply().max(Duration::from_secs(10)));
        let manager = deadpool_redis::Manager::new_with_config(info, patient).map_err(classify)?;
        let wait = Some(Duration::from_secs(5));
        let pool = deadpool_redis::Pool::builder(manager)
            .max_size(4)
            .wait_timeout(wait)
            .create_timeout(wait)
            .recycle_timeout(wait)
            .runtime(deadpool_redis::Runtime::Tokio1)
            .build()
            .map_err(|error| Error::invalid(error.to_string()))?;
        let link = Link::new(client.clone(), &config)?;
        let roster = keys.roster();
        let spelled = RwLock::default();
        let inner = Inner { config, address, client, keys, roster, spelled, link, pool };
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
        failure::classify(error, &self.inner.address)
    }

    async fn command(&self, cmd: &Cmd) -> Result<Value, Error> {
        self.inner.link.command(cmd).await.map_err(|error| self.classify(error))
    }

    async fn script(&self, script: &Script, cmd: &Cmd) -> Result<Value, Error> {
        self.inner.link.script(script, cmd).await.map_err(|error| self.classify(error))
    }

    async fn pipeline(&self, pipe: &Pipeline) -> Result<Vec<RedisResult<Value>>, Error> {
        self.inner.link.pipeline(pipe).await.map_err(|error| self.classify(error))
    }

    /// A connection of one's own, for long reads. It is dropped, not returned, after a failure.
    async fn alone(&self) -> Result<deadpool_redis::Connection, Error> {
        self.inner.pool.get().await.map_err(|error| match error {
            deadpool_redis::PoolError::Backend(error) => self.classify(error),
            other => Error::refused(format!("no connection to {}: {other}", self.inner.address)),
        })
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("config", &self.inner.config).finish_non_exhaustive()
    }
}
