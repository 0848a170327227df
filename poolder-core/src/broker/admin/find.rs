//! Finding a job: first at the place that its handle names, then in `due` and among the dead jobs,
//! then by a bounded search of the lanes, and of the groups of a limited queue. A job of an addressed
//! pool is looked for where it was moved to, and in all slots when only its id is known.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use redis::Value;

use crate::broker::Broker;
use crate::broker::admin::job_view::{dead_view, shown, view, waiting_view};
use crate::broker::connection::reply;
use crate::broker::connection::reply::{millis, server_time};
use crate::broker::jobs::pending::{Found, read_call, read_found};
use crate::broker::jobs::search::{Among, LaneSearch, Next};
use crate::broker::jobs::value::{read_value, value_call};
use crate::broker::keys::GROUP;
use crate::job::{
    EntryId, Error, Handle, JobId, JobState, Lane, MAX_STORED, Partition, Place, Timestamp,
    clamped_millis,
};
use crate::stored::{Entry, Undecodable};
use crate::view::JobView;

/// How long before a job's id was made the search of a lane begins, since the clocks of client and
/// server differ. Ids without a time of making are searched in the whole lane.
const SEARCH_BEFORE: Duration = Duration::from_secs(2);
/// How long after a job's id was made the search of a lane ends.
const SEARCH_AFTER: Duration = Duration::from_secs(60);
/// The slots that are searched at the same time.
const SLOTS_AT_ONCE: usize = 64;

/// The jobs of an id that wait or run.
#[derive(Debug, Default)]
pub(in crate::broker) struct Alive {
    pub(in crate::broker) jobs: Vec<JobView>,
    /// True when a lane had more entries than were searched.
    pub(in crate::broker) is_partial: bool,
}

