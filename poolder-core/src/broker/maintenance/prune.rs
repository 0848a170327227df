//! Removing dead jobs that are older than the limit.

use crate::broker::connection::reply;
use crate::broker::{Broker, DeadLimits};
use crate::job::{Error, Partition, Timestamp, clamped_millis};

impl Broker {
    /// Removes dead jobs that are older than the limit, at most 100, with the entries of those that
    /// are batches; and the entries of batches that made room for newer dead.
    ///
    /// # Errors
    /// Whatever keeps the server from doing it.
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
        // What fails from here on is found again among the dropped.
        pipe.atomic().cmd("SADD").arg(&keys.batches_dropped).arg(&ids);
        pipe.cmd("HDEL").arg(&keys.dead_bodies).arg(&ids);
        pipe.cmd("ZREM").arg(&keys.dead).arg(&ids);
        let mut connection = self.alone(&keys.dead).await?;
        pipe.exec_async(&mut connection).await.map_err(|error| self.classify(error))?;
        self.remove_sealed(partition, &ids).await?;
        Ok(ids.len() as u64)
    }
}
