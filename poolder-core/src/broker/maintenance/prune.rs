//! Removes dead jobs that are older than the limit.

use crate::broker::connection::reply;
use crate::broker::{Broker, DeadLimits};
use crate::job::{Error, Partition, Timestamp, clamped_millis};

impl Broker {
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
        self.remove_dropped(partition).await?;
        let oldest = now.millis().saturating_sub(clamped_millis(limits.age));
        let mut find = redis::cmd("ZRANGEBYSCORE");
        find.arg(&keys.dead).arg("-inf").arg(oldest).arg("LIMIT").arg(0).arg(100);
        let ids = reply::array(self.command(&find).await?)?;
        if ids.is_empty() {
            return Ok(0);
        }
        let ids = ids.into_iter().map(reply::bytes).collect::<Result<Vec<_>, _>>()?;
        let mut pipe = redis::pipe();
        // If a later step fails, the next call finds the ids in `batches_dropped`.
        pipe.atomic().cmd("SADD").arg(&keys.batches_dropped).arg(&ids);
        pipe.cmd("HDEL").arg(&keys.dead_bodies).arg(&ids);
        pipe.cmd("ZREM").arg(&keys.dead).arg(&ids);
        let mut connection = self.alone(&keys.dead).await?;
        pipe.exec_async(&mut connection).await.map_err(|error| self.classify(error))?;
        self.remove_sealed(partition, &ids).await?;
        Ok(ids.len() as u64)
    }
}
