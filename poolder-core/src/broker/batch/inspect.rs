//! The state of a batcher: filling lists, sealed lists with the state of their jobs, and sums.

use std::collections::{BTreeSet, HashSet};

use redis::{Cmd, Value};
use serde::Serialize;

use super::open::first_number;
use super::{BatcherHome, BatcherTotals, push};
use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::broker::jobs::pending::{Found, read_call, read_found};
use crate::broker::keys::GROUP;
use crate::job::{EntryId, Error, JobId, Lane, Partition, Timestamp};

/// The number of hash fields or entries that are read in one step.
const STEP: usize = 200;
/// The most sealed batches whose batchers are looked for.
const LOOKED_AT: usize = 600;
/// The most running jobs of each lane that are read; further running jobs count as waiting.
const MAX_RUNNING: usize = 1_000;

/// A filling list of a batcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OpenBatch {
    /// The group; empty for none.
    pub group: String,
    /// Identifies this filling of the list.
    pub generation: u64,
    /// When the first entry was pushed. The age of the list is [`BatcherSums::now`] minus `since`.
    pub since: Timestamp,
    /// The number of entries.
    pub len: u64,
    /// The size of the entries in bytes; approximate when one push was split over two batches.
    pub bytes: u64,
}

/// A batch that was sealed and is not yet completed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SealedBatch {
    /// The batch job.
    pub job: JobId,
    /// The group; empty for none.
    pub group: String,
    /// The number of entries left in the batch.
    pub len: u64,
    /// When the first entry was pushed.
    pub since: Timestamp,
    /// When the batch was sealed.
    pub sealed: Timestamp,
    /// The state of the batch job.
    pub state: BatchState,
}

/// The state of the job of a sealed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BatchState {
    /// The job waits for a free slot.
    Ready,
    /// A slot has claimed the job.
    Running,
    /// The job waits for its next attempt.
    Retrying,
    /// The job is dead; its entries are kept with it.
    Dead,
}

/// The sums of a batcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BatcherSums {
    /// Groups that gather entries.
    pub open: u64,
    /// Entries that wait, in filling and in sealed batches; entries of dead batches do not count.
    pub waiting: u64,
    /// Batches sealed since the batcher was declared.
    pub sealed: u64,
    /// Entries of these sealed batches.
    pub sealed_entries: u64,
    /// Lifetime counters since the batcher was declared.
    pub totals: BatcherTotals,
    /// The server's clock at the time of the reading.
    pub now: Timestamp,
}

impl BatcherSums {
    /// Returns true for a batcher that has ever had an entry.
    #[must_use]
    pub fn was_used(&self) -> bool {
        self.totals.pushed > 0 || self.waiting > 0 || self.sealed > 0
    }
}

