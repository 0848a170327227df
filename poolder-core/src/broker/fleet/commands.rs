//! Reads the commands of operators: pauses and cancellations. A hint announces a new command but
//! may be lost. The command number, which every command raises, shows for certain that there are
//! new ones.

use std::time::Duration;

use redis::Value;

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, JobId, Partition, Timestamp, clamped_millis};

/// The retention of a cancellation, counted from the time of the cancellation, or from the due time
/// of its job if that was known and lies later.
pub(in crate::broker) const CANCELLATION_RETENTION: Duration =
    Duration::from_secs(7 * 24 * 60 * 60);
/// The maximum number of jobs in a call of `check_cancelled.lua`.
const MAX_CHECKED: usize = 500;
/// The number of cancelled jobs that are read at a time.
const PAGE_SIZE: usize = 1000;

/// The state of the operator commands of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Commands {
    /// The number of commands ever given. A changed number means that there are new commands.
    pub number: u64,
    /// The time of the pause; `None` when jobs may be claimed.
    pub paused: Option<Timestamp>,
    /// True when the queue has limits, so that jobs are admitted before they are claimed.
    pub limited: bool,
}

impl Broker {
    /// Reads the command number and the pause of a partition.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn commands(&self, partition: &Partition) -> Result<Commands, Error> {
        let mut cmd = redis::cmd("HMGET");
        cmd.arg(&self.keys(partition).meta).arg("orders").arg("paused").arg("limited");
        let [number, paused, limited] = reply::items::<3>(self.command(&cmd).await?)?;
        let int = |value| if value == Value::Nil { Ok(0) } else { reply::int(value) };
        let paused = int(paused)?;
        Ok(Commands {
            number: u64::try_from(int(number)?).unwrap_or(0),
            paused: (paused > 0).then(|| Timestamp::from_millis(paused)),
            limited: limited != Value::Nil,
        })
    }

    /// Returns the ids of cancelled jobs, `None` when there are more than `max`. The list may
    /// contain an id whose cancellation does not apply to the claimed job: call
    /// [`Broker::check_cancelled`] before stopping a job.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn cancelled(
        &self,
        partition: &Partition,
        max: usize,
    ) -> Result<Option<Vec<JobId>>, Error> {
        let keys = self.keys(partition);
        let mut jobs = vec![];
        loop {
            let mut cmd = redis::cmd("ZRANGE");
            cmd.arg(&keys.cancelled).arg(jobs.len()).arg(jobs.len() + PAGE_SIZE - 1);
            let page = reply::array(self.command(&cmd).await?)?;
            let full = page.len() == PAGE_SIZE;
            for id in page {
                // Only Poolder writes to this set. A member that is not an id names no job.
                jobs.extend(<[u8; 16]>::try_from(reply::bytes(id)?).map(JobId::from_bytes));
            }
            if jobs.len() > max {
                return Ok(None);
            }
            if !full {
                return Ok(Some(jobs));
            }
        }
    }

    /// Returns for each claimed job whether it was cancelled. The caller gives the time that
    /// [`ClaimTimes::began_at`](crate::ClaimTimes::began_at) returns: an older cancellation was
    /// meant for earlier jobs of the same id.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn check_cancelled(
        &self,
        partition: &Partition,
        jobs: &[(JobId, Option<Timestamp>)],
    ) -> Result<Vec<bool>, Error> {
        let keys = self.keys(partition);
        let mut cancelled = Vec::with_capacity(jobs.len());
        for chunk in jobs.chunks(MAX_CHECKED) {
            let mut cmd = scripts::call(&scripts::CHECK_CANCELLED, [keys.cancelled.as_str()]);
            for (job, enqueued) in chunk {
                cmd.arg(job.as_bytes());
                cmd.arg(enqueued.map(|at| at.millis().to_string()).unwrap_or_default());
            }
            let each = reply::bytes(self.command(&cmd).await?)?;
            cancelled.extend((0..chunk.len()).map(|at| each.get(at) == Some(&b'1')));
        }
        Ok(cancelled)
    }

    /// Removes up to 500 cancellations that are older than a week. Returns how many were removed.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn expire_cancellations(&self, partition: &Partition) -> Result<u64, Error> {
        let keys = self.keys(partition);
        let mut cmd = scripts::call(&scripts::CANCEL_EXPIRE, [keys.cancelled.as_str()]);
        cmd.arg(clamped_millis(CANCELLATION_RETENTION));
        let removed = reply::int(self.command(&cmd).await?)?;
        Ok(u64::try_from(removed).unwrap_or(0))
    }
}
