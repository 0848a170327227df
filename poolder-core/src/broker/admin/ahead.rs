//! The place of a waiting job in its lane.

use std::fmt;

use redis::Value;
use serde::Serialize;

use crate::broker::connection::reply;
use crate::broker::connection::reply::entry_time;
use crate::broker::{Broker, LaneFacts, scripts};
use crate::job::{EntryId, Error, JobState, Partition};
use crate::view::JobView;

/// The most entries before a job that are counted; above it the number is estimated.
const MAX_COUNTED: u64 = 2_000;
/// The most entries that one call of `ahead.lua` counts.
const MAX_STEP: u64 = 500;
/// The most calls: entries may be so large that a call counts few of them.
const MAX_CALLS: usize = 8;

/// The number of jobs that wait before a job in its lane. As text it is `12` or `about 120000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ahead {
    /// The number of jobs.
    pub jobs: u64,
    /// False for an estimate by the times of the entries.
    pub exact: bool,
}

impl fmt::Display for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.exact { "" } else { "about " };
        write!(f, "{about}{}", self.jobs)
    }
}

impl Broker {
    /// Returns how many jobs wait before a job in its lane; `None` for a job that does not wait in a
    /// lane. Counts up to 2,000. A greater number is estimated from the times of the entries.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn ahead(&self, view: &JobView) -> Result<Option<Ahead>, Error> {
        let (Some((lane, entry)), JobState::Ready) = (view.handle.entry(), view.state) else {
            return Ok(None);
        };
        let lanes = self.lane_facts(&view.handle.partition).await?;
        match lanes.into_iter().find(|facts| facts.lane == lane) {
            Some(facts) => self.ahead_in(&view.handle.partition, &facts, entry).await.map(Some),
            None => Ok(None),
        }
    }

    /// Counts the jobs that wait in a lane before an entry, as [`Broker::ahead`] does.
    ///
    /// # Errors
    /// As [`Broker::ahead`].
    pub async fn ahead_in(
        &self,
        partition: &Partition,
        facts: &LaneFacts,
        entry: &EntryId,
    ) -> Result<Ahead, Error> {
        let keys = self.keys(partition);
        let stream = keys.lane(facts.lane);
        let ready = facts.len.saturating_sub(facts.pending);
        let delivered = facts.delivered.as_ref();
        let mut from = delivered.map_or_else(|| "-".to_owned(), |last| format!("({last}"));
        let mut counted = 0;
        for _ in 0..MAX_CALLS {
            let mut cmd = scripts::call(&scripts::AHEAD, [stream]);
            cmd.arg(&from).arg(entry.as_ref()).arg(MAX_STEP.min(MAX_COUNTED - counted));
            let [some, next] = reply::items::<2>(self.command(&cmd).await?)?;
            counted += u64::try_from(reply::int(some)?).unwrap_or(0).min(MAX_STEP);
            from = reply::text(next)?;
            if from.is_empty() {
                return Ok(Ahead { jobs: counted, exact: true });
            }
            if counted >= MAX_COUNTED {
                break;
            }
        }
        let last = self.last_entry(stream).await?;
        let seen = from.trim_start_matches('(');
        Ok(Ahead { jobs: estimate(counted, ready, seen, entry, &last), exact: false })
    }

    /// Returns the id of the last entry that was added to a lane.
    async fn last_entry(&self, stream: &str) -> Result<String, Error> {
        let mut cmd = redis::cmd("XINFO");
        cmd.arg("STREAM").arg(stream);
        let about = reply::array(self.command(&cmd).await?)?;
        let id = about.chunks_exact(2).find(
            |pair| matches!(&pair[0], Value::BulkString(name) if name == b"last-generated-id"),
        );
        id.map_or_else(|| Ok(String::new()), |pair| reply::text(pair[1].clone()))
    }
}

/// Estimates the number of entries before one: those that were `counted`, up to the entry `seen`,
/// and of the rest the part that was added up to the time of the entry.
fn estimate(counted: u64, ready: u64, seen: &str, entry: &str, last: &str) -> u64 {
    let rest = ready.saturating_sub(counted);
    let [Some(from), Some(at), Some(to)] = [seen, entry, last].map(entry_time) else {
        return counted;
    };
    let (part, whole) = (at.since(from).as_millis(), to.since(from).as_millis().max(1));
    let more = u128::from(rest) * part.min(whole) / whole;
    counted.saturating_add(u64::try_from(more).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_follows_the_times_of_the_entries() {
        assert_eq!(estimate(2_000, 12_000, "100-0", "150-0", "200-0"), 7_000);
        assert_eq!(estimate(2_000, 12_000, "100-0", "100-9", "100-9"), 2_000);
        assert_eq!(estimate(2_000, 12_000, "100-0", "900-0", "200-0"), 12_000);
        assert_eq!(estimate(2_000, 1_000, "100-0", "150-0", "200-0"), 2_000);
        assert_eq!(estimate(2_000, u64::MAX, "x", "150-0", ""), 2_000);
    }
}
