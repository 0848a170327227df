//! Finds the entries that dead nodes hold. The rescuer in `poolder-worker` decides what to do with
//! their jobs.

use redis::Value;

use crate::broker::connection::reply;
use crate::broker::connection::round_trips::RedisOperation;
use crate::broker::jobs::lane_consumer::{LaneConsumer, has_no_group, read_consumer};
use crate::broker::jobs::pending::{pending, pending_ids};
use crate::broker::keys::GROUP;
use crate::broker::{Broker, scripts};
use crate::job::{EntryId, Error, Lane, Partition};
use crate::stored::Entry;

/// The most entries of a page.
const MAX_HELD: usize = 50;

/// A page of the entries that a consumer holds.
#[derive(Debug)]
pub struct HeldPage {
    /// The entries of the page that were not deleted.
    pub entries: Vec<Entry>,
    /// The last entry of the page, behind which the next page begins; `None` at the end.
    pub last: Option<EntryId>,
}

impl Broker {
    /// Returns the consumers of all lanes of a partition.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn consumers(&self, partition: &Partition) -> Result<Vec<LaneConsumer>, Error> {
        let keys = self.keys(partition);
        let mut pipe = redis::pipe();
        for lane in Lane::ALL {
            pipe.cmd("XINFO").arg("CONSUMERS").arg(keys.lane(lane)).arg(GROUP);
        }
        let mut consumers = vec![];
        for (lane, reply) in Lane::ALL.into_iter().zip(self.pipeline(&pipe).await?) {
            let reply = match reply {
                Err(error) if has_no_group(&error) => continue,
                // A server that does not say which consumers there are may have some.
                reply => reply.map_err(|error| self.classify(error))?,
            };
            for info in reply::array(reply)? {
                match read_consumer(lane, info) {
                    Ok(consumer) => consumers.push(consumer),
                    // No Poolder client has such a name. The other consumers are rescued anyway.
                    Err(error) => tracing::warn!(
                        %partition, %lane, %error,
                        "a consumer's name is not text: its entries cannot be rescued"
                    ),
                }
            }
        }
        Ok(consumers)
    }

    /// Returns a page of the entries that a consumer holds in a lane; with `after` the entries
    /// behind that one. Acknowledges held entries that were deleted meanwhile. The replies follow
    /// the sizes of the entries.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn held_by(
        &self,
        partition: &Partition,
        lane: Lane,
        consumer: &str,
        after: Option<&EntryId>,
    ) -> Result<HeldPage, Error> {
        let keys = self.keys(partition);
        let stream = keys.lane(lane);
        let mut connection = self.alone(stream).await?;
        let trip = self.inner.round_trips.trip(RedisOperation::Other);
        let ids = pending(stream, consumer, after, MAX_HELD).query_async(&mut connection).await;
        self.inner.round_trips.end(trip, &ids);
        let ids: Value = ids.map_err(|error| self.classify(error))?;
        let (ids, mut entries) = (pending_ids(ids)?, vec![]);
        self.read_entries(&mut connection, (stream, lane), &ids, &mut entries).await?;
        Ok(HeldPage { entries, last: ids.last().cloned() })
    }

    /// Records that a node begins to run a suspect of a shared queue: if the node dies,
    /// [`Broker::begun_suspect`] shows that the suspect ran. Returns false when the node does not
    /// hold the entry.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command; the suspect may be
    /// recorded then.
    pub async fn begin_suspect(
        &self,
        partition: &Partition,
        node: &str,
        entry: &str,
    ) -> Result<bool, Error> {
        let keys = self.keys(partition);
        let own = [keys.lease.as_str(), keys.lane(Lane::Suspect)];
        let mut cmd = scripts::call(&scripts::SUSPECT_BEGIN, own);
        cmd.arg(node).arg(entry);
        Ok(reply::int(self.command(&cmd).await?)? == 1)
    }

    /// Returns the entry of the last suspect that a node began to run in a shared queue.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn begun_suspect(
        &self,
        partition: &Partition,
        node: &str,
    ) -> Result<Option<EntryId>, Error> {
        let mut cmd = redis::cmd("HGET");
        cmd.arg(&self.keys(partition).lease).arg(format!("begun:{node}"));
        match self.command(&cmd).await? {
            Value::Nil => Ok(None),
            entry => Ok(Some(reply::text(entry)?.as_str().into())),
        }
    }

    /// Removes a consumer if it holds no entry. Returns whether the consumer was removed.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn remove_consumer(
        &self,
        partition: &Partition,
        lane: Lane,
        consumer: &str,
    ) -> Result<bool, Error> {
        let keys = self.keys(partition);
        let note = lane.is_suspect().then_some(keys.lease.as_str());
        let all = [keys.lane(lane)].into_iter().chain(note);
        let mut cmd = scripts::call(&scripts::CONSUMER_REMOVE, all);
        cmd.arg(consumer);
        let reply = self.command(&cmd).await?;
        Ok(reply::int(reply)? == 1)
    }
}