impl Broker {
    /// Finds a job that has not ended. Of several jobs of one id those that are alive come first,
    /// unless the handle names the dead. A job that was moved to another slot of its pool is found
    /// there. If a handle of an addressed pool names neither a place nor a slot but the first, all
    /// slots are searched.
    ///
    /// # Errors
    /// Returns an error when the server does not answer, or when its reply cannot be read.
    pub async fn find(&self, handle: &Handle) -> Result<Option<JobView>, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return Ok(captured.find(handle));
        }
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
            let read = self.read_together(|broker| async move {
                let find = |partition: &Partition| {
                    let (broker, partition) = (&broker, partition.clone());
                    let handle = Handle { partition, job: handle.job, place: None };
                    async move { broker.find_in_partition(&handle).await }
                };
                try_join_all(partition.iter().map(find)).await
            });
            let found = Box::pin(read).await?;
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
        #[cfg(feature = "testing")]
        if self.captured().is_some() {
            return Ok(vec![]);
        }
        let queue = &handle.partition.queue;
        if handle.place.is_some() || handle.partition.index > 0 {
            return Ok(vec![]);
        }
        Ok(self.partitions(queue).await?.split_off(1))
    }

    /// Finds a job in the partition of its handle. A job at the place that its handle names is found
    /// at once, and so is a job that waits for its time. Other jobs are searched in the lanes, among
    /// up to 10,000 entries per lane: claimed entries, rescued entries, and entries from around the
    /// time at which the id was made; and in the groups of a limited queue, among up to 10,000 jobs.
    async fn find_in_partition(&self, handle: &Handle) -> Result<Option<JobView>, Error> {
        if let Some(found) = self.look_at_place(handle).await? {
            return Ok(Some(found));
        }
        let (waiting, dead) = self.look_at_bodies(handle).await?;
        if let Some(found) = waiting.into_iter().next() {
            return Ok(Some(found));
        }
        if dead.is_some() && (handle.job.generated_at().is_some() || handle.names_the_dead()) {
            return Ok(dead);
        }
        // All lanes are searched together.
        let read = self.read_together(|broker| async move {
            let search = |lane| broker.search_lane(handle, lane, 1);
            join_all(Lane::ALL.map(search)).await
        });
        let mut error = None;
        for found in Box::pin(read).await {
            match found {
                Ok(found) if found.jobs.is_empty() => {}
                Ok(mut found) => return Ok(found.jobs.pop()),
                Err(why) => error = error.or(Some(why)),
            }
        }
        if let Some(error) = error {
            return Err(error);
        }
        Ok(self.search_groups(handle).await?.jobs.pop().or(dead))
    }

    /// Finds every job of an id that waits or runs, as [`Broker::find`] finds one. A generated id
    /// has one job. None is found if the handle names the dead, and the job is dead.
    ///
    /// # Errors
    /// As [`Broker::find`].
    pub(in crate::broker) async fn find_alive(&self, handle: &Handle) -> Result<Alive, Error> {
        if handle.job.generated_at().is_some() {
            let found = self.find(handle).await?.filter(|view| view.state != JobState::Dead);
            return Ok(Alive { jobs: found.into_iter().collect(), is_partial: false });
        }
        let mut alive = self.find_alive_in_partition(handle).await?;
        for partition in self.other_slots(handle).await? {
            let handle = Handle { partition, job: handle.job, place: None };
            let found = self.find_alive_in_partition(&handle).await?;
            alive.jobs.extend(found.jobs);
            alive.is_partial |= found.is_partial;
        }
        Ok(alive)
    }

    async fn find_alive_in_partition(&self, handle: &Handle) -> Result<Alive, Error> {
        let (waiting, dead) = self.look_at_bodies(handle).await?;
        if dead.is_some() && handle.names_the_dead() {
            return Ok(Alive::default());
        }
        let mut alive = Alive { jobs: waiting, is_partial: false };
        alive.jobs.extend(self.look_at_place(handle).await?);
        for lane in Lane::ALL {
            let found = self.search_lane(handle, lane, usize::MAX).await?;
            alive.jobs.extend(found.jobs);
            alive.is_partial |= found.is_partial;
        }
        let grouped = self.search_groups(handle).await?;
        alive.jobs.extend(grouped.jobs);
        alive.is_partial |= grouped.is_partial;
        // A job may have left its lane for `due` before the lane was searched.
        alive.jobs.extend(self.look_at_bodies(handle).await?.0);
        let mut seen = HashSet::new();
        alive.jobs.retain(|view| seen.insert(view.handle.to_string()));
        Ok(alive)
    }

    /// Searches a lane for the first jobs of an id.
    async fn search_lane(&self, handle: &Handle, lane: Lane, most: usize) -> Result<Alive, Error> {
        let mut found = Alive::default();
        for ((first, last), among) in ranges(lane, handle.job) {
            let left = most.saturating_sub(found.jobs.len());
            if left == 0 {
                break;
            }
            let others = self.search(handle, lane, (&first, &last), among, left).await?;
            found.jobs.extend(others.jobs);
            found.is_partial |= others.is_partial;
        }
        Ok(found)
    }

    /// Reads the entry that the handle names. Returns `None` when the handle names none, or when
    /// the entry is not there or is another job's.
    pub(in crate::broker) async fn look_at_place(
        &self,
        handle: &Handle,
    ) -> Result<Option<JobView>, Error> {
        match &handle.place {
            Some(Place::Entry(lane, entry)) => self.look_at_entry(handle, *lane, entry).await,
            Some(Place::Group(group, number)) => self.look_at_group(handle, (group, *number)).await,
            Some(Place::Due(_) | Place::Dead) | None => Ok(None),
        }
    }

    /// Returns true when a job is still at the place that its handle names: it has not ended,
    /// whatever a record of its id tells.
    ///
    /// # Errors
    /// As [`Broker::find`].
    pub async fn is_at_place(&self, handle: &Handle) -> Result<bool, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return Ok(captured.is_at_place(handle));
        }
        match &handle.place {
            Some(Place::Entry(..) | Place::Group(..)) => {
                Ok(self.look_at_place(handle).await?.is_some())
            }
            Some(Place::Due(at)) => {
                let waiting = self.look_at_bodies(handle).await?.0;
                Ok(waiting.iter().any(|view| view.at == *at))
            }
            Some(Place::Dead) | None => Ok(false),
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
        let cancelled = next().unwrap_or(Value::Nil);
        let now = server_time(next().map_err(|error| self.classify(error))?)?;
        let held = held.map(|held| holder_of(held, now)).transpose()?;
        let view = view(&handle.partition, entry, held);
        let cancelling = is_cancelling(&view, cancelled)?;
        Ok((view.id() == handle.job).then_some(JobView { cancelling, ..view }))
    }

    /// Looks for the jobs of an id in `due`, and for the first one among the dead jobs.
    async fn look_at_bodies(
        &self,
        handle: &Handle,
    ) -> Result<(Vec<JobView>, Option<JobView>), Error> {
        let keys = self.keys(&handle.partition);
        let ids: Vec<JobId> = handle.job.stored_as().collect();
        let raw: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
        let mut pipe = redis::pipe();
        pipe.cmd("ZMSCORE").arg(&keys.due).arg(&raw).cmd("ZMSCORE").arg(&keys.dead).arg(&raw);
        let [due, died] = self.times(&pipe).await?;
        let places = [(&keys.bodies, due), (&keys.dead_bodies, died)];
        let stored = places.iter().enumerate().flat_map(|(place, (_, times))| {
            let at = ids.iter().zip(times).filter_map(|(id, at)| Some((*id, (*at)?)));
            at.map(move |(id, at)| (place, id, at))
        });
        let stored: Vec<(usize, JobId, Timestamp)> = stored.collect();
        let mut pipe = redis::pipe();
        for (place, id, _) in &stored {
            pipe.add_command(value_call(places[*place].0, id.as_bytes(), MAX_STORED));
        }
        let (mut waiting, mut dead) = (vec![], None);
        let bodies = if stored.is_empty() { vec![] } else { self.pipeline(&pipe).await? };
        for ((place, id, at), body) in stored.into_iter().zip(bodies) {
            let body = read_value(body.map_err(|error| self.classify(error))?)?;
            let Some(body) = body else { continue };
            let own = Handle { job: id, ..handle.clone() };
            let view = match place {
                0 => shown(body, |body| waiting_view(&own, body, at)),
                _ => shown(body, |record| dead_view(&own, record, at)),
            };
            // One of the other ids may be that of another job.
            if id != handle.job && view.id() != handle.job {
                continue;
            }
            match place {
                0 => waiting.push(view),
                _ => dead = dead.or(Some(view)),
            }
        }
        Ok((waiting, dead))
    }

    /// Reads the times of ids in `due` and among the dead.
    async fn times(&self, pipe: &redis::Pipeline) -> Result<[Vec<Option<Timestamp>>; 2], Error> {
        let read = |reply: redis::RedisResult<Value>| {
            let times = reply::array(reply.map_err(|error| self.classify(error))?)?.into_iter();
            times
                .map(|at| match at {
                    Value::Nil => Ok(None),
                    at => reply::int(at).map(Timestamp::from_millis).map(Some),
                })
                .collect::<Result<Vec<_>, Error>>()
        };
        let mut replies = self.pipeline(pipe).await?.into_iter();
        let mut next = || read(replies.next().unwrap_or(Ok(Value::Nil)));
        Ok([next()?, next()?])
    }

    /// Searches a range of a lane for the first jobs of an id.
    async fn search(
        &self,
        handle: &Handle,
        lane: Lane,
        range: (&str, &str),
        among: Among,
        most: usize,
    ) -> Result<Alive, Error> {
        let keys = self.keys(&handle.partition);
        let job = handle.job.as_bytes();
        let mut search = LaneSearch::new((keys.lane(lane), among), job, range);
        let mut alive = Alive::default();
        while alive.jobs.len() < most {
            match search.next(self).await? {
                // The job may have moved on meanwhile; the search does not follow it.
                Next::Found(entry) => {
                    alive.jobs.extend(self.look_at_entry(handle, lane, &entry).await?);
                }
                Next::End => break,
                Next::GivenUp => {
                    alive.is_partial = true;
                    break;
                }
            }
        }
        Ok(alive)
    }
}

