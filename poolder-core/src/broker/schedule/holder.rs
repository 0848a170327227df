//! Looks for the running job of a schedule in the lanes, with calls of bounded scripts, when a tick
//! could not search all of them.

use crate::broker::jobs::search::{Among, LaneSearch, Next};
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Lane, Partition, Timestamp};

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
            let mut search = LaneSearch::new((keys.lane(lane), Among::All), job, ("-", "+"));
            match search.next(self).await? {
                Next::End => {}
                Next::GivenUp => return Ok(()),
                Next::Found(entry) => {
                    let place = (lane.index().to_string(), entry.to_string());
                    return self.note_holder(&keys, (name, job), place).await;
                }
            }
        }
        let first = since.millis().max(0).to_string();
        self.note_holder(&keys, (name, job), (String::new(), first)).await
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
