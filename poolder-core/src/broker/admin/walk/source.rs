//! One lane, the waiting or the dead jobs of one partition: the call that reads its next jobs, and
//! the reply to it.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};

use super::merge::Rank;
use crate::broker::admin::job_view::{
    dead_view, finished_view, grouped_view, shown, view, waiting_view,
};
use crate::broker::connection::reply;
use crate::broker::connection::reply::millis;
use crate::broker::jobs::pending::listed;
use crate::broker::jobs::value::{SHOWN, StoredValue};
use crate::broker::keys::PartitionKeys;
use crate::broker::scripts;
use crate::job::{EntryId, Error, Handle, JobId, Lane, MAX_STORED, Partition, Timestamp};
use crate::stored::read_group_field;
use crate::view::{After, JobView, numbers};

/// One lane, the waiting or the dead jobs of one partition, and the place that was reached there.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) partition: Partition,
    keys: Arc<PartitionKeys>,
    spot: Spot,
    place: Place,
    /// True when nothing is left to read.
    pub(super) ended: bool,
}

/// The jobs of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    Waits(Lane),
    Runs(Lane),
    Grouped,
    Due,
    Dead,
    Finished,
}

/// The place up to which a source was read.
#[derive(Debug, Clone)]
enum Place {
    Start,
    /// Behind this entry.
    Entry(String),
    /// At this place of the server's order of the jobs in groups.
    Grouped(u64),
    /// Behind so many jobs of this time.
    Time(i64, u64),
    /// Behind all jobs of this time.
    Moment(i64),
}

impl Place {
    fn behind(after: &After) -> Self {
        match after {
            After::Entry(_, entry, _) => Self::Entry(entry.clone()),
            After::Group(from) => Self::Grouped(*from),
            After::Time(at, seen, _) => Self::Time(*at, *seen),
        }
    }
}

/// A job of a source, or a member that is no job.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: Rank,
    pub(super) after: After,
    pub(super) bytes: usize,
    /// The job; `None` for a member that is no job, and when only sizes were asked for.
    pub(super) job: Option<JobView>,
    /// For how long the job has been claimed.
    pub(super) claimed: Option<Duration>,
}

/// The next jobs of a source.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) items: Vec<Member>,
    pub(super) more: bool,
    /// The place that was reached, where it is not behind the last of the jobs.
    pub(super) reached: Option<After>,
}

impl Source {
    /// Creates a source that goes on behind `after`, a place in the listing of the whole queue.
    /// `None` when the place lies behind all of its jobs.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for the place of another listing.
    pub(super) fn new(
        partition: &Partition,
        keys: Arc<PartitionKeys>,
        spot: Spot,
        after: Option<&After>,
    ) -> Result<Option<Self>, Error> {
        let index = partition.index;
        let place = match (spot, after) {
            (_, None) => Place::Start,
            (Spot::Waits(_), Some(After::Group(_))) => return Ok(None),
            (Spot::Grouped, Some(After::Entry(..))) => Place::Start,
            (Spot::Grouped, Some(after @ After::Group(_))) => Place::behind(after),
            (Spot::Waits(lane) | Spot::Runs(lane), Some(After::Entry(of, entry, last))) => {
                match lane.index().cmp(&of.index()) {
                    std::cmp::Ordering::Less => return Ok(None),
                    std::cmp::Ordering::Greater => Place::Start,
                    std::cmp::Ordering::Equal if index <= *last => Place::Entry(entry.clone()),
                    std::cmp::Ordering::Equal => Place::Entry(before(entry)),
                }
            }
            (Spot::Due | Spot::Dead | Spot::Finished, Some(After::Time(at, seen, last))) => {
                match index.cmp(last) {
                    std::cmp::Ordering::Less => Place::Moment(*at),
                    std::cmp::Ordering::Equal => Place::Time(*at, *seen),
                    std::cmp::Ordering::Greater => Place::Time(*at, 0),
                }
            }
            _ => {
                let text = "the cursor belongs to another listing: use what this one returned";
                return Err(Error::invalid(text));
            }
        };
        Ok(Some(Self { partition: partition.clone(), keys, spot, place, ended: false }))
    }

    /// Returns true for the jobs that wait or run in a lane, in the order in which they entered it.
    pub(super) fn is_lane(&self) -> bool {
        matches!(self.spot, Spot::Waits(_) | Spot::Runs(_))
    }

    /// Returns true for the jobs that wait in groups.
    pub(super) fn is_grouped(&self) -> bool {
        self.spot == Spot::Grouped
    }

    /// Goes on behind this place.
    pub(super) fn go_behind(&mut self, after: &After) {
        self.place = Place::behind(after);
    }

    /// Notes that a job of this time, which was read before, has left the source.
    pub(super) fn left(&mut self, at: Timestamp) {
        if let Place::Time(time, seen) = &mut self.place
            && *time == at.millis()
        {
            *seen = seen.saturating_sub(1);
        }
    }

