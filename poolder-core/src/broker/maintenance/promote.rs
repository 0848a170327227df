//! Moves due jobs into their lanes. Two nodes may promote at the same time without harm.

use redis::Value;

use crate::broker::batch::Timer;
use crate::broker::connection::reply;
use crate::broker::connection::round_trips::RedisOperation;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition, Timestamp};

/// The maximum number of jobs that one call of the script moves.
const MAX_JOBS: usize = 200;

/// The result of a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promotion {
    /// The number of jobs that were moved.
    pub moved: u64,
    /// The number of batches that were sealed because their timeout had passed.
    pub sealed: u64,
    /// The earliest due time of the remaining jobs and timers, if there are any.
    pub next: Option<Timestamp>,
    /// The time of the promotion, by the server's clock.
    pub now: Timestamp,
}

impl Broker {
    /// Moves up to 200 due jobs, and seals the batches whose timeout has passed. The caller repeats
    /// the call while [`Promotion::next`] is not in the future.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn promote(&self, partition: &Partition) -> Result<Promotion, Error> {
        self.promote_as_of(partition, None).await
    }

    /// Like [`Broker::promote`], but takes `now` in place of the server's clock. For tests.
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
        let all = all.chain([keys.stats.as_str(), &keys.unique]);
        let mut cmd = scripts::call(&scripts::PROMOTE, all);
        cmd.arg(MAX_JOBS).arg(now.map(|now| now.millis().to_string()).unwrap_or_default());
        let reply = self.command_of(RedisOperation::Promote, &cmd).await?;
        let [moved, next, now, timers] = reply::items::<4>(reply)?;
        let next = reply::int(next)?;
        let timers = reply::array(timers)?.into_iter().map(reply::bytes);
        let sealed = self.fire_timers(partition, timers.collect::<Result<_, _>>()?).await?;
        Ok(Promotion {
            moved: u64::try_from(reply::int(moved)?).unwrap_or(0),
            sealed,
            next: (next >= 0).then(|| Timestamp::from_millis(next)),
            now: Timestamp::from_millis(reply::int(now)?),
        })
    }

    /// Seals the batches of due timers. Returns how many were sealed. A timer that this version
    /// does not know is postponed, and so left to a node of a later version.
    async fn fire_timers(&self, partition: &Partition, timers: Vec<Vec<u8>>) -> Result<u64, Error> {
        let (mut batches, mut unknown) = (vec![], vec![]);
        for member in timers {
            match Timer::read(partition, &member) {
                Some(timer) => batches.push(timer),
                None => unknown.push(member),
            }
        }
        if !unknown.is_empty() {
            tracing::warn!(
                %partition, timers = unknown.len(),
                "postponing timers that this version does not know"
            );
            self.postpone(partition, &unknown).await?;
        }
        if batches.is_empty() { Ok(0) } else { self.seal_due(partition, &batches).await }
    }

    /// Returns whether `due` is empty. Cheaper than a promotion without due jobs.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn nothing_is_due(&self, partition: &Partition) -> Result<bool, Error> {
        let mut cmd = redis::cmd("ZCARD");
        cmd.arg(&self.keys(partition).due);
        match self.command(&cmd).await? {
            Value::Int(waiting) => Ok(waiting == 0),
            other => reply::int(other).map(|waiting| waiting == 0),
        }
    }
}
