//! Reading how the jobs of queues find their slots.

use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::job::{Error, Partition, QueueName};
use crate::policy::dispatch::Mode;

/// The most queues that are asked for in one round trip.
const AT_ONCE: usize = 500;

impl Broker {
    /// Returns the mode of each of these queues, in their order: that of a pool that is registered,
    /// else [`Mode::Shared`], as for a mode of a later version.
    ///
    /// # Errors
    /// Returns an error when a server does not answer or refuses the command.
    pub async fn pool_modes(&self, queues: &[QueueName]) -> Result<Vec<Mode>, Error> {
        let mut modes = Vec::with_capacity(queues.len());
        for part in queues.chunks(AT_ONCE) {
            let mut pipe = redis::pipe();
            for queue in part {
                let keys = self.keys(&Partition::first(queue.clone()));
                pipe.cmd("HGET").arg(&keys.meta).arg("mode");
            }
            for answer in self.pipeline(&pipe).await? {
                let answer = answer.map_err(|error| self.classify(error))?;
                let mode = reply::text(answer).ok().and_then(|mode| mode.parse().ok());
                modes.push(mode.unwrap_or(Mode::Shared));
            }
        }
        Ok(modes)
    }
}
