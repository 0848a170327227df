//! The numbers of limited queues, for an exporter, and the groups that are paused, for a doctor.

use redis::Value;

use super::define::PAD;
use super::own::Own;
use crate::broker::connection::reply;
use crate::broker::{Broker, QueueLimits};
use crate::job::{Error, Partition, QueueName, Timestamp};

/// The most queues that are asked for in one round trip.
const AT_ONCE: usize = 250;
/// About the most groups whose pauses are looked at.
const MOST_LOOKED_AT: usize = 1_000;

/// The limits of a queue, and the numbers of its groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupCounts {
    /// The limits.
    pub limits: QueueLimits,
    /// The number of groups of which jobs wait or run.
    pub active: u64,
    /// The number of turns in line: of groups that may start a job, and of some that have left the
    /// line since.
    pub turns: u64,
    /// The number of groups that are paused or have limits of their own.
    pub own: u64,
}

impl Broker {
    /// Returns the limits and the numbers of groups of each of these queues, in their order; `None`
    /// for a queue without limits.
    ///
    /// # Errors
    /// Returns an error when a server does not answer or refuses the command.
    pub async fn group_counts(
        &self,
        queues: &[QueueName],
    ) -> Result<Vec<Option<GroupCounts>>, Error> {
        let mut counts = Vec::with_capacity(queues.len());
        for part in queues.chunks(AT_ONCE) {
            counts.extend(self.counts_of(part).await?);
        }
        Ok(counts)
    }

    async fn counts_of(&self, queues: &[QueueName]) -> Result<Vec<Option<GroupCounts>>, Error> {
        let keys = |queue: &QueueName| self.keys(&Partition::first(queue.clone()));
        let mut pipe = redis::pipe();
        for queue in queues {
            pipe.cmd("HGET").arg(&keys(queue).meta).arg("limited");
        }
        let mut is_limited = vec![];
        for limited in self.pipeline(&pipe).await? {
            let limited = limited.map_err(|error| self.classify(error))?;
            is_limited.push(limited != Value::Nil);
        }
        let mut pipe = redis::pipe();
        for (queue, _) in queues.iter().zip(&is_limited).filter(|(_, limited)| **limited) {
            let limits = &keys(queue).limits;
            pipe.cmd("HMGET").arg(&limits.state).arg("all").arg("each");
            pipe.cmd("HLEN").arg(&limits.groups).cmd("HEXISTS").arg(&limits.groups).arg(PAD);
            pipe.cmd("LLEN").arg(&limits.turns).cmd("HLEN").arg(&limits.own);
        }
        let mut replies = match is_limited.contains(&true) {
            true => self.pipeline(&pipe).await?.into_iter(),
            false => vec![].into_iter(),
        };
        let mut next = || match replies.next() {
            Some(reply) => reply.map_err(|error| self.classify(error)),
            None => Err(Error::protocol("a reply about the groups of a queue is missing")),
        };
        let mut counts = vec![];
        for limited in is_limited {
            if !limited {
                counts.push(None);
                continue;
            }
            let [all, each] = reply::items::<2>(next()?)?;
            let limit = |value| reply::text(value).ok()?.parse().ok();
            let mut limits = QueueLimits::new();
            (limits.concurrency, limits.group_concurrency) = (limit(all), limit(each));
            let mut count = || Ok::<_, Error>(u64::try_from(reply::int(next()?)?).unwrap_or(0));
            let active = count()?.saturating_sub(count()?);
            counts.push(Some(GroupCounts { limits, active, turns: count()?, own: count()? }));
        }
        Ok(counts)
    }

    /// Returns groups that are paused, with the times of their pauses, the longest first: among about
    /// 1,000 of those that are paused or have limits of their own.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn paused_groups(
        &self,
        partition: &Partition,
    ) -> Result<Vec<(String, Timestamp)>, Error> {
        let mut scan = redis::cmd("HSCAN");
        scan.arg(&self.keys(partition).limits.own).arg(0).arg("COUNT").arg(MOST_LOOKED_AT);
        let [_, found] = reply::items::<2>(self.command(&scan).await?)?;
        let mut found = reply::array(found)?.into_iter();
        let mut paused = vec![];
        while let (Some(name), Some(own)) = (found.next(), found.next()) {
            if let Some(since) = Own::read(&own).paused {
                paused.push((String::from_utf8_lossy(&reply::bytes(name)?).into_owned(), since));
            }
        }
        paused.sort_by_key(|(_, since)| *since);
        Ok(paused)
    }
}
