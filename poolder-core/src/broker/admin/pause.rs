//! Stopping the claims of a partition in the whole fleet, and letting them go on.

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition};

impl Broker {
    /// Pauses a partition: nothing is claimed any more, what runs finishes, what comes in waits.
    /// Returns false when it was paused already.
    ///
    /// # Errors
    /// Whatever keeps the server from answering; repeating it does no harm.
    pub async fn pause(&self, partition: &Partition) -> Result<bool, Error> {
        self.set_paused(partition, "1").await
    }

    /// Lets a paused partition go on. Returns false when it was not paused.
    ///
    /// # Errors
    /// As [`Broker::pause`].
    pub async fn resume(&self, partition: &Partition) -> Result<bool, Error> {
        self.set_paused(partition, "0").await
    }

    async fn set_paused(&self, partition: &Partition, paused: &str) -> Result<bool, Error> {
        let keys = self.keys(partition);
        let mut cmd = scripts::call(&scripts::PAUSE, [keys.meta.as_str()]);
        cmd.arg(paused).arg(&keys.control);
        Ok(reply::int(self.script(&scripts::PAUSE, &cmd).await?)? == 1)
    }
}
