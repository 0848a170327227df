//! Schedules whose last tick lies in the future, since the server's clock was ahead when the tick was
//! published. They go on from the present time.

use std::time::Duration;

use super::Wanted;
use super::tick::{Step, command, groups, report};
use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::job::{Error, Partition, Timestamp};
use crate::schedule::{Record, StoredState, TickPlan, spread};

/// The most by which the last tick of a schedule may lie ahead of the server's clock. Below this,
/// a schedule waits until the clock has passed the tick again, so that no tick is published twice.
const MAX_AHEAD: Duration = Duration::from_secs(60 * 60);
/// The number of states that one `HSCAN` returns, about.
const STATES: usize = 500;

/// Returns the time from which the ticks of a schedule are decided: its last tick, unless that lies
/// too far in the future.
pub(super) fn decided(last: Timestamp, now: Timestamp) -> Timestamp {
    if last.since(now) > MAX_AHEAD { now } else { last }
}

impl Broker {
    /// Lets the active schedules of a queue go on whose last tick lies more than an hour ahead of
    /// `now`; `None` stands for the server's clock. Returns their number. Reads the states of all
    /// schedules, some 60 bytes each: to be called when the server's clock may have been put back.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn resume_ticks(
        &self,
        partition: &Partition,
        now: Option<Timestamp>,
    ) -> Result<usize, Error> {
        let keys = self.keys(partition);
        let now = match now {
            Some(now) => now,
            None => self.look(partition, None, Wanted::Named(&[])).await?.now,
        };
        let (mut cursor, mut resumed) = (0, 0);
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(&keys.schedules.states).arg(cursor).arg("COUNT").arg(STATES);
            let [next, page] = reply::items::<2>(self.command(&scan).await?)?;
            let mut names = vec![];
            for pair in reply::array(page)?.chunks(2) {
                let [name, state] = pair else { continue };
                let state = reply::text(state.clone()).and_then(|it| StoredState::parse(&it));
                let ahead = state.is_ok_and(|state| decided(state.last, now) != state.last);
                if let (true, Ok(name)) = (ahead, reply::text(name.clone())) {
                    names.push(name);
                }
            }
            resumed += self.resume_named(partition, &names, now).await?;
            cursor = u64::try_from(reply::int(next)?).unwrap_or(0);
            if cursor == 0 {
                return Ok(resumed);
            }
        }
    }

    async fn resume_named(
        &self,
        partition: &Partition,
        names: &[String],
        now: Timestamp,
    ) -> Result<usize, Error> {
        let keys = self.keys(partition);
        let mut rest = names;
        let mut resumed = 0;
        while !rest.is_empty() {
            let some = &rest[..rest.len().min(super::READ)];
            let look = self.look(partition, Some(now), Wanted::Named(some)).await?;
            rest = &rest[look.seen.max(1)..];
            let mut steps = vec![];
            for found in look.found {
                let record = Record::decode(&found.record).ok().filter(Record::is_active);
                let (last, Some(record)) = (found.state.last, record) else { continue };
                if decided(last, now) == last {
                    continue;
                }
                tracing::warn!(
                    %partition, schedule = found.name, ?last, ?now,
                    "the last tick of a schedule lies in the future, since the server's clock was \
                     ahead: it goes on from now"
                );
                // Nothing is due at the time from which the ticks are decided.
                let plan = record.schedule.plan(record.origin, now, now, spread(&found.name), 1);
                let plan = TickPlan { run: vec![], missed: 0, ..plan };
                steps.push(Step::without_jobs(found, plan));
            }
            for group in groups(&steps) {
                let reply = self.command(&command(&keys, "", group)).await?;
                report(partition, group, reply)?;
            }
            resumed += steps.len();
        }
        Ok(resumed)
    }
}
