//! The handle that producers, operators and workers share.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use poolder_core::broker::{BatcherHome, Broker, Config, PreparedJob, Receipt};
use poolder_core::history::Actor;
use poolder_core::metrics::MetricsText;
use poolder_core::{Error, JobId, Partition, QueueName, Timestamp};
use tracing::Instrument;

use crate::batcher::{BatchEntry, BatcherHandle, BatcherState};
use crate::state::audit::Auditor;
use crate::state::enqueue_counts::EnqueueCounts;
use crate::state::enqueue_middleware::{EnqueueChain, EnqueueMiddleware};
use crate::state::pool_cache::PoolCache;
use crate::state::registration::Registration;
use crate::state::round_trip_metrics;
use crate::state::send_span;
use crate::state::server_clock::ServerClock;
use crate::state::waiters::Waiters;

/// Largest number of queues, and of batchers, that a client remembers. Beyond it any one is
/// forgotten for each new one, and is registered or declared again at its next use.
const MAX_REMEMBERED: usize = 16_384;
/// How long a queue counts as registered, in case the server loses the list of queues.
const REGISTRATION: Duration = Duration::from_secs(10);

/// Handle of all queues of a namespace. Cheap to clone, `Send` and `Sync`. All clones share one
/// connection, which opens on first use and is replaced when it breaks.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<ClientState>,
}

/// The state that all clones of a client share. Clients with other middleware share its parts.
#[derive(Debug, Clone)]
struct ClientState {
    broker: Broker,
    /// The queues that were registered, and when.
    registered: Arc<RwLock<BTreeMap<QueueName, Instant>>>,
    waiters: Arc<Waiters>,
    /// State of each batcher, shared by its handles.
    batchers: Arc<Mutex<HashMap<BatcherHome, Arc<BatcherState>>>>,
    pools: Arc<PoolCache>,
    counts: Arc<EnqueueCounts>,
    clock: Arc<ServerClock>,
    middleware: EnqueueChain,
    auditor: Auditor,
}

impl Client {
    /// Returns a client of the server in `POOLDER_REDIS_URL`, else in `REDIS_URL`, else of the
    /// local server. The namespace is `POOLDER_NAMESPACE`, else `poolder`. Connects at once, so that
    /// a wrong address is an error when the program starts; [`Client::lazy_from_env`] does not.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; its text says what
    /// to do.
    pub async fn from_env() -> Result<Self, Error> {
        let client = Self::new(Config::from_env())?;
        client.ping().await?;
        Ok(client)
    }

    /// Returns a client of the server and namespace that [`Client::from_env`] takes. Connects on
    /// first use: a web server starts also while its Redis is away, and answers its readiness probe
    /// with [`Client::ping`].
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a URL or namespace that cannot be used.
    pub fn lazy_from_env() -> Result<Self, Error> {
        Self::new(Config::from_env())
    }

