//! The values that the background services of a partition share.

use std::sync::Arc;
use std::time::Duration;

use poolder_core::Partition;
use poolder_core::broker::{Broker, DeadLimits};
use tokio::sync::{Notify, watch};

use crate::process::commands::KnownCommands;
use crate::process::liveness::{DeadNodes, NodeIdentity, ServerClock};

/// What the services of a partition share.
#[derive(Clone)]
pub(crate) struct ServiceContext {
    pub(crate) broker: Broker,
    pub(crate) partition: Partition,
    pub(crate) limits: DeadLimits,
    pub(crate) clock: Arc<ServerClock>,
    pub(crate) identity: watch::Receiver<NodeIdentity>,
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
    pub(crate) commands: Arc<watch::Sender<KnownCommands>>,
}

/// Hints may be lost: without them it is looked this often …
pub(super) const POLL: Duration = Duration::from_secs(1);
/// … and while they are heard, this often.
const POLL_BESIDE_HINTS: Duration = Duration::from_secs(10);

impl ServiceContext {
    /// How often to look for what hints are given about.
    pub(super) fn poll(&self) -> Duration {
        if *self.hints.borrow() { POLL_BESIDE_HINTS } else { POLL }
    }

    /// Waits until this node leads the partition.
    pub(super) async fn until_leading(&self) {
        // The sender lives in `self`: this cannot fail.
        let _ = self.leads.subscribe().wait_for(|leads| *leads).await;
    }

    pub(super) fn is_leading(&self) -> bool {
        *self.leads.borrow()
    }
}

/// The posts of a node's partitions.
#[derive(Clone, Default)]
pub(crate) struct PartitionServices(watch::Sender<Vec<ServiceContext>>);

impl PartitionServices {
    pub(crate) fn add(&self, cx: ServiceContext) {
        self.0.send_modify(|services| {
            services.retain(|other| other.partition != cx.partition);
            services.push(cx);
        });
    }

    pub(crate) fn remove(&self, partition: &Partition) {
        self.0.send_modify(|services| services.retain(|cx| cx.partition != *partition));
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Vec<ServiceContext>> {
        self.0.subscribe()
    }
}
