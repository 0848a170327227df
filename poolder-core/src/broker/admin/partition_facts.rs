//! The keys of a partition as a doctor looks at them: their types, their counters, and what is late.

use std::time::Duration;

use redis::Value;

use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::broker::fleet::commands::CANCELLATION_RETENTION;
use crate::job::{Error, Lane, Partition, Timestamp};

/// A schedule whose tick is this late is late.
const LATE: Duration = Duration::from_secs(60);

/// Faults of a partition that can be counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartitionFacts {
    /// The keys that hold a value of another type, each by its name without the prefix and the type.
    pub wrong_types: Vec<(String, String)>,
    /// The counters that are no numbers.
    pub bad_counters: Vec<String>,
    /// The number of jobs and timers in `due` whose time has come.
    pub due_now: u64,
    /// The time of the first of them.
    pub first_due: Option<Timestamp>,
    /// The number of cancellations that are older than their retention.
    pub old_cancels: u64,
    /// The number of schedules whose next tick is more than a minute late.
    pub late_schedules: u64,
}

impl Broker {
    /// Looks for faults of a partition, in one pipeline.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn partition_facts(
        &self,
        partition: &Partition,
        now: Timestamp,
    ) -> Result<PartitionFacts, Error> {
        let keys = self.keys(partition);
        let mut typed: Vec<(&str, String, &str)> = vec![];
        for lane in Lane::ALL {
            typed.push((keys.lane(lane), format!("lane {lane}"), "stream"));
        }
        let own = [
            (&keys.due, "due", "zset"),
            (&keys.bodies, "bodies", "hash"),
            (&keys.dead, "dead", "zset"),
            (&keys.dead_bodies, "bodies of the dead", "hash"),
            (&keys.stats, "stats", "hash"),
            (&keys.meta, "meta", "hash"),
            (&keys.lease, "lease", "hash"),
            (&keys.leader, "leader", "string"),
            (&keys.cancelled, "cancelled", "zset"),
            (&keys.limits.state, "limits", "hash"),
            (&keys.limits.groups, "groups", "hash"),
            (&keys.limits.jobs, "jobs in groups", "hash"),
            (&keys.limits.turns, "turns of groups", "list"),
            (&keys.limits.own, "limits of groups", "hash"),
            (&keys.limits.wake, "tokens of groups", "list"),
            (&keys.limits.timers, "timers of groups", "zset"),
        ];
        typed.extend(own.map(|(key, name, kind)| (key.as_str(), name.to_owned(), kind)));
        let mut pipe = redis::pipe();
        for (key, ..) in &typed {
            pipe.cmd("TYPE").arg(key);
        }
        pipe.cmd("HGETALL").arg(&keys.stats);
        let before = |time: Duration| (now - time).millis();
        pipe.cmd("ZCOUNT").arg(&keys.due).arg("-inf").arg(now.millis());
        pipe.cmd("ZRANGE").arg(&keys.due).arg(0).arg(0).arg("WITHSCORES");
        let old = before(CANCELLATION_RETENTION);
        pipe.cmd("ZCOUNT").arg(&keys.cancelled).arg("-inf").arg(old);
        pipe.cmd("ZCOUNT").arg(&keys.schedules.next).arg("-inf").arg(before(LATE));
        let mut replies = self.pipeline(&pipe).await?.into_iter();
        // A key of a wrong type answers with an error, which its type has told already.
        let mut next = || match replies.next() {
            Some(Err(error)) if error.code() == Some("WRONGTYPE") => Ok(Value::Nil),
            Some(reply) => reply.map_err(|error| self.classify(error)),
            None => Err(Error::protocol("a reply about a partition is missing")),
        };
        let mut facts = PartitionFacts::default();
        for (_, name, expected) in typed {
            let found = reply::text(next()?)?;
            if found != expected && found != "none" {
                facts.wrong_types.push((name, found));
            }
        }
        for pair in reply::array(next()?)?.chunks_exact(2) {
            if reply::int(pair[1].clone()).is_err() {
                let name = reply::bytes(pair[0].clone())?;
                facts.bad_counters.push(String::from_utf8_lossy(&name).into_owned());
            }
        }
        let count = |value| match value {
            Value::Nil => Ok(0),
            value => Ok::<_, Error>(u64::try_from(reply::int(value)?).unwrap_or(0)),
        };
        facts.due_now = count(next()?)?;
        facts.first_due = match reply::array(next()?)?.pop() {
            Some(score) => Some(Timestamp::from_millis(reply::int(score)?)),
            None => None,
        };
        facts.old_cancels = count(next()?)?;
        facts.late_schedules = count(next()?)?;
        Ok(facts)
    }
}
