//! One slot of an addressed pool in this process: the facts that acquiring, serving and releasing it
//! share.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use poolder_core::broker::{PoolView, SlotLease};
use poolder_core::{Error, JobId, Partition};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::process::commands::KnownCommands;
use crate::process::watching::changed;
use crate::run::engine::{Engine, Guard, Origin};
use crate::services::node_context::NodeContext;

/// Whether and how the slot shall be released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leave {
    /// The slot stays.
    No,
    /// Another node shall hold the slot: the slot's job may finish within `handover_timeout`.
    HandOver,
    /// The node or the pool stops: the slot's job may finish. The slot itself interrupts one that
    /// runs for too long.
    Drain,
}

/// How the service of a slot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HoldEnd {
    /// The slot was left in order.
    Left,
    /// A job has stopped the slot.
    Stopped,
    /// Another node holds the slot, or may take it.
    Lost,
}

/// A slot that this node shall hold, and what may end that.
pub(super) struct SlotContext {
    pub(super) partition: Partition,
    pub(super) engine: Arc<Engine>,
    pub(super) node: NodeContext,
    pub(super) view: watch::Receiver<Arc<PoolView>>,
    pub(super) leave: watch::Receiver<Leave>,
    pub(super) ready: Arc<AtomicUsize>,
    /// The operators' commands for the slot.
    pub(super) commands: watch::Receiver<KnownCommands>,
    /// The job whose move an earlier holder has begun and not ended.
    pub(super) moves: Option<JobId>,
    /// The permit of the suspect that ran last, until its settlement is answered: at most one
    /// suspect of the node has begun and is still claimed.
    pub(super) suspect: Option<OwnedSemaphorePermit>,
}

impl SlotContext {
    /// Returns the origin of the jobs that are claimed under the lease.
    pub(super) fn origin<'a>(&'a self, lease: &'a SlotLease) -> Origin<'a> {
        let guard = Guard::Lease(lease.term);
        Origin { partition: &self.partition, owner: &lease.node, guard }
    }

    /// Reports that a request for the slot has failed.
    pub(super) fn request_failed(&self, request: &str, error: &Error) {
        self.engine.outages.failed(&self.partition, request, error);
    }

    /// Returns how the service ended that was left before a job could run.
    pub(super) fn how_it_ended(&self, lease: &SlotLease) -> HoldEnd {
        if self.is_lost(lease) { HoldEnd::Lost } else { HoldEnd::Left }
    }

    /// Returns true when the slot shall be released.
    pub(super) fn is_leaving(&self) -> bool {
        *self.leave.borrow() != Leave::No
    }

    /// Returns true when this node was declared dead since it acquired the slot.
    pub(super) fn is_lost(&self, lease: &SlotLease) -> bool {
        self.node.identity.borrow().name != lease.node
    }

    /// Waits for this time, or until something changes.
    pub(super) async fn pause(&mut self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = changed(&mut self.leave) => {}
            () = changed(&mut self.view) => {}
            () = changed(&mut self.commands) => {}
            () = changed(&mut self.node.identity) => {}
        }
    }
}
