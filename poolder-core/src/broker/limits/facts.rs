//! The permits and the turn of a group, for which its jobs wait, at one moment.

use redis::Value;

use super::group::{GroupRecord, GroupState};
use super::own::Own;
use super::rate::Rate;
use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::job::{Error, Lane, Partition, Timestamp};

/// The permits and the turn of a group, and the permits of its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFacts {
    /// The record of the group; `None` for one of which no job waits or runs.
    pub record: Option<GroupRecord>,
    /// The most jobs of the group that run at a time: its own limit, or that of the queue.
    pub limit: Option<u32>,
    /// When the group was paused; `None` for one that is not.
    pub paused: Option<Timestamp>,
    /// The number of jobs of the queue that hold a permit.
    pub queue_running: u64,
    /// The most jobs of the queue that run at a time.
    pub queue_limit: Option<u32>,
    /// The number of groups that may start a job, this one included if it is one of them.
    pub turns: u64,
    /// The time at which the group may start its next job, if it may not now.
    pub later: Option<Timestamp>,
    /// The rate of the group: its own, or that of the queue for each group.
    pub rate: Option<Rate>,
    /// The rate of the queue.
    pub queue_rate: Option<Rate>,
    /// The time at which the queue may start its next job, if it could not when a node tried last.
    pub queue_later: Option<Timestamp>,
    /// The time until which the queue is held.
    pub queue_held: Option<Timestamp>,
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
        let fields = ["each", "all", "each_rate", "rate", "again", "held"];
        pipe.cmd("HMGET").arg(&limits.state).arg(&fields);
        pipe.cmd("XLEN").arg(keys.lane(Lane::Front)).cmd("XLEN").arg(keys.lane(Lane::Suspect));
        pipe.cmd("LLEN").arg(&limits.turns);
        pipe.cmd("ZSCORE").arg(&limits.timers).arg(group);
        let [record, own, of_queue, front, suspect, turns, timer] = self.replies(&pipe).await?;
        let [each, all, each_rate, rate, again, held] = reply::items::<6>(of_queue)?;
        let number = |value: Value| reply::text(value).ok()?.parse::<u32>().ok();
        let rate_of = |value: Value| Rate::decode(&reply::text(value).ok()?);
        let time = |value: Value| reply::int(value).ok().map(Timestamp::from_millis);
        let record = reply::bytes(record).ok().and_then(|record| GroupRecord::read(&record));
        let is_later = record.is_some_and(|record| record.state == GroupState::Later);
        let own = Own::read(&own);
        let own_rate = own.limits.rate;
        let count =
            |value| -> Result<u64, Error> { Ok(u64::try_from(reply::int(value)?).unwrap_or(0)) };
        Ok(GroupFacts {
            record,
            limit: own.limits.concurrency.or_else(|| number(each)),
            paused: own.paused,
            queue_running: count(front)?.saturating_add(count(suspect)?),
            queue_limit: number(all),
            turns: count(turns)?,
            later: time(timer).filter(|_| is_later),
            rate: own_rate.or_else(|| rate_of(each_rate)),
            queue_rate: rate_of(rate),
            queue_later: time(again),
            queue_held: time(held),
        })
    }
}
