//! The memory that queues take, and whether the history has room.

use redis::Value;

use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::history::{HistoryStep, Period};
use crate::job::{Error, Lane, Partition, Timestamp};

/// The most commands of one pipeline.
const AT_ONCE: usize = 2_000;
/// The series of a frame that hold what is beyond its limits.
const REST: [&str; 2] = ["*", "!*"];

impl Broker {
    /// Returns the memory that the jobs of each partition take in their lanes, while they wait for
    /// their time, and among the dead, in bytes; the server estimates it from samples. `None` when the
    /// user may not ask.
    ///
    /// # Errors
    /// Returns an error when the server does not answer.
    pub async fn memory_of(&self, partitions: &[Partition]) -> Result<Option<Vec<u64>>, Error> {
        let mut names = vec![];
        for (at, partition) in partitions.iter().enumerate() {
            let keys = self.keys(partition);
            let lanes = Lane::ALL.map(|lane| keys.lane(lane).to_owned());
            let others = [&keys.due, &keys.bodies, &keys.dead, &keys.dead_bodies].map(Clone::clone);
            names.extend(lanes.into_iter().chain(others).map(|key| (at, key)));
        }
        let mut bytes = vec![0_u64; partitions.len()];
        for some in names.chunks(AT_ONCE) {
            let mut pipe = redis::pipe();
            for (_, key) in some {
                pipe.cmd("MEMORY").arg("USAGE").arg(key);
            }
            for ((at, _), reply) in some.iter().zip(self.pipeline(&pipe).await?) {
                let Ok(reply) = reply else { return Ok(None) };
                if reply != Value::Nil {
                    let used = u64::try_from(reply::int(reply)?).unwrap_or(0);
                    bytes[*at] = bytes[*at].saturating_add(used);
                }
            }
        }
        Ok(Some(bytes))
    }

    /// Returns true when more kinds or errors have been seen in the last minutes than a frame of the
    /// history has room for.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn history_is_cut(&self, now: Timestamp) -> Result<bool, Error> {
        let minute = Period::of(HistoryStep::Minute, now);
        let mut pipe = redis::pipe();
        for period in [minute, minute.after(-1), Period::of(HistoryStep::TenMinutes, now).after(-1)]
        {
            let letter = period.step().letter();
            let frame = self.roster_keys().history.frame(letter, period.number());
            for rest in REST {
                pipe.cmd("HEXISTS").arg(&frame).arg(rest);
            }
        }
        let replies = self.pipeline(&pipe).await?;
        Ok(replies
            .into_iter()
            .any(|reply| matches!(reply, Ok(Value::Int(1) | Value::Boolean(true)))))
    }
}
