//! Looks for the running job of a schedule in the lanes, with calls of bounded scripts, when a tick
//! could not search all of them.

use crate::broker::connection::reply;
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, scripts};
use crate::job::{EntryId, Error, Lane, Partition, Timestamp};

/// The most entries of a lane that are searched.
const MAX_ENTRIES: usize = 10_000;
/// The most entries that one call of `search.lua` examines.
const MAX_STEP: usize = 500;

/// The result of the search of a lane.
enum Search {
    Found(EntryId),
    NotThere,
    /// The lane is too long.
    GivenUp,
}

impl Broker {
    /// Looks for the job that is noted as the running one of a schedule. Notes its new place, or
    /// that the job is gone. Does nothing when a lane is too long to search. `since` is a time of
    /// the server's clock before the search.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub(super) async fn look_for_holder(
        &self,
        partition: &Partition,
        (name, job): (&[u8], &[u8]),
        since: Timestamp,
    ) -> Result<(), Error> {
        let keys = self.keys(partition);
        for lane in Lane::ALL {
            match self.search_for_holder(&keys, lane, job).await? {
                Search::NotThere => {}
                Search::GivenUp => return Ok(()),
                Search::Found(entry) => {
                    let place = (lane.index().to_string(), entry.to_string());
                    return self.note_holder(&keys, (name, job), place).await;
                }
            }
        }
        let first = since.millis().max(0).to_string();
        self.note_holder(&keys, (name, job), (String::new(), first)).await
    }

    async fn search_for_holder(
        &self,
        keys: &PartitionKeys,
        lane: Lane,
        job: &[u8],
    ) -> Result<Search, Error> {
        let (mut from, mut left) = ("-".to_owned(), MAX_ENTRIES);
        while left > 0 {
            let mut cmd = scripts::call(&scripts::SEARCH, [keys.lane(lane)]);
            cmd.arg(job).arg(&from).arg("+").arg("all").arg(MAX_STEP);
            let [found, next, seen] = reply::items::<3>(self.command(&cmd).await?)?;
            let found = reply::text(found)?;
            if !found.is_empty() {
                return Ok(Search::Found(found.into()));
            }
            from = reply::text(next)?;
            if from.is_empty() {
                return Ok(Search::NotThere);
            }
            left = left.saturating_sub(usize::try_from(reply::int(seen)?).unwrap_or(0).max(1));
        }
        Ok(Search::GivenUp)
    }

    /// Calls `schedule_holder.lua`.
    async fn note_holder(
        &self,
        keys: &PartitionKeys,
        (name, job): (&[u8], &[u8]),
        (lane, entry): (String, String),
    ) -> Result<(), Error> {
        let own = [keys.schedules.running.as_str(), &keys.due].into_iter();
        let all = own.chain(keys.ready.iter().map(String::as_str));
        let mut cmd = scripts::call(&scripts::SCHEDULE_HOLDER, all);
        cmd.arg(name).arg(job).arg(lane).arg(entry);
        self.command(&cmd).await.map(|_| ())
    }
}
