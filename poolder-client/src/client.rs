//! The handle that producers and workers share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use poolder_core::broker::{BatcherHome, Broker, Config, Durability, NewJob, Receipt, When};
use poolder_core::{Envelope, Error, Format, Job, JobId, Lane, MAX_PAYLOAD, Partition, QueueName};

use crate::batcher::{BatchEntry, BatcherHandle, Shared};
use crate::enqueue::Enqueue;
use crate::known::KnownPools;
use crate::waiters::Waiters;

/// Payloads above this size are worth a warning: Redis holds them in memory, twice over when
/// replicated.
const LARGE: usize = 64 * 1024;

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
    batchers: Arc<Mutex<HashMap<BatcherHome, Arc<Shared>>>>,
    pub(crate) pools: Arc<KnownPools>,
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

    /// Enqueues a job: await it as it is, or say first when, where and how.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use poolder_client::Client;
    /// # use poolder_core::{Job, Lane};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Welcome { user: u64 }
    /// # impl Job for Welcome { const KINDS: &'static [&'static str] = &["welcome"]; }
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// client.enqueue(Welcome { user: 7 }).await?;
    /// client.enqueue(Welcome { user: 8 }).after(Duration::from_secs(60)).lane(Lane::Low).await?;
    /// let window = Duration::from_secs(24 * 60 * 60);
    /// client.enqueue(Welcome { user: 9 }).id("welcome-9").idempotent(window).await?;
    /// # Ok(()) }
    /// ```
    pub fn enqueue<J: Job>(&self, job: J) -> Enqueue<'_, J> {
        Enqueue::new(self, job)
    }

    /// Enqueues many jobs with their defaults, in pipelines. One result per job, in order.
    pub async fn enqueue_many<J: Job>(
        &self,
        jobs: impl IntoIterator<Item = J>,
    ) -> Vec<Result<Receipt, Error>> {
        let prepared: Vec<_> = jobs.into_iter().map(|job| self.enqueue(job).prepare()).collect();
        self.enqueue_prepared(prepared).await
    }

    /// Enqueues jobs that [`Enqueue::prepare`] made, of any kinds and options, in pipelines. One
    /// result per job, in order; what could not be prepared stays the error that it is.
    pub async fn enqueue_prepared(
        &self,
        prepared: Vec<Result<NewJob, Error>>,
    ) -> Vec<Result<Receipt, Error>> {
        let mut good = Vec::with_capacity(prepared.len());
        let mut places = Vec::with_capacity(prepared.len());
        for one in prepared {
            places.push(one.map(|new| good.push(new)));
        }
        let mut seen: Option<&QueueName> = None;
        for new in &good {
            if seen != Some(&new.partition.queue) {
                self.register(&new.partition).await;
                seen = Some(&new.partition.queue);
            }
        }
        let mut results = self.broker.enqueue_many(&good).await.into_iter();
        let lost = || Err(Error::protocol("a result is missing"));
        places
            .into_iter()
            .map(|place| place.and_then(|()| results.next().unwrap_or_else(lost)))
            .collect()
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
        let shared = known
            .entry(home)
            .or_insert_with_key(|home| Arc::new(Shared::new(self.broker.clone(), home.clone())));
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

/// Builds the stored form of a job.
pub(crate) fn encode<J: Job>(
    job: &J,
    id: JobId,
    queue: &QueueName,
    policy: &poolder_core::Policy,
) -> Result<Envelope, Error> {
    let write = |out: &mut Vec<u8>| job.encode(out);
    let envelope = Envelope::build(id, job.kind(), J::VERSION, policy, Format::MessagePack, write)?;
    if envelope.payload_len() > LARGE {
        tracing::warn!(
            kind = job.kind(), %queue, bytes = envelope.payload_len(), most = MAX_PAYLOAD,
            "large payload: store the data elsewhere and enqueue a reference to it"
        );
    }
    Ok(envelope)
}

/// The defaults of a new job.
pub(crate) fn plain(envelope: Envelope, queue: QueueName) -> NewJob {
    NewJob {
        partition: Partition::first(queue),
        lane: Lane::Normal,
        when: When::Now,
        envelope,
        idempotent: None,
        durability: Durability::Memory,
    }
}
