//! Hints over pub/sub: something is due sooner, a leader resigned. A lost hint costs a moment,
//! since whoever listens also polls.

use futures_util::StreamExt;

use crate::broker::Broker;
use crate::job::{Error, Partition};

/// What a hint is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// The head of `due` has changed.
    Due,
    /// The leader resigned.
    Lease,
    /// Somebody paused, resumed or cancelled something.
    Commands,
    /// A schedule ticks sooner.
    Tick,
}

/// A connection that hears the hints of some partitions.
pub struct Listener {
    channels: Vec<String>,
    messages: redis::aio::PubSubStream,
    // The stream ends when its other half goes.
    _subscriptions: redis::aio::PubSubSink,
}

impl Broker {
    /// Listens to these partitions.
    ///
    /// # Errors
    /// When no connection can be had, or the server does not permit it.
    pub async fn listen(&self, partitions: &[Partition]) -> Result<Listener, Error> {
        let channels: Vec<String> =
            partitions.iter().map(|partition| self.keys(partition).control.clone()).collect();
        // Every node of a cluster passes messages on.
        let peer = self.inner.route.peer(None).await.map_err(|error| self.classify(error))?;
        let pubsub = peer.client.get_async_pubsub().await;
        let (mut sink, messages) = pubsub.map_err(|error| self.classify(error))?.split();
        sink.subscribe(&channels).await.map_err(|error| self.classify(error))?;
        Ok(Listener { channels, messages, _subscriptions: sink })
    }
}

impl Listener {
    /// The next hint, and which of the partitions it is about; `None` when the connection is gone.
    pub async fn next(&mut self) -> Option<(usize, Hint)> {
        loop {
            let message = self.messages.next().await?;
            let at = self.channels.iter().position(|name| name == message.get_channel_name());
            let hint = match message.get_payload_bytes() {
                b"due" => Hint::Due,
                b"lease" => Hint::Lease,
                b"orders" => Hint::Commands,
                b"tick" => Hint::Tick,
                // A newer version may know more hints.
                _ => continue,
            };
            if let Some(at) = at {
                return Some((at, hint));
            }
        }
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("channels", &self.channels).finish_non_exhaustive()
    }
}