impl Broker {
    /// Returns the names of the batchers that have sealed batches in a partition whose jobs have not
    /// ended: of the first batches, if there are very many.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn sealed_batchers(&self, partition: &Partition) -> Result<BTreeSet<String>, Error> {
        let index = &self.keys(partition).batches;
        let records = self.some_fields(index, LOOKED_AT, |_| true).await?;
        Ok(records.iter().map(|(_, known)| name_of(known)).collect())
    }

    /// Returns the sums of a batcher.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn batcher_sums(&self, home: &BatcherHome) -> Result<BatcherSums, Error> {
        let keys = self.keys(home.partition());
        let mut pipe = redis::pipe();
        pipe.cmd("HLEN").arg(keys.batch_open(home.name()));
        pipe.cmd("HMGET").arg(keys.batcher(home.name()));
        pipe.arg("waiting").arg("sealed").arg("sealed_entries");
        pipe.add_command(BatcherTotals::command(&keys.batcher(home.name())));
        pipe.cmd("TIME");
        let [open, sums, totals, time] = self.replies::<4>(&pipe).await?;
        let [waiting, sealed, sealed_entries] = reply::items::<3>(sums)?;
        let [seconds, micros] = reply::items::<2>(time)?;
        let now = reply::int(seconds)? * 1_000 + reply::int(micros)? / 1_000;
        Ok(BatcherSums {
            open: count(open)?,
            waiting: count(waiting)?,
            sealed: count(sealed)?,
            sealed_entries: count(sealed_entries)?,
            totals: BatcherTotals::read(totals)?,
            now: Timestamp::from_millis(now),
        })
    }

    /// Returns the filling lists of up to `most` groups, in no order.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn open_batches(
        &self,
        home: &BatcherHome,
        most: usize,
    ) -> Result<Vec<OpenBatch>, Error> {
        let keys = self.keys(home.partition());
        let fields = self.some_fields(&keys.batch_open(home.name()), most, |_| true).await?;
        let mut found = vec![];
        for some in fields.chunks(STEP) {
            let some: Vec<(String, &str)> = some
                .iter()
                .filter_map(|(group, meta)| {
                    Some((String::from_utf8(group.clone()).ok()?, std::str::from_utf8(meta).ok()?))
                })
                .collect();
            let mut pipe = redis::pipe();
            for (group, _) in &some {
                pipe.cmd("LLEN").arg(keys.batch_fill(home.name(), group));
            }
            for ((group, meta), len) in some.into_iter().zip(self.pipeline(&pipe).await?) {
                let len = count(len.map_err(|error| self.classify(error))?)?;
                found.push(opened(group, meta, len));
            }
        }
        Ok(found)
    }

    /// Returns the filling list of a group, and the server's clock; no list when nothing gathers.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn open_batch(
        &self,
        home: &BatcherHome,
        group: &str,
    ) -> Result<(Option<OpenBatch>, Timestamp), Error> {
        let keys = self.keys(home.partition());
        let mut pipe = redis::pipe();
        pipe.cmd("HGET").arg(keys.batch_open(home.name())).arg(group);
        pipe.cmd("LLEN").arg(keys.batch_fill(home.name(), group));
        pipe.cmd("TIME");
        let [meta, len, now] = self.replies::<3>(&pipe).await?;
        let open = match meta {
            Value::Nil => None,
            meta => Some(opened(group.to_owned(), &reply::text(meta)?, count(len)?)),
        };
        Ok((open, reply::server_time(now)?))
    }

    /// Returns up to `most` of a batcher's sealed batches that are not completed, in no order.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn sealed_batches(
        &self,
        home: &BatcherHome,
        most: usize,
    ) -> Result<Vec<SealedBatch>, Error> {
        let keys = self.keys(home.partition());
        let ours = |known: &[u8]| name_of(known) == home.name();
        let fields = self.some_fields(&keys.batches, most, ours).await?;
        let running = self.running(home.partition()).await?;
        let mut found = vec![];
        for some in fields.chunks(STEP) {
            let mut pipe = redis::pipe();
            for (job, _) in some {
                let id = push::job_id(job)?;
                pipe.cmd("LLEN").arg(keys.batch_sealed(id));
                pipe.cmd("ZSCORE").arg(&keys.dead).arg(job);
                pipe.cmd("HEXISTS").arg(&keys.bodies).arg(job);
            }
            let replies = self.pipeline(&pipe).await?;
            for ((job, known), of_job) in some.iter().zip(replies.chunks_exact(3)) {
                let answer = |at: usize| of_job[at].clone().map_err(|error| self.classify(error));
                let job = push::job_id(job)?;
                let state = if answer(1)? != Value::Nil {
                    BatchState::Dead
                } else if reply::int(answer(2)?)? == 1 {
                    BatchState::Retrying
                } else if running.contains(&job) {
                    BatchState::Running
                } else {
                    BatchState::Ready
                };
                found.push(sealed(job, known, count(answer(0)?)?, state)?);
            }
        }
        Ok(found)
    }

    /// Returns up to `most` fields of a hash whose values pass the filter.
    async fn some_fields(
        &self,
        key: &str,
        most: usize,
        passes: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
        let (mut found, mut seen) = (vec![], HashSet::new());
        let mut cursor = b"0".to_vec();
        loop {
            let mut cmd = redis::cmd("HSCAN");
            cmd.arg(key).arg(&cursor).arg("COUNT").arg(STEP);
            let [next, fields] = reply::items::<2>(self.command(&cmd).await?)?;
            let fields = reply::array(fields)?.into_iter().map(reply::bytes);
            let fields = fields.collect::<Result<Vec<_>, _>>()?;
            for pair in fields.chunks_exact(2) {
                if found.len() < most && passes(&pair[1]) && seen.insert(pair[0].clone()) {
                    found.push((pair[0].clone(), pair[1].clone()));
                }
            }
            cursor = reply::bytes(next)?;
            if cursor == b"0" || found.len() >= most {
                return Ok(found);
            }
        }
    }

    /// Returns the jobs of a partition that slots have claimed, up to [`MAX_RUNNING`] per lane.
    async fn running(&self, partition: &Partition) -> Result<HashSet<JobId>, Error> {
        let keys = self.keys(partition);
        let mut jobs = HashSet::new();
        for lane in Lane::ALL {
            let stream = keys.lane(lane);
            let mut cmd = Cmd::new();
            cmd.arg("XPENDING").arg(stream).arg(GROUP).arg("-").arg("+").arg(MAX_RUNNING);
            // No jobs run in a lane without a consumer group.
            let Ok(pending) = self.command(&cmd).await else { continue };
            let mut ids: Vec<EntryId> = vec![];
            for item in reply::array(pending)? {
                let [id, ..] = reply::items::<4>(item)?;
                ids.push(reply::text(id)?.into());
            }
            let mut rest = ids.as_slice();
            while !rest.is_empty() {
                let some = &rest[..rest.len().min(STEP)];
                let reply = self.command(&read_call(stream, some, 0)).await?;
                let found = read_found(stream, lane, reply::array(reply)?.into_iter())?;
                rest = &rest[found.len().clamp(1, some.len())..];
                jobs.extend(found.iter().filter_map(Found::job));
            }
        }
        Ok(jobs)
    }
}

