//! The permits and the turn of a group, for which its jobs wait, at one moment.

use redis::Value;

use super::group::GroupRecord;
use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::job::{Error, Lane, Partition};

/// The permits and the turn of a group, and the permits of its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFacts {
    /// The record of the group; `None` for one of which no job waits or runs.
    pub record: Option<GroupRecord>,
    /// The most jobs of the group that run at a time: its own limit, or that of the queue.
    pub limit: Option<u32>,
    /// The number of jobs of the queue that hold a permit.
    pub queue_running: u64,
    /// The most jobs of the queue that run at a time.
    pub queue_limit: Option<u32>,
    /// The number of groups that may start a job, this one included if it is one of them.
    pub turns: u64,
}

impl Broker {
    /// Reads what keeps the jobs of a group of a limited queue waiting.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn group_facts(
        &self,
        partition: &Partition,
        group: &str,
    ) -> Result<GroupFacts, Error> {
        let keys = self.keys(partition);
        let limits = &keys.limits;
        let mut pipe = redis::pipe();
        pipe.cmd("HGET").arg(&limits.groups).arg(group);
        pipe.cmd("HGET").arg(&limits.own).arg(group);
        pipe.cmd("HMGET").arg(&limits.state).arg("each").arg("all");
        pipe.cmd("XLEN").arg(keys.lane(Lane::Front)).cmd("XLEN").arg(keys.lane(Lane::Suspect));
        pipe.cmd("LLEN").arg(&limits.turns);
        let [record, own, of_queue, front, suspect, turns] = self.replies(&pipe).await?;
        let [each, all] = reply::items::<2>(of_queue)?;
        let number = |value: Value| reply::text(value).ok()?.parse::<u32>().ok();
        let own = reply::text(own).ok();
        let own = own.and_then(|own| own.split(' ').next()?.parse::<u32>().ok());
        let count =
            |value| -> Result<u64, Error> { Ok(u64::try_from(reply::int(value)?).unwrap_or(0)) };
        Ok(GroupFacts {
            record: reply::bytes(record).ok().and_then(|record| GroupRecord::read(&record)),
            limit: own.or_else(|| number(each)),
            queue_running: count(front)?.saturating_add(count(suspect)?),
            queue_limit: number(all),
            turns: count(turns)?,
        })
    }
}
