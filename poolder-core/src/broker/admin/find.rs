//! Where a job is: first where its handle says, then in `due` and among the dead, then by a bounded
//! search of the lanes.

use std::time::Duration;

use redis::Value;

use crate::broker::admin::job_view::{dead_view, waiting_view};
use crate::broker::connection::reply;
use crate::broker::connection::reply::{entry_time, millis, server_time};
use crate::broker::keys::GROUP;
use crate::broker::{Broker, scripts};
use crate::job::{
    EntryId, Error, Fields, Handle, Lane, Partition, Place, State, Timestamp, clamped_millis,
};
use crate::policy::Counters;
use crate::stored::{Entry, read_entry};
use crate::view::{Content, JobView};

/// A job made by a client is looked for among the entries from this long before its id was made,
/// since clocks differ …
const BEFORE: Duration = Duration::from_secs(2);
/// … to this long after.
const AFTER: Duration = Duration::from_secs(60);
/// In each lane the search looks at no more entries than this.
const MOST: i64 = 10_000;
/// `search.lua` looks at no more than this many at once.
const STEP: i64 = 500;

impl Broker {
    /// Finds a job that has not ended. A job whose handle is at hand is found at once, and so is
    /// one that waits for its time or is dead; others by a search that looks at up to 10,000
    /// entries per lane: claimed ones, rescued ones, and those from around the time of the id.
    ///
    /// # Errors
    /// Whatever keeps the server from answering, or what is found from being read.
    pub async fn find(&self, handle: &Handle) -> Result<Option<JobView>, Error> {
        if let Some(found) = self.look_at_place(handle).await? {
            return Ok(Some(found));
        }
        if let Some(found) = self.look_at_bodies(handle).await? {
            return Ok(Some(found));
        }
        for lane in Lane::ALL {
            // Where it may be: running, or put there some time after its enqueue, or then.
            if let Some(found) = self.search(handle, lane, ("-", "+"), "claimed").await? {
                return Ok(Some(found));
            }
            let window = match (lane, handle.job.generated_at()) {
                (Lane::Front | Lane::Suspect, _) => Some(("-".to_owned(), "+".to_owned())),
                (_, Some(at)) => {
                    let first = at.millis().saturating_sub(clamped_millis(BEFORE)).max(0);
                    Some((first.to_string(), (at + AFTER).millis().to_string()))
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

    /// Looks at the entry that the handle names.
    pub(in crate::broker) async fn look_at_place(
        &self,
        handle: &Handle,
    ) -> Result<Option<JobView>, Error> {
        match handle.entry() {
            Some((lane, entry)) => self.look_at_entry(handle, lane, entry).await,
            None => Ok(None),
        }
    }

    async fn look_at_entry(
        &self,
        handle: &Handle,
        lane: Lane,
        entry: &EntryId,
    ) -> Result<Option<JobView>, Error> {
        let keys = self.keys(&handle.partition);
        let stream = keys.lane(lane);
        let mut pipe = redis::pipe();
        pipe.cmd("XRANGE").arg(stream).arg(&**entry).arg(&**entry).arg("COUNT").arg(1);
        pipe.cmd("XPENDING").arg(stream).arg(GROUP).arg(&**entry).arg(&**entry).arg(1);
        pipe.cmd("ZSCORE").arg(&keys.cancelled).arg(handle.job.as_bytes());
        pipe.cmd("TIME");
        let mut replies = self.pipeline(&pipe).await?.into_iter();
        let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
        let found = next().map_err(|error| self.classify(error))?;
        let Some((id, Some(fields))) = reply::entries(found)?.pop() else { return Ok(None) };
        // Without a group nobody holds it.
        let held = next().ok().map(reply::array).transpose()?.and_then(|mut held| held.pop());
        let cancelling = next().is_ok_and(|score| score != Value::Nil);
        let now = server_time(next().map_err(|error| self.classify(error))?)?;
        let held = held.map(|held| holding(held, now)).transpose()?;
        let view = self.view(&handle.partition, lane, id, fields, held);
        Ok((view.id() == handle.job).then_some(JobView { cancelling, ..view }))
    }

    async fn look_at_bodies(&self, handle: &Handle) -> Result<Option<JobView>, Error> {
        let keys = self.keys(&handle.partition);
        let job = handle.job.as_bytes();
        let mut pipe = redis::pipe();
        pipe.cmd("HGET").arg(&keys.bodies).arg(job).cmd("ZSCORE").arg(&keys.due).arg(job);
        pipe.cmd("HGET").arg(&keys.dead_bodies).arg(job).cmd("ZSCORE").arg(&keys.dead).arg(job);
        let replies = self.pipeline(&pipe).await?.into_iter();
        let replies = replies.collect::<Result<Vec<_>, _>>().map_err(|e| self.classify(e))?;
        let [body, due, record, died] = reply::items::<4>(Value::Array(replies))?;
        if body != Value::Nil && due != Value::Nil {
            let at = Timestamp::from_millis(reply::int(due)?);
            return Ok(Some(waiting_view(handle, reply::bytes(body)?, at)));
        }
        if record != Value::Nil && died != Value::Nil {
            let at = Timestamp::from_millis(reply::int(died)?);
            return Ok(Some(dead_view(handle, reply::bytes(record)?, at)));
        }
        Ok(None)
    }

    /// Looks for it in a lane, a bounded script at a time.
    async fn search(
        &self,
        handle: &Handle,
        lane: Lane,
        (first, last): (&str, &str),
        among: &str,
    ) -> Result<Option<JobView>, Error> {
        let keys = self.keys(&handle.partition);
        let mut from = first.to_owned();
        let mut left = MOST;
        while left > 0 {
            let mut cmd = scripts::call(&scripts::SEARCH, [keys.lane(lane)]);
            cmd.arg(handle.job.as_bytes()).arg(&from).arg(last).arg(among).arg(STEP.min(left));
            let reply = self.script(&scripts::SEARCH, &cmd).await?;
            let [found, next, seen] = reply::items::<3>(reply)?;
            let found = reply::text(found)?;
            if !found.is_empty() {
                // It may have moved on meanwhile; then nobody can say where it is.
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

    /// An entry as a job that waits, or that somebody holds.
    pub(in crate::broker) fn view(
        &self,
        partition: &Partition,
        lane: Lane,
        id: EntryId,
        fields: Fields,
        held: Option<(String, Timestamp)>,
    ) -> JobView {
        let keys = self.keys(partition);
        let entered = entry_time(&id).unwrap_or_default();
        let place = Some(Place::Entry(lane, id.clone()));
        let (state, node, at) = match held {
            Some((node, since)) => (State::Running, Some(node), since),
            None => (State::Ready, None, entered),
        };
        let (job, counters, failure, content) = match read_entry(keys.lane(lane), lane, id, fields)
        {
            Entry::Job(claim) => {
                let (job, counters) = (claim.job_id(), claim.counters);
                let content = match claim.plain {
                    Some(text) => Content::Plain(text, claim.envelope),
                    None => Content::Job(claim.envelope),
                };
                (job, counters, None, content)
            }
            Entry::Undecodable(found) => {
                let content = Content::Raw(found.raw);
                (found.id, Counters::default(), Some(found.reason), content)
            }
        };
        let handle = Handle { partition: partition.clone(), job, place };
        JobView { handle, state, lane, at, node, counters, cancelling: false, failure, content }
    }
}

/// Who holds an entry, and since when, in the words of `XPENDING`.
fn holding(held: Value, now: Timestamp) -> Result<(String, Timestamp), Error> {
    let [_id, consumer, idle, _deliveries] = reply::items::<4>(held)?;
    Ok((reply::text(consumer)?, now - millis(reply::int(idle)?)))
}
