//! Looks at the server: one of each sort is kept for a moment and shared by all viewers.

mod events;
mod kept;
mod past;
mod range;
mod rates;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::try_join;
use poolder_client::{Client, Diagnosis, FleetStatus};
use poolder_core::broker::{NodeView, ServerView};
use poolder_core::history::{ErrorGroup, History};
use poolder_core::view::QueueView;
use poolder_core::{Error, Timestamp};

pub(crate) use events::{Death, Events};
use kept::Kept;
pub(crate) use kept::Seen;
pub(crate) use past::{Past, failures};
pub(crate) use range::Range;
pub(crate) use rates::Rate;
use rates::Rates;

/// The time between two looks at the queues and nodes.
pub(crate) const EVERY: Duration = Duration::from_secs(1);
/// The time that is left between two looks for each partition, so that a look at thousands of slots
/// does not cost the server more than a hundredth of a core.
const PER_PARTITION: Duration = Duration::from_millis(20);
/// How long slower looks are kept: at the server, and at all that needs a person.
const SLOW: Duration = Duration::from_secs(10);
const ERRORS: Duration = Duration::from_secs(5);
/// How long the names of the servers are kept, which change with a new version alone.
const NAMES: Duration = Duration::from_secs(600);
/// The number of answers of which the shortest is shown.
const ANSWERS: usize = 5;

/// The looks of a process, made with a client.
#[derive(Debug, Clone)]
pub(crate) struct Looks {
    client: Client,
    last: Arc<LastLooks>,
}

/// The last looks of a process.
#[derive(Debug, Default)]
struct LastLooks {
    fleet: Kept<Fleet>,
    rates: Mutex<Rates>,
    history: [Kept<History>; Range::ALL.len()],
    errors: Kept<Vec<ErrorGroup>>,
    events: Kept<Events>,
    status: Kept<FleetStatus>,
    servers: Kept<Vec<ServerView>>,
    names: Kept<Vec<String>>,
    /// The times of the first reads of the last looks.
    answers: Mutex<VecDeque<Duration>>,
    diagnosis: Kept<Diagnosis>,
    partitions: std::sync::atomic::AtomicU32,
}

/// The queues and nodes at one moment.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) now: Timestamp,
    pub(crate) queues: Vec<QueueView>,
    pub(crate) nodes: Vec<NodeView>,
    /// The rates of the queues that were looked at before.
    pub(crate) rates: HashMap<String, Rate>,
    /// The time in which the server answers: the shortest of the first reads of the last looks.
    pub(crate) answers: Duration,
}

impl Looks {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, last: Arc::default() }
    }

    /// Returns the same looks, made with another client of the same server.
    pub(crate) fn with(&self, client: Client) -> Self {
        Self { client, last: Arc::clone(&self.last) }
    }

    /// Returns the time between two looks at the fleet.
    pub(crate) fn every(&self) -> Duration {
        let partitions = self.last.partitions.load(std::sync::atomic::Ordering::Relaxed);
        EVERY.max(PER_PARTITION.saturating_mul(partitions))
    }

    /// Looks at the queues and nodes.
    pub(crate) async fn fleet(&self) -> Result<Seen<Fleet>, Error> {
        // A look that comes a moment early is better than one that comes a whole period late.
        let most = self.every().saturating_sub(Duration::from_millis(50));
        self.last.fleet.get(most, self.look()).await
    }

    async fn look(&self) -> Result<Fleet, Error> {
        let asked = Instant::now();
        let queues = self.client.queues().await?;
        let answers = self.answered(asked.elapsed());
        let overviews = self.client.broker().overviews(&queues);
        let (queues, nodes) = try_join(overviews, self.client.nodes()).await?;
        let partitions = queues.iter().map(|queue| queue.partitions.len()).sum::<usize>();
        let partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
        self.last.partitions.store(partitions, std::sync::atomic::Ordering::Relaxed);
        let rates = self.last.rates.lock().unwrap_or_else(PoisonError::into_inner).add(&queues);
        let seen = nodes.iter().map(|node| node.seen + node.silent).max();
        let now = queues.iter().map(|queue| queue.now).max().or(seen).unwrap_or_default();
        Ok(Fleet { now, queues, nodes, rates, answers })
    }

    /// Adds the time of an answer, and returns the shortest of the last ones: other reads may have
    /// gone with one of them.
    fn answered(&self, time: Duration) -> Duration {
        let mut last = self.last.answers.lock().unwrap_or_else(PoisonError::into_inner);
        last.push_back(time);
        if last.len() > ANSWERS {
            last.pop_front();
        }
        last.iter().copied().min().unwrap_or(time)
    }

    /// Reads the names of the servers, such as `Valkey 9.1.2`; none where they are not known.
    pub(crate) async fn names(&self) -> Arc<Vec<String>> {
        let names = self.last.names.get(NAMES, async {
            let servers = self.client.broker().servers_at_once().await?;
            Ok(servers.into_iter().map(|server| server.name).collect())
        });
        names.await.map(|seen| seen.value).unwrap_or_default()
    }

    /// Reads the history of a range, and asks the nodes to write it more often while a page is open.
    pub(crate) async fn history(&self, range: Range) -> Result<Seen<History>, Error> {
        let kept = &self.last.history[range.index()];
        kept.get(range.kept(), async {
            // A dashboard whose user may not write still shows the history.
            let (history, _) = futures_util::future::join(
                self.client.history(None, None, range.read()),
                self.client.watch_history(),
            )
            .await;
            history
        })
        .await
    }

    /// Reads the groups of equal errors.
    pub(crate) async fn errors(&self) -> Result<Seen<Vec<ErrorGroup>>, Error> {
        self.last.errors.get(ERRORS, self.client.errors()).await
    }

    /// Lets the groups of equal errors, and what needs a person, be read again, since a group was
    /// muted.
    pub(crate) async fn forget_errors(&self) {
        self.last.errors.forget().await;
        self.last.status.forget().await;
        self.last.diagnosis.forget().await;
    }

    /// Reads the deploys and the deaths of nodes; none where they cannot be read, since charts do
    /// without them.
    pub(crate) async fn events(&self) -> Arc<Events> {
        let events = self.last.events.get(SLOW, Events::read(&self.client)).await;
        events.map(|seen| seen.value).unwrap_or_default()
    }

    /// Reads what needs a person.
    pub(crate) async fn status(&self) -> Result<Seen<FleetStatus>, Error> {
        self.last.status.get(SLOW, self.client.status()).await
    }

    /// Asks the doctor.
    pub(crate) async fn diagnosis(&self) -> Result<Seen<Diagnosis>, Error> {
        self.last.diagnosis.get(SLOW, self.client.doctor()).await
    }

    /// Reads the facts of the servers.
    pub(crate) async fn servers(&self) -> Result<Seen<Vec<ServerView>>, Error> {
        self.last.servers.get(SLOW, self.client.servers()).await
    }
}