/// Reads what `push.lua` notes of a filling list: `<generation> <since> <bytes>`.
fn opened(group: String, meta: &str, len: u64) -> OpenBatch {
    let mut numbers = meta.split(' ').map(|number| number.parse::<u64>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let (generation, since, bytes) = (next(), next(), next());
    OpenBatch { group, generation, since: moment(since), len, bytes }
}

/// Reads the record that `push.lua` writes of a sealed list: `<counted> <entries> <bytes> <since>
/// <sealed> <name>:<group>`.
fn sealed(job: JobId, known: &[u8], len: u64, state: BatchState) -> Result<SealedBatch, Error> {
    let corrupt = || Error::protocol("the record of a sealed batch cannot be read");
    let text = std::str::from_utf8(known).map_err(|_| corrupt())?;
    let parts: Vec<&str> = text.splitn(6, ' ').collect();
    let [_, _, _, since, sealed, place] = parts[..] else { return Err(corrupt()) };
    let group = place.split_once(':').map(|(_, group)| group).unwrap_or_default().to_owned();
    let at = |text| first_number(text).map(moment).ok_or_else(corrupt);
    Ok(SealedBatch { job, group, len, since: at(since)?, sealed: at(sealed)?, state })
}

/// Returns the batcher's name from the record of a sealed list.
pub(super) fn name_of(known: &[u8]) -> String {
    let place = known.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let name = place.split(|byte| *byte == b':').next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

fn moment(millis: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

fn count(value: Value) -> Result<u64, Error> {
    match value {
        Value::Nil => Ok(0),
        value => Ok(u64::try_from(reply::int(value)?).unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_of_a_sealed_list_is_read() {
        let job = JobId::from_bytes([1; 16]);
        let found = sealed(job, b"1 3 99 5 7 rows:a.b", 2, BatchState::Dead).unwrap();
        let (since, sealed_at) = (Timestamp::from_millis(5), Timestamp::from_millis(7));
        assert_eq!(
            found,
            SealedBatch {
                job,
                group: "a.b".into(),
                len: 2,
                since,
                sealed: sealed_at,
                state: BatchState::Dead
            }
        );
        assert!(sealed(job, b"1 3", 2, BatchState::Dead).is_err());
    }
}