    /// Returns the key that the calls read first.
    pub(super) fn key(&self) -> &str {
        match self.spot {
            Spot::Waits(lane) | Spot::Runs(lane) => self.keys.lane(lane),
            Spot::Grouped => &self.keys.limits.jobs,
            Spot::Due => &self.keys.due,
            Spot::Dead => &self.keys.dead,
            Spot::Finished => &self.keys.finished,
        }
    }

    /// Returns the call that reads the next jobs, of at most so many bytes. With `sizes`, only their
    /// places and sizes are returned. `behind` stands for the place that was reached.
    pub(super) fn call(
        &self,
        behind: Option<&After>,
        most: usize,
        bytes: usize,
        sizes: bool,
    ) -> Cmd {
        let place = behind.map_or_else(|| self.place.clone(), Place::behind);
        let whole = if sizes { 0 } else { MAX_STORED };
        match self.spot {
            Spot::Waits(_) | Spot::Runs(_) => {
                let script = match self.spot {
                    Spot::Waits(_) => &scripts::LIST_READY,
                    _ => &scripts::LIST_RUNNING,
                };
                let after = match &place {
                    Place::Entry(entry) => entry.as_str(),
                    _ => "",
                };
                let mut cmd = scripts::call(script, [self.key()]);
                cmd.arg(after).arg(most).arg(bytes).arg(whole);
                cmd
            }
            Spot::Grouped => {
                let from = match place {
                    Place::Grouped(from) => from,
                    _ => 0,
                };
                let mut cmd = scripts::call(&scripts::LIST_GROUPS, [self.key()]);
                cmd.arg(from).arg(most).arg(bytes).arg(whole).arg(SHOWN);
                cmd
            }
            Spot::Due | Spot::Dead | Spot::Finished => {
                let (bodies, order, start) = match self.spot {
                    Spot::Due => (&self.keys.bodies, "up", "-inf"),
                    Spot::Finished => (&self.keys.finished_bodies, "down", "+inf"),
                    _ => (&self.keys.dead_bodies, "down", "+inf"),
                };
                let (from, skip) = match place {
                    Place::Time(at, seen) => (at.to_string(), seen),
                    Place::Moment(at) => (format!("({at}"), 0),
                    _ => (start.to_owned(), 0),
                };
                let mut cmd = scripts::call(&scripts::LIST_BY_TIME, [self.key(), bodies]);
                cmd.arg(order).arg(from).arg(skip).arg(most).arg(bytes).arg(whole);
                cmd.arg(if sizes { 0 } else { SHOWN });
                cmd
            }
        }
    }

    /// Reads the reply to a call. `behind` is what the call began behind.
    ///
    /// # Errors
    /// [`Error::is_protocol`] for a reply of another form.
    pub(super) fn read(&self, reply: Value, behind: Option<&After>) -> Result<Batch, Error> {
        match self.spot {
            Spot::Waits(lane) => {
                let [more, entries] = reply::items::<2>(reply)?;
                let mut items = vec![];
                for (id, fields) in reply::entries(entries)? {
                    items.push(self.entry(lane, id, fields, None)?);
                }
                Ok(Batch { items, more: reply::int(more)? == 1, reached: None })
            }
            Spot::Runs(lane) => self.read_running(lane, reply),
            Spot::Grouped => self.read_grouped(reply),
            Spot::Due | Spot::Dead | Spot::Finished => self.read_by_time(reply, behind),
        }
    }

    fn read_running(&self, lane: Lane, reply: Value) -> Result<Batch, Error> {
        let [more, last, held] = reply::items::<3>(reply)?;
        let (last, mut items) = (reply::text(last)?, vec![]);
        for item in reply::array(held)? {
            let [id, consumer, idle, fields] = reply::items::<4>(item)?;
            let whole = Value::Array(vec![Value::Array(vec![id, fields])]);
            let held = (reply::text(consumer)?, millis(reply::int(idle)?));
            if let Some((id, fields)) = reply::entries(whole)?.pop() {
                items.push(self.entry(lane, id, fields, Some(held))?);
            }
        }
        // The last entries may have been deleted while they were claimed.
        let seen = items.last().is_some_and(
            |item| matches!(&item.after, After::Entry(_, entry, _) if **entry == *last),
        );
        if !last.is_empty() && !seen {
            items.push(self.entry(lane, last.into(), None, None)?);
        }
        Ok(Batch { items, more: reply::int(more)? == 1, reached: None })
    }

