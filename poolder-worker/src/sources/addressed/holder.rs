//! One slot of an addressed pool in this process: its state, and when it is to be let go.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use poolder_core::Partition;
use poolder_core::broker::{PoolView, SlotLease};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::process::commands::KnownCommands;
use crate::run::mailbox::{Mailbox, Work};
use crate::run::pool_spec::PoolSpec;
use crate::services::node_context::NodeContext;

/// Whether the slot shall be let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leave {
    No,
    /// It belongs to another node by now: its job may finish if it is quick.
    HandOver,
    /// The node stops: its job may finish.
    Drain,
    /// Its job is cancelled and handed back.
    Now,
}

/// How the service of a slot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HoldEnd {
    /// It was let go in order.
    Left,
    /// A job has stopped it.
    Stopped,
    /// Somebody else has it.
    Lost,
}

pub(super) struct SlotHolder {
    pub(super) slot: Partition,
    pub(super) spec: Arc<PoolSpec>,
    pub(super) node: NodeContext,
    pub(super) view: watch::Receiver<Arc<PoolView>>,
    pub(super) leave: watch::Receiver<Leave>,
    pub(super) ready: Arc<AtomicUsize>,
    /// What operators ordered for the slot.
    pub(super) commands: watch::Receiver<KnownCommands>,
}

/// What runs the slot's jobs.
pub(super) struct SlotRunner {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) inbox: mpsc::Sender<Work>,
    pub(super) tasks: JoinSet<()>,
}

impl SlotHolder {
    pub(super) fn how_it_ended(&self, lease: &SlotLease) -> HoldEnd {
        if self.is_lost(lease) { HoldEnd::Lost } else { HoldEnd::Left }
    }

    pub(super) fn is_leaving(&self) -> bool {
        *self.leave.borrow() != Leave::No
    }

    /// True when this node was declared dead since it took the slot.
    pub(super) fn is_lost(&self, lease: &SlotLease) -> bool {
        self.node.identity.borrow().name != lease.node
    }

    /// Lets a moment pass, unless something changes.
    pub(super) async fn pause(&mut self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = self.leave.changed() => {}
            _ = self.view.changed() => {}
            _ = self.commands.changed() => {}
            _ = self.node.identity.changed() => {}
        }
    }
}
