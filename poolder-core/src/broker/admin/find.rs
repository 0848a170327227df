//! Finding a job: first at the place that its handle names, then in `due` and among the dead jobs,
//! then by a bounded search of the lanes. A job of an addressed pool is looked for where it was moved
//! to, and in all slots when only its id is known.

use std::time::Duration;

use redis::Value;

use crate::broker::admin::job_view::{dead_view, shown, view, waiting_view};
use crate::broker::connection::reply;
use crate::broker::connection::reply::{millis, server_time};
use crate::broker::jobs::pending::{Found, read_call, read_found};
use crate::broker::jobs::value::{read_value, value_call};
use crate::broker::keys::GROUP;
use crate::broker::{Broker, scripts};
use crate::job::{EntryId, Error, Handle, Lane, MAX_STORED, Partition, Timestamp, clamped_millis};
use crate::stored::{Entry, Undecodable};
use crate::view::JobView;

/// How long before a job's id was made the search of a lane begins, since the clocks of client and
/// server differ. Ids without a time of making are searched in the whole lane.
const SEARCH_BEFORE: Duration = Duration::from_secs(2);
/// How long after a job's id was made the search of a lane ends.
const SEARCH_AFTER: Duration = Duration::from_secs(60);
/// The most entries that one search of a lane reads.
const MAX_ENTRIES: i64 = 10_000;
/// The slots that are searched at the same time.
const SLOTS_AT_ONCE: usize = 64;
/// The most entries that one call of `search.lua` reads.
const MAX_STEP: i64 = 500;

