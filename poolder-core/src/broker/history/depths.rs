//! The gauges of partitions at this moment, for a sample. An overview has more, and takes the
//! server twice as many commands.

use redis::{RedisResult, Value};

use crate::broker::Broker;
use crate::broker::connection::failure::is_nogroup;
use crate::broker::connection::reply;
use crate::broker::keys::GROUP;
use crate::history::QueueGauges;
use crate::job::{Error, Lane, Partition};

/// The number of reads of a partition in the first round trip.
const READS: usize = Lane::ALL.len() + 3;

impl Broker {
    /// Returns the gauges of each of these partitions, without the slots, in two round trips. Jobs
    /// may move between the two.
    pub async fn gauges(&self, partitions: &[Partition]) -> Vec<Result<QueueGauges, Error>> {
        let mut pipe = redis::pipe();
        for partition in partitions {
            let keys = self.keys(partition);
            for lane in Lane::ALL {
                pipe.cmd("XLEN").arg(keys.lane(lane));
            }
            pipe.cmd("HLEN").arg(&keys.bodies);
            pipe.cmd("ZCARD").arg(&keys.dead);
            pipe.cmd("HGET").arg(&keys.stats).arg("retrying");
        }
        let replies = match self.pipeline(&pipe).await {
            Ok(replies) => replies,
            Err(error) => return partitions.iter().map(|_| Err(error.repeated())).collect(),
        };
        let read: Vec<Result<Vec<u64>, Error>> = replies
            .chunks(READS)
            .map(|one| one.iter().map(|it| self.count(it)).collect())
            .collect();
        let claimed = self.claimed(partitions, &read).await;
        let gauges = |(read, claimed): (Result<Vec<u64>, Error>, Result<Vec<u64>, Error>)| {
            let (read, claimed) = (read?, claimed?);
            let [due, dead, retrying] = [0, 1, 2].map(|at| read[Lane::ALL.len() + at]);
            let mut gauges = QueueGauges { due, dead, retrying, ..QueueGauges::default() };
            for ((lane, length), claimed) in Lane::ALL.into_iter().zip(read).zip(claimed) {
                gauges.ready = gauges.ready.saturating_add(length.saturating_sub(claimed));
                gauges.running = gauges.running.saturating_add(claimed);
                if lane.is_suspect() {
                    gauges.suspects = length.max(claimed);
                }
            }
            Ok(gauges)
        };
        read.into_iter().zip(claimed).map(gauges).collect()
    }

    /// Returns for each partition how many entries of each lane are claimed. Asks for the lanes that
    /// are not empty: claimed entries stay in their lane.
    async fn claimed(
        &self,
        partitions: &[Partition],
        read: &[Result<Vec<u64>, Error>],
    ) -> Vec<Result<Vec<u64>, Error>> {
        let filled = |lengths: &Result<Vec<u64>, Error>| {
            let lengths = lengths.as_deref().unwrap_or_default();
            Lane::ALL.map(|lane| lengths.get(lane.index()).is_some_and(|length| *length > 0))
        };
        let mut pipe = redis::pipe();
        for (partition, lengths) in partitions.iter().zip(read) {
            let keys = self.keys(partition);
            for (lane, filled) in Lane::ALL.into_iter().zip(filled(lengths)) {
                if filled {
                    pipe.cmd("XPENDING").arg(keys.lane(lane)).arg(GROUP);
                }
            }
        }
        let replies = if pipe.is_empty() { Ok(vec![]) } else { self.pipeline(&pipe).await };
        let mut replies = match replies {
            Ok(replies) => replies.into_iter(),
            Err(error) => return read.iter().map(|_| Err(error.repeated())).collect(),
        };
        let each = |lengths: &Result<Vec<u64>, Error>| {
            filled(lengths)
                .into_iter()
                .map(|filled| match filled {
                    true => self.pending_of(replies.next()),
                    false => Ok(0),
                })
                .collect()
        };
        read.iter().map(each).collect()
    }

    /// Reads how many entries a group holds. Without the group none is claimed.
    fn pending_of(&self, reply: Option<RedisResult<Value>>) -> Result<u64, Error> {
        let wrong = || Error::protocol("the reply to a pipeline has another length");
        match reply.ok_or_else(wrong)? {
            Err(error) if is_nogroup(&error) => Ok(0),
            Err(error) => Err(self.classify(error)),
            Ok(value) => {
                let count = reply::array(value)?.into_iter().next().unwrap_or(Value::Int(0));
                Ok(u64::try_from(reply::int(count)?).unwrap_or(0))
            }
        }
    }

    /// Reads a number, 0 for none.
    fn count(&self, reply: &RedisResult<Value>) -> Result<u64, Error> {
        match reply {
            Err(error) => Err(self.classify(error.clone())),
            Ok(Value::Nil) => Ok(0),
            Ok(value) => Ok(u64::try_from(reply::int(value.clone())?).unwrap_or(0)),
        }
    }
}