    /// Returns a client of the server at this URL. Connects at once.
    ///
    /// # Errors
    /// As [`Client::from_env`].
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let client = Self::new(Config::new(url))?;
        client.ping().await?;
        Ok(client)
    }

    /// Returns a client that connects on first use, as [`Client::lazy_from_env`] does.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a URL or namespace that cannot be used.
    pub fn new(config: Config) -> Result<Self, Error> {
        Ok(Self::of(Broker::new(config)?))
    }

    /// Returns a client without a server, which stores in the queue of a test.
    ///
    /// # Errors
    /// None.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn capturing(now: Timestamp) -> Result<Self, Error> {
        Ok(Self::of(Broker::capturing(now)?))
    }

    fn of(broker: Broker) -> Self {
        let waiters = Arc::new(Waiters::new(broker.clone()));
        let (registered, batchers, pools) = (Arc::default(), Arc::default(), Arc::default());
        let (counts, clock, middleware) = (Arc::default(), Arc::default(), EnqueueChain::default());
        let auditor = Auditor::new(broker.clone(), None);
        let state = ClientState {
            broker,
            registered,
            waiters,
            batchers,
            pools,
            counts,
            clock,
            middleware,
            auditor,
        };
        Self { shared: Arc::new(state) }
    }

    /// Returns the handle of a batcher on the queue of the same name, for entries of type `T`. A
    /// name has 1 to 64 ASCII letters, digits, `_`, `-` or `.`; another name is the error of each
    /// call.
    #[must_use]
    pub fn batcher<T: BatchEntry>(&self, name: impl AsRef<str>) -> BatcherHandle<T> {
        self.batcher_on(name.as_ref(), name.as_ref())
    }

    /// Returns the handle of a batcher on another queue.
    #[must_use]
    pub fn batcher_on<T: BatchEntry>(
        &self,
        queue: impl AsRef<str>,
        name: impl AsRef<str>,
    ) -> BatcherHandle<T> {
        let home = BatcherHome::new(queue.as_ref(), name.as_ref());
        BatcherHandle::new(home.map(|home| self.batcher_state(home)), self.auditor().clone())
    }

    /// Returns the state that all handles of a batcher share.
    fn batcher_state(&self, home: BatcherHome) -> Arc<BatcherState> {
        let mut known = self.shared.batchers.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED && !known.contains_key(&home) {
            let any = known.keys().next().cloned();
            any.map(|home| known.remove(&home));
        }
        let state = known.entry(home).or_insert_with_key(|home| {
            Arc::new(BatcherState::new(self.broker().clone(), home.clone()))
        });
        Arc::clone(state)
    }

    /// Checks that the server answers: for a readiness probe. Takes at most
    /// [`Config::response_timeout`].
    ///
    /// # Errors
    /// Returns an error when the server cannot be reached or refuses the connection, in a sentence
    /// that says what to do.
    pub async fn ping(&self) -> Result<(), Error> {
        self.broker().ping().await
    }

    /// Returns the time by the server's clock, which all times in Redis are by.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn time(&self) -> Result<Timestamp, Error> {
        self.broker().server_now().await
    }

    /// Adds a middleware that each job passes before it is sent: an enqueue, one of many, a call, a
    /// cast and the job of a schedule that is put. The first added comes first. It belongs to the
    /// returned client and its clones, and to the handles and nodes that are made of them.
    ///
    /// The entries of batchers, schedules that are declared in code, and the jobs that the ticks of
    /// a schedule enqueue pass no middleware.
    #[must_use]
    pub fn middleware(self, middleware: impl EnqueueMiddleware) -> Self {
        let mut state = ClientState::clone(&self.shared);
        state.middleware.push(middleware);
        Self { shared: Arc::new(state) }
    }

    /// Returns a client whose changes are recorded in the [audit](Client::audit) under this actor: a
    /// name, or an [`Actor`] with its program and its reason. It belongs to the returned client and
    /// its clones, and to the handles that are made of them.
    ///
    /// Changes of queues, pools and schedules, and those of many jobs, are recorded also without an
    /// actor, under the name of the program. Changes of one job and of a batch belong to the ordinary
    /// work of programs: they are recorded when there is an actor.
    ///
    /// ```no_run
    /// # use poolder_client::Client;
    /// # use poolder_core::history::Actor;
    /// # async fn f(client: Client) -> Result<(), poolder_core::Error> {
    /// let ann = client.acting_as(Actor::new("ann").via("support").reason("ticket 4711"));
    /// ann.pause("mail").await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn acting_as(&self, actor: impl Into<Actor>) -> Self {
        let mut state = ClientState::clone(&self.shared);
        state.auditor = Auditor::new(state.broker.clone(), Some(Arc::new(actor.into())));
        Self { shared: Arc::new(state) }
    }

    pub(crate) fn auditor(&self) -> &Auditor {
        &self.shared.auditor
    }

    /// Generates the id of a new job.
    pub(crate) fn generate_id(&self) -> JobId {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.broker().captured() {
            return captured.generate_id();
        }
        JobId::generate()
    }

    pub(crate) fn chain(&self) -> &EnqueueChain {
        &self.shared.middleware
    }

    /// Returns the handle to Redis that the crates of the project share; no part of the public
    /// interface.
    #[doc(hidden)]
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.shared.broker
    }

    /// Returns what `read` returns. All that it reads at the same time, with the client that it is
    /// given, goes to the servers together. For programs that show what several reads return; no
    /// part of the public interface.
    #[doc(hidden)]
    pub async fn read_together<T, F>(&self, read: impl FnOnce(Self) -> F) -> T
    where
        F: Future<Output = T>,
    {
        let with = |broker| {
            let state = ClientState { broker, ..ClientState::clone(&self.shared) };
            read(Self { shared: Arc::new(state) })
        };
        self.broker().read_together(with).await
    }

    pub(crate) fn clock(&self) -> &ServerClock {
        &self.shared.clock
    }

    pub(crate) fn waiters(&self) -> &Arc<Waiters> {
        &self.shared.waiters
    }

    pub(crate) fn pools(&self) -> &PoolCache {
        &self.shared.pools
    }

    /// Stores a job, and registers that its queue is in use.
    pub(crate) async fn store(&self, new: &mut PreparedJob) -> Result<Receipt, Error> {
        self.publish(new).await?;
        let span = send_span::send(new);
        let registration = self.begin_registration(&[&new.partition]);
        let stored = if span.is_disabled() {
            self.broker().enqueue(new).await
        } else {
            // Boxed, so that an enqueue without a span does not carry a second future.
            Box::pin(self.broker().enqueue(new)).instrument(span).await
        };
        self.count(new, &stored);
        registration.settle().await;
        stored
    }

    /// Counts an enqueue for [`Client::process_metrics`].
    pub(crate) fn count(&self, new: &PreparedJob, stored: &Result<Receipt, Error>) {
        self.shared.counts.add(&new.partition.queue, new.envelope.kind(), stored);
    }

    /// Returns the metrics of this client, in the text format of Prometheus: how many jobs it has
    /// enqueued, by queue, kind and outcome, how long Redis took to answer, and its errors. It
    /// counts from the first call on, so make one when the program starts. `docs/metrics.md`
    /// describes them. A process with a node has them in the metrics of the node.
    ///
    /// ```no_run
    /// # fn f(client: poolder_client::Client) {
    /// client.process_metrics();
    /// // … later, for a scrape:
    /// println!("{}", client.process_metrics());
    /// # }
    /// ```
    pub fn process_metrics(&self) -> String {
        self.count_process();
        let mut text = MetricsText::default();
        self.shared.counts.write(&mut text);
        round_trip_metrics::write(&self.broker().round_trips(), &mut text);
        text.finish()
    }

    /// Counts enqueues and round trips from now on. For the packages of the project.
    #[doc(hidden)]
    pub fn count_process(&self) {
        self.shared.counts.begin();
        self.broker().count_round_trips();
    }

    /// Calls `each` with every queue, kind and outcome of enqueues, and their number since the count
    /// began. It must not enqueue. For the packages of the project.
    #[doc(hidden)]
    pub fn each_enqueue_count(&self, each: impl FnMut(&str, &str, &'static str, u64)) {
        self.shared.counts.each(each);
    }

    /// Begins to register that the queues are in use, beside storing something in them. The caller
    /// gives the registration [a moment](Registration::settle) when that is stored: the list of
    /// queues is not worth a longer delay.
    pub(crate) fn begin_registration(&self, partitions: &[&Partition]) -> Registration {
        if partitions.iter().all(|partition| self.is_registered(partition)) {
            return Registration(None);
        }
        let client = self.clone();
        let partitions: Vec<Partition> = partitions.iter().map(|one| (*one).clone()).collect();
        // A separate task: the server that has the roster may not be the one that stores the job.
        Registration(Some(tokio::spawn(async move {
            join_all(partitions.iter().map(|partition| client.register(partition))).await;
        })))
    }

    /// Returns true when this client has registered the queue within 10 s.
    fn is_registered(&self, partition: &Partition) -> bool {
        let registered = self.shared.registered.read().unwrap_or_else(PoisonError::into_inner);
        registered.get(&partition.queue).is_some_and(|at| at.elapsed() < REGISTRATION)
    }

    /// Registers that the queue is in use, unless this client has done so within 10 s. A failure
    /// only leaves the queue out of the list of queues, and the next enqueue tries again.
    pub(crate) async fn register(&self, partition: &Partition) {
        // Callers that come meanwhile do not register the queue once more.
        if !self.remember(&partition.queue) {
            return;
        }
        if let Err(error) = self.broker().register_queue(partition).await {
            tracing::debug!(queue = %partition.queue, %error, "could not register the queue");
            let mut known = self.shared.registered.write().unwrap_or_else(PoisonError::into_inner);
            known.remove(&partition.queue);
        }
    }

    /// Returns false if the queue was registered within 10 s.
    fn remember(&self, queue: &QueueName) -> bool {
        let mut known = self.shared.registered.write().unwrap_or_else(PoisonError::into_inner);
        if known.get(queue).is_some_and(|at| at.elapsed() < REGISTRATION) {
            return false;
        }
        if known.len() >= MAX_REMEMBERED
            && let Some(any) = known.keys().next().cloned()
        {
            known.remove(&any);
        }
        known.insert(queue.clone(), Instant::now());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lazy_client_is_made_while_no_server_answers_and_ping_says_so() {
        // A port that was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        drop(listener);
        let client = Client::new(Config::new(&url)).unwrap();
        assert!(client.ping().await.unwrap_err().to_string().contains("127.0.0.1"));
        assert!(Client::connect(&url).await.is_err());
        assert!(Client::lazy_from_env().is_ok());
    }
}