/// Returns the ranges of a lane in which a job is searched, the likeliest first. The job may run. Or
/// it may wait: at any place of the front and suspect lanes, which it may have entered long after its
/// enqueue; else right after the time at which its id was made, or shortly before it.
pub(in crate::broker) fn ranges(lane: Lane, job: JobId) -> Vec<((String, String), Among)> {
    let whole = || ("-".to_owned(), "+".to_owned());
    let mut ranges = vec![(whole(), Among::Claimed)];
    match (lane, job.generated_at()) {
        (Lane::Front | Lane::Suspect, _) | (_, None) => ranges.push((whole(), Among::All)),
        (_, Some(at)) => {
            let made = at.millis().max(1);
            let before = made.saturating_sub(clamped_millis(SEARCH_BEFORE)).max(0);
            let after = (at + SEARCH_AFTER).millis();
            ranges.push(((made.to_string(), after.to_string()), Among::All));
            ranges.push(((before.to_string(), (made - 1).to_string()), Among::All));
        }
    }
    ranges
}

/// Reads the consumer of an entry, and since when it holds the entry, from an item of an `XPENDING`
/// reply.
fn holder_of(held: Value, now: Timestamp) -> Result<(String, Timestamp), Error> {
    let [_id, consumer, idle, _deliveries] = reply::items::<4>(held)?;
    Ok((reply::text(consumer)?, now - millis(reply::int(idle)?)))
}

/// Returns whether a cancellation means this job. One that is older than the generation of the job
/// was meant for earlier ones. `at` is the reply to a read of its time.
pub(in crate::broker) fn is_cancelling(view: &JobView, at: Value) -> Result<bool, Error> {
    if at == Value::Nil {
        return Ok(false);
    }
    let at = Timestamp::from_millis(reply::int(at)?);
    Ok(view.counters.generation().is_none_or(|began| began <= at))
}
