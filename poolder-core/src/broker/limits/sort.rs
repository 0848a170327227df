//! Puts the jobs that come to a limited queue behind the others of their groups.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;

use crate::broker::connection::config::BLOCK;
use crate::broker::connection::reply;
use crate::broker::jobs::claim::Connection;
use crate::broker::keys::PartitionKeys;
use crate::broker::{Broker, scripts};
use crate::job::{EntryId, Error, Lane, Partition, clamped_millis};

/// The lanes through which jobs come to a limited queue.
pub(in crate::broker) const INTAKE: [Lane; 3] = [Lane::High, Lane::Normal, Lane::Low];
/// The most jobs that one call of `sort.lua` takes.
const MAX_SORTED: usize = 250;

/// The last entry of each lane that was put into its group, behind which new ones are waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortedUpTo([EntryId; 3]);

impl Default for SortedUpTo {
    fn default() -> Self {
        Self(std::array::from_fn(|_| "0-0".into()))
    }
}

impl Broker {
    /// Puts up to 250 jobs of each lane behind the others of their groups. Returns how many there
    /// were; the caller repeats the call until there are none. `None` when the queue has no limits,
    /// or these end.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses a command.
    pub async fn sort(
        &self,
        partition: &Partition,
        up_to: &mut SortedUpTo,
    ) -> Result<Option<u64>, Error> {
        let keys = self.keys(partition);
        let mut all = 0;
        for (lane, last) in INTAKE.into_iter().zip(&mut up_to.0) {
            let own = [keys.lane(lane)].into_iter().chain(keys.limits.all());
            let mut cmd = scripts::call(&scripts::SORT, own);
            cmd.arg(MAX_SORTED).arg(lane.index());
            let [taken, id] = reply::items::<2>(self.command(&cmd).await?)?;
            let Ok(taken) = u64::try_from(reply::int(taken)?) else { return Ok(None) };
            all += taken;
            match reply::text(id)? {
                id if id.is_empty() => {}
                id => *last = id.as_str().into(),
            }
        }
        Ok(Some(all))
    }
}

/// A connection on which jobs are waited for that come to a limited queue.
#[derive(Debug)]
pub struct IntakeWait {
    broker: Broker,
    keys: Arc<PartitionKeys>,
    connection: Connection,
}

impl IntakeWait {
    /// Opens the connection.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the connection.
    pub async fn open(broker: &Broker, partition: &Partition) -> Result<Self, Error> {
        let keys = broker.keys(partition);
        let connection = Connection(broker.waiting_on(&keys.due).await?);
        Ok(Self { broker: broker.clone(), keys, connection })
    }

    /// Waits until a lane has a job that was not put into its group, for `most` at most and never
    /// longer than 5 s.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command. The connection must
    /// be dropped then.
    pub async fn wait(&mut self, up_to: &SortedUpTo, most: Duration) -> Result<(), Error> {
        let mut cmd = redis::cmd("XREAD");
        cmd.arg("COUNT").arg(1).arg("BLOCK").arg(clamped_millis(most.min(BLOCK)).max(1));
        cmd.arg("STREAMS");
        INTAKE.iter().for_each(|lane| _ = cmd.arg(self.keys.lane(*lane)));
        up_to.0.iter().for_each(|id| _ = cmd.arg(id.as_ref()));
        let waited: Result<Value, _> = cmd.query_async(&mut self.connection.0).await;
        waited.map(drop).map_err(|error| self.broker.classify(error))
    }
}
