//! Hints over pub/sub: the next due time has changed, the leader resigned, a command was given, a
//! schedule ticks sooner, a job was buried, a node that rests is woken. A lost hint only costs time, since every listener also
//! polls.

use futures_util::StreamExt;

use crate::broker::Broker;
use crate::job::{Error, Partition};

/// The subject of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// The first job in `due` has changed.
    Due,
    /// The leader resigned.
    Lease,
    /// An operator paused or resumed the partition, or cancelled a job.
    Commands,
    /// A job was buried, of which hooks are told.
    Death,
    /// The next tick of a schedule has moved to an earlier time.
    Tick,
    /// A node that rests shall look for jobs, and ask for a wait permit.
    Wake,
}

/// A connection that receives the hints of a list of partitions.
pub struct Listener {
    channels: Vec<String>,
    partitions: usize,
    messages: redis::aio::PubSubStream,
    // The stream ends when its other half is dropped.
    _subscriptions: redis::aio::PubSubSink,
}

impl Broker {
    /// Subscribes to the hints of these partitions, and to those for the node of this name.
    ///
    /// # Errors
    /// Returns an error when no connection opens, or the server does not permit the subscription.
    pub async fn listen(&self, partitions: &[Partition], node: &str) -> Result<Listener, Error> {
        let keys: Vec<_> = partitions.iter().map(|partition| self.keys(partition)).collect();
        let control = keys.iter().map(|keys| keys.control.clone());
        // Behind those of the partitions, in the same order.
        let channels: Vec<String> =
            control.chain(keys.iter().map(|keys| keys.wake(node))).collect();
        // Every node of a cluster forwards messages to the others.
        self.needs_server()?;
        let peer = self.inner.route.peer(None, &mut self.inner.limit()).await;
        let peer = peer.map_err(|error| self.classify(error))?;
        let pubsub = self.in_time(peer.opener.client().get_async_pubsub()).await?;
        let (mut sink, messages) = pubsub.split();
        self.in_time(sink.subscribe(&channels)).await?;
        Ok(Listener { channels, partitions: partitions.len(), messages, _subscriptions: sink })
    }
}

impl Listener {
    /// Waits for the next hint. Returns the index of its partition in the list given to
    /// [`Broker::listen`], and the hint; `None` when the connection has closed.
    pub async fn next(&mut self) -> Option<(usize, Hint)> {
        loop {
            let message = self.messages.next().await?;
            let at = self.channels.iter().position(|name| name == message.get_channel_name());
            let hint = match message.get_payload_bytes() {
                b"due" => Hint::Due,
                b"lease" => Hint::Lease,
                b"orders" => Hint::Commands,
                b"dead" => Hint::Death,
                b"tick" => Hint::Tick,
                b"wake" => Hint::Wake,
                // A newer version may send other hints.
                _ => continue,
            };
            if let Some(at) = at {
                return Some((at % self.partitions, hint));
            }
        }
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("channels", &self.channels).finish_non_exhaustive()
    }
}
