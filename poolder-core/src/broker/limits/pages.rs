//! Groups of a limited queue as operators see them: one of them, and pages of all.

use std::fmt;
use std::str::FromStr;

use redis::Value;
use serde::Serialize;

use super::define::PAD;
use super::group::{GroupRecord, GroupState};
use super::own::Own;
use crate::broker::connection::reply;
use crate::broker::{Broker, GroupLimits};
use crate::job::{
    Error, Partition, Timestamp, check_stored_group, deserialize_from_text, serialize_as_text,
};

/// The most groups of a page, but for a few.
const MAX_PAGE: usize = 500;
/// The most scans of a page: a hash that has lost most of its fields has many empty places.
const MAX_SCANS: usize = 20;

/// A group of a limited queue at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupView {
    /// The name; empty for the group of the jobs without one.
    pub name: String,
    /// Whether it starts jobs.
    pub state: GroupState,
    /// The number of jobs that wait.
    pub waiting: u64,
    /// The number of jobs that run.
    pub running: u64,
    /// When it was paused; `None` for a group that is not.
    pub paused: Option<Timestamp>,
    /// The most of its jobs that run at a time: its own limit, or that of its queue for each group.
    /// `None` for any number.
    pub concurrency: Option<u32>,
    /// The number of jobs that it starts in its turn.
    pub weight: u32,
    /// Its own limits.
    pub own: GroupLimits,
}

/// A page of the groups of a limited queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupPage {
    /// The groups, in the order of the server, which is no particular one.
    pub groups: Vec<GroupView>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<GroupCursor>,
    /// The number of groups of the queue of which jobs wait or run.
    pub active: u64,
    /// The number of groups of the queue that are paused or have limits of their own; a group may be
    /// among both.
    pub own: u64,
}

/// The place at which a page of groups ended. As text it is an argument of a command or a URL. The
/// server keeps nothing for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupCursor(After);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Among the groups of which jobs wait or run.
    Active(u64),
    /// Among those that are paused or have own limits.
    Own(u64),
}

serialize_as_text! { GroupCursor }
deserialize_from_text! { GroupCursor }

impl fmt::Display for GroupCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            After::Active(at) => write!(f, "active.{at}"),
            After::Own(at) => write!(f, "own.{at}"),
        }
    }
}

impl FromStr for GroupCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = text.split_once('.').and_then(|(place, at)| {
            let at = at.parse().ok().filter(|_| !at.starts_with('+'))?;
            match place {
                "active" => Some(After::Active(at)),
                "own" => Some(After::Own(at)),
                _ => None,
            }
        });
        read.map(Self).ok_or_else(|| {
            Error::invalid(format!("{text:?} is not a cursor: use the cursor of a page of groups"))
        })
    }
}

impl GroupView {
    fn new(name: String, record: Option<GroupRecord>, own: Own, each: Option<u32>) -> Self {
        let state = match (own.paused, record) {
            (Some(_), _) => GroupState::Paused,
            (None, Some(record)) => record.state,
            (None, None) => GroupState::Empty,
        };
        Self {
            name,
            state,
            waiting: record.map_or(0, |record| record.waiting.into()),
            running: record.map_or(0, |record| record.running.into()),
            paused: own.paused,
            concurrency: own.limits.concurrency.or(each),
            weight: own.limits.weight.unwrap_or(1),
            own: own.limits,
        }
    }
}

impl Broker {
    /// Returns a group; `None` for one of which no job waits or runs, and which is not paused and has
    /// no limits of its own.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a name of more than 128 bytes. Also returns an error when the server
    /// does not answer or refuses the command.
    pub async fn group(
        &self,
        partition: &Partition,
        group: &str,
    ) -> Result<Option<GroupView>, Error> {
        check_stored_group(group)?;
        let limits = &self.keys(partition).limits;
        let mut pipe = redis::pipe();
        pipe.cmd("HGET").arg(&limits.groups).arg(group);
        pipe.cmd("HGET").arg(&limits.own).arg(group);
        pipe.cmd("HGET").arg(&limits.state).arg("each");
        let [record, own, each] = self.replies(&pipe).await?;
        if record == Value::Nil && own == Value::Nil {
            return Ok(None);
        }
        let view = GroupView::new(group.into(), recorded(record), Own::read(&own), number(each));
        Ok(Some(view))
    }

