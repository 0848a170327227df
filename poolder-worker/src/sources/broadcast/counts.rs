//! The numbers of copies of a broadcast pool, which this process reports to the server.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::run::pool_spec::PoolSpec;
use crate::services::node_context::NodeContext;

/// The numbers of copies that were delivered, failed and missed since the last report.
#[derive(Default)]
pub(super) struct BroadcastCounts {
    pub(super) delivered: AtomicU64,
    pub(super) failed: AtomicU64,
    missed: AtomicU64,
}

impl BroadcastCounts {
    pub(super) async fn report(&self, node: &NodeContext, spec: &PoolSpec) {
        let counters = [
            ("broadcast_delivered", &self.delivered),
            ("broadcast_failed", &self.failed),
            ("broadcast_missed", &self.missed),
        ];
        for (name, counter) in counters {
            let copies = counter.swap(0, Ordering::Relaxed);
            let broker = node.client.broker();
            if copies > 0
                && let Err(error) = broker.count_copies(&spec.queue, name, copies).await
            {
                tracing::debug!(
                    queue = %spec.queue, %error, copies, name, "copies were not counted"
                );
            }
        }
    }

    pub(super) fn miss(&self, spec: &PoolSpec, copies: u64, why: &str) {
        self.missed.fetch_add(copies, Ordering::Relaxed);
        tracing::error!(queue = %spec.queue, copies, why, "broadcast copies were missed");
    }
}
