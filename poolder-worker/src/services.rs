//! What keeps jobs moving while slots run them: signs of life, and the duties of a leader.
//!
//! | file | duty |
//! |---|---|
//! | `heartbeat` | on a thread of its own: beats, marks the dead, learns of our own death |
//! | `duty` | the loop of a duty that has a next time |
//! | `leader` | who leads a partition |
//! | `promoter` | moves due jobs to their lanes; leader only |
//! | `rescuer` | takes back what dead nodes hold; leader only |
//! | `scheduler` | publishes the ticks of schedules; leader only |
//! | `pruner` | removes dead jobs and orders that are too old; leader only |
//! | `orders` | learns what is paused and what is cancelled |
//! | `listener` | hears hints, so that the others need not poll as often |

mod duty;
mod heartbeat;
mod leader;
mod listener;
mod orders;
mod promoter;
mod pruner;
mod rescuer;
mod scheduler;

use std::future::Future;
use std::sync::Arc;

use poolder_core::Partition;
use poolder_core::broker::{Broker, DeadLimits};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use heartbeat::Heartbeat;

use crate::orders::Standing;
use crate::vitals::{Clock, DeadNodes, Identity};

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

impl Post {
    /// Waits until this node leads the partition.
    async fn until_leading(&self) {
        // The sender lives in `self`: this cannot fail.
        let _ = self.leads.subscribe().wait_for(|leads| *leads).await;
    }

    fn is_leading(&self) -> bool {
        *self.leads.borrow()
    }
}

/// Starts the services of these partitions. They end when `stop` is cancelled.
pub(crate) fn spawn_all(tasks: &mut JoinSet<()>, posts: Vec<Post>, stop: &CancellationToken) {
    for post in &posts {
        tasks.spawn(leader::run(post.clone(), stop.clone()));
        until(tasks, stop, promoter::run(post.clone()));
        until(tasks, stop, scheduler::run(post.clone()));
        until(tasks, stop, rescuer::run(post.clone()));
        until(tasks, stop, pruner::run(post.clone()));
        until(tasks, stop, orders::run(post.clone()));
    }
    until(tasks, stop, listener::run(posts));
}

/// Runs a service that may be dropped wherever it waits: each thing it does in Redis is whole.
fn until(
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
    service: impl Future<Output = ()> + Send + 'static,
) {
    let stop = stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = service => {}
        }
    });
}
