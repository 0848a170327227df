//! Holds one slot of an addressed pool in this process: acquires, serves and releases it.

use std::sync::atomic::Ordering;

use poolder_core::broker::SlotLease;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::acquire::{Acquired, acquire, release};
use super::rescue::rescue;
use super::serve::SlotService;
use super::slot_context::{HoldEnd, SlotContext};
use crate::process::watching::changed;
use crate::run::single_slot::SingleSlot;
use crate::services::spawn::spawn_owned;

/// The task that holds one slot.
pub(super) struct SlotHolder {
    pub(super) slot: SlotContext,
    /// True when this node may hold the slot already.
    pub(super) doubt: bool,
}

impl SlotHolder {
    /// Acquires the slot, serves it until it is to be released, and releases it; false when its
    /// handler could not be stopped, or the slot could not be released.
    pub(super) async fn run(mut self) -> bool {
        let lease = match acquire(&mut self.slot, self.doubt).await {
            Acquired::Lease(lease) => lease,
            Acquired::No => return true,
            Acquired::Unknown => return false,
        };
        tracing::info!(slot = %self.slot.partition, term = lease.term, "this node serves the slot");
        let _held = self.slot.node.activity.hold(self.slot.partition.queue.as_str());
        let (mut tasks, stop_tasks) = (JoinSet::new(), CancellationToken::new());
        let services =
            self.slot.node.service_context(&self.slot.partition, &self.slot.engine, true);
        self.slot.commands = services.commands.subscribe();
        spawn_owned(&mut tasks, &services, &stop_tasks);
        self.slot.node.services.add(services);
        let (end, clean) = self.hold(&lease).await;
        self.slot.node.services.remove(&self.slot.partition);
        stop_tasks.cancel();
        while tasks.join_next().await.is_some() {}
        // While its handler still runs the slot keeps its lease; another node takes it over when
        // this process is gone.
        tracing::info!(slot = %self.slot.partition, ?end, "this node no longer serves the slot");
        clean
            && (end == HoldEnd::Lost || release(&self.slot, &lease, end == HoldEnd::Stopped).await)
    }

    async fn hold(&mut self, lease: &SlotLease) -> (HoldEnd, bool) {
        let Some(rest) = rescue(&mut self.slot, lease).await else {
            return (self.slot.how_it_ended(lease), true);
        };
        let runner = SingleSlot::start(self.slot.partition.index.into(), &self.slot.engine);
        let end = if self.until_ready(&runner, lease).await {
            self.slot.ready.fetch_add(1, Ordering::Relaxed);
            let end = SlotService::new(&mut self.slot, &runner, lease, rest).run().await;
            self.slot.ready.fetch_sub(1, Ordering::Relaxed);
            end
        } else {
            self.slot.how_it_ended(lease)
        };
        (end, runner.stop().await)
    }

    /// Waits until `handle_init` has succeeded; false when the slot is to be released before.
    async fn until_ready(&mut self, runner: &SingleSlot, lease: &SlotLease) -> bool {
        let ready = runner.ready();
        tokio::pin!(ready);
        loop {
            if self.slot.is_leaving() || self.slot.is_lost(lease) {
                return false;
            }
            tokio::select! {
                () = &mut ready => return true,
                () = changed(&mut self.slot.leave) => {}
                () = changed(&mut self.slot.node.identity) => {}
            }
        }
    }
}
