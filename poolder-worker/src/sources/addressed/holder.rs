//! One slot of an addressed pool in this process: taken, served, let go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use poolder_core::Partition;
use poolder_core::broker::{PoolView, SlotLease};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::process::commands::Standing;
use crate::process::limits::LAST_CALL;
use crate::run::mailbox::{Desk, Word, Work};
use crate::run::pool_spec::Mould;
use crate::run::slot::Slot;
use crate::services::node_context::Commons;
use crate::services::spawn::spawn_owned;

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
pub(super) enum End {
    /// It was let go in order.
    Left,
    /// A job has stopped it.
    Stopped,
    /// Somebody else has it.
    Lost,
}

pub(super) struct Seat {
    pub(super) slot: Partition,
    pub(super) mould: Arc<Mould>,
    pub(super) commons: Commons,
    pub(super) view: watch::Receiver<Arc<PoolView>>,
    pub(super) leave: watch::Receiver<Leave>,
    pub(super) ready: Arc<AtomicUsize>,
    /// What operators ordered for the slot.
    pub(super) orders: watch::Receiver<Standing>,
}

/// What runs the slot's jobs.
pub(super) struct Bench {
    pub(super) desk: Arc<Desk>,
    pub(super) mailbox: mpsc::Sender<Work>,
    tasks: JoinSet<()>,
}

impl Seat {
    /// Serves the slot until it is to be let go; false when its handler could not be stopped.
    pub(super) async fn run(mut self) -> bool {
        let Some(lease) = self.take().await else { return true };
        tracing::info!(slot = %self.slot, term = lease.term, "this node serves the slot");
        let (mut duties, stop_duties) = (JoinSet::new(), CancellationToken::new());
        let post = self.commons.post(&self.slot, true);
        self.orders = post.orders.subscribe();
        spawn_owned(&mut duties, &post, &stop_duties);
        self.commons.posts.add(post);
        let (end, clean) = self.hold(&lease).await;
        self.commons.posts.remove(&self.slot);
        stop_duties.cancel();
        while duties.join_next().await.is_some() {}
        // A handler that still runs keeps its lease: it is taken over when this process is gone.
        if clean && end != End::Lost {
            self.release(&lease, end == End::Stopped).await;
        }
        tracing::info!(slot = %self.slot, ?end, "this node no longer serves the slot");
        clean
    }

    async fn hold(&mut self, lease: &SlotLease) -> (End, bool) {
        if !self.rescue(lease).await {
            return (self.how_it_ended(lease), true);
        }
        let mut tasks = JoinSet::new();
        let desk = Arc::new(Desk::default());
        let index = usize::from(self.slot.index);
        let mailbox = Slot::cast(index, &self.mould, &desk, &self.commons.clock, &mut tasks);
        let mut bench = Bench { desk, mailbox, tasks };
        let end = if self.until_ready(&bench, lease).await {
            self.ready.fetch_add(1, Ordering::Relaxed);
            let end = self.serve(&bench, lease).await;
            self.ready.fetch_sub(1, Ordering::Relaxed);
            end
        } else {
            self.how_it_ended(lease)
        };
        let Bench { mailbox, .. } = &mut bench;
        // The slot ends with handle_stop when its mailbox goes.
        let (closed, _) = mpsc::channel(1);
        *mailbox = closed;
        let ended = async { while bench.tasks.join_next().await.is_some() {} };
        (end, tokio::time::timeout(LAST_CALL, ended).await.is_ok())
    }

    /// Waits for `handle_init`; false when the slot is to be let go before.
    async fn until_ready(&mut self, bench: &Bench, lease: &SlotLease) -> bool {
        loop {
            if bench.desk.take().iter().any(|word| matches!(word, Word::Free(_))) {
                return true;
            }
            if self.is_leaving() || self.is_lost(lease) {
                return false;
            }
            tokio::select! {
                () = bench.desk.rung() => {}
                _ = self.leave.changed() => {}
                _ = self.commons.identity.changed() => {}
            }
        }
    }

    fn how_it_ended(&self, lease: &SlotLease) -> End {
        if self.is_lost(lease) { End::Lost } else { End::Left }
    }

    pub(super) fn is_leaving(&self) -> bool {
        *self.leave.borrow() != Leave::No
    }

    /// True when this node was declared dead since it took the slot.
    pub(super) fn is_lost(&self, lease: &SlotLease) -> bool {
        self.commons.identity.borrow().name != lease.node
    }

    /// Lets a moment pass, unless something changes.
    pub(super) async fn pause(&mut self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = self.leave.changed() => {}
            _ = self.view.changed() => {}
            _ = self.orders.changed() => {}
            _ = self.commons.identity.changed() => {}
        }
    }
}
