//! Lets groups of a limited queue go on whose time has come.

use std::time::Duration;

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Partition, Timestamp};

/// The number of timers that are looked at in one call.
const PAGE: usize = 250;

/// The findings about the times of a limited queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupTimes {
    /// The time until a group, or the queue, may go on; `None` when none waits for its time.
    pub next: Option<Duration>,
    /// The server's clock.
    pub now: Timestamp,
}

impl Broker {
    /// Gives a turn to groups of a limited queue that may start a job by now, up to 100 a call, and
    /// wakes a claimer for them.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn start_groups_on_time(&self, partition: &Partition) -> Result<GroupTimes, Error> {
        let keys = self.keys(partition);
        let cmd = scripts::call(&scripts::ON_TIME, keys.limits.of_groups());
        let [next, now] = reply::items::<2>(self.command(&cmd).await?)?;
        let next = u64::try_from(reply::int(next)?).ok().map(Duration::from_millis);
        Ok(GroupTimes { next, now: Timestamp::from_millis(reply::int(now)?) })
    }

    /// Looks at each group that waits for its time, after the server's clock may have gone back: a
    /// time that only the former clock explains is dropped.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a command.
    pub async fn check_times_of_groups(&self, partition: &Partition) -> Result<(), Error> {
        let keys = self.keys(partition);
        let mut cursor = "0".to_owned();
        loop {
            let mut scan = redis::cmd("ZSCAN");
            scan.arg(&keys.limits.timers).arg(&cursor).arg("COUNT").arg(PAGE);
            let [next, found] = reply::items::<2>(self.command(&scan).await?)?;
            let found = reply::array(found)?.into_iter().step_by(2).map(reply::bytes);
            self.look_at(&keys, &found.collect::<Result<Vec<_>, _>>()?).await?;
            cursor = reply::text(next)?;
            if cursor == "0" {
                return Ok(());
            }
        }
    }
}
