//! Pausing the claims of a partition in the whole fleet, and resuming them.

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition};

impl Broker {
    /// Pauses a partition: no job is claimed any more, running jobs finish, new jobs wait. Returns
    /// false when the partition was paused already.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; repeating the call
    /// is harmless.
    pub async fn pause(&self, partition: &Partition) -> Result<bool, Error> {
        self.set_paused(partition, "1").await
    }

    /// Resumes a paused partition. Returns false when the partition was not paused.
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
        Ok(reply::int(self.command(&cmd).await?)? == 1)
    }
}
