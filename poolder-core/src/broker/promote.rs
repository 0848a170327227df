//! Moving jobs whose time has come into their lanes. Two who do it at once do no harm.

use redis::Value;

use super::{Broker, reply};
use crate::error::Error;
use crate::queue::Partition;
use crate::scripts;
use crate::time::Timestamp;

/// At most this many jobs move in one script.
const BATCH: usize = 200;

/// What a promotion found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promotion {
    /// Jobs that moved.
    pub moved: u64,
    /// When the next is due, if any waits.
    pub next: Option<Timestamp>,
    /// The server's clock.
    pub now: Timestamp,
}

impl Broker {
    /// Moves up to 200 due jobs. Call it again while [`Promotion::next`] is not in the future.
    ///
    /// # Errors
    /// Whatever keeps the server from doing it.
    pub async fn promote(&self, partition: &Partition) -> Result<Promotion, Error> {
        self.promote_as_of(partition, None).await
    }

    /// The same, as if it were `now`: for tests.
    ///
    /// # Errors
    /// As [`Broker::promote`].
    pub async fn promote_as_of(
        &self,
        partition: &Partition,
        now: Option<Timestamp>,
    ) -> Result<Promotion, Error> {
        let keys = self.keys(partition);
        let own = [keys.due.as_str(), &keys.bodies];
        let all = own.into_iter().chain(keys.ready.iter().map(String::as_str));
        let mut cmd = scripts::call(&scripts::PROMOTE, all.chain([keys.stats.as_str()]));
        cmd.arg(BATCH).arg(now.map(|now| now.millis().to_string()).unwrap_or_default());
        let [moved, next, now] = reply::items::<3>(self.script(&scripts::PROMOTE, &cmd).await?)?;
        let next = reply::int(next)?;
        Ok(Promotion {
            moved: u64::try_from(reply::int(moved)?).unwrap_or(0),
            next: (next >= 0).then(|| Timestamp::from_millis(next)),
            now: Timestamp::from_millis(reply::int(now)?),
        })
    }

    /// True when nothing waits for its time: cheaper than a promotion that finds nothing.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn nothing_is_due(&self, partition: &Partition) -> Result<bool, Error> {
        let mut cmd = redis::cmd("ZCARD");
        cmd.arg(&self.keys(partition).due);
        match self.command(&cmd).await? {
            Value::Int(waiting) => Ok(waiting == 0),
            other => reply::int(other).map(|waiting| waiting == 0),
        }
    }

    /// Removes dead jobs that are older than the limit, at most 100.
    ///
    /// # Errors
    /// Whatever keeps the server from doing it.
    pub async fn prune_dead(
        &self,
        partition: &Partition,
        limits: super::DeadLimits,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let keys = self.keys(partition);
        let oldest = now.millis().saturating_sub(crate::time::clamped_millis(limits.age));
        let mut find = redis::cmd("ZRANGEBYSCORE");
        find.arg(&keys.dead).arg("-inf").arg(oldest).arg("LIMIT").arg(0).arg(100);
        let ids = reply::array(self.command(&find).await?)?;
        if ids.is_empty() {
            return Ok(0);
        }
        let ids = ids.into_iter().map(reply::bytes).collect::<Result<Vec<_>, _>>()?;
        let mut pipe = redis::pipe();
        pipe.atomic().cmd("HDEL").arg(&keys.dead_bodies).arg(&ids);
        pipe.cmd("ZREM").arg(&keys.dead).arg(&ids);
        let mut connection = self.alone(&keys.dead).await?;
        pipe.exec_async(&mut connection).await.map_err(|error| self.classify(error))?;
        Ok(ids.len() as u64)
    }
}
