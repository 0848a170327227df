//! The layer of background services: they keep the node in the roster and the jobs of its partitions
//! moving while slots run them. Imports `process` and `run`.
//!
//! | file | what it does |
//! |---|---|
//! | `heartbeat` | sends beats from a thread of its own, marks dead nodes, learns of its own death |
//! | `leader` | holds the leadership of a partition |
//! | `leader_task` | repeats a task while this node leads |
//! | `promoter` | moves due jobs to their lanes; leader only |
//! | `rescuer` | takes back the jobs that dead nodes hold; leader only |
//! | `scheduler` | publishes the ticks of schedules; leader only |
//! | `pruner` | removes dead jobs and commands that are too old; leader only |
//! | `command_watcher` | learns which partitions are paused and which jobs are cancelled |
//! | `listener` | hears hints, so that the other services poll less often |
//! | `node_context` | holds the values that all pools of a node share |

mod command_watcher;
mod heartbeat;
mod leader;
mod leader_task;
mod listener;
pub(crate) mod node_context;
mod promoter;
mod pruner;
mod rescuer;
mod scheduler;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use poolder_core::Partition;
use poolder_core::broker::{Broker, DeadLimits};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use heartbeat::{Heartbeat, PoolSizes};

use crate::process::commands::Standing;
use crate::process::liveness::{Clock, DeadNodes, Identity};
use crate::run::guard::guarded;

/// What the services of a partition share.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) broker: Broker,
    pub(crate) partition: Partition,
    pub(crate) limits: DeadLimits,
    pub(crate) clock: Arc<Clock>,
    pub(crate) identity: watch::Receiver<Identity>,
    pub(crate) dead: watch::Receiver<DeadNodes>,
    /// True while this node leads the partition.
    pub(crate) leads: Arc<watch::Sender<bool>>,
    /// True while hints are heard.
    pub(crate) hints: Arc<watch::Sender<bool>>,
    /// The head of `due` has changed.
    pub(crate) due: Arc<Notify>,
    /// A schedule ticks sooner.
    pub(crate) tick: Arc<Notify>,
    /// The leader has resigned.
    pub(crate) lease: Arc<Notify>,
    /// There are new orders …
    pub(crate) news: Arc<Notify>,
    /// … and these are the ones that are known.
    pub(crate) orders: Arc<watch::Sender<Standing>>,
}

/// Hints may be lost: without them it is looked this often …
const POLL: Duration = Duration::from_secs(1);
/// … and while they are heard, this often.
const POLL_BESIDE_HINTS: Duration = Duration::from_secs(10);

impl Post {
    /// How often to look for what hints are given about.
    fn poll(&self) -> Duration {
        if *self.hints.borrow() { POLL_BESIDE_HINTS } else { POLL }
    }

    /// Waits until this node leads the partition.
    async fn until_leading(&self) {
        // The sender lives in `self`: this cannot fail.
        let _ = self.leads.subscribe().wait_for(|leads| *leads).await;
    }

    fn is_leading(&self) -> bool {
        *self.leads.borrow()
    }
}

/// A service that broke is started again after this pause.
const RESTART: Duration = Duration::from_secs(1);

/// Starts the services of a partition whose leader is elected. They end when `stop` is cancelled.
pub(crate) fn spawn_all(tasks: &mut JoinSet<()>, post: &Post, stop: &CancellationToken) {
    let (lead, end) = (post.clone(), stop.clone());
    tasks.spawn(restarted("leader", move || leader::run(lead.clone(), end.clone())));
    spawn_owned(tasks, post, stop);
    let post = post.clone();
    until(tasks, stop, "rescuer", move || rescuer::run(post.clone()));
}

/// Starts the services of a partition that belongs to who leads it, as an addressed slot does.
pub(crate) fn spawn_owned(tasks: &mut JoinSet<()>, post: &Post, stop: &CancellationToken) {
    let (promote, prune) = (post.clone(), post.clone());
    until(tasks, stop, "promoter", move || promoter::run(promote.clone()));
    until(tasks, stop, "pruner", move || pruner::run(prune.clone()));
    if post.partition.index == 0 {
        // Schedules live in the home partition.
        let publish = post.clone();
        until(tasks, stop, "scheduler", move || scheduler::run(publish.clone()));
    }
    let post = post.clone();
    until(tasks, stop, "orders", move || command_watcher::run(post.clone()));
}

/// Starts to hear hints for all partitions of the node, as they come and go.
pub(crate) fn spawn_listener(tasks: &mut JoinSet<()>, posts: Posts, stop: &CancellationToken) {
    until(tasks, stop, "listener", move || listener::run(posts.subscribe()));
}

/// Runs a service that may be dropped wherever it waits: each thing it does in Redis is whole.
fn until<F: Future<Output = ()> + Send + 'static>(
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
    name: &'static str,
    service: impl Fn() -> F + Send + 'static,
) {
    let stop = stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = restarted(name, service) => {}
        }
    });
}

/// Runs a service again when it breaks.
async fn restarted<F: Future<Output = ()>>(name: &'static str, service: impl Fn() -> F) {
    while let Err(panic) = guarded(service()).await {
        tracing::error!(service = name, panic, "a service broke and is started again");
        tokio::time::sleep(RESTART).await;
    }
}

/// The posts of a node's partitions.
#[derive(Clone, Default)]
pub(crate) struct Posts(watch::Sender<Vec<Post>>);

impl Posts {
    pub(crate) fn add(&self, post: Post) {
        self.0.send_modify(|posts| {
            posts.retain(|other| other.partition != post.partition);
            posts.push(post);
        });
    }

    pub(crate) fn remove(&self, partition: &Partition) {
        self.0.send_modify(|posts| posts.retain(|post| post.partition != *partition));
    }

    fn subscribe(&self) -> watch::Receiver<Vec<Post>> {
        self.0.subscribe()
    }
}
