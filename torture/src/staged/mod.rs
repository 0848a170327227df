//! Drills that consist of a few steps, where planned faults would meet the guard by chance only.

mod claims;
mod dark;
mod fleets;
mod names;
mod releases;
mod resizes;
mod revivals;
mod seals;
mod settling;
mod slot;
mod suspects;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use poolder::{Client, Config, JobState, Receipt};
use poolder_devserver::Fsync;

use crate::beside::Beside;
use crate::checker::Verdict;
use crate::child::{Common, Instructions, Worker};
use crate::processes::Handle;
use crate::proxy::{Proxy, Rules};
use crate::scene::error_text;
use crate::servers::Stand;

const NAMESPACE: &str = "staged";
/// The retention of completion records, by which the drills recognize completed jobs.
const KEPT: Duration = Duration::from_secs(60 * 60);
const PAUSE: Duration = Duration::from_millis(20);

/// The drills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Staged {
    /// Settlements raise errors each time, in calls with others.
    Unsettled,
    /// Jobs of a kind that the node does not know come before one that it knows.
    Unknown,
    /// The replies to claims are too large for the server's output buffer.
    Narrow,
    /// A slot has claimed, by a poll whose reply was lost, a job with the entry id of one that the
    /// server has forgotten.
    SlotRollback,
    /// A suspect was claimed, and had not begun, when its node died.
    Suspects,
    /// Two queues of a node have a suspect each, and one of them kills the node.
    TwoSuspects,
    /// Names are enqueued, cancelled, deleted, revived, and enqueued again.
    Names,
    /// An addressed pool is resized while jobs of its keys wait, fail, die and are revived.
    Resizes,
    /// The access rules refuse to release the slots of a node for a while.
    Releases,
    /// The link of a replica goes dark before the primary dies.
    DarkLink,
    /// Dead batches are revived while they are pruned.
    Revivals,
    /// The timer of a list is due while the next list gathers.
    LateTimer,
    /// All nodes that wait for jobs die at once, and another rests.
    Waiters,
    /// A node of a large fleet is frozen for as long as it may be silent.
    LargeFleet,
}

impl Staged {
    /// Runs the drill without the guard `mutation`; with all guards if it is empty.
    pub(crate) async fn run(self, mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
        let (mutation, runtime) = (mutation.to_owned(), tokio::runtime::Handle::current());
        // The futures of async closures stay on one thread.
        let drill = tokio::task::spawn_blocking(move || {
            runtime.block_on(async {
                match self {
                    Self::Unsettled => settling::unsettled(&mutation, folder).await,
                    Self::Unknown => claims::unknown(&mutation, folder).await,
                    Self::Narrow => claims::narrow(&mutation, folder).await,
                    Self::SlotRollback => slot::slot_rollback(&mutation, folder).await,
                    Self::Suspects => suspects::suspects(&mutation, folder).await,
                    Self::TwoSuspects => suspects::two_suspects(&mutation, folder).await,
                    Self::Names => names::names(&mutation, folder).await,
                    Self::Resizes => resizes::resizes(&mutation, folder).await,
                    Self::Releases => releases::releases(&mutation, folder).await,
                    Self::DarkLink => dark::dark_link(&mutation, folder).await,
                    Self::Revivals => revivals::revivals(&mutation, folder).await,
                    Self::LateTimer => seals::late_timer(&mutation, folder).await,
                    Self::Waiters => fleets::waiters(&mutation, folder).await,
                    Self::LargeFleet => fleets::large_fleet(&mutation, folder).await,
                }
            })
        });
        drill.await.map_err(error_text)?
    }
}

/// The server of a drill, and a client that no fault hits.
struct Stage {
    stand: Stand,
    client: Client,
    folder: PathBuf,
    /// The guard that the nodes leave out; empty for none.
    mutation: String,
    /// The losses between the nodes and the server.
    rules: Arc<Rules>,
}

impl Stage {
    fn new(mutation: &str, folder: PathBuf) -> Result<Self, String> {
        fs::create_dir_all(&folder).map_err(error_text)?;
        let stand = Stand::start(Fsync::Always, &folder)?;
        let config = Config::new(stand.url()?).namespace(NAMESPACE);
        let client = Client::new(config).map_err(error_text)?;
        Ok(Self { stand, client, folder, mutation: mutation.into(), rules: Arc::default() })
    }

    /// Starts a node with a pool of this size.
    async fn node(&self, index: usize, slots: usize, beside: Beside) -> Result<Handle, String> {
        self.start(self.worker(index, slots, beside)).await
    }

    /// Starts a node behind a proxy.
    async fn start(&self, worker: Worker) -> Result<Handle, String> {
        let (name, rules) = (&worker.common.name, Arc::clone(&self.rules));
        let proxy = Proxy::start(name, self.stand.address()?, rules).await.map_err(error_text)?;
        Handle::start(Instructions::Worker(worker), Some(proxy))
    }

    /// Returns the instructions of a node with a pool of this size, without the URL of its server.
    fn worker(&self, index: usize, slots: usize, beside: Beside) -> Worker {
        let common = Common {
            url: String::new(),
            namespace: NAMESPACE.into(),
            ledger: self.folder.clone(),
            name: format!("node-{index}"),
            incarnation: 0,
            mutation: self.mutation.clone(),
            queues: 1,
        };
        Worker { common, slots, shutdown_millis: 1_000, hangs: false, beside }
    }

    /// Returns the name of a key of the first partition of a queue.
    fn key(queue: &str, key: &str) -> String {
        format!("{NAMESPACE}:{{{queue}.0}}:{key}")
    }

    /// Returns the number of these jobs that are in this state now.
    async fn count(&self, jobs: &[Receipt], state: JobState) -> usize {
        let mut found = 0;
        for job in jobs {
            // A server that is away, or a key of a wrong type, is asked again.
            found +=
                usize::from(self.client.job(job).state().await.is_ok_and(|now| now == Some(state)));
        }
        found
    }
}

/// Repeats `done` until it is true. Returns false when that takes longer than `limit`.
async fn within(
    limit: Duration,
    mut done: impl AsyncFnMut() -> Result<bool, String>,
) -> Result<bool, String> {
    let begun = Instant::now();
    while !done().await? {
        if begun.elapsed() > limit {
            return Ok(false);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(true)
}

/// Returns an error, unless a step came about that the drill needs.
fn must(came_about: bool, otherwise: &str) -> Result<(), String> {
    if came_about { Ok(()) } else { Err(otherwise.to_owned()) }
}
