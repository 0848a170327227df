//! Corrects how many jobs of a group run, where it differs from the jobs in its lanes.

use std::collections::HashMap;

use redis::Value;

use super::group::{GroupRecord, GroupState};
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Lane, Partition};

/// The number of groups of a page.
const PAGE: usize = 250;
/// The most pages that one sweep looks at; the next one goes on there.
const MAX_PAGES: usize = 20;
/// The most groups that are suspected at a time.
const MAX_SUSPECTED: usize = 1000;

/// The groups whose record differed from the jobs in the lanes, with the record; and where the next
/// sweep goes on.
#[derive(Debug, Default)]
pub struct Suspicion {
    groups: HashMap<Vec<u8>, Vec<u8>>,
    cursor: Option<String>,
}

impl Broker {
    /// Compares the records of groups with the jobs in the lanes, up to 5,000 groups a call, and
    /// corrects those that have differed before, in `suspected`, and have not changed since. Returns
    /// how many were corrected. A job that moves while it is counted makes a group suspected, and
    /// nothing more.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a command.
    pub async fn recount_groups(
        &self,
        partition: &Partition,
        suspected: &mut Suspicion,
    ) -> Result<u64, Error> {
        let keys = self.keys(partition);
        let before: Vec<(Vec<u8>, Vec<u8>)> = suspected.groups.drain().collect();
        let first = self.first_ticket(&keys.limits.turns).await?;
        let running = self.permits_held(partition).await?;
        let counted = |name: &[u8]| running.get(name).copied().unwrap_or(0);
        let mut corrected = 0;
        for (name, record) in before {
            // The script changes nothing when the record is another one by now.
            if differs(&record, counted(&name), first) {
                let mut cmd = scripts::call(&scripts::REPAIR_GROUP, keys.limits.of_groups());
                cmd.arg(&name).arg(&record).arg(counted(&name));
                corrected += u64::from(reply::int(self.command(&cmd).await?)? == 1);
            }
        }
        let mut cursor = suspected.cursor.take().unwrap_or_else(|| "0".into());
        for _ in 0..MAX_PAGES {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(&keys.limits.groups).arg(&cursor).arg("COUNT").arg(PAGE);
            let [next, found] = reply::items::<2>(self.command(&scan).await?)?;
            let mut found = reply::array(found)?.into_iter();
            let mut later = vec![];
            while let (Some(name), Some(record)) = (found.next(), found.next()) {
                let (name, record) = (reply::bytes(name)?, reply::bytes(record)?);
                let few = suspected.groups.len() < MAX_SUSPECTED;
                if few && differs(&record, counted(&name), first) {
                    suspected.groups.insert(name, record);
                } else if is_later(&record) {
                    later.push(name);
                }
            }
            self.look_at(&keys, &self.without_timer(&keys.limits.timers, later).await?).await?;
            cursor = reply::text(next)?;
            if cursor == "0" {
                return Ok(corrected);
            }
        }
        suspected.cursor = Some(cursor);
        Ok(corrected)
    }

    /// Returns those of the groups that have no timer.
    async fn without_timer(
        &self,
        timers: &str,
        groups: Vec<Vec<u8>>,
    ) -> Result<Vec<Vec<u8>>, Error> {
        if groups.is_empty() {
            return Ok(groups);
        }
        let mut cmd = redis::cmd("ZMSCORE");
        cmd.arg(timers).arg(&groups);
        let times = reply::array(self.command(&cmd).await?)?;
        let with_times = groups.into_iter().zip(times);
        Ok(with_times.filter(|(_, time)| *time == Value::Nil).map(|(name, _)| name).collect())
    }

    /// Returns the least ticket among the next turns; `None` when no group has a turn. Tickets grow
    /// along the list, but for a few groups that go on with a turn.
    async fn first_ticket(&self, turns: &str) -> Result<Option<u64>, Error> {
        let mut cmd = redis::cmd("LRANGE");
        cmd.arg(turns).arg(0).arg(PAGE);
        let mut first = None;
        for entry in reply::array(self.command(&cmd).await?)? {
            let entry = reply::bytes(entry)?;
            let ticket = entry.iter().take(6).fold(0, |all, byte| all << 8 | u64::from(*byte));
            first = Some(first.map_or(ticket, |first: u64| first.min(ticket)));
        }
        Ok(first)
    }

    /// Returns how many jobs of each group hold a permit, by the lanes.
    async fn permits_held(&self, partition: &Partition) -> Result<HashMap<Vec<u8>, u32>, Error> {
        let keys = self.keys(partition);
        let mut running = HashMap::new();
        for lane in [Lane::Front, Lane::Suspect] {
            let mut from = "-".to_owned();
            while !from.is_empty() {
                let mut cmd = scripts::call(&scripts::RUNNING_GROUPS, [keys.lane(lane)]);
                cmd.arg(&from);
                let [last, groups] = reply::items::<2>(self.command(&cmd).await?)?;
                for group in reply::array(groups)? {
                    *running.entry(reply::bytes(group)?).or_insert(0) += 1;
                }
                from = reply::text(last)?;
            }
        }
        Ok(running)
    }
}

/// Returns whether a record should be another one: so many jobs of the group run, and this is the
/// least ticket in the list of turns.
fn differs(record: &[u8], running: u32, first: Option<u64>) -> bool {
    let read = GroupRecord::read(record);
    read.is_some_and(|read| read.running != running || read.is_passed(first))
}

/// Returns whether the record is that of a group that waits for its time.
fn is_later(record: &[u8]) -> bool {
    GroupRecord::read(record).is_some_and(|record| record.state == GroupState::Later)
}
