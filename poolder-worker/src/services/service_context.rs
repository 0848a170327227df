//! The values that the background services of a partition share.

use std::sync::Arc;
use std::time::Duration;

use poolder_core::Partition;
use poolder_core::broker::{Broker, DeadLimits};
use tokio::sync::{Notify, watch};

use crate::process::commands::KnownCommands;
use crate::process::liveness::{DeadNodes, NodeIdentity};
use crate::process::losses::Losses;
use crate::run::engine::Engine;

/// The values that the background services of a partition share.
#[derive(Clone)]
pub(crate) struct ServiceContext {
    pub(crate) broker: Broker,
    pub(crate) partition: Partition,
    pub(crate) limits: DeadLimits,
    pub(crate) engine: Arc<Engine>,
    pub(crate) identity: watch::Receiver<NodeIdentity>,
    pub(crate) dead: watch::Receiver<DeadNodes>,
    pub(crate) losses: Losses,
    /// True while this node leads the partition.
    pub(crate) leads: Arc<watch::Sender<bool>>,
    /// True while the listener receives hints.
    pub(crate) hints: Arc<watch::Sender<bool>>,
    /// Notified when the first job in `due` has changed.
    pub(crate) due: Arc<Notify>,
    /// Notified when a schedule ticks earlier than before.
    pub(crate) tick: Arc<Notify>,
    /// Notified when the leader has resigned.
    pub(crate) lease: Arc<Notify>,
    /// Notified when a job was buried of which hooks are told.
    pub(crate) deaths: Arc<Notify>,
    /// Notified when another node wakes this one, which rests.
    pub(crate) wake: Arc<Notify>,
    /// True while the claimer of the partition rests: others lead the partition.
    pub(crate) rests: Arc<watch::Sender<bool>>,
    /// Notified when there are new commands.
    pub(crate) news: Arc<Notify>,
    /// The commands that are known.
    pub(crate) commands: Arc<watch::Sender<KnownCommands>>,
}

/// How often a service polls while no hints are received.
pub(super) const POLL: Duration = Duration::from_secs(1);
/// How often a service polls while hints are received; it still polls, since hints may be lost.
const POLL_BESIDE_HINTS: Duration = Duration::from_secs(15);

impl ServiceContext {
    /// Returns how often to poll for the changes that hints announce.
    pub(super) fn poll(&self) -> Duration {
        if *self.hints.borrow() { POLL_BESIDE_HINTS } else { POLL }
    }

    /// Waits until this node leads the partition.
    pub(super) async fn until_leading(&self) {
        // This cannot fail, since `self` holds the sender.
        let _ = self.leads.subscribe().wait_for(|leads| *leads).await;
    }

    pub(super) fn is_leading(&self) -> bool {
        *self.leads.borrow()
    }
}

/// The service contexts of a node's partitions.
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