    /// Builds the item of an entry; of one that was deleted when it has no fields.
    fn entry(
        &self,
        lane: Lane,
        id: EntryId,
        fields: Option<Vec<(Vec<u8>, Vec<u8>)>>,
        held: Option<(String, Duration)>,
    ) -> Result<Member, Error> {
        let wrong = || Error::protocol(format!("{id:?} is not the id of an entry"));
        let (time, count) = numbers(&id).ok_or_else(wrong)?;
        let time = i64::try_from(time).unwrap_or(i64::MAX);
        let index = self.partition.index;
        let key = Rank { lane: lane.index(), time, count, index, number: 0 };
        let after = After::Entry(lane, id.to_string(), index);
        let Some(fields) = fields else {
            return Ok(Member { key, after, bytes: 0, job: None, claimed: None });
        };
        let bytes = match fields.as_slice() {
            [(name, size), _] if name == b"unread" => {
                std::str::from_utf8(size).ok().and_then(|size| size.parse().ok()).unwrap_or(0)
            }
            _ => fields.iter().map(|(name, value)| name.len() + value.len()).sum(),
        };
        let entry = listed(self.keys.lane(lane), lane, id, fields);
        let claimed = held.as_ref().map(|(_, claimed)| *claimed);
        let held = held.map(|(node, _)| (node, Timestamp::default()));
        let job = Some(view(&self.partition, entry, held));
        Ok(Member { key, after, bytes, job, claimed })
    }

    fn read_grouped(&self, reply: Value) -> Result<Batch, Error> {
        let [from, more, jobs] = reply::items::<3>(reply)?;
        let wrong = || Error::protocol("list_groups.lua answered something else");
        let from = reply::text(from)?.parse().map_err(|_| wrong())?;
        let reached = Some(After::Group(from));
        let mut items = vec![];
        for job in reply::array(jobs)? {
            let [from, field, value, bytes] = reply::items::<4>(job)?;
            let place = read_group_field(&reply::bytes(field)?).ok_or_else(wrong)?;
            let bytes = usize::try_from(reply::int(bytes)?).unwrap_or(usize::MAX);
            let from = reply::text(from)?.parse().map_err(|_| wrong())?;
            let after = After::Group(from);
            let value = StoredValue { bytes, read: reply::bytes(value)? };
            let job = shown(value, |value| grouped_view(&self.partition, &self.keys, place, value));
            let index = self.partition.index;
            let key = Rank { lane: Lane::ALL.len(), time: 0, count: 0, index, number: 0 };
            items.push(Member { key, after, bytes, job: Some(job), claimed: None });
        }
        Ok(Batch { items, more: reply::int(more)? == 1, reached })
    }

    fn read_by_time(&self, reply: Value, behind: Option<&After>) -> Result<Batch, Error> {
        let [more, members] = reply::items::<2>(reply)?;
        let mut last = match (behind, &self.place) {
            (Some(After::Time(at, seen, _)), _) => Some((*at, *seen)),
            (None, Place::Time(at, seen)) => Some((*at, *seen)),
            _ => None,
        };
        let mut items = vec![];
        for item in reply::array(members)? {
            let [id, at, body, bytes] = reply::items::<4>(item)?;
            let (id, at, read) = (reply::bytes(id)?, reply::int(at)?, reply::bytes(body)?);
            let bytes = usize::try_from(reply::int(bytes)?).unwrap_or(usize::MAX);
            let seen = match last {
                Some((same, seen)) if same == at => seen.saturating_add(1),
                _ => 1,
            };
            last = Some((at, seen));
            let time = if self.spot == Spot::Due { at } else { at.saturating_neg() };
            let index = self.partition.index;
            let key = Rank { lane: 0, time, count: 0, index, number: seen };
            let after = After::Time(at, seen, index);
            let job = match <[u8; 16]>::try_from(id) {
                Ok(id) if !read.is_empty() => Some(self.body(id, at, StoredValue { bytes, read })),
                _ => None,
            };
            items.push(Member { key, after, bytes, job, claimed: None });
        }
        Ok(Batch { items, more: reply::int(more)? == 1, reached: None })
    }

    fn body(&self, id: [u8; 16], at: i64, body: StoredValue) -> JobView {
        let job = JobId::from_bytes(id);
        let handle = Handle { partition: self.partition.clone(), job, place: None };
        let at = Timestamp::from_millis(at);
        shown(body, |body| match self.spot {
            Spot::Dead => dead_view(&handle, body, at),
            Spot::Finished => finished_view(&handle, body, at),
            _ => waiting_view(&handle, body, at),
        })
    }
}

/// Returns the id right before that of an entry, so that this entry is the next one.
fn before(entry: &str) -> String {
    match numbers(entry) {
        None | Some((0, 0)) => String::new(),
        Some((millis, 0)) => format!("{}-{}", millis - 1, u64::MAX),
        Some((millis, count)) => format!("{millis}-{}", count - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_before_another_one() {
        assert_eq!(before("7-3"), "7-2");
        assert_eq!(before("7-0"), "6-18446744073709551615");
        for none in ["0-0", "", "x"] {
            assert_eq!(before(none), "");
        }
    }
}
