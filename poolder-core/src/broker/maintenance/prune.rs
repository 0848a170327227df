//! Removes dead jobs that are older than the limit.

use crate::broker::connection::reply;
use crate::broker::{Broker, DeadLimits, scripts};
use crate::job::{Error, Partition, Timestamp, clamped_millis};

/// The most jobs that one call of the script removes.
const MAX_JOBS: usize = 100;

impl Broker {
    /// Returns true when the partition has no dead jobs, no lists of dropped batches, no
    /// cancellations and no unique keys: nothing of which the oldest is removed.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn keeps_nothing(&self, partition: &Partition) -> Result<bool, Error> {
        let keys = self.keys(partition);
        let mut cmd = redis::cmd("EXISTS");
        cmd.arg(&keys.dead).arg(&keys.batches_dropped).arg(&keys.cancelled).arg(&keys.unique);
        Ok(reply::int(self.command(&cmd).await?)? == 0)
    }

    /// Removes up to 100 dead jobs that are older than the limit, and the entries of the batches
    /// among them. Also removes the entries of batches that were dropped before, for example to
    /// make room for newer dead jobs. Returns how many dead jobs were removed for their age.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn prune_dead(
        &self,
        partition: &Partition,
        limits: DeadLimits,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let keys = self.keys(partition);
        let oldest = now.millis().saturating_sub(clamped_millis(limits.age));
        let all = [&keys.dead, &keys.dead_bodies, &keys.batches, &keys.batches_dropped];
        let mut cmd = scripts::call(&scripts::PRUNE, all.map(String::as_str));
        cmd.arg(oldest).arg(MAX_JOBS);
        let removed = reply::int(self.command(&cmd).await?)?;
        self.remove_dropped(partition).await?;
        Ok(u64::try_from(removed).unwrap_or(0))
    }
}
