//! Deleting the jobs that wait in a group of a limited queue.

use redis::Value;

use crate::broker::admin::job_view::{grouped_view, shown};
use crate::broker::connection::reply;
use crate::broker::jobs::value::{SHOWN, StoredValue};
use crate::broker::{Broker, GroupRecord, scripts};
use crate::job::{Error, MAX_STORED, Partition, check_stored_group};
use crate::stored::read_group_field;
use crate::view::JobView;

/// The most jobs that one step deletes.
const STEP: usize = 250;
/// The most steps in a row that find no job. Each looks at 2,000 numbers, so that a group from whose
/// middle millions of jobs were removed is purged, and a record that cannot be true ends a purge.
const MAX_EMPTY: u32 = 20_000;

/// The jobs of a group from a number on.
struct Found {
    next: u64,
    jobs: Vec<JobView>,
}

impl Broker {
    /// Deletes the jobs that wait in a group at the time of the call, in steps of at most 250; those
    /// that run go on. Returns how many were deleted; `after_step` is told how many each step has
    /// deleted.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a name of more than 128 bytes, [`Error::is_protocol`] when jobs wait
    /// in the group that cannot be found. Also returns an error when the server does not answer or
    /// refuses a command; some jobs may have been deleted before.
    pub async fn purge_group(
        &self,
        partition: &Partition,
        group: &str,
        after_step: impl Fn(u64),
    ) -> Result<u64, Error> {
        check_stored_group(group)?;
        let Some(record) = self.group_record(partition, group).await? else { return Ok(0) };
        let (mut deleted, mut empty) = (0, 0);
        let (mut from, to) = (record.head, record.tail);
        while from < to {
            let found = self.jobs_of_group(partition, group, from, to).await?;
            from = found.next;
            if found.jobs.is_empty() {
                empty += 1;
                let waiting = self.group_record(partition, group).await?.map_or(0, |it| it.waiting);
                if waiting == 0 {
                    break;
                }
                if empty == MAX_EMPTY {
                    return Err(Error::protocol(format!(
                        "{waiting} jobs wait in group {group:?} by its record, and are not there"
                    )));
                }
                continue;
            }
            empty = 0;
            let each = self.delete_all(&found.jobs).await?;
            let step = each.iter().filter(|deleted| **deleted).count() as u64;
            after_step(step);
            deleted += step;
        }
        Ok(deleted)
    }

    /// Returns the first jobs that wait in a group, in the order in which they will start: at most
    /// `most`, about 250 at most.
    ///
    /// # Errors
    /// As [`Broker::purge_group`].
    pub async fn first_of_group(
        &self,
        partition: &Partition,
        group: &str,
        most: usize,
    ) -> Result<Vec<JobView>, Error> {
        check_stored_group(group)?;
        let Some(record) = self.group_record(partition, group).await? else { return Ok(vec![]) };
        let mut jobs = self.jobs_of_group(partition, group, record.head, record.tail).await?.jobs;
        jobs.truncate(most);
        Ok(jobs)
    }

    async fn group_record(
        &self,
        partition: &Partition,
        group: &str,
    ) -> Result<Option<GroupRecord>, Error> {
        let mut cmd = redis::cmd("HGET");
        cmd.arg(&self.keys(partition).limits.groups).arg(group);
        match self.command(&cmd).await? {
            Value::Nil => Ok(None),
            record => Ok(GroupRecord::read(&reply::bytes(record)?)),
        }
    }

    async fn jobs_of_group(
        &self,
        partition: &Partition,
        group: &str,
        from: u64,
        to: u64,
    ) -> Result<Found, Error> {
        let keys = self.keys(partition);
        let call = |bytes| {
            let mut cmd = scripts::call(&scripts::LIST_GROUP, [keys.limits.jobs.as_str()]);
            cmd.arg(group).arg(from).arg(to).arg(STEP).arg(bytes).arg(MAX_STORED).arg(SHOWN);
            cmd
        };
        let reply = self.ask_bounded(&keys.limits.jobs, call).await?;
        let wrong = || Error::protocol("list_group.lua answered something else");
        let [next, listed] = reply::items::<2>(reply)?;
        let next = u64::try_from(reply::int(next)?).ok().filter(|next| *next > from);
        let mut jobs = vec![];
        for job in reply::array(listed)? {
            let [field, value, bytes] = reply::items::<3>(job)?;
            let place = read_group_field(&reply::bytes(field)?).ok_or_else(wrong)?;
            let bytes = usize::try_from(reply::int(bytes)?).unwrap_or(usize::MAX);
            let value = StoredValue { bytes, read: reply::bytes(value)? };
            jobs.push(shown(value, |value| grouped_view(partition, &keys, place, value)));
        }
        Ok(Found { next: next.ok_or_else(wrong)?, jobs })
    }
}
