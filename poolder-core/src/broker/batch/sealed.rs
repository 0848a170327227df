//! Reading a sealed list, and setting entries of it aside.

use std::time::Duration;

use redis::Value;

use super::push::ListEnd;
use super::{bounds, inspect, push};
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, JobId, Partition, clamped_millis};
use crate::stored::BatchPayload;

/// How long entries that an attempt has set aside are kept for its settlement.
const SET_ASIDE_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

impl Broker {
    /// Returns the number of entries of a sealed batch.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the id is that of a batch, and the job is not its job. Also
    /// returns an error when the server does not answer or refuses the command.
    pub async fn sealed_len(
        &self,
        partition: &Partition,
        job: JobId,
        payload: &BatchPayload,
    ) -> Result<u64, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return Ok(captured.sealed(job).len() as u64);
        }
        let keys = self.keys(partition);
        let mut pipe = redis::pipe();
        pipe.cmd("LLEN").arg(keys.batch_sealed(job));
        pipe.cmd("HGET").arg(&keys.batches).arg(job.as_bytes());
        let [len, record] = self.replies::<2>(&pipe).await?;
        let stamp = format!(" {} ", payload.stamp());
        if let Value::BulkString(record) = record
            && !record.windows(stamp.len()).any(|part| part == stamp.as_bytes())
        {
            return Err(Error::invalid(
                "the job has the id of a batch that was sealed for another job: no batcher has \
                 made it",
            ));
        }
        Ok(u64::try_from(reply::int(len)?).unwrap_or(0))
    }

    /// Returns entries of a sealed batch, of those from the index `from` on the first `count`; fewer
    /// when the list ends before, or when they do not fit into a reply, but at least one if there
    /// is any. With [`ListEnd::Back`], the entries are read from the last of them to the first.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn sealed_entries(
        &self,
        partition: &Partition,
        job: JobId,
        (from, count): (u64, usize),
        start: ListEnd,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let (first, last) = bounds(from, count);
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            let all = captured.sealed(job).into_iter().zip(0..);
            let some = all.filter(|(_, at)| (first..=last).contains(at)).map(|(entry, _)| entry);
            let mut some: Vec<_> = some.collect();
            if start == ListEnd::Back {
                some.reverse();
            }
            return Ok(some);
        }
        let list = self.keys(partition).batch_sealed(job);
        let reply = self.ask_bounded(&list, |bytes| {
            let mut cmd = scripts::call(&scripts::BATCH_READ, [list.as_str()]);
            cmd.arg(first).arg(last).arg(bytes).arg(u8::from(start == ListEnd::Back));
            cmd
        });
        reply::array(reply.await?)?.into_iter().map(reply::bytes).collect()
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
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            captured.set_aside(job, part, &[], true);
            return Ok(());
        }
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
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            captured.set_aside(job, part, entries, false);
            return Ok(());
        }
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
            // Another member is no batch job's, and is only taken out of the set.
            let Ok(id) = push::job_id(job) else { continue };
            let (sealed, batcher) =
                (keys.batch_sealed(id), keys.batcher(&inspect::name_of(&known)));
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
