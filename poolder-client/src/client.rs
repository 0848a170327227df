//! The handle that producers and workers share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use poolder_core::broker::{BatcherHome, Broker, Config};
use poolder_core::{Error, Partition, QueueName};

use crate::batcher::{BatchEntry, BatcherHandle, BatcherState};
use crate::state::pool_cache::PoolCache;
use crate::state::waiters::Waiters;

/// At most this many queue names are remembered as registered.
const REMEMBERED: usize = 1024;

/// The way to the queues. Cheap to clone, `Send` and `Sync`; all clones share one connection,
/// which opens when it is first used and is replaced when it breaks.
#[derive(Debug, Clone)]
pub struct Client {
    broker: Broker,
    registered: Arc<RwLock<HashSet<QueueName>>>,
    waiters: Arc<Waiters>,
    /// What handles of one batcher share.
    batchers: Arc<Mutex<HashMap<BatcherHome, Arc<BatcherState>>>>,
    pub(crate) pools: Arc<PoolCache>,
}

impl Client {
    /// A client of the server that the environment names: `POOLDER_REDIS_URL`, else `REDIS_URL`,
    /// else the local one; the namespace is `POOLDER_NAMESPACE`, else `poolder`. Connects at once.
    ///
    /// # Errors
    /// Whatever keeps the server from answering, in a sentence that says what to do.
    pub async fn from_env() -> Result<Self, Error> {
        let client = Self::new(Config::from_env())?;
        client.broker.ping().await?;
        Ok(client)
    }

    /// A client of the server at this URL. Connects at once.
    ///
    /// # Errors
    /// As [`Client::from_env`].
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let client = Self::new(Config::new(url))?;
        client.broker.ping().await?;
        Ok(client)
    }

    /// A client that connects when it is first used.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a URL or namespace that cannot be used.
    pub fn new(config: Config) -> Result<Self, Error> {
        let broker = Broker::new(config)?;
        let waiters = Arc::new(Waiters::new(broker.clone()));
        let (registered, batchers, pools) = (Arc::default(), Arc::default(), Arc::default());
        Ok(Self { broker, registered, waiters, batchers, pools })
    }

    /// The way to the batcher of this name, on the queue of the same name, for entries of type `T`.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a name that cannot be: 1 to 64 ASCII letters, digits, `_`, `-` or
    /// `.`.
    pub fn batcher<T: BatchEntry>(&self, name: &str) -> Result<BatcherHandle<T>, Error> {
        self.batcher_on(name, name)
    }

    /// The way to a batcher that lives on another queue.
    ///
    /// # Errors
    /// As [`Client::batcher`].
    pub fn batcher_on<T: BatchEntry>(
        &self,
        queue: &str,
        name: &str,
    ) -> Result<BatcherHandle<T>, Error> {
        let home = BatcherHome::new(queue, name)?;
        let mut known = self.batchers.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(&home) {
            known.clear();
        }
        let shared = known.entry(home).or_insert_with_key(|home| {
            Arc::new(BatcherState::new(self.broker.clone(), home.clone()))
        });
        Ok(BatcherHandle::new(Arc::clone(shared)))
    }

    /// The way to Redis itself, for those who build on it.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    pub(crate) fn waiters(&self) -> &Arc<Waiters> {
        &self.waiters
    }

    /// Notes, once per client and queue, that the queue is in use. A failure costs only a line in
    /// a listing, and the next enqueue tries again.
    pub(crate) async fn register(&self, partition: &Partition) {
        let known = |set: &HashSet<QueueName>| set.contains(&partition.queue);
        if known(&self.registered.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        if let Err(error) = self.broker.register_queue(partition).await {
            tracing::debug!(queue = %partition.queue, %error, "the queue was not registered");
            return;
        }
        let mut set = self.registered.write().unwrap_or_else(PoisonError::into_inner);
        if set.len() >= REMEMBERED {
            set.clear();
        }
        set.insert(partition.queue.clone());
    }
}