    /// Returns a page of the groups of a queue: those of which jobs wait or run, and then all others
    /// that are paused or have limits of their own. A page has about `most` groups, about 500 at
    /// most, and may have none although there are more. A group that comes or goes between two pages
    /// may be missing, or be there twice.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn groups(
        &self,
        partition: &Partition,
        after: Option<GroupCursor>,
        most: usize,
    ) -> Result<GroupPage, Error> {
        let most = most.clamp(1, MAX_PAGE);
        let mut place = after.map(|cursor| cursor.0).or(Some(After::Active(0)));
        let mut page = GroupPage { groups: vec![], next: None, active: 0, own: 0 };
        for _ in 0..MAX_SCANS {
            let Some(from) = place else { break };
            if page.groups.len() >= most {
                break;
            }
            place = self.scan_groups(partition, from, most - page.groups.len(), &mut page).await?;
        }
        page.next = place.map(GroupCursor);
        Ok(page)
    }

    /// Adds groups from a place on to the page. Returns where to go on.
    async fn scan_groups(
        &self,
        partition: &Partition,
        from: After,
        most: usize,
        page: &mut GroupPage,
    ) -> Result<Option<After>, Error> {
        let limits = &self.keys(partition).limits;
        let (key, other, at) = match from {
            After::Active(at) => (&limits.groups, &limits.own, at),
            After::Own(at) => (&limits.own, &limits.groups, at),
        };
        let mut pipe = redis::pipe();
        pipe.cmd("HSCAN").arg(key).arg(at).arg("COUNT").arg(most);
        pipe.cmd("HLEN").arg(&limits.groups).cmd("HEXISTS").arg(&limits.groups).arg(PAD);
        pipe.cmd("HLEN").arg(&limits.own).cmd("HGET").arg(&limits.state).arg("each");
        let [scan, active, pad, own, each] = self.replies(&pipe).await?;
        let count = |value| Ok::<_, Error>(u64::try_from(reply::int(value)?).unwrap_or(0));
        (page.active, page.own) = (count(active)?.saturating_sub(count(pad)?), count(own)?);
        let [next, found] = reply::items::<2>(scan)?;
        let next: u64 = reply::text(next)?.parse().map_err(|_| wrong())?;
        let mut found = reply::array(found)?.into_iter();
        let mut seen = vec![];
        while let (Some(name), Some(value)) = (found.next(), found.next()) {
            let name = reply::bytes(name)?;
            if name != PAD {
                seen.push((name, value));
            }
        }
        let others = match seen.is_empty() {
            true => vec![],
            false => {
                let mut ask = redis::cmd("HMGET");
                ask.arg(other);
                seen.iter().for_each(|(name, _)| _ = ask.arg(name));
                reply::array(self.command(&ask).await?)?
            }
        };
        let each = number(each);
        for ((name, value), other) in seen.into_iter().zip(others) {
            let (record, own) = match from {
                After::Active(_) => (recorded(value), Own::read(&other)),
                // The others were on the pages before.
                After::Own(_) if other != Value::Nil => continue,
                After::Own(_) => (None, Own::read(&value)),
            };
            let name = String::from_utf8_lossy(&name).into_owned();
            page.groups.push(GroupView::new(name, record, own, each));
        }
        Ok(match (from, next) {
            (After::Active(_), 0) => Some(After::Own(0)),
            (After::Active(_), at) => Some(After::Active(at)),
            (After::Own(_), 0) => None,
            (After::Own(_), at) => Some(After::Own(at)),
        })
    }
}

fn recorded(value: Value) -> Option<GroupRecord> {
    GroupRecord::read(&reply::bytes(value).ok()?)
}

fn number(value: Value) -> Option<u32> {
    reply::text(value).ok()?.parse().ok()
}

fn wrong() -> Error {
    Error::protocol("a cursor of the server is no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_being_text() {
        for place in [After::Active(0), After::Active(u64::MAX), After::Own(7)] {
            let cursor = GroupCursor(place);
            assert_eq!(cursor.to_string().parse::<GroupCursor>().unwrap(), cursor);
        }
        for bad in ["", "7", "active", "active.x", "own.+7", "own.-1", "group.7", "own.1.2"] {
            assert!(bad.parse::<GroupCursor>().is_err_and(|error| error.is_invalid()), "{bad}");
        }
    }
}
