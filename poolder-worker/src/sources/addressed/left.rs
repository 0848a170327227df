//! Finds slots that this node has released, and that are its own again on the server: a failover may
//! undo the last writes of a server. No other node takes such a slot while this node lives.

use std::collections::VecDeque;
use std::time::Duration;

use poolder_client::Client;
use poolder_core::{Partition, QueueName};
use tokio::time::Instant;

/// When to look at a slot after its release: a failover undoes only what was written shortly before.
const LOOK_AFTER: Duration = Duration::from_secs(30);
/// The slots that a node looks at in one heartbeat.
const LOOKS: usize = 8;

/// The slots that this node has released, oldest first, and when to look at them.
#[derive(Debug, Default)]
pub(super) struct LeftSlots(VecDeque<(Instant, u16)>);

impl LeftSlots {
    /// Records that a slot was released.
    pub(super) fn add(&mut self, index: u16) {
        self.0.push_back((Instant::now() + LOOK_AFTER, index));
    }

    /// Looks at slots whose time has come. Returns those of which the node of this name is the
    /// holder.
    pub(super) async fn look(
        &mut self,
        client: &Client,
        queue: &QueueName,
        name: &str,
    ) -> Vec<u16> {
        let mut own = vec![];
        for _ in 0..LOOKS {
            let Some((_, index)) = self.0.front().copied().filter(|(at, _)| *at <= Instant::now())
            else {
                break;
            };
            self.0.pop_front();
            let slot = Partition { queue: queue.clone(), index };
            match client.broker().view_slot(&slot).await {
                Ok(view) if view.node.as_deref() == Some(name) => own.push(index),
                Ok(_) => {}
                // Without an answer the slot is looked at again.
                Err(_) => self.add(index),
            }
        }
        own
    }
}
