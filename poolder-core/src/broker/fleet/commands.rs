//! What operators ordered, as nodes learn of it. A hint says that there is something new; the
//! number of orders, which every order raises, is the truth.

use std::time::Duration;

use redis::Value;

use crate::broker::connection::reply;
use crate::broker::connection::reply::entry_time;
use crate::broker::{Broker, scripts};
use crate::job::{Error, JobId, Partition, Timestamp, clamped_millis};

/// An order to cancel is kept for this long, counted from when it was given or from when its job
/// was known to be due.
pub(in crate::broker) const ORDERS_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// `check_cancelled.lua` takes no more than this many jobs at once.
const HEEDED: usize = 500;
/// Cancelled jobs are read in pages of this size.
const PAGE: usize = 1000;

/// What was ordered for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Commands {
    /// How many orders were ever given: a new number means news.
    pub number: u64,
    /// Since when nothing may be claimed.
    pub paused: Option<Timestamp>,
}

impl Broker {
    /// Asks for orders.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn commands(&self, partition: &Partition) -> Result<Commands, Error> {
        let mut cmd = redis::cmd("HMGET");
        cmd.arg(&self.keys(partition).meta).arg("orders").arg("paused");
        let [number, paused] = reply::items::<2>(self.command(&cmd).await?)?;
        let int = |value| if value == Value::Nil { Ok(0) } else { reply::int(value) };
        let paused = int(paused)?;
        Ok(Commands {
            number: u64::try_from(int(number)?).unwrap_or(0),
            paused: (paused > 0).then(|| Timestamp::from_millis(paused)),
        })
    }

    /// The jobs that were ordered to stop, or never to run; `None` when they are more than `most`.
    /// One that has ended may be among them: ask [`Broker::heed`] before acting.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn cancelled(
        &self,
        partition: &Partition,
        most: usize,
    ) -> Result<Option<Vec<JobId>>, Error> {
        let keys = self.keys(partition);
        let mut jobs = vec![];
        loop {
            let mut cmd = redis::cmd("ZRANGE");
            cmd.arg(&keys.cancelled).arg(jobs.len()).arg(jobs.len() + PAGE - 1);
            let page = reply::array(self.command(&cmd).await?)?;
            let full = page.len() == PAGE;
            for id in page {
                // Nobody else writes there; what is no id names no job.
                jobs.extend(<[u8; 16]>::try_from(reply::bytes(id)?).map(JobId::from_bytes));
            }
            if jobs.len() > most {
                return Ok(None);
            }
            if !full {
                return Ok(Some(jobs));
            }
        }
    }

    /// Which of the claimed jobs were cancelled. Of a job that was never moved since its enqueue the
    /// entry is given: an order that is older than it was meant for another job of the same id, and
    /// goes.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn check_cancelled(
        &self,
        partition: &Partition,
        jobs: &[(JobId, Option<&str>)],
    ) -> Result<Vec<bool>, Error> {
        let keys = self.keys(partition);
        let mut cancelled = Vec::with_capacity(jobs.len());
        for some in jobs.chunks(HEEDED) {
            let mut cmd = scripts::call(&scripts::CHECK_CANCELLED, [keys.cancelled.as_str()]);
            for (job, entry) in some {
                let enqueued = entry.and_then(entry_time);
                cmd.arg(job.as_bytes());
                cmd.arg(enqueued.map(|at| at.millis().to_string()).unwrap_or_default());
            }
            let each = reply::bytes(self.script(&scripts::CHECK_CANCELLED, &cmd).await?)?;
            cancelled.extend((0..some.len()).map(|at| each.get(at) == Some(&b'1')));
        }
        Ok(cancelled)
    }

    /// Forgets up to 500 orders to cancel that are older than a week.
    ///
    /// # Errors
    /// Whatever keeps the server from doing it.
    pub async fn expire_cancellations(&self, partition: &Partition) -> Result<u64, Error> {
        let keys = self.keys(partition);
        let mut cmd = scripts::call(&scripts::CANCEL_EXPIRE, [keys.cancelled.as_str()]);
        cmd.arg(clamped_millis(ORDERS_KEPT));
        let forgotten = reply::int(self.script(&scripts::CANCEL_EXPIRE, &cmd).await?)?;
        Ok(u64::try_from(forgotten).unwrap_or(0))
    }
}
