//! Moving jobs whose time has come into their lanes. Two who do it at once do no harm.

use redis::Value;

use crate::broker::batch::Timer;
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition, Timestamp};

/// At most this many jobs move in one script.
const BATCH: usize = 200;

/// What a promotion found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promotion {
    /// Jobs that moved.
    pub moved: u64,
    /// Batches that were sealed because their time had come.
    pub sealed: u64,
    /// When the next is due, if any waits.
    pub next: Option<Timestamp>,
    /// The server's clock.
    pub now: Timestamp,
}

impl Broker {
    /// Moves up to 200 due jobs, and seals the batches whose time has come. Call it again while
    /// [`Promotion::next`] is not in the future.
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
        let [moved, next, now, timers] =
            reply::items::<4>(self.script(&scripts::PROMOTE, &cmd).await?)?;
        let next = reply::int(next)?;
        let timers = reply::array(timers)?.into_iter().map(reply::bytes);
        let sealed = self.follow(partition, timers.collect::<Result<_, _>>()?).await?;
        Ok(Promotion {
            moved: u64::try_from(reply::int(moved)?).unwrap_or(0),
            sealed,
            next: (next >= 0).then(|| Timestamp::from_millis(next)),
            now: Timestamp::from_millis(reply::int(now)?),
        })
    }

    /// Does what timers stand for. Those that only a later version knows are left to it.
    async fn follow(&self, partition: &Partition, timers: Vec<Vec<u8>>) -> Result<u64, Error> {
        let (mut batches, mut strange) = (vec![], vec![]);
        for member in timers {
            match Timer::read(partition, &member) {
                Some(timer) => batches.push(timer),
                None => strange.push(member),
            }
        }
        if !strange.is_empty() {
            tracing::warn!(%partition, timers = strange.len(), "timers that this version does not know");
            self.postpone(partition, &strange).await?;
        }
        if batches.is_empty() { Ok(0) } else { self.seal_due(partition, &batches).await }
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
}
