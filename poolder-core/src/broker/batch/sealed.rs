//! Reading a sealed list, and setting entries of it apart.

use std::time::Duration;

use redis::Value;
use serde::{Deserialize, Serialize};

use super::{inspect, push};
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, JobId, Partition, RawJob, clamped_millis, payload};

/// How long what an attempt has set apart waits to be settled.
const REST_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The payload of a batch job, as `push.lua` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The group; empty for none.
    pub group: String,
    /// How many entries there were when it was sealed.
    pub entries: u64,
    /// Their size in bytes; about that where a push was split over two batches.
    pub bytes: u64,
    /// When the first entry came, in ms since 1970 by the server's clock.
    pub since: i64,
    /// When it was sealed, in ms since 1970 by the server's clock.
    pub sealed: i64,
}

impl Payload {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the job is no batch job.
    pub fn read(raw: RawJob<'_>) -> Result<Self, Error> {
        payload::decode(raw)
    }
}

impl Broker {
    /// How many entries a sealed batch has.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn sealed_len(&self, partition: &Partition, job: JobId) -> Result<u64, Error> {
        let mut cmd = redis::cmd("LLEN");
        cmd.arg(self.keys(partition).batch_sealed(job));
        Ok(u64::try_from(reply::int(self.command(&cmd).await?)?).unwrap_or(0))
    }

    /// So many entries of a sealed batch, from that index on; fewer when there are no more.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn sealed_entries(
        &self,
        partition: &Partition,
        job: JobId,
        from: u64,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let till = from.saturating_add(count.max(1) as u64 - 1);
        let mut cmd = redis::cmd("LRANGE");
        cmd.arg(self.keys(partition).batch_sealed(job)).arg(from).arg(till);
        reply::array(self.command(&cmd).await?)?.into_iter().map(reply::bytes).collect()
    }

    /// Begins to set entries of a batch apart: throws away what stood under this name before.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
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

    /// Sets up to 500 entries of a batch apart, behind those that are there, for an effect of the
    /// settlement to find; kept for a day. `part` tells one such list from another.
    ///
    /// # Errors
    /// Whatever keeps the server from answering. Since a lost reply leaves open what is there,
    /// [begin anew](Self::set_aside_anew) then.
    pub async fn set_aside(
        &self,
        partition: &Partition,
        job: JobId,
        part: &str,
        entries: &[Vec<u8>],
    ) -> Result<(), Error> {
        let key = self.keys(partition).batch_rest(job, part);
        let mut cmd = scripts::call(&scripts::STASH, [key.as_str()]);
        cmd.arg(clamped_millis(REST_KEPT)).arg(entries);
        self.script(&scripts::STASH, &cmd).await.map(|_| ())
    }

    /// Removes the lists of these jobs, which are gone, those of them that were batch jobs.
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

    /// Removes the lists of batch jobs that were dropped from among the dead.
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
