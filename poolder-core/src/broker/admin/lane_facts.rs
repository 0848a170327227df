//! The streams of a partition: their groups, their consumers and the entries that these hold.

use std::time::Duration;

use redis::{RedisResult, Value};

use crate::broker::connection::reply;
use crate::broker::connection::reply::millis;
use crate::broker::jobs::lane_consumer::{LaneConsumer, has_no_group, read_consumer};
use crate::broker::keys::GROUP;
use crate::broker::{Broker, scripts};

use crate::job::{EntryId, Error, Lane, Partition};

/// The state of a lane's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneFacts {
    /// The lane.
    pub lane: Lane,
    /// The number of entries, those that are claimed included.
    pub len: u64,
    /// False when the key holds a value of another type.
    pub is_stream: bool,
    /// True when the group of the workers exists.
    pub has_group: bool,
    /// The last entry that was claimed.
    pub delivered: Option<EntryId>,
    /// The number of entries that are claimed.
    pub pending: u64,
    /// The oldest entry that is claimed.
    pub first_pending: Option<PendingEntry>,
    /// The consumers of the group.
    pub consumers: Vec<LaneConsumer>,
}

/// An entry that a consumer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEntry {
    /// The entry.
    pub entry: EntryId,
    /// The consumer: the name of a node.
    pub consumer: String,
    /// The time since the entry was claimed.
    pub held: Duration,
}

/// The commands of one lane.
const COMMANDS: usize = 4;

impl Broker {
    /// Reads the state of all lanes of a partition, in one pipeline. A consumer whose name is not
    /// text is left out.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn lane_facts(&self, partition: &Partition) -> Result<Vec<LaneFacts>, Error> {
        let keys = self.keys(partition);
        let mut pipe = redis::pipe();
        for lane in Lane::ALL {
            let stream = keys.lane(lane);
            pipe.cmd("XLEN").arg(stream);
            pipe.cmd("XINFO").arg("GROUPS").arg(stream);
            pipe.cmd("XINFO").arg("CONSUMERS").arg(stream).arg(GROUP);
            pipe.cmd("XPENDING").arg(stream).arg(GROUP).arg("-").arg("+").arg(1);
        }
        let replies = self.pipeline(&pipe).await?;
        let lanes = Lane::ALL.into_iter().zip(replies.chunks_exact(COMMANDS));
        lanes.map(|(lane, replies)| self.lane_of(lane, replies)).collect()
    }

    /// Creates the consumer group of a lane, from its first entry on, unless it exists: each entry
    /// of a lane is unfinished. Returns false when it existed.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn create_group(&self, partition: &Partition, lane: Lane) -> Result<bool, Error> {
        let keys = self.keys(partition);
        let mut pipe = redis::pipe();
        let mut cmd = scripts::write("XGROUP CREATE", keys.lane(lane));
        cmd.arg(GROUP).arg("0").arg("MKSTREAM");
        pipe.add_command(cmd);
        match self.pipeline(&pipe).await?.pop() {
            Some(Err(error)) if error.code() == Some("BUSYGROUP") => Ok(false),
            Some(Err(error)) => Err(self.classify(error)),
            _ => Ok(true),
        }
    }

    fn lane_of(&self, lane: Lane, replies: &[RedisResult<Value>]) -> Result<LaneFacts, Error> {
        let mut facts = LaneFacts {
            lane,
            len: 0,
            is_stream: true,
            has_group: false,
            delivered: None,
            pending: 0,
            first_pending: None,
            consumers: vec![],
        };
        match &replies[0] {
            Ok(len) => facts.len = number(len.clone())?,
            Err(error) if error.code() == Some("WRONGTYPE") => {
                return Ok(LaneFacts { is_stream: false, ..facts });
            }
            Err(error) => return Err(self.classify(error.clone())),
        }
        // Without a stream there are no groups, and without the group neither consumers nor claims.
        let lists = replies[1..].iter().map(|reply| {
            reply.clone().map_or_else(
                |error| if has_no_group(&error) { Ok(vec![]) } else { Err(self.classify(error)) },
                reply::array,
            )
        });
        let [groups, consumers, pending]: [Vec<Value>; 3] = lists
            .collect::<Result<Vec<_>, _>>()?
            .try_into()
            .map_err(|_| Error::protocol("a reply about a lane is missing"))?;
        for group in groups {
            facts.read_group(group)?;
        }
        facts.consumers =
            consumers.into_iter().flat_map(|info| read_consumer(lane, info)).collect();
        for entry in pending {
            let [entry, consumer, idle, _deliveries] = reply::items::<4>(entry)?;
            let (entry, held) = (reply::text(entry)?.into(), millis(reply::int(idle)?));
            // A consumer whose name is not text holds the entry as well as another one.
            let consumer = String::from_utf8_lossy(&reply::bytes(consumer)?).into_owned();
            facts.first_pending = Some(PendingEntry { entry, consumer, held });
        }
        Ok(facts)
    }
}

impl LaneFacts {
    /// Takes over the description of a group, if it is the group of the workers.
    fn read_group(&mut self, group: Value) -> Result<(), Error> {
        let (mut name, mut pending, mut delivered) = (vec![], 0, None);
        for pair in reply::array(group)?.chunks_exact(2) {
            let [field, value] = pair else { continue };
            match reply::bytes(field.clone())?.as_slice() {
                b"name" => name = reply::bytes(value.clone())?,
                b"pending" => pending = number(value.clone())?,
                b"last-delivered-id" => delivered = Some(reply::text(value.clone())?.into()),
                _ => {}
            }
        }
        if name == GROUP.as_bytes() {
            (self.has_group, self.pending, self.delivered) = (true, pending, delivered);
        }
        Ok(())
    }
}

fn number(value: Value) -> Result<u64, Error> {
    Ok(u64::try_from(reply::int(value)?).unwrap_or(0))
}