impl Broker {
    /// Finds a job that has not ended. A job that was moved to another slot of its pool is found
    /// there. If a handle of an addressed pool names neither a place nor a slot but the first, all
    /// slots are searched.
    ///
    /// # Errors
    /// Returns an error when the server does not answer, or when its reply cannot be read.
    pub async fn find(&self, handle: &Handle) -> Result<Option<JobView>, Error> {
        if let Some(found) = self.find_in_partition(handle).await? {
            return Ok(Some(found));
        }
        // A record that this version cannot read leads nowhere.
        let moved = self.followed_completion(&handle.partition, handle.job).await;
        if let Ok((partition, _)) = moved
            && partition != handle.partition
        {
            let handle = Handle { partition, job: handle.job, place: None };
            return self.find_in_partition(&handle).await;
        }
        for partition in self.other_slots(handle).await?.chunks(SLOTS_AT_ONCE) {
            let find = |partition: &Partition| {
                let (partition, job) = (partition.clone(), handle.job);
                async move { self.find_in_partition(&Handle { partition, job, place: None }).await }
            };
            let found = futures_util::future::try_join_all(partition.iter().map(find)).await?;
            if let Some(found) = found.into_iter().flatten().next() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Returns the slots in which a job may be of which only the id is known: all but the first one
    /// of an addressed pool. None for another queue, or when the handle names a place or a slot.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn other_slots(&self, handle: &Handle) -> Result<Vec<Partition>, Error> {
        let queue = &handle.partition.queue;
        if handle.place.is_some() || handle.partition.index > 0 {
            return Ok(vec![]);
        }
        let slots = match self.pool_view(queue).await? {
            Some(view) if view.mode.is_addressed() => view.top,
            _ => 0,
        };
        Ok((1..slots).map(|index| Partition { queue: queue.clone(), index }).collect())
    }

    /// Finds a job in the partition of its handle. A job at the place that its handle names is found at once,
    /// and so is a job that waits for its time or is dead. Other jobs are searched in the lanes,
    /// among up to 10,000 entries per lane: claimed entries, rescued entries, and entries from
    /// around the time at which the id was made.
    async fn find_in_partition(&self, handle: &Handle) -> Result<Option<JobView>, Error> {
        if let Some(found) = self.look_at_place(handle).await? {
            return Ok(Some(found));
        }
        if let Some(found) = self.look_at_bodies(handle).await? {
            return Ok(Some(found));
        }
        for lane in Lane::ALL {
            // The job may run. Or it may wait: at any place of the front and suspect lanes, which
            // it may have entered long after its enqueue, else around the time of its enqueue.
            if let Some(found) = self.search(handle, lane, ("-", "+"), "claimed").await? {
                return Ok(Some(found));
            }
            let window = match (lane, handle.job.generated_at()) {
                (Lane::Front | Lane::Suspect, _) => Some(("-".to_owned(), "+".to_owned())),
                (_, Some(at)) => {
                    let first = at.millis().saturating_sub(clamped_millis(SEARCH_BEFORE)).max(0);
                    Some((first.to_string(), (at + SEARCH_AFTER).millis().to_string()))
                }
                (_, None) => Some(("-".to_owned(), "+".to_owned())),
            };
            if let Some((first, last)) = window
                && let Some(found) = self.search(handle, lane, (&first, &last), "all").await?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Reads the entry that the handle names. Returns `None` when the handle names none, or when
    /// the entry is not there or is another job's.
    pub(in crate::broker) async fn look_at_place(
        &self,
        handle: &Handle,
    ) -> Result<Option<JobView>, Error> {
        match handle.entry() {
            Some((lane, entry)) => self.look_at_entry(handle, lane, entry).await,
            None => Ok(None),
        }
    }

    /// Reads an entry. Returns `None` when it is not there or is another job's.
    async fn look_at_entry(
        &self,
        handle: &Handle,
        lane: Lane,
        entry: &EntryId,
    ) -> Result<Option<JobView>, Error> {
        let keys = self.keys(&handle.partition);
        let stream = keys.lane(lane);
        let mut pipe = redis::pipe();
        pipe.add_command(read_call(stream, std::slice::from_ref(entry), MAX_STORED));
        pipe.cmd("XPENDING").arg(stream).arg(GROUP).arg(&**entry).arg(&**entry).arg(1);
        pipe.cmd("ZSCORE").arg(&keys.cancelled).arg(handle.job.as_bytes());
        pipe.cmd("TIME");
        let mut replies = self.pipeline(&pipe).await?.into_iter();
        let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
        let found = next().map_err(|error| self.classify(error))?;
        let found = read_found(stream, lane, reply::array(found)?.into_iter())?.pop();
        let entry = match found {
            Some(Found::Read(entry, _)) => entry,
            Some(Found::TooLarge(id, bytes, job)) => {
                Entry::Undecodable(Undecodable::unread(stream, lane, id, bytes, job))
            }
            Some(Found::Gone(_)) | None => return Ok(None),
        };
        // Without a consumer group no consumer holds the entry.
        let held = next().ok().map(reply::array).transpose()?.and_then(|mut held| held.pop());
        let cancelling = next().is_ok_and(|score| score != Value::Nil);
        let now = server_time(next().map_err(|error| self.classify(error))?)?;
        let held = held.map(|held| holder_of(held, now)).transpose()?;
        let view = view(&handle.partition, entry, held);
        Ok((view.id() == handle.job).then_some(JobView { cancelling, ..view }))
    }

    /// Looks for a job in `due` and among the dead jobs.
    async fn look_at_bodies(&self, handle: &Handle) -> Result<Option<JobView>, Error> {
        let keys = self.keys(&handle.partition);
        let job = handle.job.as_bytes();
        let mut pipe = redis::pipe();
        for (hash, times) in [(&keys.bodies, &keys.due), (&keys.dead_bodies, &keys.dead)] {
            pipe.add_command(value_call(hash, job, MAX_STORED));
            pipe.cmd("ZSCORE").arg(times).arg(job);
        }
        let replies = self.pipeline(&pipe).await?.into_iter();
        let replies = replies.collect::<Result<Vec<_>, _>>().map_err(|e| self.classify(e))?;
        let [body, due, record, died] = reply::items::<4>(Value::Array(replies))?;
        if let Some(body) = read_value(body)?
            && due != Value::Nil
        {
            let at = Timestamp::from_millis(reply::int(due)?);
            return Ok(Some(shown(body, |body| waiting_view(handle, body, at))));
        }
        if let Some(record) = read_value(record)?
            && died != Value::Nil
        {
            let at = Timestamp::from_millis(reply::int(died)?);
            return Ok(Some(shown(record, |record| dead_view(handle, record, at))));
        }
        Ok(None)
    }

    /// Searches a lane for a job, with calls of a bounded script.
    async fn search(
        &self,
        handle: &Handle,
        lane: Lane,
        (first, last): (&str, &str),
        among: &str,
    ) -> Result<Option<JobView>, Error> {
        let keys = self.keys(&handle.partition);
        let mut from = first.to_owned();
        let mut left = MAX_ENTRIES;
        while left > 0 {
            let mut cmd = scripts::call(&scripts::SEARCH, [keys.lane(lane)]);
            cmd.arg(handle.job.as_bytes()).arg(&from).arg(last).arg(among).arg(MAX_STEP.min(left));
            let reply = self.command(&cmd).await?;
            let [found, next, seen] = reply::items::<3>(reply)?;
            let found = reply::text(found)?;
            if !found.is_empty() {
                // The job may have moved on meanwhile; the search does not follow it.
                return self.look_at_entry(handle, lane, &found.into()).await;
            }
            from = reply::text(next)?;
            if from.is_empty() {
                break;
            }
            left -= reply::int(seen)?.max(1);
        }
        Ok(None)
    }
}

/// Reads the consumer of an entry, and since when it holds the entry, from an item of an `XPENDING`
/// reply.
fn holder_of(held: Value, now: Timestamp) -> Result<(String, Timestamp), Error> {
    let [_id, consumer, idle, _deliveries] = reply::items::<4>(held)?;
    Ok((reply::text(consumer)?, now - millis(reply::int(idle)?)))
}
