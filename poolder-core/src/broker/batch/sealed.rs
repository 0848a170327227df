//! Reading a sealed list, and setting entries of it aside.

use std::time::Duration;

use redis::Value;
use serde::{Deserialize, Serialize};

use super::{bounds, inspect, push};
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, JobId, Partition, RawJob, clamped_millis, payload};

/// How long entries that an attempt has set aside are kept for its settlement.
const SET_ASIDE_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// The payload of a batch job, as `push.lua` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The group; empty for none.
    pub group: String,
    /// The number of entries when the list was sealed.
    pub entries: u64,
    /// The size of the entries in bytes; approximate when one push was split over two batches.
    pub bytes: u64,
    /// When the first entry was pushed, in ms since 1970 by the server's clock.
    pub since: i64,
    /// When the list was sealed, in ms since 1970 by the server's clock.
    pub sealed: i64,
}

impl Payload {
    /// Reads the payload of a batch job.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the job is not a batch job.
    pub fn read(raw: RawJob<'_>) -> Result<Self, Error> {
        payload::decode(raw)
    }
}

impl Broker {
    /// Returns the number of entries of a sealed batch.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn sealed_len(&self, partition: &Partition, job: JobId) -> Result<u64, Error> {
        let mut cmd = redis::cmd("LLEN");
        cmd.arg(self.keys(partition).batch_sealed(job));
        Ok(u64::try_from(reply::int(self.command(&cmd).await?)?).unwrap_or(0))
    }

    /// Returns `count` entries of a sealed batch, from the index `from` on; fewer when the list
    /// ends before.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn sealed_entries(
        &self,
        partition: &Partition,
        job: JobId,
        from: u64,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let (from, last) = bounds(from, count);
        let mut cmd = redis::cmd("LRANGE");
        cmd.arg(self.keys(partition).batch_sealed(job)).arg(from).arg(last);
        reply::array(self.command(&cmd).await?)?.into_iter().map(reply::bytes).collect()
    }

    /// Begins a list of entries set aside from a batch: deletes an earlier list with the name
    /// `part`.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn set_aside_anew(
        &self,
        partition: &Partition,
        job: JobId,
        part: &str,
    ) -> Result<(), Error> {
        let mut cmd = redis::cmd("UNLINK");
        cmd.arg(self.keys(partition).batch_rest(job, part));
        self.command(&cmd).await.map(|_| ())
    }

    /// Appends up to 500 entries of a batch to a list of entries set aside, for use by an effect of
    /// the settlement. `part` names the list, which is kept for a day.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command. When the reply was
    /// lost, the entries may have been appended: [begin the list anew](Self::set_aside_anew) then.
    pub async fn set_aside(
        &self,
        partition: &Partition,
        job: JobId,
        part: &str,
        entries: &[Vec<u8>],
    ) -> Result<(), Error> {
        let key = self.keys(partition).batch_rest(job, part);
        let mut cmd = scripts::call(&scripts::STASH, [key.as_str()]);
        cmd.arg(clamped_millis(SET_ASIDE_RETENTION)).arg(entries);
        self.command(&cmd).await.map(|_| ())
    }

    /// Removes the sealed lists of these jobs, which no longer exist. Skips jobs that are not batch
    /// jobs.
    pub(in crate::broker) async fn remove_sealed(
        &self,
        partition: &Partition,
        jobs: &[Vec<u8>],
    ) -> Result<(), Error> {
        let keys = self.keys(partition);
        let mut find = redis::cmd("HMGET");
        find.arg(&keys.batches).arg(jobs);
        let known = reply::array(self.command(&find).await?)?;
        let mut pipe = redis::pipe();
        for (job, known) in jobs.iter().zip(known) {
            let Value::BulkString(known) = known else { continue };
            let (sealed, batcher) =
                (keys.batch_sealed(push::job_id(job)?), keys.batcher(&inspect::name_of(&known)));
            let all = [sealed.as_str(), &batcher, &keys.batches, &keys.batches_dropped];
            let mut cmd = scripts::call(&scripts::BATCH_DISCARD, all);
            cmd.arg(job);
            pipe.add_command(cmd);
        }
        pipe.cmd("SREM").arg(&keys.batches_dropped).arg(jobs);
        for reply in self.pipeline(&pipe).await? {
            reply.map_err(|error| self.classify(error))?;
        }
        Ok(())
    }

    /// Removes the sealed lists of batch jobs that were deleted, cancelled, or dropped from the
    /// dead jobs.
    pub(in crate::broker) async fn remove_dropped(
        &self,
        partition: &Partition,
    ) -> Result<(), Error> {
        loop {
            let mut cmd = redis::cmd("SRANDMEMBER");
            cmd.arg(&self.keys(partition).batches_dropped).arg(100);
            let jobs = reply::array(self.command(&cmd).await?)?.into_iter().map(reply::bytes);
            let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
            if jobs.is_empty() {
                return Ok(());
            }
            self.remove_sealed(partition, &jobs).await?;
        }
    }
}
